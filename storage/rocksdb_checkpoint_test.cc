// SPDX-License-Identifier: Apache-2.0
// Copies of an open database: whole while writers go on, and after a kill in the middle.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <random>
#include <thread>

#include "common/file.h"
#include "storage/acknowledged_file.h"
#include "storage/memory_key_source.h"
#include "storage/numbered_rows.h"
#include "storage/rocksdb_store.h"
#include "storage/temporary_directory.h"

extern char** environ;

namespace cloister::storage {
namespace {

class RocksDbCheckpointTest : public testing::Test {
 protected:
  StatusOr<std::unique_ptr<RocksDbStore>> Open(const std::filesystem::path& directory) {
    return RocksDbStore::Open({.directory = directory,
                               .column_families = {std::string(kNumberedRows), "other"},
                               .keys = &keys_,
                               .write_buffer_bytes = 64 * 1024});
  }
  // One row in each of two column families, in one batch.
  static Status Put(RocksDbStore& store, uint32_t writer, uint64_t number) {
    WriteBatch batch;
    batch.Put(kNumberedRows, NumberedKey(writer, number), NumberedValue(writer, number));
    batch.Put("other", NumberedKey(writer, number), "x");
    return store.Write(batch);
  }
  // How many rows of `writer` are there without a gap, each in both column families.
  static uint64_t CountRows(const RocksDbStore& store, uint32_t writer) {
    const auto snapshot = store.GetSnapshot();
    uint64_t number = 1;
    for (;; ++number) {
      const auto row = snapshot->Get(kNumberedRows, NumberedKey(writer, number));
      const auto other = snapshot->Get("other", NumberedKey(writer, number));
      EXPECT_EQ(row.ok(), other.ok()) << "half a batch, " << writer << ":" << number;
      if (!row.ok()) break;
      EXPECT_EQ(*row, NumberedValue(writer, number));
    }
    uint64_t all = 0;
    EXPECT_TRUE(snapshot
                    ->Scan(kNumberedRows, NumberedKey(writer, 0).substr(0, 4),
                           [&](std::string_view, std::string_view) { return ++all, true; })
                    .ok());
    EXPECT_EQ(all, number - 1) << "rows behind a gap";
    return number - 1;
  }

  MemoryKeySource keys_{"seed"};
  TemporaryDirectory temporary_;
  const std::filesystem::path directory_ = temporary_.path() / "db";
};

TEST_F(RocksDbCheckpointTest, OpensAsItIsAndIsNotTouchedByLaterWrites) {
  auto store = Open(directory_);
  ASSERT_TRUE(store.ok()) << store.status();
  for (uint64_t i = 1; i <= 100; ++i) ASSERT_TRUE(Put(**store, 0, i).ok());
  const auto copy = temporary_.path() / "copy";
  const auto sequence = (*store)->Checkpoint(copy);
  ASSERT_TRUE(sequence.ok()) << sequence.status();
  EXPECT_EQ(*sequence, 100u);
  for (uint64_t i = 101; i <= 200; ++i) ASSERT_TRUE(Put(**store, 0, i).ok());
  ASSERT_TRUE((*store)->Flush().ok());
  {
    auto opened = Open(copy);
    ASSERT_TRUE(opened.ok()) << opened.status();
    EXPECT_EQ((*opened)->database_id(), (*store)->database_id());
    EXPECT_EQ(CountRows(**opened, 0), 100u);
    EXPECT_EQ((*opened)->CommitSequence(), 100u);
    ASSERT_TRUE(Put(**opened, 1, 1).ok());
  }
  EXPECT_EQ(CountRows(**store, 0), 200u);
  EXPECT_EQ(CountRows(**store, 1), 0u) << "writes to the copy came through";
}

// The live seal must still fit after copies, or the next start would refuse the database.
TEST_F(RocksDbCheckpointTest, LeavesTheSealOfTheDatabaseAlone) {
  auto store = Open(directory_);
  ASSERT_TRUE(store.ok()) << store.status();
  ASSERT_TRUE(Put(**store, 0, 1).ok());
  ASSERT_TRUE((*store)->Checkpoint(temporary_.path() / "copy").ok());
  const auto before = ReadFile(directory_ / "manifest", 4096);
  const auto written = std::filesystem::last_write_time(directory_ / "manifest");
  ASSERT_TRUE((*store)->Checkpoint(temporary_.path() / "copy2").ok());
  EXPECT_EQ(*ReadFile(directory_ / "manifest", 4096), *before);  // Nothing was flushed in between.
  EXPECT_EQ(std::filesystem::last_write_time(directory_ / "manifest"), written)
      << "the copy sealed the database";
  store->reset();
  auto again = Open(directory_);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(CountRows(**again, 0), 1u);
}

TEST_F(RocksDbCheckpointTest, IsSealedAgainstATableListThatEndsEarly) {
  auto store = Open(directory_);
  ASSERT_TRUE(store.ok()) << store.status();
  for (uint64_t i = 1; i <= 100; ++i) ASSERT_TRUE(Put(**store, 0, i).ok());
  const auto copy = temporary_.path() / "copy";
  ASSERT_TRUE((*store)->Checkpoint(copy).ok());
  for (const auto& entry : std::filesystem::directory_iterator(copy / "rocksdb")) {
    if (!entry.path().filename().string().starts_with("MANIFEST-")) continue;
    std::filesystem::resize_file(entry.path(), entry.file_size() - 20);
  }
  EXPECT_EQ(Open(copy).status().code(), StatusCode::kDataLoss);
}

TEST_F(RocksDbCheckpointTest, RefusesAFolderThatIsThereAndADatabaseWhoseTableListIsNotTheSealedOne) {
  auto store = Open(directory_);
  ASSERT_TRUE(store.ok()) << store.status();
  ASSERT_TRUE(Put(**store, 0, 1).ok());
  const auto copy = temporary_.path() / "copy";
  std::filesystem::create_directory(copy);
  EXPECT_EQ((*store)->Checkpoint(copy).status().code(), StatusCode::kAlreadyExists);
  EXPECT_TRUE(std::filesystem::exists(copy));
  std::filesystem::remove(copy);
  std::fstream seal(directory_ / "manifest", std::ios::in | std::ios::out | std::ios::binary);
  seal.seekp(50);
  seal.put('x');
  seal.close();
  EXPECT_EQ((*store)->Checkpoint(copy).status().code(), StatusCode::kDataLoss);
  EXPECT_FALSE(std::filesystem::exists(copy));
}

TEST_F(RocksDbCheckpointTest, HoldsEverythingAcknowledgedBeforeItWhileWritersGoOn) {
  auto store = Open(directory_);
  ASSERT_TRUE(store.ok()) << store.status();
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> acknowledged[kNumberedWriters] = {};
  std::vector<std::thread> writers;
  for (uint32_t writer = 0; writer < kNumberedWriters; ++writer) {
    writers.emplace_back([&, writer] {
      for (uint64_t number = 1; !stop; ++number) {
        ASSERT_TRUE(Put(**store, writer, number).ok());
        acknowledged[writer] = number;
      }
    });
  }
  constexpr int kCopies = 12;
  uint64_t before[kCopies][kNumberedWriters];
  for (int i = 0; i < kCopies; ++i) {
    // So that each copy comes after some writes, however slow the disk.
    const uint64_t wanted = acknowledged[0] + 5;
    while (acknowledged[0] < wanted) std::this_thread::yield();
    for (uint32_t writer = 0; writer < kNumberedWriters; ++writer) before[i][writer] = acknowledged[writer];
    const auto made = (*store)->Checkpoint(temporary_.path() / std::to_string(i));
    EXPECT_TRUE(made.ok()) << made.status();
  }
  stop = true;
  for (std::thread& writer : writers) writer.join();
  for (int i = 0; i < kCopies; ++i) {
    auto copy = Open(temporary_.path() / std::to_string(i));
    ASSERT_TRUE(copy.ok()) << i << ": " << copy.status();
    for (uint32_t writer = 0; writer < kNumberedWriters; ++writer)
      EXPECT_GE(CountRows(**copy, writer), before[i][writer]) << i;
  }
}

// A child writes and copies without end until it is killed. What says it is whole must be.
TEST_F(RocksDbCheckpointTest, AKillLeavesWholeCopiesOrNone) {
  std::mt19937_64 random(std::random_device{}());
  size_t whole = 0, halves = 0;
  for (int round = 0; round < 8 || (whole == 0 && round < 14); ++round) {
    const auto folder = temporary_.path() / ("r" + std::to_string(round));
    std::filesystem::create_directory(folder);
    std::string path = CLOISTER_STORAGE_TEST_CHILD, mode = "checkpoints", where = folder.string();
    char* arguments[] = {path.data(), mode.data(), where.data(), nullptr};
    pid_t child = 0;
    ASSERT_EQ(::posix_spawn(&child, path.c_str(), nullptr, nullptr, arguments, environ), 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(100 + random() % 900 + (round < 8 ? 0 : 2000)));
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the writer ended by itself";
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.path().filename() == "db") continue;
      const auto noted = AcknowledgedFile::Read(entry.path() / "acknowledged");
      if (!noted.ok() || !noted->has_value()) {
        ++halves;  // A caller that lived would have removed it.
        continue;
      }
      auto copy = RocksDbStore::Open(
          {.directory = entry.path(), .column_families = {std::string(kNumberedRows)}, .keys = &keys_});
      ASSERT_TRUE(copy.ok()) << copy.status();
      EXPECT_GE((*copy)->CommitSequence(), (*noted)->sequence);
      uint64_t rows = 0;
      const auto snapshot = (*copy)->GetSnapshot();
      while (snapshot->Get(kNumberedRows, NumberedKey(0, rows + 1)).ok()) ++rows;
      EXPECT_GE(rows, (*noted)->sequence);
      ++whole;
    }
    const auto lives = RocksDbStore::Open(
        {.directory = folder / "db", .column_families = {std::string(kNumberedRows)}, .keys = &keys_});
    EXPECT_TRUE(lives.ok()) << lives.status();
  }
  std::printf("  %zu whole copies, %zu that a kill cut short\n", whole, halves);
  EXPECT_GT(whole, 0u);
}

}  // namespace
}  // namespace cloister::storage
