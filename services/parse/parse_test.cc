// SPDX-License-Identifier: Apache-2.0
// cloister-parse itself, as ingest starts it: honest files of every format, hostile ones, and the evaluation folders.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "common/file.h"
#include "ingest/sandboxed_parser.h"
#include "ingest/test_documents.h"
#include "ingest/test_pdf.h"

namespace cloister::services {
namespace {

using ingest::MediaType;

ingest::SandboxedParserOptions Options() {
  ingest::SandboxedParserOptions options;
  options.binary = CLOISTER_PARSE_BINARY;
  options.wall_max = std::chrono::seconds(120);
  return options;
}

ingest::ParseOutcome Parse(MediaType type, std::string_view bytes, ingest::SandboxedParserOptions options = Options()) {
  auto outcome = ingest::SandboxedParser(std::move(options)).Parse(type, bytes);
  EXPECT_TRUE(outcome.ok()) << outcome.status();
  return outcome.ok() ? *std::move(outcome) : ingest::ParseOutcome();
}

TEST(ParseProcessTest, ReadsEveryFormat) {
  ingest::TestPdf pdf;
  pdf.AddPage({{72, 700, "The ward opens at nine."}});
  for (const auto& [type, bytes] : std::vector<std::pair<MediaType, std::string>>{
           {MediaType::kText, "The ward opens at nine."}, {MediaType::kMarkdown, "The *ward* opens at nine."},
           {MediaType::kHtml, "<p>The ward opens at nine."}, {MediaType::kPdf, pdf.Write()}}) {
    const ingest::ParseOutcome outcome = Parse(type, bytes);
    ASSERT_TRUE(outcome.document.has_value()) << outcome.reason;
    EXPECT_EQ(outcome.document->text, "The ward opens at nine.");
    ingest::CheckInvariants(*outcome.document);
  }
}

// Without the warm-up before the filter, words of PDFs come back empty and no error says so.
TEST(ParseProcessTest, BoxesOfPdfWordsSurviveTheSandbox) {
  ingest::TestPdf pdf;
  pdf.AddPage({{72, 700, "caf\xE9 words"}});
  const ingest::ParseOutcome outcome = Parse(MediaType::kPdf, pdf.Write());
  ASSERT_TRUE(outcome.document.has_value()) << outcome.reason;
  ASSERT_EQ(outcome.document->words.size(), 2u);
  EXPECT_GT(outcome.document->words[0].x1, outcome.document->words[0].x0);
}

TEST(ParseProcessTest, SaysWhyItRefuses) {
  EXPECT_EQ(Parse(MediaType::kText, "").reason, "has no text");
  EXPECT_EQ(Parse(MediaType::kPdf, "junk").reason, "is damaged or not what its name says");
  EXPECT_FALSE(Parse(MediaType::kPdf, "junk").hostile);
  ingest::TestPdf locked;
  locked.AddPage({{72, 700, "x"}});
  locked.set_encrypted();
  EXPECT_EQ(Parse(MediaType::kPdf, locked.Write()).reason, "is encrypted with a password; bring in a copy without one");
  EXPECT_EQ(Parse(MediaType::kHtml, std::string(5000, '\0')).reason, "is named as text but is not text");
}

TEST(ParseProcessTest, UnsupportedTypesAreWrongUsage) {
  const auto outcome = ingest::SandboxedParser(Options()).Parse(MediaType::kUnsupported, "x");
  EXPECT_EQ(outcome.status().code(), StatusCode::kInternal);
}

// A page whose content is a gigabyte of operators in a megabyte of file.
TEST(ParseProcessTest, ContainsDeflateBombs) {
  std::string operators;
  while (operators.size() < (64 << 20)) operators += "BT /F1 9 Tf (x) Tj ET ";
  const std::string packed = ingest::Deflate(operators);
  ingest::TestPdf pdf;
  for (int page = 0; page < 16; ++page) {
    pdf.AddPageOf("<< /Length " + std::to_string(packed.size()) + " /Filter /FlateDecode >>\nstream\n" + packed + "\nendstream");
  }
  const std::string bytes = pdf.Write();
  EXPECT_LT(bytes.size(), 8u << 20);
  ingest::SandboxedParserOptions options = Options();
  options.cpu_seconds_max = 2;
  const ingest::ParseOutcome outcome = Parse(MediaType::kPdf, bytes, options);
  EXPECT_FALSE(outcome.document.has_value());
  EXPECT_TRUE(outcome.hostile);
  EXPECT_TRUE(outcome.reason.find("processor time") != std::string::npos || outcome.reason.find("memory") != std::string::npos) << outcome.reason;
}

TEST(ParseProcessTest, ContainsClaimsOfGigabytes) {
  const std::string huge = "999999999999";
  ingest::TestPdf pdf;
  pdf.AddPageOf("<< /Length " + huge + " /Filter /FlateDecode /DecodeParms << /Predictor 12 /Columns 2147483647 /Colors 4 >> >>\nstream\nxx\nendstream");
  std::string bytes = pdf.Write();
  const ingest::ParseOutcome claimed = Parse(MediaType::kPdf, bytes);
  EXPECT_FALSE(claimed.document.has_value());
  EXPECT_FALSE(claimed.reason.empty());
  const size_t count = bytes.find("/Count 1");
  ASSERT_NE(count, std::string::npos);
  bytes.replace(count, 8, "/Count 2000000000");
  const ingest::ParseOutcome pages = Parse(MediaType::kPdf, bytes);
  EXPECT_FALSE(pages.document.has_value());
  EXPECT_FALSE(pages.reason.empty());
}

TEST(ParseProcessTest, ContainsDeepNesting) {
  std::string html;
  for (int i = 0; i < 20'000; ++i) html += "<div>";
  const ingest::ParseOutcome outcome = Parse(MediaType::kHtml, html + "deep");
  EXPECT_FALSE(outcome.document.has_value());
  EXPECT_TRUE(outcome.hostile) << outcome.reason;
  EXPECT_EQ(outcome.reason, "is nested deeper than any honest document");

  std::string array = "<< /Type /Catalog /Pages 2 0 R /X " + std::string(500'000, '[') + " >>";
  const ingest::ParseOutcome pdf = Parse(MediaType::kPdf, "%PDF-1.4\n1 0 obj\n" + array + "\nendobj\ntrailer << /Root 1 0 R >>");
  EXPECT_FALSE(pdf.document.has_value());
  EXPECT_FALSE(pdf.reason.empty());
}

TEST(ParseProcessTest, ContainsFilesTooLargeForMemory) {
  ingest::SandboxedParserOptions options = Options();
  options.memory_bytes_max = 96ull << 20;
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the address sanitizer needs the address space that the limit takes away";
#endif
  std::string text;
  while (text.size() < (30u << 20)) text += "word and word. ";
  const ingest::ParseOutcome outcome = Parse(MediaType::kHtml, text, options);
  EXPECT_FALSE(outcome.document.has_value());
  EXPECT_EQ(outcome.reason, "needed more than 96 MiB of memory to parse");
}

TEST(ParseProcessTest, ReadsManifestsInTheSandbox) {
  const ingest::SandboxedParser parser(Options());
  const auto manifest = parser.ParseManifest("[\"a.pdf\"]\ntitle = \"T\"\n");
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  ASSERT_NE(manifest->Find("a.pdf"), nullptr);
  EXPECT_EQ(manifest->Find("a.pdf")->title, "T");
  const auto wrong = parser.ParseManifest("[\"a.pdf\"]\nowners = \"T\"\n");
  EXPECT_EQ(wrong.status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(MessageOf(wrong.status()), "line 2: there is no such key; the nearest known one is owner");
  EXPECT_TRUE(parser.ParseManifest("").ok());
}

TEST(ParseProcessTest, ContainsManifestsMadeToBreakTheParser) {
  const ingest::SandboxedParser parser(Options());
  const auto deep = parser.ParseManifest("x = " + std::string(1'000'000, '['));
  EXPECT_EQ(deep.status().code(), StatusCode::kInvalidArgument) << deep.status();
  std::string many;
  while (many.size() < (3u << 20)) many += "a.";
  const auto dotted = parser.ParseManifest(many + "a = 1\n");
  EXPECT_FALSE(dotted.ok());
  EXPECT_NE(dotted.status().code(), StatusCode::kUnavailable) << dotted.status();
}

TEST(ParseProcessTest, SurvivesTruncatedPdfs) {
  ingest::TestPdf pdf;
  for (int i = 0; i < 3; ++i) pdf.AddPage({{72, 700, "Some text on a page."}, {72, 680, "And more."}});
  const std::string bytes = pdf.Write();
  for (size_t length = 0; length < bytes.size(); length += 61) {
    const ingest::ParseOutcome outcome = Parse(MediaType::kPdf, bytes.substr(0, length));
    if (outcome.document) {
      ingest::CheckInvariants(*outcome.document);
    } else {
      EXPECT_FALSE(outcome.reason.empty());
      EXPECT_FALSE(outcome.hostile) << outcome.reason;
    }
  }
}

// Files others collected because they broke parsers. Every one must end as a document or a reason.
TEST(ParseProcessCorpusTest, TikaFilesEndAsDocumentsOrReasons) {
  const std::filesystem::path folder = std::filesystem::path(CLOISTER_EVAL_DIR) / "ingest";
  if (!std::filesystem::exists(folder / "tika")) GTEST_SKIP() << "no evaluation data at " << folder;
  const auto needles = nlohmann::json::parse(*ReadFile(folder / "tika_needles.json", 1 << 24));
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "tika")) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  size_t documents = 0, reasons = 0, expected = 0, found = 0;
  for (const auto& path : files) {
    const auto bytes = ReadFile(path, 32 << 20);
    ASSERT_TRUE(bytes.ok());
    const MediaType type = ingest::DetectMediaType(path.filename().string(), *bytes);
    if (type == MediaType::kUnsupported) continue;
    const ingest::ParseOutcome outcome = Parse(type, *bytes);
    if (outcome.document) {
      ++documents;
      ingest::CheckInvariants(*outcome.document);
    } else {
      ++reasons;
      EXPECT_FALSE(outcome.reason.empty()) << path;
      EXPECT_FALSE(outcome.hostile) << path << ": " << outcome.reason;
    }
    const auto strings = needles.find(path.filename().string());
    if (strings == needles.end()) continue;
    for (const auto& needle : *strings) {
      ++expected;
      found += outcome.document && outcome.document->text.find(needle.get<std::string>()) != std::string::npos ? 1 : 0;
    }
  }
  std::cout << "[          ] " << documents << " documents, " << reasons << " reasons, " << found << " of " << expected
            << " needles (those missing are in attachments, annotations, scripts or images)" << std::endl;
  EXPECT_GE(documents, 60u);
  EXPECT_GE(found, 19u);
}

TEST(ParseProcessCorpusTest, QuarterlyReportsKeepPagesAndBoxes) {
  const std::filesystem::path folder = std::filesystem::path(CLOISTER_EVAL_DIR) / "ingest/sec10q";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no evaluation data at " << folder;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".pdf") continue;
    const ingest::ParseOutcome outcome = Parse(MediaType::kPdf, *ReadFile(entry.path(), 32 << 20));
    ASSERT_TRUE(outcome.document.has_value()) << entry.path() << ": " << outcome.reason;
    ingest::CheckInvariants(*outcome.document);
    EXPECT_GE(outcome.document->pages, 20u);
    for (const ingest::Chunk& chunk : ingest::ChunkDocument(*outcome.document, {})) {
      EXPECT_GE(chunk.page_first, 1u);
      EXPECT_LE(chunk.page_last, outcome.document->pages);
      for (const ingest::ChunkSentence& s : chunk.sentences) EXPECT_FALSE(s.boxes.empty());
    }
  }
}

}  // namespace
}  // namespace cloister::services
