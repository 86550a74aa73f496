// SPDX-License-Identifier: Apache-2.0
#include "ingest/text_normaliser.h"

#include <gtest/gtest.h>

#include "common/bytes.h"

namespace cloister::ingest {
namespace {

std::string Collapse(std::string_view text) { return NormaliseText(text, Whitespace::kCollapse); }

TEST(NormaliseTextTest, CollapsesWhiteSpaceOfAllKinds) {
  EXPECT_EQ(Collapse("  a\t b\n\nc\xC2\xA0" "d\xE2\x80\x83 e\xE2\x80\xA8" "f  "), "a b c d e f");
  EXPECT_EQ(Collapse(" \n "), "");
}

TEST(NormaliseTextTest, KeepsLinesAndIndentationWhenAsked) {
  EXPECT_EQ(NormaliseText("\na  \n\tb\r\n", Whitespace::kLines), "a\n    b");
}

TEST(NormaliseTextTest, ComposesAndSpellsLigatures) {
  EXPECT_EQ(Collapse("e\xCC\x81"), "\xC3\xA9");
  EXPECT_EQ(Collapse("\xEF\xAC\x81nd o\xEF\xAC\x83" "ce"), "find office");
}

TEST(NormaliseTextTest, DropsWhatNobodySees) {
  // Zero-width space, soft hyphen, right-to-left override, byte order mark, a tag character, a control character.
  EXPECT_EQ(Collapse("a\xE2\x80\x8B" "b\xC2\xAD" "c\xE2\x80\xAE" "d\xEF\xBB\xBF" "e\xF3\xA0\x81\x81" "f\x01g"), "abcdefg");
}

TEST(NormaliseTextTest, ReplacesWhatIsNotUtf8) {
  const std::string text = Collapse("a\xFF" "b\xED\xA0\x80" "c");
  EXPECT_TRUE(IsUtf8(text));
  EXPECT_EQ(text.substr(0, 5), "a\xEF\xBF\xBD" "b");
}

TEST(DecodeTextTest, KnowsCharacterSets) {
  EXPECT_EQ(DecodeText("caf\xC3\xA9\r\nb\rc").text, "caf\xC3\xA9\nb\nc");
  EXPECT_EQ(DecodeText("\xEF\xBB\xBFx").text, "x");
  EXPECT_EQ(DecodeText(std::string_view("\xFF\xFEh\0i\0", 6)).text, "hi");
  EXPECT_EQ(DecodeText(std::string_view("\xFE\xFF\0h\0i", 6)).text, "hi");
  EXPECT_EQ(DecodeText("na\xEFve caf\xE9, r\xE9sum\xE9 and \x93quoted\x94 text in English", "windows-1252").text,
            "na\xC3\xAFve caf\xC3\xA9, r\xC3\xA9sum\xC3\xA9 and \xE2\x80\x9Cquoted\xE2\x80\x9D text in English");
}

TEST(DecodeTextTest, BelievesBytesOverTheHint) {
  EXPECT_EQ(DecodeText("caf\xC3\xA9", "iso-8859-1").text, "caf\xC3\xA9");
  EXPECT_EQ(DecodeText("plain", "utf-16le").text, "plain");
  EXPECT_EQ(DecodeText("plain", "no-such-charset").text, "plain");
}

TEST(DecodeTextTest, RecognisesBinary) {
  std::string bytes;
  for (int i = 0; i < 4096; ++i) bytes += static_cast<char>(i * 37 % 29);
  EXPECT_TRUE(DecodeText(bytes).binary);
  EXPECT_FALSE(DecodeText("text\n").binary);
}

TEST(AppendUtf8Test, ReplacesWhatIsNoCharacter) {
  std::string out;
  AppendUtf8(0x20AC, out);
  AppendUtf8(0xD800, out);
  AppendUtf8(0x110000, out);
  EXPECT_EQ(out, "\xE2\x82\xAC\xEF\xBF\xBD\xEF\xBF\xBD");
}

}  // namespace
}  // namespace cloister::ingest
