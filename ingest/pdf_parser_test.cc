// SPDX-License-Identifier: Apache-2.0
#include "ingest/pdf_parser.h"

#include <gtest/gtest.h>

#include "ingest/test_documents.h"
#include "ingest/test_pdf.h"

#if defined(__SANITIZE_ADDRESS__)
// poppler starts fontconfig, which keeps one configuration to the end of the process.
extern "C" const char* __lsan_default_suppressions() { return "leak:libfontconfig"; }
#endif

namespace cloister::ingest {
namespace {

ParseResult Parse(const TestPdf& pdf) {
  WarmUpPdf();
  ParseResult result = ParsePdf(pdf.Write(), {});
  if (!result.refused) CheckInvariants(result.document);
  return result;
}

std::vector<TestLine> Lines(float x, float y, const std::vector<std::string>& texts, float pitch = 13) {
  std::vector<TestLine> lines;
  for (const std::string& text : texts) {
    lines.push_back({x, y, text});
    y -= pitch;
  }
  return lines;
}

TEST(PdfParserTest, JoinsLinesAndHyphensIntoParagraphs) {
  TestPdf pdf;
  pdf.AddPage(Lines(72, 700, {"The visiting hours of the ward were changed by the infor-", "mation desk last week and now apply to all of the well-",
                              "known rooms. A well-known rule stays in force."}));
  const ParseResult result = Parse(pdf);
  ASSERT_FALSE(result.refused);
  EXPECT_EQ(Outline(result.document),
            std::vector<std::string>{"p0 The visiting hours of the ward were changed by the information desk last week and now apply "
                                     "to all of the well-known rooms. A well-known rule stays in force."});
}

TEST(PdfParserTest, PlacesEveryWordInPointsFromTheTopLeft) {
  TestPdf pdf;
  pdf.AddPage({{72, 700, "First"}});
  pdf.AddPage({{100, 92, "Second"}});
  const ParseResult result = Parse(pdf);
  ASSERT_FALSE(result.refused);
  ASSERT_EQ(result.document.words.size(), 2u);
  EXPECT_EQ(result.document.pages, 2u);
  const WordBox& first = result.document.words[0];
  EXPECT_EQ(first.page, 1u);
  EXPECT_NEAR(first.x0, 72, 1);
  EXPECT_NEAR(first.y1, 792 - 700, 4);  // The base line is above the lower edge of the box.
  EXPECT_LT(first.y0, first.y1);
  EXPECT_EQ(result.document.words[1].page, 2u);
  EXPECT_NEAR(result.document.words[1].y1, 700, 4);
}

TEST(PdfParserTest, TurnsBoxesWithThePage) {
  TestPdf pdf;
  pdf.AddPage({{72, 700, "Turned words here"}}, 90);
  const ParseResult result = Parse(pdf);
  ASSERT_FALSE(result.refused);
  EXPECT_EQ(Outline(result.document), std::vector<std::string>{"p0 Turned words here"});
  // Displayed 792 wide and 612 high, the text runs downwards at x = 700.
  const WordBox& word = result.document.words[0];
  EXPECT_NEAR(word.x0, 700, 12);
  EXPECT_NEAR(word.y0, 72, 4);
}

TEST(PdfParserTest, ReadsColumnsOneAfterTheOther) {
  TestPdf pdf;
  std::vector<TestLine> lines = Lines(72, 700, {"Left column begins with this", "and goes on for some lines so", "that anybody can see that it", "is prose and not a table of", "numbers at all."});
  for (const TestLine& line : Lines(330, 700, {"Right column begins with that", "and goes on just as long, and", "is to be read after the left", "one has ended, which is what", "people expect."})) lines.push_back(line);
  pdf.AddPage(lines);
  const ParseResult result = Parse(pdf);
  ASSERT_FALSE(result.refused);
  EXPECT_EQ(Outline(result.document),
            (std::vector<std::string>{"p0 Left column begins with this and goes on for some lines so that anybody can see that it is prose and not a table of numbers at all.",
                                      "p0 Right column begins with that and goes on just as long, and is to be read after the left one has ended, which is what people expect."}));
}

TEST(PdfParserTest, ReadsTablesRowByRow) {
  TestPdf pdf;
  std::vector<TestLine> lines;
  float y = 700;
  for (const auto& [name, one, two] : std::vector<std::tuple<const char*, const char*, const char*>>{
           {"Ward", "Beds", "Staff"}, {"Surgery", "40", "12"}, {"Children", "25", "9"}, {"Total", "65", "21"}}) {
    lines.push_back({72, y, name});
    lines.push_back({250, y, one});
    lines.push_back({400, y, two});
    y -= 14;
  }
  pdf.AddPage(lines);
  const ParseResult result = Parse(pdf);
  ASSERT_FALSE(result.refused);
  EXPECT_EQ(Outline(result.document),
            (std::vector<std::string>{"r0 Ward | Beds | Staff", "r0 Surgery | 40 | 12", "r0 Children | 25 | 9", "r0 Total | 65 | 21"}));
}

TEST(PdfParserTest, FindsHeadingsBySizeAndWeight) {
  TestPdf pdf;
  pdf.AddPage({{72, 720, "Leave policy", 20}, {72, 690, "Scope", 11, true}, {72, 670, "This policy applies to everybody who works here and has a contract."},
               {72, 657, "It does not apply to guests of the house who stay for a day."}});
  const ParseResult result = Parse(pdf);
  ASSERT_FALSE(result.refused);
  EXPECT_EQ(Outline(result.document),
            (std::vector<std::string>{"h1 Leave policy", "h2 Scope", "p0 This policy applies to everybody who works here and has a contract. It does not apply to guests of the house who stay for a day."}));
}

TEST(PdfParserTest, LeavesOutRepeatedHeadersFootersAndPageNumbers) {
  TestPdf pdf;
  for (int page = 1; page <= 5; ++page) {
    std::vector<TestLine> lines = {{72, 760, "Hospital of the imaginary town"}, {300, 30, "Page " + std::to_string(page) + " of 5"}};
    for (const TestLine& line : Lines(72, 700, {"Body of page number " + std::string(static_cast<size_t>(page), 'x') + " begins.", "Second line.", "Third line.", "Fourth line here."}, 40)) lines.push_back(line);
    pdf.AddPage(lines);
  }
  const ParseResult result = Parse(pdf);
  ASSERT_FALSE(result.refused);
  EXPECT_EQ(result.document.text.find("imaginary"), std::string::npos);
  EXPECT_EQ(result.document.text.find("of 5"), std::string::npos);
  EXPECT_NE(result.document.text.find("number xxxxx begins."), std::string::npos);
}

TEST(PdfParserTest, LeavesOutAFooterThatCountsPagesEvenOfAShortDocument) {
  for (int pages = 1; pages <= 2; ++pages) {
    TestPdf pdf;
    for (int page = 1; page <= pages; ++page) {
      std::vector<TestLine> lines = Lines(72, 700, {"See Page 7 for what is said about page 3", "of the other book."}, 14);
      lines.push_back({72, 30, "Hospital of the imaginary town"});
      lines.push_back({430, 30, "Page " + std::to_string(page)});
      pdf.AddPage(lines);
    }
    const ParseResult result = Parse(pdf);
    ASSERT_FALSE(result.refused);
    EXPECT_EQ(result.document.text.find("imaginary"), std::string::npos);
    EXPECT_NE(result.document.text.find("of the other book."), std::string::npos);
    EXPECT_NE(result.document.text.find("about page 3"), std::string::npos);
  }
}

TEST(PdfParserTest, JoinsParagraphsAcrossPages) {
  TestPdf pdf;
  pdf.AddPage(Lines(72, 100, {"A sentence that begins on the first page and"}));
  pdf.AddPage(Lines(72, 700, {"ends on the second one."}));
  const ParseResult result = Parse(pdf);
  ASSERT_FALSE(result.refused);
  ASSERT_EQ(Outline(result.document), std::vector<std::string>{"p0 A sentence that begins on the first page and ends on the second one."});
  const auto chunks = ChunkDocument(result.document, {});
  EXPECT_EQ(chunks[0].page_first, 1u);
  EXPECT_EQ(chunks[0].page_last, 2u);
  EXPECT_EQ(chunks[0].sentences[0].boxes.size(), 2u);
}

TEST(PdfParserTest, UsesTitlesThatPeopleWrote) {
  for (const auto& [title, expected] : std::vector<std::pair<std::string, std::string>>{
           {"Visiting hours", "Visiting hours"}, {"Microsoft Word - a.doc", ""}, {"untitled", ""}, {"0001-22-33", ""}}) {
    TestPdf pdf;
    pdf.AddPage({{72, 700, "Text"}});
    pdf.set_title(title);
    EXPECT_EQ(Parse(pdf).document.metadata.title, expected) << title;
  }
}

TEST(PdfParserTest, SaysWhyItRefuses) {
  TestPdf locked;
  locked.AddPage({{72, 700, "Secret"}});
  locked.set_encrypted();
  EXPECT_EQ(Parse(locked).refusal, Refusal::kEncrypted);

  TestPdf blank;
  blank.AddPage({});
  const ParseResult no_text = Parse(blank);
  ASSERT_TRUE(no_text.refused);
  EXPECT_EQ(no_text.refusal, Refusal::kNoText);

  EXPECT_EQ(ParsePdf("%PDF-1.4 nothing else", {}).refusal, Refusal::kDamaged);
  EXPECT_EQ(ParsePdf("no header at all", {}).refusal, Refusal::kDamaged);

  TestPdf many;
  for (int i = 0; i < 3; ++i) many.AddPage({{72, 700, "x"}});
  ParseLimits limits;
  limits.pages_max = 2;
  EXPECT_EQ(ParsePdf(many.Write(), limits).refusal, Refusal::kTooManyPages);
  limits.pages_max = 3;
  limits.text_bytes_max = 2;
  EXPECT_EQ(ParsePdf(many.Write(), limits).refusal, Refusal::kTextTooLong);
}

TEST(PdfParserTest, NotesPagesWithoutText) {
  TestPdf pdf;
  pdf.AddPage({{72, 700, "Text"}});
  pdf.AddPage({});
  const ParseResult result = Parse(pdf);
  ASSERT_FALSE(result.refused);
  ASSERT_EQ(result.document.notes.size(), 1u);
  EXPECT_EQ(NoteMessage(result.document.notes[0]), "1 pages have no text (scanned images?) and cannot be searched");
}

TEST(PdfParserTest, SurvivesEveryTruncation) {
  TestPdf pdf;
  pdf.AddPage(Lines(72, 700, {"Some text on a page", "and more of it."}));
  const std::string bytes = pdf.Write();
  WarmUpPdf();
  for (size_t length = 0; length < bytes.size(); length += 7) {
    const ParseResult result = ParsePdf(bytes.substr(0, length), {});
    if (!result.refused) CheckInvariants(result.document);
  }
}

}  // namespace
}  // namespace cloister::ingest
