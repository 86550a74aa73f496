// SPDX-License-Identifier: Apache-2.0
#include "ingest/sentences.h"

#include <gtest/gtest.h>

#include "ingest/markdown_parser.h"
#include "ingest/test_documents.h"

namespace cloister::ingest {
namespace {

std::vector<std::string> Split(const std::string& text) {
  std::vector<std::string> out;
  for (const Range& range : SplitSentences(text)) out.push_back(text.substr(range.start, range.end - range.start));
  return out;
}

TEST(SplitSentencesTest, SplitsAtSentenceEnds) {
  EXPECT_EQ(Split("One. Two! Three? \"Four.\" Five"), (std::vector<std::string>{"One.", "Two!", "Three?", "\"Four.\"", "Five"}));
  EXPECT_EQ(Split(""), std::vector<std::string>{});
}

TEST(SplitSentencesTest, KeepsAbbreviationsAndReferencesWhole) {
  for (const char* text :
       {"See 42 U.S.C. 1320d and Pub. L. 104-191 for this.", "Dr. Smith and Mrs. J. Doe agreed.", "As set out in \xC2\xA7 164.524(a)(1) of this part.",
        "It costs approx. 50 dollars, e.g. Monday or i.e. today.", "The U.S. Department of Health decides.", "Pay No. 5 by Aug. 17, 2000.",
        "Use 3.5 mg of it vs. 4.0 mg.", "Section 4.2. of the rules applies."}) {
    EXPECT_EQ(Split(text), std::vector<std::string>{text});
  }
}

TEST(SplitSentencesTest, StillSplitsAfterAbbreviationsThatEndSentences) {
  EXPECT_EQ(Split("It was made by Apple Inc. The price rose."), (std::vector<std::string>{"It was made by Apple Inc.", "The price rose."}));
  EXPECT_EQ(Split("They live in the U.S. The law differs."), (std::vector<std::string>{"They live in the U.S.", "The law differs."}));
  EXPECT_EQ(Split("The answer is no. Ask again."), (std::vector<std::string>{"The answer is no.", "Ask again."}));
}

TEST(SplitSentencesTest, KeepsMarkersWithTheirSentence) {
  EXPECT_EQ(Split("1. Where consent is given. It counts."), (std::vector<std::string>{"1. Where consent is given.", "It counts."}));
  EXPECT_EQ(Split("(a) Standard. A rule."), (std::vector<std::string>{"(a) Standard.", "A rule."}));
}

TEST(SplitSentencesTest, DividesOverlongSentencesAtSemicolons) {
  std::string clause = "the controller has the obligation to erase personal data without undue delay where one of these grounds applies";
  const std::string text = clause + "; " + clause + "; " + clause + "; " + clause + ".";
  const auto parts = Split(text);
  ASSERT_EQ(parts.size(), 4u);
  EXPECT_EQ(parts[0], clause + ";");
  EXPECT_EQ(parts[3], clause + ".");
  EXPECT_EQ(Split("short; clauses; stay; together.").size(), 1u);
}

TEST(SplitSentencesTest, CutsWhatHasNoEnd) {
  const std::string text(10'000, 'x');
  for (const std::string& part : Split(text)) EXPECT_LE(part.size(), kSentenceBytesMax);
}

// "index kind lead_in text" for each sentence.
std::vector<std::string> Describe(const std::string& markdown) {
  const ParseResult result = ParseMarkdown(markdown, {});
  EXPECT_FALSE(result.refused);
  CheckInvariants(result.document);
  std::vector<std::string> out;
  for (const Sentence& s : FindSentences(result.document)) {
    out.push_back(std::to_string(static_cast<int>(s.kind)) + " " + std::to_string(s.lead_in) + " " +
                  result.document.text.substr(s.start, s.end - s.start));
  }
  return out;
}

TEST(FindSentencesTest, GivesItemsTheirLeadIn) {
  EXPECT_EQ(Describe("A person may ask if:\n\n(a) one;\n\n(b) two where:\n\n> (i) three. And more.\n\n(c) four.\n\nNext."),
            (std::vector<std::string>{"0 -1 A person may ask if:", "1 0 (a) one;", "1 0 (b) two where:", "1 2 (i) three.",
                                      "0 -1 And more.", "1 0 (c) four.", "0 -1 Next."}));
}

TEST(FindSentencesTest, ItemsUnderFinishedSentencesStandAlone) {
  EXPECT_EQ(Describe("(a) Standard. A rule that is complete.\n\n> (1) Another rule.\n"),
            (std::vector<std::string>{"1 -1 (a) Standard.", "0 -1 A rule that is complete.", "1 -1 (1) Another rule."}));
}

TEST(FindSentencesTest, ListsHangOnTheParagraphBeforeThem) {
  EXPECT_EQ(Describe("We offer these services.\n\n- Care\n- Advice\n"),
            (std::vector<std::string>{"0 -1 We offer these services.", "1 0 Care", "1 0 Advice"}));
}

TEST(FindSentencesTest, BareMarkersPassOnTheirLeadIn) {
  EXPECT_EQ(Describe("Information may be used only if:\n\n(b)\n\n> (1) it is removed; or\n"),
            (std::vector<std::string>{"0 -1 Information may be used only if:", "1 0 (1) it is removed; or"}));
}

TEST(FindSentencesTest, RowsHangOnTheirHeader) {
  EXPECT_EQ(Describe("# H\n\n| Ward | Hours |\n|--|--|\n| A | 9-5 |\n| B | 1-2 |\n\nText.\n"),
            (std::vector<std::string>{"2 -1 H", "3 -1 Ward | Hours", "3 1 A | 9-5", "3 1 B | 1-2", "0 -1 Text."}));
}

TEST(FindSentencesTest, HeadingsEndLists) {
  EXPECT_EQ(Describe("Ask if:\n\n# H\n\n(a) one\n"), (std::vector<std::string>{"0 -1 Ask if:", "2 -1 H", "1 -1 (a) one"}));
}

}  // namespace
}  // namespace cloister::ingest
