// SPDX-License-Identifier: Apache-2.0
#include "ingest/markdown_parser.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "common/file.h"
#include "ingest/markdown_inline.h"
#include "ingest/test_documents.h"

namespace cloister::ingest {
namespace {

std::vector<std::string> Parse(const std::string& text) {
  const ParseResult result = ParseMarkdown(text, {});
  EXPECT_FALSE(result.refused) << text;
  if (!result.refused) CheckInvariants(result.document);
  return Outline(result.document);
}

std::string Inline(std::string_view text) { return MarkdownInlineText(text, {"ref"}); }

TEST(MarkdownParserTest, ReadsHeadingsAndParagraphs) {
  EXPECT_EQ(Parse("# One #\ntext\nmore\n\nTwo\n---\n\n### Three\n\nSetext\n===\n"),
            (std::vector<std::string>{"h1 One", "p0 text more", "h2 Two", "h3 Three", "h1 Setext"}));
}

TEST(MarkdownParserTest, NestsLists) {
  EXPECT_EQ(Parse("Intro:\n- a\n  more\n  - b\n    1. c\n- d\n\nEnd\n"),
            (std::vector<std::string>{"p0 Intro:", "l1 a more", "l2 b", "l3 1. c", "l1 d", "p0 End"}));
}

TEST(MarkdownParserTest, KeepsNumbersAndDropsBullets) {
  EXPECT_EQ(Parse("1. a\n2. b\n\n* c\n+ d\n"), (std::vector<std::string>{"l1 1. a", "l1 2. b", "l1 c", "l1 d"}));
}

TEST(MarkdownParserTest, ReadsLegalTextInBlockQuotes) {
  EXPECT_EQ(Parse("(a) Standard. Text.\n\n> (1) Rule:\n\n> > (i) First; or\n\n> > &#40;ii) Second.\n \n> (2) Other.\n\n(b)\n\n> (1) Last\n"),
            (std::vector<std::string>{"l1 (a) Standard. Text.", "l2 (1) Rule:", "l3 (i) First; or", "l3 (ii) Second.",
                                      "l2 (2) Other.", "l1 (b)", "l2 (1) Last"}));
}

TEST(MarkdownParserTest, ReadsLettersUnderNumbersWithoutIndentation) {
  EXPECT_EQ(Parse("1. One where:\n\n(a) x;\n\n(b) y.\n\n2. Two.\n"),
            (std::vector<std::string>{"l1 1. One where:", "l2 (a) x;", "l2 (b) y.", "l1 2. Two."}));
}

TEST(MarkdownParserTest, ReadsTablesAndCode) {
  EXPECT_EQ(Parse("| A | B |\n|---|:-:|\n| 1 | **2** |\n| 3 |  |\n\n```cpp\nint  x;\n\n  y\n```\n\n    indented\n"),
            (std::vector<std::string>{"r0 A | B", "r0 1 | 2", "r0 3", "c0 int  x;\n\n  y", "c0 indented"}));
}

TEST(MarkdownParserTest, LeavesOutWhatReadersDoNotSee) {
  EXPECT_EQ(Parse("<!-- hidden\nstill -->\nshown <!-- x --> text\n\n<script>\nalert(1)\n</script>\n\n[ref]: http://x\n\n***\nlast\n"),
            (std::vector<std::string>{"p0 shown text", "p0 last"}));
}

TEST(MarkdownParserTest, ReadsFrontMatter) {
  const ParseResult result = ParseMarkdown("---\ntitle: T\nsubjects: [a]\n---\n# H\n", {});
  ASSERT_FALSE(result.refused);
  EXPECT_EQ(result.document.metadata.title, "T");
  EXPECT_EQ(result.document.metadata.subjects, std::vector<std::string>{"a"});
  EXPECT_EQ(result.document.text, "H");
}

TEST(MarkdownParserTest, RefusesEmptyAndBinary) {
  EXPECT_EQ(ParseMarkdown("\n \n", {}).refusal, Refusal::kEmpty);
  EXPECT_TRUE(ParseMarkdown("---\ntitle: T\n---\n", {}).refused);
  EXPECT_EQ(ParseMarkdown(std::string(1000, '\0') + "\x01\x02", {}).refusal, Refusal::kNotText);
}

TEST(MarkdownParserTest, RefusesMoreTextThanAllowed) {
  ParseLimits limits;
  limits.text_bytes_max = 100;
  const ParseResult result = ParseMarkdown("word\n\n" + std::string(200, 'x'), limits);
  ASSERT_TRUE(result.refused);
  EXPECT_EQ(result.refusal, Refusal::kTextTooLong);
}

TEST(MarkdownParserTest, SurvivesDeepNesting) {
  CheckInvariants(ParseMarkdown(std::string(100'000, '>') + " deep", {}).document);
  std::string lists;
  for (int i = 0; i < 2000; ++i) lists += std::string(static_cast<size_t>(2 * i), ' ') + "- x\n";
  CheckInvariants(ParseMarkdown(lists, {}).document);
  CheckInvariants(ParseMarkdown(std::string(200'000, '[') + "x" + std::string(200'000, ']'), {}).document);
  CheckInvariants(ParseMarkdown(std::string(200'000, '*') + "x", {}).document);
  std::string ticks;
  for (int i = 1; i < 600; ++i) ticks += std::string(static_cast<size_t>(i), '`') + " ";
  CheckInvariants(ParseMarkdown("a " + ticks, {}).document);
}

TEST(MarkdownInlineTest, ShowsWhatAReaderSees) {
  EXPECT_EQ(Inline("a *b* **c** ***d*** _e_ __f__ ~~g~~"), "a b c d e f g");
  EXPECT_EQ(Inline("[\xC2\xA7 164.512](/x/(y)/)(e), [t][ref] and [ref]"), "\xC2\xA7 164.512(e), t and ref");
  EXPECT_EQ(Inline("![alt *text*](x.png) <https://a.b> <b>bold</b><br>x"), "alt text https://a.b bold x");
  EXPECT_EQ(Inline("`a*b*` ``c ` d`` \\*e\\*"), "a*b* c ` d *e*");
  EXPECT_EQ(Inline("&lt;&#40;&#x41;&amp;&unknown;&"), "<(A&&unknown;&");
}

TEST(MarkdownInlineTest, LeavesProseAlone) {
  for (const char* text : {"5 * 3 = 15 * 1", "snake_case_name", "[65 FR 50367, Aug. 17, 2000]", "a ~ b", "2 < 3 and 4 > 1", "** not **", "`open"}) {
    EXPECT_EQ(Inline(text), text);
  }
}

TEST(MarkdownCorpusTest, RegulationsComeOutWhole) {
  const std::filesystem::path folder = std::filesystem::path(CLOISTER_EVAL_DIR) / "regulations";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no evaluation data at " << folder;
  size_t files = 0, lead_ins = 0;
  for (const char* part : {"hipaa", "gdpr"}) {
    for (const auto& entry : std::filesystem::directory_iterator(folder / part)) {
      if (entry.path().extension() != ".md") continue;
      const auto bytes = ReadFile(entry.path(), 1 << 24);
      ASSERT_TRUE(bytes.ok());
      const ParseResult result = ParseMarkdown(*bytes, {});
      ASSERT_FALSE(result.refused) << entry.path();
      CheckInvariants(result.document);
      EXPECT_EQ(result.document.text.find("](/"), std::string::npos) << entry.path();
      EXPECT_EQ(result.document.text.find("&#"), std::string::npos) << entry.path();
      EXPECT_EQ(result.document.text.find("\n>"), std::string::npos) << entry.path();
      for (const Sentence& s : FindSentences(result.document)) lead_ins += s.lead_in >= 0 ? 1 : 0;
      ++files;
    }
  }
  EXPECT_EQ(files, 246u);
  EXPECT_GT(lead_ins, 1000u);
}

}  // namespace
}  // namespace cloister::ingest
