// SPDX-License-Identifier: Apache-2.0
#include "retrieval/records.h"

#include <gtest/gtest.h>

#include "retrieval/test_support.h"

namespace cloister::retrieval {
namespace {

template <class IdType>
IdType NumberedId(char n) {
  return *IdType::FromBytes(std::string(kIdBytes, n));
}

DocumentInfo ExampleInfo() {
  DocumentInfo info;
  info.document = NumberedId<DocumentId>(1);
  info.version = NumberedId<VersionId>(2);
  info.access_class = NumberedId<ClassId>(3);
  info.sequence = 7;
  info.put_at_ns = 1'795'348'800'000'000'000;
  info.collection = "ward";
  info.origin = "/srv";
  info.source = "a.md";
  info.media_type = "text/markdown";
  info.title = "Visiting";
  info.effective_from = "2026-01-01";
  info.subjects = {"patient-7"};
  info.embedder_sha256 = "ab";
  info.dimension = 2;
  info.sentence_vectors = true;
  info.chunks = 1;
  info.text_bytes = 12;
  info.original_bytes = 12;
  info.original_sha256 = std::string(32, '\x44');
  info.input_sha256 = std::string(32, '\x66');
  info.content_sha256 = std::string(32, '\x55');
  return info;
}

Chunk ExampleChunk() {
  Chunk chunk;
  chunk.id = NumberedId<ChunkId>(4);
  chunk.start = 0;
  chunk.end = 12;
  chunk.section = {"Hours"};
  chunk.page_first = chunk.page_last = 1;
  chunk.sentences.push_back({0, 12, 1, -1, {{1, 72, 90.5, 300, 104}}});
  return chunk;
}

VectorRow ExampleVectors() { return {2, {2}, {0.6f, 0.8f, 1.0f, 0.0f}}; }

// A format as a function from bytes to a status, with bytes that parse.
struct Format {
  std::string name, bytes;
  std::function<Status(std::string_view)> parse;
};

Collection ExampleKeepingCollection() {
  return {"ward", {"nurses"}, {}, "internal", false, {Retention::Kind::kKeepDays, 365}};
}

std::vector<Format> Formats() {
  const Chunk chunk = ExampleChunk();
  ClassRow class_row{9, {}};
  class_row.access_class.collection = "ward";
  class_row.access_class.reader_groups = {"nurses"};
  return {
      {"document", Serialise(ExampleInfo()),
       [](std::string_view b) { return ParseDocumentInfo(b).status(); }},
      {"chunks", SerialiseChunks(&chunk, 1), [](std::string_view b) { return ParseChunks(b).status(); }},
      {"vectors", Serialise(ExampleVectors()), [](std::string_view b) { return ParseVectorRow(b).status(); }},
      {"user", Serialise(User{"a.weber", {"nurses"}, {"auditor"}}),
       [](std::string_view b) { return ParseUser(b).status(); }},
      {"collection", Serialise(Collection{"ward", {"nurses"}, {"b"}, "internal", true}),
       [](std::string_view b) { return ParseCollection(b).status(); }},
      {"keeping collection", Serialise(ExampleKeepingCollection()),
       [](std::string_view b) { return ParseCollection(b).status(); }},
      {"kept version", Serialise(KeptRow{1'795'348'800'000'000'000, true, ExampleInfo()}),
       [](std::string_view b) { return ParseKeptRow(b).status(); }},
      {"class", Serialise(class_row), [](std::string_view b) { return ParseClassRow(b).status(); }},
  };
}

TEST(RecordsTest, RoundTrip) {
  EXPECT_EQ(*ParseDocumentInfo(Serialise(ExampleInfo())), ExampleInfo());
  const Chunk chunk = ExampleChunk();
  EXPECT_EQ(*ParseChunks(SerialiseChunks(&chunk, 1)), std::vector<Chunk>{chunk});
  EXPECT_EQ(*ParseVectorRow(Serialise(ExampleVectors())), ExampleVectors());
  const User user{"a.weber", {"nurses"}, {"auditor"}};
  EXPECT_EQ(*ParseUser(Serialise(user)), user);
  const Collection collection{"ward", {"nurses"}, {"b"}, "secret", true};
  EXPECT_EQ(*ParseCollection(Serialise(collection)), collection);
  EXPECT_EQ(*ParseCollection(Serialise(ExampleKeepingCollection())), ExampleKeepingCollection());
  const KeptRow kept{1'795'348'800'000'000'000, true, ExampleInfo()};
  EXPECT_EQ(*ParseKeptRow(Serialise(kept)), kept);
}

// Rows from before there were retention classes, and those a build from then can still read.
TEST(RecordsTest, ACollectionThatShredsIsWrittenAsItAlwaysWas) {
  Collection collection = ExampleKeepingCollection();
  EXPECT_EQ(Serialise(collection)[0], 2);
  collection.retention = {};
  const std::string bytes = Serialise(collection);
  EXPECT_EQ(bytes[0], 1);
  EXPECT_EQ(ParseCollection(bytes)->retention, Retention());
}

TEST(RecordsTest, ARetentionClassThatDoesNotExistIsRefused) {
  for (const Retention& bad : {Retention{static_cast<Retention::Kind>(3), 0}, Retention{Retention::Kind::kKeepDays, 0},
                               Retention{Retention::Kind::kKeepDays, kRetentionDaysMax + 1},
                               Retention{Retention::Kind::kKeep, 5}}) {
    Collection collection = ExampleKeepingCollection();
    collection.retention = bad;
    EXPECT_EQ(ParseCollection(Serialise(collection)).status().code(), StatusCode::kDataLoss);
  }
}

TEST(RecordsTest, RefuseUnknownVersionsByNumber) {
  for (const Format& format : Formats()) {
    std::string bytes = format.bytes;
    bytes[0] = 9;
    const Status status = format.parse(bytes);
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition) << format.name;
    EXPECT_NE(MessageOf(status).find("version 9"), std::string::npos) << format.name;
  }
}

TEST(RecordsTest, RefuseEveryTruncationAndExtension) {
  for (const Format& format : Formats()) {
    ASSERT_TRUE(format.parse(format.bytes).ok()) << format.name;
    for (size_t size = 0; size < format.bytes.size(); ++size) {
      EXPECT_EQ(format.parse(std::string_view(format.bytes).substr(0, size)).code(), StatusCode::kDataLoss)
          << format.name << " cut to " << size;
    }
    EXPECT_EQ(format.parse(format.bytes + "x").code(), StatusCode::kDataLoss) << format.name;
  }
}

// No byte, whatever its value, makes a parser crash or reserve what is not there.
TEST(RecordsTest, SurviveEveryChangedByte) {
  for (const Format& format : Formats()) {
    for (size_t at = 1; at < format.bytes.size(); ++at) {
      for (const int value : {0x00, 0x01, 0x7F, 0x80, 0xFF}) {
        std::string bytes = format.bytes;
        bytes[at] = static_cast<char>(value);
        const Status status = format.parse(bytes);
        EXPECT_TRUE(status.ok() || status.code() == StatusCode::kDataLoss ||
                    status.code() == StatusCode::kFailedPrecondition)
            << format.name << " at " << at;
      }
    }
  }
}

TEST(RecordsTest, RowKeysHoldIdsAndNumbersOnly) {
  const auto document = NumberedId<DocumentId>(1);
  const auto version = NumberedId<VersionId>(2);
  EXPECT_EQ(VersionKey(document, version), std::string(16, 1) + std::string(16, 2));
  EXPECT_EQ(PartKey(document, version, 258), VersionKey(document, version) + std::string("\0\0\1\2", 4));
}

TEST(RecordsTest, DocumentedExamplesHold) {
  const Chunk chunk = ExampleChunk();
  EXPECT_EQ(HexEncode(HexExample("documents.md", "document")), HexEncode(Serialise(ExampleInfo())));
  EXPECT_EQ(HexEncode(HexExample("documents.md", "chunks")), HexEncode(SerialiseChunks(&chunk, 1)));
  EXPECT_EQ(HexEncode(HexExample("documents.md", "vectors")), HexEncode(Serialise(ExampleVectors())));
  EXPECT_EQ(HexEncode(HexExample("documents.md", "user")),
            HexEncode(Serialise(User{"a.weber", {"nurses"}, {"auditor"}})));
  EXPECT_EQ(HexEncode(HexExample("documents.md", "collection")),
            HexEncode(Serialise(Collection{"ward", {"nurses"}, {"b"}, "internal", true})));
  EXPECT_EQ(HexEncode(HexExample("documents.md", "keeping-collection")),
            HexEncode(Serialise(ExampleKeepingCollection())));
  EXPECT_EQ(HexEncode(HexExample("documents.md", "kept-version")),
            HexEncode(Serialise(KeptRow{1'795'348'800'000'000'000, true, ExampleInfo()})));
  EXPECT_EQ(HexEncode(HexExample("documents.md", "class")), HexEncode(Formats().back().bytes));
}

}  // namespace
}  // namespace cloister::retrieval
