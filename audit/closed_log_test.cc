// SPDX-License-Identifier: Apache-2.0
#include "audit/closed_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "audit/test_support.h"
#include "audit/tiles.h"

namespace cloister::audit {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class ClosedLogTest : public ::testing::Test {
 protected:
  // An export of a log with so many entries.
  void Make(uint64_t entries) {
    auto log = LogWriter::Open(TestOptions(live_.path()), signer_, clock_);
    ASSERT_TRUE(log.ok()) << log.status();
    for (uint64_t i = 0; i < entries; ++i) ASSERT_TRUE((*log)->Append(NumberedEvent(i)).ok());
    (*log)->Close();
    ASSERT_TRUE(ExportTo(**log, folder_).ok());
  }
  StatusOr<ClosedLog> Open() const { return ClosedLog::Open(folder_, TestVerifier()); }
  // Every entry that reads, bundle by bundle.
  static std::vector<uint64_t> Readable(ClosedLog& log) {
    std::vector<uint64_t> out;
    for (uint64_t at = 0; at < log.size();) {
      const auto entries = log.Read(at, kTileWidth);
      if (!entries.ok()) {
        at += kTileWidth - at % kTileWidth;
        continue;
      }
      for (const std::string& entry : *entries) out.push_back(ParseEnvelope(entry)->seq);
      at += entries->size();
    }
    return out;
  }
  void Flip(const std::string& path, size_t at) const {
    std::string bytes = *ReadFile(folder_ / path, kBundleBytesMax);
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    std::ofstream(folder_ / path, std::ios::binary) << bytes;
  }

  TemporaryDirectory live_, directory_;
  const fs::path folder_ = directory_.path() / "1";
  SystemClock clock_;
  NoteSigner signer_ = TestSigner();
};

TEST_F(ClosedLogTest, EveryEntryReadsAndIsProven) {
  for (const uint64_t size :
       {uint64_t{0}, uint64_t{1}, uint64_t{255}, uint64_t{256}, uint64_t{257}, uint64_t{600}}) {
    std::error_code ignored;
    for (const fs::path& folder : {live_.path(), folder_}) {
      for (const auto& entry : fs::directory_iterator(folder, ignored)) fs::remove_all(entry.path());
    }
    Make(size);
    auto log = Open();
    ASSERT_TRUE(log.ok()) << log.status();
    EXPECT_EQ(log->size(), size);
    EXPECT_EQ(log->checkpoint().size, size);
    EXPECT_EQ(Readable(*log).size(), size);
    for (const uint64_t index : {uint64_t{0}, size / 2, size - 1}) {
      if (index >= size) continue;
      const auto receipt = log->Prove(index);
      ASSERT_TRUE(receipt.ok()) << receipt.status();
      EXPECT_EQ(VerifyReceipt(*receipt, std::nullopt, TestVerifier())->index, index);
      EXPECT_EQ(ParseEnvelope(*receipt->extra)->seq, index);
    }
    EXPECT_EQ(log->Prove(size).status().code(), StatusCode::kNotFound);
    EXPECT_TRUE(log->Read(size, 10)->empty());
  }
}

TEST_F(ClosedLogTest, NoMoreIsReadThanWasAskedFor) {
  Make(600);
  auto log = Open();
  ASSERT_TRUE(log.ok());
  EXPECT_EQ(log->Read(10, 3)->size(), 3u);
  EXPECT_EQ(ParseEnvelope(log->Read(254, 4)->at(3))->seq, 257u);
  EXPECT_TRUE(log->Read(0, 0)->empty());
}

TEST_F(ClosedLogTest, ADamagedBundleIsSaidAndTheOthersAreReadOn) {
  Make(700);
  Flip(BundlePath(1, kTileWidth), 100);
  auto log = Open();
  ASSERT_TRUE(log.ok()) << log.status();
  const auto entries = Readable(*log);
  EXPECT_EQ(entries.size(), 700u - kTileWidth);
  EXPECT_EQ(log->Read(0, 1000)->size(), kTileWidth) << "what stands before it is given first";
  EXPECT_EQ(log->Read(300, 1).status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(log->Prove(300).status().code(), StatusCode::kDataLoss);
  EXPECT_TRUE(log->Prove(10).ok());
  fs::remove(folder_ / BundlePath(1, kTileWidth));
  EXPECT_EQ(log->Read(300, 1).status().code(), StatusCode::kDataLoss);
}

// Who changes an entry together with the tile over it changes what the tile above says of it.
TEST_F(ClosedLogTest, AnEntryThatWasReplacedTogetherWithItsTileIsNotGiven) {
  Make(300);
  std::string bundle = *ReadFile(folder_ / BundlePath(0, kTileWidth), kBundleBytesMax);
  bundle[100] = static_cast<char>(bundle[100] ^ 1);
  std::ofstream(folder_ / BundlePath(0, kTileWidth), std::ios::binary) << bundle;
  std::string hashes;
  const auto entries = SplitBundle(bundle, kTileWidth);
  ASSERT_TRUE(entries.ok());
  for (const std::string_view entry : *entries) hashes += LeafHash(entry).bytes();
  std::ofstream(folder_ / TilePath({0, 0, kTileWidth}), std::ios::binary) << hashes;
  auto log = Open();
  ASSERT_TRUE(log.ok()) << log.status();
  EXPECT_THAT(MessageOf(log->Read(0, 1).status()), HasSubstr("not what the checkpoint signs"));
  EXPECT_EQ(Readable(*log).size(), 300u - kTileWidth);
}

TEST_F(ClosedLogTest, ADamagedRightEdgeOrCheckpointIsRefused) {
  Make(300);
  EXPECT_EQ(ClosedLog::Open(folder_, TestVerifier("test/main/2")).status().code(), StatusCode::kDataLoss);
  Flip(TilePath({0, 1, 44}), 5);
  EXPECT_EQ(Open().status().code(), StatusCode::kDataLoss);
  Flip(TilePath({0, 1, 44}), 5);
  EXPECT_TRUE(Open().ok());
  Flip(std::string(kCheckpointFile), 20);
  EXPECT_EQ(Open().status().code(), StatusCode::kDataLoss);
  fs::remove(folder_ / kCheckpointFile);
  EXPECT_EQ(Open().status().code(), StatusCode::kDataLoss);
  fs::remove_all(folder_);
  EXPECT_EQ(Open().status().code(), StatusCode::kDataLoss);
}

// As an image of a machine that ran holds it: acknowledged, and no checkpoint came any more.
TEST_F(ClosedLogTest, WhatStandsInTheJournalAloneIsReadAndCannotBeProven) {
  LogWriterOptions options = TestOptions(live_.path());
  auto log = LogWriter::Open(options, signer_, clock_);
  ASSERT_TRUE(log.ok());
  ASSERT_TRUE((*log)->Append(NumberedEvent(0)).ok());
  log->reset();
  options.checkpoint_interval = std::chrono::hours(1);
  log = LogWriter::Open(options, signer_, clock_);
  ASSERT_TRUE(log.ok());
  ASSERT_TRUE((*log)->Append(NumberedEvent(1)).ok());
  ASSERT_TRUE((*log)->WaitForCheckpoint(2, std::chrono::minutes(1)).ok());
  ASSERT_TRUE((*log)->Append(NumberedEvent(2)).ok());
  fs::copy(live_.path(), folder_, fs::copy_options::recursive);
  auto closed = Open();
  ASSERT_TRUE(closed.ok()) << closed.status();
  EXPECT_EQ(closed->checkpoint().size, 2u);
  EXPECT_EQ(closed->size(), 3u);
  EXPECT_EQ(ParseEnvelope(closed->Read(0, 10)->at(2))->seq, 2u);
  EXPECT_EQ(closed->Prove(2).status().code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(closed->Prove(1).ok());
}

}  // namespace
}  // namespace cloister::audit
