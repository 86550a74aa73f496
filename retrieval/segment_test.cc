// SPDX-License-Identifier: Apache-2.0
#include "retrieval/segment.h"

#include <gtest/gtest.h>

#include "common/file.h"
#include "retrieval/test_support.h"

namespace cloister::retrieval {
namespace {

IndexSlice ExampleSlice() {
  IndexSlice slice;
  slice.dimension = 2;
  slice.documents = {
      {*DocumentId::FromBytes(std::string(16, 1)), *VersionId::FromBytes(std::string(16, 2)), 7, 2}};
  slice.lengths = {3, 1};
  slice.sentences = {1, 1};
  slice.vectors = {1.0f, 0.0f, 0.6f, 0.8f};
  slice.postings = {{"dose", {{0, 2}, {1, 1}}}, {"insulin", {{0, 1}}}};
  return slice;
}

std::vector<SegmentInfo> ExampleManifest() {
  SegmentInfo info;
  info.id = *SegmentId::FromBytes(std::string(16, 5));
  info.key = *KeyId::FromBytes(std::string(16, 6));
  info.from_sequence = 7;
  info.to_sequence = 9;
  info.sha256 = std::string(32, 0x44);
  info.documents = 1;
  info.chunks = 2;
  return {info};
}

TEST(SliceTest, RoundTripsAndRefusesEveryTruncation) {
  const std::string bytes = Serialise(ExampleSlice());
  EXPECT_EQ(*ParseSlice(bytes), ExampleSlice());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(ParseSlice(bytes.substr(0, size)).status().code(), StatusCode::kDataLoss) << size;
  }
  EXPECT_EQ(ParseSlice(bytes + "x").status().code(), StatusCode::kDataLoss);
}

TEST(SliceTest, RefusesUnknownVersionsAndNumbersThatDoNotFit) {
  std::string bytes = Serialise(ExampleSlice());
  bytes[0] = 3;
  EXPECT_EQ(ParseSlice(bytes).status().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(MessageOf(ParseSlice(bytes).status()).find("version 3"), std::string::npos);
  IndexSlice slice = ExampleSlice();
  slice.postings[0].second[1].chunk = 2;  // There are two chunks.
  EXPECT_EQ(ParseSlice(Serialise(slice)).status().code(), StatusCode::kDataLoss);
  slice = ExampleSlice();
  std::swap(slice.postings[0].second[0], slice.postings[0].second[1]);
  EXPECT_EQ(ParseSlice(Serialise(slice)).status().code(), StatusCode::kDataLoss);
  slice = ExampleSlice();
  slice.documents[0].chunks = 0xFFFFFFFF;
  EXPECT_EQ(ParseSlice(Serialise(slice)).status().code(), StatusCode::kDataLoss);
}

TEST(ManifestTest, RoundTripsAndRefusesUnknownVersions) {
  std::string bytes = SerialiseManifest(ExampleManifest());
  EXPECT_EQ(*ParseManifest(bytes), ExampleManifest());
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(ParseManifest(bytes.substr(0, size)).ok()) << size;
  bytes[0] = 2;
  EXPECT_EQ(ParseManifest(bytes).status().code(), StatusCode::kFailedPrecondition);
}

TEST(SegmentFormatTest, DocumentedExamplesHold) {
  EXPECT_EQ(HexEncode(HexExample("segments.md", "segment")), HexEncode(Serialise(ExampleSlice())));
  EXPECT_EQ(HexEncode(HexExample("segments.md", "manifest")),
            HexEncode(SerialiseManifest(ExampleManifest())));
}

// Ten documents; a segment is made of each four new ones.
class SegmentTest : public testing::Test {
 protected:
  SegmentTest() : test_(4) {
    test_.AddCollection("ward", {"nurses"});
    test_.AddUser("a.weber", {"nurses"});
    for (int i = 0; i < 10; ++i) Put(i, "word" + std::to_string(i));
  }
  void Put(int i, const std::string& text) {
    test_.Put(DocumentOf("ward", "doc" + std::to_string(i), {"common " + text}));
  }
  void ExpectAllFound() {
    EXPECT_EQ(test_.Search("a.weber", "common").hits.size(), 10u);
    for (int i = 0; i < 10; ++i) {
      const auto hits = test_.Search("a.weber", "word" + std::to_string(i)).hits;
      ASSERT_EQ(hits.size(), 1u) << i;
      EXPECT_EQ(hits[0].source, "doc" + std::to_string(i));
    }
    EXPECT_EQ(test_.corpus->GetStatus().chunks, 10u);
  }
  std::vector<std::filesystem::path> Files(const std::string& extension) {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(test_.SegmentDirectory())) {
      if (entry.path().extension() == extension) files.push_back(entry.path());
    }
    return files;
  }
  void FlipByte(const std::filesystem::path& path, size_t at) {
    std::string bytes = *ReadFile(path, 1 << 30);
    bytes[at % bytes.size()] ^= 1;
    std::ofstream(path, std::ios::binary) << bytes;
  }

  TestCorpus test_;
};

TEST_F(SegmentTest, SegmentsAndTheFreshTailTogetherHoldEverything) {
  EXPECT_EQ(test_.corpus->GetStatus().segments, 2u);
  ExpectAllFound();
  test_.Reopen();
  EXPECT_EQ(test_.corpus->GetStatus().segments, 2u);
  EXPECT_EQ(test_.corpus->GetStatus().quarantined, 0u);
  ExpectAllFound();
}

TEST_F(SegmentTest, ChangedAndDeletedDocumentsDoNotComeBackFromSegments) {
  Put(0, "changed");
  ASSERT_TRUE(*test_.corpus->Delete({"ward", "", "doc1"}, "ingest"));
  for (int round = 0; round < 2; ++round) {
    EXPECT_TRUE(test_.Search("a.weber", "word0").hits.empty());
    EXPECT_TRUE(test_.Search("a.weber", "word1").hits.empty());
    EXPECT_EQ(test_.Search("a.weber", "changed").hits.size(), 1u);
    EXPECT_EQ(test_.Search("a.weber", "common").hits.size(), 9u);
    test_.Reopen();
  }
}

TEST_F(SegmentTest, MostlyDeadSegmentsAreRewritten) {
  for (int round = 0; round < 6; ++round) {
    for (int i = 0; i < 10; ++i) Put(i, "word" + std::to_string(i) + " round" + std::to_string(round));
  }
  EXPECT_LE(test_.corpus->GetStatus().segments, 5u);
  EXPECT_EQ(Files(".segment").size(), test_.corpus->GetStatus().segments);
  ExpectAllFound();
  test_.Reopen();
  ExpectAllFound();
}

TEST_F(SegmentTest, ADamagedSegmentIsSetAsideAndRebuilt) {
  for (size_t at : {0u, 5u, 20u, 60u, 200u, 400u}) {
    const auto files = Files(".segment");
    ASSERT_EQ(files.size(), 2u);
    FlipByte(files[0], at);
    test_.Reopen();
    EXPECT_EQ(test_.corpus->GetStatus().quarantined, 1u);
    ExpectAllFound();
    ASSERT_EQ(Files(".quarantined").size(), 1u);
    std::filesystem::remove(Files(".quarantined")[0]);
    test_.Reopen();  // The rebuilt one is in its place.
    EXPECT_EQ(test_.corpus->GetStatus().quarantined, 0u);
    ExpectAllFound();
  }
}

TEST_F(SegmentTest, SwappedMissingAndTruncatedSegmentsAreRebuilt) {
  auto files = Files(".segment");
  std::filesystem::rename(files[0], files[0].string() + ".x");
  std::filesystem::rename(files[1], files[0]);
  std::filesystem::rename(files[0].string() + ".x", files[1]);
  test_.Reopen();
  EXPECT_EQ(test_.corpus->GetStatus().quarantined, 2u);
  ExpectAllFound();
  files = Files(".segment");
  ASSERT_FALSE(files.empty());
  std::filesystem::remove(files[0]);
  test_.Reopen();
  EXPECT_EQ(test_.corpus->GetStatus().quarantined, 1u);
  ExpectAllFound();
  files = Files(".segment");
  std::filesystem::resize_file(files[0], 10);
  test_.Reopen();
  EXPECT_EQ(test_.corpus->GetStatus().quarantined, 1u);
  ExpectAllFound();
}

TEST_F(SegmentTest, ADamagedManifestCostsOnlyARebuild) {
  FlipByte(test_.SegmentDirectory() / "MANIFEST", 50);
  test_.Reopen();
  EXPECT_EQ(test_.corpus->GetStatus().quarantined, 1u);
  ExpectAllFound();
  test_.Reopen();
  EXPECT_EQ(test_.corpus->GetStatus().quarantined, 0u);
  ExpectAllFound();
}

TEST_F(SegmentTest, SegmentFilesShowNoWords) {
  for (const auto& path : Files(".segment")) {
    const std::string bytes = *ReadFile(path, 1 << 30);
    EXPECT_EQ(bytes.find("common"), std::string::npos);
    EXPECT_EQ(bytes.find("word"), std::string::npos);
  }
}

TEST_F(SegmentTest, RefusesASegmentOverItsLimit) {
  TestDirectory directory;
  auto store = SegmentStore::Open(directory.path() / "s", test_.store->database_id(), *test_.keys);
  ASSERT_TRUE(store.ok());
  IndexSlice slice = ExampleSlice();
  slice.vectors.resize(kSegmentBytesMax / sizeof(float) + 1);
  EXPECT_EQ((*store)->Write(slice).status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ((*store)->Publish(std::vector<SegmentInfo>(kSegmentsMax + 1)).code(),
            StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace cloister::retrieval
