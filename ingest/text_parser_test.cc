// SPDX-License-Identifier: Apache-2.0
#include "ingest/text_parser.h"

#include <gtest/gtest.h>

#include "ingest/test_documents.h"

namespace cloister::ingest {
namespace {

std::vector<std::string> Parse(const std::string& text) {
  const ParseResult result = ParseText(text, {});
  EXPECT_FALSE(result.refused) << text;
  if (!result.refused) CheckInvariants(result.document);
  return Outline(result.document);
}

TEST(TextParserTest, JoinsWrappedLines) {
  EXPECT_EQ(Parse("This is a line that was wrapped\nby an editor and goes on.\n\nSecond paragraph.\n"),
            (std::vector<std::string>{"p0 This is a line that was wrapped by an editor and goes on.", "p0 Second paragraph."}));
}

TEST(TextParserTest, KeepsLinesThatAreParagraphs) {
  EXPECT_EQ(Parse("One ends here.\nTwo ends here.\nThree ends!\n"),
            (std::vector<std::string>{"p0 One ends here.", "p0 Two ends here.", "p0 Three ends!"}));
}

TEST(TextParserTest, FindsHeadings) {
  EXPECT_EQ(Parse("Title\n=====\n\nVISITING HOURS\n\nSub\n---\ntext\n"),
            (std::vector<std::string>{"h1 Title", "h2 VISITING HOURS", "h2 Sub", "p0 text"}));
}

TEST(TextParserTest, FindsListsAndRows) {
  EXPECT_EQ(Parse("Bring:\n- a card\n  of yours\n- a coat\n\nName\tAge\nAnn\t40\n"),
            (std::vector<std::string>{"p0 Bring:", "l1 - a card of yours", "l1 - a coat", "r0 Name | Age", "r0 Ann | 40"}));
}

TEST(TextParserTest, ReadsFrontMatterAndNotesReplacedBytes) {
  const ParseResult result = ParseText("---\nowner: me\n---\nbody\n", {});
  ASSERT_FALSE(result.refused);
  EXPECT_EQ(result.document.metadata.owner, "me");
  EXPECT_EQ(result.document.text, "body");
}

TEST(TextParserTest, RefusesEmptyAndBinary) {
  EXPECT_EQ(ParseText(" \n\t\n", {}).refusal, Refusal::kEmpty);
  std::string binary;
  for (int i = 0; i < 2000; ++i) binary += static_cast<char>(i % 8);
  EXPECT_EQ(ParseText(binary, {}).refusal, Refusal::kNotText);
}

TEST(TextParserTest, CutsTextWithoutAnyBorder) {
  const ParseResult result = ParseText(std::string(300'000, 'x'), {});
  ASSERT_FALSE(result.refused);
  CheckInvariants(result.document);
  const ParseResult letters = ParseText([] { std::string s; for (int i = 0; i < 100'000; ++i) s += "\xE6\x97\xA5"; return s; }(), {});
  ASSERT_FALSE(letters.refused);
  CheckInvariants(letters.document);
}

}  // namespace
}  // namespace cloister::ingest
