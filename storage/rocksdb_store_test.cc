// SPDX-License-Identifier: Apache-2.0
#include "storage/rocksdb_store.h"

#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <fstream>
#include <random>

#include "common/bytes.h"
#include "common/file.h"
#include "storage/encrypted_env.h"
#include "storage/file_cipher.h"
#include "storage/memory_key_source.h"
#include "storage/numbered_rows.h"
#include "storage/temporary_directory.h"

namespace cloister::storage {
namespace {

constexpr size_t kFileBytesMax = 64 * 1024 * 1024;

class RocksDbStoreTest : public testing::Test {
 protected:
  StatusOr<std::unique_ptr<RocksDbStore>> Open(std::vector<std::string> column_families = {"a", "b"}) {
    return RocksDbStore::Open(
        {.directory = directory_, .column_families = std::move(column_families), .keys = &keys_});
  }
  static Status Put(RocksDbStore& store, std::string_view key, std::string value) {
    WriteBatch batch;
    batch.Put("a", key, std::move(value));
    return store.Write(batch);
  }
  // A store with `rows` numbered rows, closed again.
  void Fill(int rows, bool flush = false) {
    auto store = Open();
    ASSERT_TRUE(store.ok()) << store.status();
    for (int i = 0; i < rows; ++i) ASSERT_TRUE(Put(**store, std::to_string(i), NumberedValue(0, i)).ok());
    if (flush) {
      ASSERT_TRUE((*store)->Flush().ok());
    }
  }
  // The files of RocksDB whose name ends so, largest first.
  std::vector<std::filesystem::path> Files(std::string_view extension) const {
    std::vector<std::filesystem::path> out;
    for (const auto& entry : std::filesystem::directory_iterator(directory_ / "rocksdb")) {
      if (entry.path().extension() == extension) out.push_back(entry.path());
    }
    std::sort(out.begin(), out.end(), [](const auto& x, const auto& y) {
      return std::filesystem::file_size(x) > std::filesystem::file_size(y);
    });
    return out;
  }
  static void Flip(const std::filesystem::path& path, size_t at) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(at));
    const char byte = static_cast<char>(file.get());
    file.seekp(static_cast<std::streamoff>(at));
    file.put(static_cast<char>(byte ^ 0x10));
    ASSERT_TRUE(file.good());
  }

  MemoryKeySource keys_{"seed"};
  TemporaryDirectory temporary_;
  const std::filesystem::path directory_ = temporary_.path() / "db";
  const std::filesystem::path acknowledged_ = directory_ / "acknowledged";
};

TEST_F(RocksDbStoreTest, KeepsRowsSequenceAndIdOverACloseAndOpen) {
  DatabaseId id;
  {
    auto store = Open();
    ASSERT_TRUE(store.ok()) << store.status();
    EXPECT_EQ((*store)->CommitSequence(), 0u);
    id = (*store)->database_id();
    EXPECT_FALSE(id.empty());
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(Put(**store, std::to_string(i), "value").ok());
  }
  for (int round = 0; round < 2; ++round) {
    auto store = Open();
    ASSERT_TRUE(store.ok()) << store.status();
    EXPECT_EQ((*store)->CommitSequence(), 5u);
    EXPECT_EQ((*store)->database_id(), id);
    for (int i = 0; i < 5; ++i) EXPECT_EQ(*(*store)->Get("a", std::to_string(i)), "value");
  }
}

TEST_F(RocksDbStoreTest, AddsColumnFamiliesAndKeepsThoseNotNamed) {
  Fill(1);
  { ASSERT_TRUE(Open({"c"}).ok()); }
  auto store = Open({"a", "b", "c"});
  ASSERT_TRUE(store.ok());
  EXPECT_TRUE((*store)->Get("a", "0").ok());
  EXPECT_EQ((*store)->Get("c", "0").status().code(), StatusCode::kNotFound);
}

TEST_F(RocksDbStoreTest, DatabasesHaveDifferentIds) {
  const auto other = RocksDbStore::Open(
      {.directory = temporary_.path() / "other", .column_families = {"a"}, .keys = &keys_});
  const auto store = Open();
  ASSERT_TRUE(store.ok() && other.ok());
  EXPECT_NE((*store)->database_id(), (*other)->database_id());
}

TEST_F(RocksDbStoreTest, OneProcessAtATime) {
  auto store = Open();
  ASSERT_TRUE(store.ok());
  EXPECT_EQ(Open().status().code(), StatusCode::kFailedPrecondition);
  store->reset();
  EXPECT_TRUE(Open().ok());
}

TEST_F(RocksDbStoreTest, DirectoryIsPrivateAndHasNoLogOfRocksDb) {
  Fill(10, true);
  struct stat status {};
  ASSERT_EQ(::stat(directory_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory_)) {
    EXPECT_FALSE(entry.path().filename().string().starts_with("LOG")) << entry.path();
  }
}

TEST_F(RocksDbStoreTest, NoticesALostAcknowledgedBatch) {
  Fill(20);
  // The last record of the log is torn off, as if the disk had lied about its fsync.
  const auto logs = Files(".log");
  ASSERT_FALSE(logs.empty());
  std::filesystem::resize_file(logs.front(), std::filesystem::file_size(logs.front()) - 3);
  const Status status = Open().status();
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_NE(MessageOf(status).find("write 20 was acknowledged"), std::string::npos) << status;
  // Refused again: opening changed nothing that the check needs.
  EXPECT_EQ(Open().status().code(), StatusCode::kDataLoss);
  // What the message says to do helps.
  std::filesystem::remove(acknowledged_);
  auto store = Open();
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ((*store)->CommitSequence(), 19u);
  EXPECT_TRUE((*store)->Get("a", "18").ok());
  EXPECT_EQ((*store)->Get("a", "19").status().code(), StatusCode::kNotFound);
}

TEST_F(RocksDbStoreTest, DropsATornBatchThatWasNeverAcknowledged) {
  Fill(20);
  // As after a kill in the middle of write 20: the file 'acknowledged' is behind, the log ends in half a
  // record.
  const auto logs = Files(".log");
  ASSERT_FALSE(logs.empty());
  const std::string acknowledged = *ReadFile(acknowledged_, kFileBytesMax);
  {
    auto store = Open();
    ASSERT_TRUE(store.ok());
    ASSERT_TRUE(Put(**store, "20", "torn").ok());
  }
  // The write went to the newest log, the one with the highest number.
  auto newer = Files(".log");
  std::sort(newer.begin(), newer.end());
  ASSERT_FALSE(newer.empty());
  std::filesystem::resize_file(newer.back(), std::filesystem::file_size(newer.back()) - 2);
  ASSERT_TRUE(WriteFileAtomic(acknowledged_, acknowledged, 0600).ok());
  auto store = Open();
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ((*store)->CommitSequence(), 20u);
  EXPECT_EQ((*store)->Get("a", "20").status().code(), StatusCode::kNotFound);
  EXPECT_TRUE((*store)->Get("a", "19").ok());
}

TEST_F(RocksDbStoreTest, NeverOpensWithoutAWordWhenTheLogIsDamaged) {
  Fill(40);
  const auto saved = temporary_.path() / "saved";
  std::filesystem::copy(directory_, saved, std::filesystem::copy_options::recursive);
  const size_t size = std::filesystem::file_size(Files(".log").front());
  ASSERT_GT(size, 10000u);
  int refused = 0, rounds = 0;
  for (size_t at = kFilePrefixBytes + 5; at < size; at += size / 40) {
    std::filesystem::remove_all(directory_);
    std::filesystem::copy(saved, directory_, std::filesystem::copy_options::recursive);
    Flip(Files(".log").front(), at);
    ++rounds;
    const auto store = Open();
    if (!store.ok()) {
      EXPECT_EQ(store.status().code(), StatusCode::kDataLoss) << at;
      ++refused;
      continue;
    }
    for (int i = 0; i < 40; ++i) EXPECT_EQ(*(*store)->Get("a", std::to_string(i)), NumberedValue(0, i)) << at;
  }
  EXPECT_EQ(refused, rounds);
}

TEST_F(RocksDbStoreTest, ADamagedBlockIsDataLossAndNeverServed) {
  constexpr int kRows = 400;
  Fill(kRows, true);
  const auto tables = Files(".sst");
  ASSERT_FALSE(tables.empty());
  const size_t size = std::filesystem::file_size(tables.front());
  Flip(tables.front(), size / 2);
  auto store = Open();
  ASSERT_TRUE(store.ok()) << store.status();
  int lost = 0;
  for (int i = 0; i < kRows; ++i) {
    const auto row = (*store)->Get("a", std::to_string(i));
    if (row.ok()) {
      EXPECT_EQ(*row, NumberedValue(0, i));
    } else {
      EXPECT_EQ(row.status().code(), StatusCode::kDataLoss);
      ++lost;
    }
  }
  EXPECT_GT(lost, 0);
  EXPECT_LT(lost, kRows);
  const Status scan = (*store)->GetSnapshot()->Scan("a", "", [](auto, auto) { return true; });
  EXPECT_EQ(scan.code(), StatusCode::kDataLoss);
}

TEST_F(RocksDbStoreTest, AMissingDatabaseIsNotReplacedByAnEmptyOne) {
  Fill(1);
  std::filesystem::remove_all(directory_ / "rocksdb");
  EXPECT_EQ(Open().status().code(), StatusCode::kDataLoss);
  std::filesystem::remove(acknowledged_);
  auto store = Open();
  ASSERT_TRUE(store.ok());
  EXPECT_EQ((*store)->CommitSequence(), 0u);
}

TEST_F(RocksDbStoreTest, AnotherDatabaseInItsPlaceIsNoticed) {
  Fill(1);
  const auto other = temporary_.path() / "other";
  {
    ASSERT_TRUE(RocksDbStore::Open({.directory = other, .column_families = {"a", "b"}, .keys = &keys_}).ok());
  }
  std::filesystem::remove_all(directory_ / "rocksdb");
  std::filesystem::rename(other / "rocksdb", directory_ / "rocksdb");
  EXPECT_EQ(Open().status().code(), StatusCode::kDataLoss);
}

TEST_F(RocksDbStoreTest, AnOlderCopyOfTheDatabaseIsNoticed) {
  Fill(5);
  const auto saved = temporary_.path() / "saved";
  std::filesystem::copy(directory_ / "rocksdb", saved, std::filesystem::copy_options::recursive);
  {
    auto store = Open();
    ASSERT_TRUE(store.ok());
    ASSERT_TRUE(Put(**store, "later", "value").ok());
  }
  std::filesystem::remove_all(directory_ / "rocksdb");
  std::filesystem::rename(saved, directory_ / "rocksdb");
  EXPECT_EQ(Open().status().code(), StatusCode::kDataLoss);
}

TEST_F(RocksDbStoreTest, EveryFlippedBitOfAcknowledgedIsNoticed) {
  Fill(1);
  const std::string bytes = *ReadFile(acknowledged_, kFileBytesMax);
  ASSERT_EQ(bytes.size(), 40u);
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    ASSERT_TRUE(WriteFileAtomic(acknowledged_, flipped, 0600).ok());
    EXPECT_EQ(Open().status().code(), bit / 8 == 4 ? StatusCode::kFailedPrecondition : StatusCode::kDataLoss)
        << bit;
  }
  for (size_t length = 0; length < bytes.size(); ++length) {
    ASSERT_TRUE(WriteFileAtomic(acknowledged_, bytes.substr(0, length), 0600).ok());
    EXPECT_FALSE(Open().ok()) << length;
  }
  ASSERT_TRUE(WriteFileAtomic(acknowledged_, bytes, 0600).ok());
  EXPECT_TRUE(Open().ok());
}

// Writes a row of "meta" behind the store's back.
void PutMeta(const std::filesystem::path& directory, KeySource& keys, const std::string& row,
             const std::string& value) {
  std::vector<std::string> names;
  const std::string path = (directory / "rocksdb").string();
  const auto env = EncryptedEnv::Open({path, directory / "manifest"}, keys);
  ASSERT_TRUE(env.ok()) << env.status();
  rocksdb::DBOptions options;
  options.env = (*env)->env();
  ASSERT_TRUE(rocksdb::DB::ListColumnFamilies(options, path, &names).ok());
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (const std::string& name : names) families.emplace_back(name, rocksdb::ColumnFamilyOptions());
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* raw = nullptr;
  ASSERT_TRUE(rocksdb::DB::Open(options, path, families, &handles, &raw).ok());
  const std::unique_ptr<rocksdb::DB> db(raw);
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] == "meta") {
      EXPECT_TRUE(db->Put(rocksdb::WriteOptions(), handles[i], row, value).ok());
    }
    db->DestroyColumnFamilyHandle(handles[i]);
  }
}

TEST_F(RocksDbStoreTest, NamesAFormatItDoesNotKnow) {
  Fill(1);
  PutMeta(directory_, keys_, "format", std::string("\0\0\0\7", 4));
  const Status status = Open().status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(MessageOf(status).find("format 7,"), std::string::npos) << status;
}

TEST_F(RocksDbStoreTest, AMalformedDescriptionIsDataLoss) {
  Fill(1);
  PutMeta(directory_, keys_, "sequence", "short");
  EXPECT_EQ(Open().status().code(), StatusCode::kDataLoss);
}

TEST_F(RocksDbStoreTest, MetaIsNotForCallers) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  auto store = Open();
  ASSERT_TRUE(store.ok());
  WriteBatch batch;
  batch.Put("meta", "sequence", "forged");
  EXPECT_DEATH((*store)->Write(batch).IgnoreError(), "check failed");
  EXPECT_DEATH((void)Open({"meta"}), "check failed");
}

// The child takes a full disk of its own; see FillDisk in storage_test_child.cc for what it checks.
TEST_F(RocksDbStoreTest, AFullDiskStopsWritesAndLosesNothing) {
  const auto mount = temporary_.path() / "disk";
  std::filesystem::create_directory(mount);
  const std::string command = std::string(CLOISTER_STORAGE_TEST_CHILD) + " fill-disk " + mount.string();
  const int status = std::system(command.c_str());
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "no user namespaces here, so no disk that may be filled";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace cloister::storage
