// SPDX-License-Identifier: Apache-2.0
#include "ingest/html_parser.h"

#include <gtest/gtest.h>

#include "ingest/test_documents.h"

namespace cloister::ingest {
namespace {

std::vector<std::string> Parse(const std::string& html) {
  const ParseResult result = ParseHtml(html, {});
  EXPECT_FALSE(result.refused) << html;
  if (!result.refused) CheckInvariants(result.document);
  return Outline(result.document);
}

TEST(HtmlParserTest, ReadsBlocks) {
  EXPECT_EQ(Parse("<h1>One <em>two</em></h1><p>a<b>b</b>\n c<br>d</p><div>e<p>f</div>g<pre>x\n  y</pre>"),
            (std::vector<std::string>{"h1 One two", "p0 ab c d", "p0 e", "p0 f", "p0 g", "c0 x\n  y"}));
}

TEST(HtmlParserTest, NestsAndNumbersLists) {
  EXPECT_EQ(Parse("<p>Intro:</p><ul><li>a<ol start=3><li>b</li><li><p>c</p></li></ol></li><li>d</ul>"),
            (std::vector<std::string>{"p0 Intro:", "l1 a", "l2 3. b", "l2 4. c", "l1 d"}));
}

TEST(HtmlParserTest, ReadsTables) {
  EXPECT_EQ(Parse("<table><caption>C</caption><tr><th>A<th>B<tr><td>1<td><p>2</p><tr><td><td>3</table>"),
            (std::vector<std::string>{"p0 C", "r0 A | B", "r0 1 | 2", "r0 3"}));
}

TEST(HtmlParserTest, ReadsLayoutTablesAsText) {
  EXPECT_EQ(Parse("<table><tr><td><h2>Menu</h2><ul><li>x</ul><td><p>one</p><p>two</p><table><tr><td>1<td>2</table></table>"),
            (std::vector<std::string>{"h2 Menu", "l1 x", "p0 one", "p0 two", "r0 1 | 2"}));
}

TEST(HtmlParserTest, LeavesOutWhatReadersDoNotSee) {
  EXPECT_EQ(Parse("<style>a{}</style><script>b</script><p>shown</p><p hidden>c</p><div style='Display: none'>d</div>"
                  "<span style='visibility:hidden'>e</span><noscript>f</noscript><!-- g --><template>h</template>"
                  "<select><option>i</select><button>j</button><iframe src=x>k</iframe>"),
            (std::vector<std::string>{"p0 shown"}));
}

TEST(HtmlParserTest, ReadsMetadata) {
  const ParseResult result = ParseHtml(
      "<html lang=en-GB><head><title> The &amp; title </title><meta name=owner content=HR><meta name=Subjects content='a, b'>"
      "<meta name=effective_from content=2026-02-31><meta name=viewport content=x></head><p>t", {});
  ASSERT_FALSE(result.refused);
  const Metadata& m = result.document.metadata;
  EXPECT_EQ(m.title, "The & title");
  EXPECT_EQ(m.language, "en-GB");
  EXPECT_EQ(m.owner, "HR");
  EXPECT_EQ(m.subjects, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(m.effective_from, "");
  ASSERT_EQ(result.document.notes.size(), 1u);
  EXPECT_EQ(result.document.notes[0].code, NoteCode::kInvalidMetadataValue);
}

TEST(HtmlParserTest, KnowsDeclaredCharsets) {
  EXPECT_EQ(Parse("<meta charset=windows-1252><p>caf\xE9"), (std::vector<std::string>{"p0 caf\xC3\xA9"}));
  EXPECT_EQ(Parse("<!-- <meta charset=utf-16> --><meta http-equiv=Content-Type content='text/html; charset=iso-8859-2'><p>\xB1"),
            (std::vector<std::string>{"p0 \xC4\x85"}));
}

TEST(HtmlParserTest, UsesTextOfImages) {
  EXPECT_EQ(Parse("<p>a<img alt='chart of beds' src=x>b"), (std::vector<std::string>{"p0 a chart of beds b"}));
}

TEST(HtmlParserTest, RefusesEmptyPages) {
  EXPECT_EQ(ParseHtml("<html><body><script>x</script></body></html>", {}).refusal, Refusal::kEmpty);
}

TEST(HtmlParserTest, SurvivesGarbage) {
  std::string garbage = "<p>start";
  uint32_t state = 12345;
  const std::vector<std::string> pieces = {"<table>", "</td>", "<tr", "<li>", "</ul>", "&#x", "<td><table>", "\"", ">", "<!--", "-->", "text ", "<pre>", "<h2>", "</h1>"};
  for (int i = 0; i < 5000; ++i) {
    state = state * 1664525 + 1013904223;
    garbage += pieces[(state >> 16) % pieces.size()];
  }
  const ParseResult result = ParseHtml(garbage, {});
  if (!result.refused) CheckInvariants(result.document);
}

}  // namespace
}  // namespace cloister::ingest
