// SPDX-License-Identifier: Apache-2.0
// What a power loss leaves of files that were being written: with delayed allocation a file may have the
// length that was written and zeros where the bytes never arrived.
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <string>
#include <vector>

#include "common/file.h"
#include "storage/file_cipher.h"
#include "storage/memory_key_source.h"
#include "storage/rocksdb_store.h"
#include "storage/temporary_directory.h"
#include "storage/torn_logs.h"

namespace cloister::storage {
namespace {

constexpr size_t kFileBytesMax = 16 * 1024 * 1024;

class PowerLossTest : public testing::Test {
 protected:
  void SetUp() override {
    auto store = OpenStore();
    ASSERT_TRUE(store.ok()) << store.status();
    for (const char* row : {"in a table", "in a log"}) {
      WriteBatch batch;
      batch.Put("a", row, "value");
      ASSERT_TRUE((*store)->Write(batch).ok());
      if (std::string_view(row) == "in a table") {
        ASSERT_TRUE((*store)->Flush().ok());
      }
    }
    store->reset();
    std::filesystem::copy(directory_, saved_, std::filesystem::copy_options::recursive);
  }
  StatusOr<std::unique_ptr<RocksDbStore>> OpenStore() {
    return RocksDbStore::Open({.directory = directory_, .column_families = {"a"}, .keys = &keys_});
  }
  void PutBack() {
    std::filesystem::remove_all(directory_);
    std::filesystem::copy(saved_, directory_, std::filesystem::copy_options::recursive);
  }
  void ExpectBothRows() {
    auto store = OpenStore();
    ASSERT_TRUE(store.ok()) << store.status();
    EXPECT_EQ(*(*store)->Get("a", "in a table"), "value");
    EXPECT_EQ(*(*store)->Get("a", "in a log"), "value");
  }
  std::filesystem::path Newest(std::string_view part) const {
    std::filesystem::path found;
    for (const auto& entry : std::filesystem::directory_iterator(database_)) {
      if (entry.path().filename().string().find(part) != std::string::npos)
        found = std::max(found, entry.path());
    }
    return found;
  }

  MemoryKeySource keys_{"seed"};
  TemporaryDirectory temporary_;
  const std::filesystem::path directory_ = temporary_.path() / "db";
  const std::filesystem::path database_ = directory_ / "rocksdb";
  const std::filesystem::path saved_ = temporary_.path() / "saved";
};

TEST_F(PowerLossTest, ALogOfZerosHoldsNothing) {
  for (const size_t size :
       {size_t{1}, kFilePrefixBytes - 1, kFilePrefixBytes, kFilePrefixBytes + 1, size_t{1} << 20}) {
    SCOPED_TRACE(size);
    PutBack();
    const auto torn = database_ / "000900.log";
    std::ofstream(torn, std::ios::binary) << std::string(size, 0);
    ExpectBothRows();
    EXPECT_FALSE(std::filesystem::exists(torn));
  }
}

TEST_F(PowerLossTest, ALogThatBeginsWithZerosEndsThereAndIsKept) {
  const auto log = database_ / "000900.log";
  const std::string bytes = std::string(2 * kFilePrefixBytes, 0) + "x";
  std::ofstream(log, std::ios::binary) << bytes;
  ExpectBothRows();
  EXPECT_EQ(*ReadFile(log.string() + ".torn", kFileBytesMax), bytes);
}

TEST_F(PowerLossTest, AHoleInALogThatIsNotTheNewestIsDamage) {
  std::ofstream(database_ / "000900.log", std::ios::binary) << std::string(2 * kFilePrefixBytes, 0) << "x";
  std::ofstream(database_ / "000901.log", std::ios::binary) << std::string(2 * kFilePrefixBytes, 0) << "x";
  EXPECT_EQ(OpenStore().status().code(), StatusCode::kDataLoss);
  EXPECT_TRUE(std::filesystem::exists(database_ / "000900.log"));
}

TEST_F(PowerLossTest, ALogOfZerosWhereWritesWereAcknowledgedIsDataLoss) {
  const auto log = Newest(".log");
  const auto size = std::filesystem::file_size(log);
  ASSERT_GT(size, kFilePrefixBytes);
  std::ofstream(log, std::ios::binary | std::ios::trunc) << std::string(size, 0);
  EXPECT_EQ(OpenStore().status().code(), StatusCode::kDataLoss);
}

TEST_F(PowerLossTest, ZerosBehindTheLastRecordOfALogAreATornTail) {
  const std::string log = *ReadFile(Newest(".log"), kFileBytesMax);
  for (const size_t size : {1, 6, 7, 8, 63, 64, 100, 4096, 32'768, 40'000, 1 << 20}) {
    SCOPED_TRACE(size);
    PutBack();
    std::ofstream(Newest(".log"), std::ios::binary | std::ios::trunc) << log << std::string(size, 0);
    ExpectBothRows();
  }
}

// One record in 256 ends in a zero by chance: it must not be cut with what never arrived.
TEST_F(PowerLossTest, ARecordThatEndsInAZeroKeepsIt) {
  std::string log;
  uint64_t written = 0;
  for (; log.empty() || log.back() != '\0'; ++written) {
    ASSERT_LT(written, 100'000u);
    auto store = OpenStore();
    ASSERT_TRUE(store.ok()) << store.status();
    for (int i = 0; i < 64 && (log.empty() || log.back() != '\0'); ++i) {
      WriteBatch batch;
      batch.Put("a", "last", std::to_string(written) + "-" + std::to_string(i));
      ASSERT_TRUE((*store)->Write(batch).ok());
      log = *ReadFile(Newest(".log"), kFileBytesMax);
    }
  }
  std::filesystem::remove_all(saved_);
  std::filesystem::copy(directory_, saved_, std::filesystem::copy_options::recursive);
  for (const size_t size : {16, 64, 4096}) {
    SCOPED_TRACE(size);
    PutBack();
    std::ofstream(Newest(".log"), std::ios::binary | std::ios::trunc) << log << std::string(size, 0);
    ExpectBothRows();
  }
}

// The pages of one write that was not synced arrived in any order.
TEST_F(PowerLossTest, AHoleInAWriteThatWasNotAcknowledgedIsATornTail) {
  const std::string acknowledged = *ReadFile(directory_ / "acknowledged", kFileBytesMax);
  const auto log = Newest(".log");
  const auto before = std::filesystem::file_size(log);
  {
    auto store = OpenStore();
    ASSERT_TRUE(store.ok()) << store.status();
    WriteBatch batch;
    batch.Put("a", "large", std::string(200'000, 'v'));
    ASSERT_TRUE((*store)->Write(batch).ok());
  }
  const std::string bytes = *ReadFile(Newest(".log"), kFileBytesMax);
  ASSERT_GT(bytes.size(), before + 100'000);
  std::filesystem::remove_all(saved_);
  std::filesystem::copy(directory_, saved_, std::filesystem::copy_options::recursive);
  for (const size_t hole : {size_t{2}, size_t{3}, size_t{9}, size_t{10}, size_t{40}}) {
    SCOPED_TRACE(hole);
    PutBack();
    std::string holed = bytes;
    holed.replace(hole * 4096, 4096, std::string(4096, 0));
    const auto path = Newest(".log");
    std::ofstream(path, std::ios::binary | std::ios::trunc) << holed;
    // As it was acknowledged, the write must not go missing in silence.
    EXPECT_EQ(OpenStore().status().code(), StatusCode::kDataLoss);
    EXPECT_EQ(*ReadFile(path.string() + ".torn", kFileBytesMax), holed);
    PutBack();
    std::ofstream(path, std::ios::binary | std::ios::trunc) << holed;
    std::ofstream(directory_ / "acknowledged", std::ios::binary | std::ios::trunc) << acknowledged;
    ExpectBothRows();
  }
}

TEST_F(PowerLossTest, KeepsTheCopyOfATornLogForItsTimeAndNoLonger) {
  const auto torn = database_ / "000900.log.torn";
  std::ofstream(torn, std::ios::binary) << "x";
  const auto made = std::filesystem::last_write_time(torn);
  ExpectBothRows();
  EXPECT_TRUE(std::filesystem::exists(torn));
  std::filesystem::last_write_time(torn, made - kTornCopyKept);
  ExpectBothRows();
  EXPECT_FALSE(std::filesystem::exists(torn));
}

TEST_F(PowerLossTest, KeepsTheNewestCopiesOfTornLogsWhenThereAreMany) {
  std::vector<std::filesystem::path> copies;
  const auto now = std::filesystem::file_time_type::clock::now();
  for (size_t i = 0; i < kTornCopiesMax + 2; ++i) {
    copies.push_back(database_ / (std::to_string(900'000 + i) + ".log.torn"));
    std::ofstream(copies.back(), std::ios::binary) << "x";
    std::filesystem::last_write_time(copies.back(), now - std::chrono::minutes(i));
  }
  ExpectBothRows();
  for (size_t i = 0; i < copies.size(); ++i)
    EXPECT_EQ(std::filesystem::exists(copies[i]), i < kTornCopiesMax) << i;
}

TEST_F(PowerLossTest, KeepsCopiesOfTornLogsAsLongAsNobodyKnowsWhatIsMissing) {
  const auto torn = database_ / "000900.log.torn";
  std::ofstream(torn, std::ios::binary) << "x";
  std::filesystem::last_write_time(torn, std::filesystem::last_write_time(torn) - 2 * kTornCopyKept);
  std::filesystem::remove(directory_ / "acknowledged");
  ExpectBothRows();  // Without a check.
  EXPECT_TRUE(std::filesystem::exists(torn));
  // And with one that fails: the log has lost what was acknowledged.
  PutBack();
  const auto log = Newest(".log");
  std::ofstream(torn, std::ios::binary) << "x";
  std::filesystem::last_write_time(torn, std::filesystem::last_write_time(torn) - 2 * kTornCopyKept);
  std::filesystem::resize_file(log, 0);
  EXPECT_EQ(OpenStore().status().code(), StatusCode::kDataLoss);
  EXPECT_TRUE(std::filesystem::exists(torn));
}

// A manifest is synced after each of its records, and these are small.
TEST_F(PowerLossTest, ZerosBehindTheLastRecordOfAManifestAreATornTail) {
  const std::string manifest = *ReadFile(Newest("MANIFEST"), kFileBytesMax);
  for (const size_t size : {1, 6, 16, 100, 4096, 8192, 100'000}) {
    SCOPED_TRACE(size);
    PutBack();
    std::ofstream(Newest("MANIFEST"), std::ios::binary | std::ios::trunc) << manifest << std::string(size, 0);
    ExpectBothRows();
  }
}

}  // namespace
}  // namespace cloister::storage
