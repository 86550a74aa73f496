// SPDX-License-Identifier: Apache-2.0
#include "ingest/parsed_document.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "ingest/test_documents.h"

namespace cloister::ingest {
namespace {

ParseResult Sample() {
  ParseResult result;
  ParsedDocument& d = result.document;
  d.metadata.title = "Visiting hours";
  d.metadata.subjects = {"patient-1", "patient-2"};
  d.metadata.effective_from = "2026-01-31";
  d.text = "Heading\n\nOne w\xC3\xB6rd.";
  d.pages = 2;
  d.blocks = {{BlockKind::kHeading, 1, false, 0, 7}, {BlockKind::kListItem, 2, true, 9, 19}};
  d.words = {{0, 7, 1, 10, 10, 50, 20}, {9, 12, 2, 10, 10, 20, 20}, {13, 19, 2, 22, 10, 40, 20}};
  d.notes = {{NoteCode::kPagesWithoutText, 3}};
  return result;
}

TEST(ParseResultTest, RoundTrips) {
  const auto decoded = DecodeParseResult(EncodeParseResult(Sample()));
  ASSERT_TRUE(decoded.ok());
  EXPECT_FALSE(decoded->refused);
  EXPECT_EQ(decoded->document, Sample().document);
}

TEST(ParseResultTest, RoundTripsRefusals) {
  for (int i = 1; i <= 10; ++i) {
    ParseResult result;
    result.refused = true;
    result.refusal = static_cast<Refusal>(i);
    const auto decoded = DecodeParseResult(EncodeParseResult(result));
    ASSERT_TRUE(decoded.ok());
    EXPECT_TRUE(decoded->refused);
    EXPECT_EQ(decoded->refusal, result.refusal);
  }
}

TEST(ParseResultTest, RefusesEveryTruncationAndExtension) {
  const std::string bytes = EncodeParseResult(Sample());
  for (size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_EQ(DecodeParseResult(bytes.substr(0, length)).status().code(), StatusCode::kDataLoss) << length;
  }
  EXPECT_EQ(DecodeParseResult(bytes + "x").status().code(), StatusCode::kDataLoss);
}

TEST(ParseResultTest, NamesAnotherFormatVersion) {
  std::string bytes = EncodeParseResult(Sample());
  bytes[4] = 9;
  const auto decoded = DecodeParseResult(bytes);
  EXPECT_EQ(decoded.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(MessageOf(decoded.status()).find("format 9"), std::string::npos);
}

// Whatever survives random damage must still hold everything the rest of the program relies on.
TEST(ParseResultTest, SurvivesRandomDamage) {
  const std::string bytes = EncodeParseResult(Sample());
  std::mt19937 random(20261122);
  int accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string damaged = bytes;
    for (int i = 0, n = 1 + static_cast<int>(random() % 4); i < n; ++i) {
      damaged[random() % damaged.size()] = static_cast<char>(random());
    }
    const auto decoded = DecodeParseResult(damaged);
    if (!decoded.ok() || decoded->refused) continue;
    ++accepted;
    ASSERT_TRUE(IsUtf8(decoded->document.text));
    for (const Block& block : decoded->document.blocks) ASSERT_LE(block.end, decoded->document.text.size());
    FindSentences(decoded->document);
    ChunkDocument(decoded->document, {});
  }
  EXPECT_GT(accepted, 0);
}

void ExpectRefused(const std::function<void(ParsedDocument&)>& spoil) {
  ParseResult result = Sample();
  spoil(result.document);
  EXPECT_EQ(DecodeParseResult(EncodeParseResult(result)).status().code(), StatusCode::kDataLoss);
}

TEST(ParseResultTest, RefusesWhatBreaksAnInvariant) {
  ExpectRefused([](ParsedDocument& d) { d.text += "\xFF"; });
  ExpectRefused([](ParsedDocument& d) { d.blocks.clear(), d.words.clear(); });
  ExpectRefused([](ParsedDocument& d) { d.blocks[1].start = 3; });
  ExpectRefused([](ParsedDocument& d) { d.blocks[1].end = 99; });
  ExpectRefused([](ParsedDocument& d) { d.blocks[1].end = d.blocks[1].start; });
  ExpectRefused([](ParsedDocument& d) { d.blocks[1].end = 15, d.words.pop_back(); });  // Inside a character.
  ExpectRefused([](ParsedDocument& d) { d.blocks[0].level = kLevelMax + 1; });
  ExpectRefused([](ParsedDocument& d) { d.words[1].start = 8; });  // Outside any block.
  ExpectRefused([](ParsedDocument& d) { d.words[1].page = 3; });
  ExpectRefused([](ParsedDocument& d) { d.words[1].page = 0; });
  ExpectRefused([](ParsedDocument& d) { d.words[1].x1 = 5; });
  ExpectRefused([](ParsedDocument& d) { d.words[1].y0 = std::numeric_limits<float>::quiet_NaN(); });
  ExpectRefused([](ParsedDocument& d) { std::swap(d.words[1], d.words[2]); });
  ExpectRefused([](ParsedDocument& d) { d.pages = kPagesMax + 1; });
  ExpectRefused([](ParsedDocument& d) { d.metadata.effective_from = "2026-02-30"; });
  ExpectRefused([](ParsedDocument& d) { d.metadata.owner = std::string(kMetadataBytesMax + 1, 'x'); });
  ExpectRefused([](ParsedDocument& d) { d.metadata.subjects.assign(kSubjectsMax + 1, "x"); });
  ExpectRefused([](ParsedDocument& d) { d.notes.assign(kNotesMax + 1, {}); });
}

TEST(ParseResultTest, RefusesCountsThatCannotBe) {
  // The count of subjects follows seven empty strings; four thousand million of them would take the memory.
  std::string bytes = "CLPD";
  bytes += std::string("\x01\x01", 2) + std::string(7 * 4, '\0') + "\xFF\xFF\xFF\xFF";
  EXPECT_EQ(DecodeParseResult(bytes).status().code(), StatusCode::kDataLoss);
}

TEST(NoteTest, SaysWhatAndWhereWithoutContent) {
  EXPECT_EQ(NoteMessage({NoteCode::kUnknownMetadataKey, (4u << 8) | 0}),
            "an unknown key in the metadata, line 4, was ignored; the nearest known one is title");
  EXPECT_NE(NoteMessage({NoteCode::kPagesWithoutText, 7}).find("7 pages"), std::string::npos);
}

}  // namespace
}  // namespace cloister::ingest
