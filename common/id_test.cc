// SPDX-License-Identifier: Apache-2.0
#include "common/id.h"

#include <gtest/gtest.h>

#include <type_traits>
#include <unordered_set>

#include "common/document_example.h"

namespace cloister {
namespace {

constexpr char kIdsDocument[] = CLOISTER_SOURCE_DIR "/docs/formats/ids.md";

TEST(IdTest, RoundTripsBytesAndText) {
  const std::string bytes(
      "\x00\x01\x7f\x80\xff"
      "abcdefghijk",
      16);
  const auto id = DocumentId::FromBytes(bytes);
  ASSERT_TRUE(id.ok());
  EXPECT_EQ(id->bytes(), bytes);
  EXPECT_EQ(id->hex(), HexEncode(bytes));
  EXPECT_EQ(*DocumentId::FromHex(id->hex()), *id);
}

TEST(IdTest, RefusesEveryOtherLength) {
  for (size_t size = 0; size < 40; ++size) {
    EXPECT_EQ(DocumentId::FromBytes(std::string(size, 'x')).ok(), size == 16) << size;
    EXPECT_EQ(DocumentId::FromHex(std::string(size, 'a')).ok(), size == 32) << size;
  }
  EXPECT_EQ(DocumentId::FromBytes("x").status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(DocumentId::FromHex("a").status().code(), StatusCode::kInvalidArgument);
}

TEST(IdTest, RefusesEveryOtherSpelling) {
  const std::string good = "3f1c8a5be27d4096b1d4e05f6a7c8899";
  ASSERT_TRUE(DocumentId::FromHex(good).ok());
  for (size_t at = 0; at < good.size(); ++at) {
    for (const char c : {'A', 'F', 'g', ' ', '-', '\0'}) {
      std::string bad = good;
      bad[at] = c;
      EXPECT_EQ(DocumentId::FromHex(bad).status().code(), StatusCode::kInvalidArgument) << bad;
    }
  }
}

TEST(IdTest, AZeroIdIsNoId) {
  EXPECT_TRUE(DocumentId().empty());
  EXPECT_EQ(DocumentId().hex(), std::string(32, '0'));
  EXPECT_FALSE(DocumentId::FromBytes(std::string(15, '\0') + "\1")->empty());
}

TEST(IdTest, OrdersByBytesAsIfUnsigned) {
  const auto id = [](char first) {
    return *DocumentId::FromBytes(std::string(1, first) + std::string(15, '\0'));
  };
  EXPECT_LT(id('\x01'), id('\x7f'));
  EXPECT_LT(id('\x7f'), id('\x80'));
  EXPECT_LT(id('\x80'), id('\xff'));
}

TEST(IdTest, HashesAndCompares) {
  std::unordered_set<DocumentId> set;
  for (int i = 0; i < 256; ++i) set.insert(*DocumentId::FromBytes(std::string(16, static_cast<char>(i))));
  EXPECT_EQ(set.size(), 256u);
  EXPECT_TRUE(set.contains(DocumentId()));
}

// One kind cannot stand for another.
static_assert(!std::is_convertible_v<DocumentId, ChunkId>);
static_assert(!std::is_constructible_v<DocumentId, ChunkId>);
static_assert(sizeof(DocumentId) == kIdBytes);

TEST(IdsDocumentTest, IdExampleHolds) {
  const auto example = DocumentExample(kIdsDocument, "id");
  ASSERT_FALSE(example.empty());
  EXPECT_EQ(DocumentId::FromHex(example.at("text"))->bytes(), ExampleBytes(example, "bytes"));
}

TEST(IdsDocumentTest, RangeExampleHolds) {
  const auto example = DocumentExample(kIdsDocument, "range");
  ASSERT_FALSE(example.empty());
  const std::string text = ExampleBytes(example, "text_bytes");
  EXPECT_EQ(text, example.at("text"));
  const size_t start = std::stoul(example.at("start")), end = std::stoul(example.at("end"));
  EXPECT_EQ(text.substr(start, end - start), example.at("quote"));
  EXPECT_TRUE(IsUtf8(example.at("quote")));
  EXPECT_GT(end - start, 16u);  // The example has characters of several bytes, or it would show nothing.
}

TEST(IdsDocumentTest, BoxExampleHolds) {
  const auto example = DocumentExample(kIdsDocument, "box");
  ASSERT_FALSE(example.empty());
  ByteWriter out;
  out.U32(static_cast<uint32_t>(std::stoul(example.at("page"))));
  for (const char* edge : {"left", "top", "right", "bottom"}) out.F32(std::stof(example.at(edge)));
  EXPECT_EQ(HexEncode(out.bytes()), example.at("bytes"));
}

TEST(DocumentExampleTest, AnAbsentBlockIsEmpty) {
  EXPECT_TRUE(DocumentExample(kIdsDocument, "no such example").empty());
  EXPECT_TRUE(DocumentExample("/nonexistent", "id").empty());
}

}  // namespace
}  // namespace cloister
