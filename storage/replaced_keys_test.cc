// SPDX-License-Identifier: Apache-2.0
// What follows when data keys are replaced: rows sealed anew, files written anew, and nothing lost on the way.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "common/file.h"
#include "storage/file_cipher.h"
#include "storage/memory_key_source.h"
#include "storage/memory_store.h"
#include "storage/resealing.h"
#include "storage/rocksdb_store.h"
#include "storage/sealed_record.h"
#include "storage/sealed_store.h"
#include "storage/temporary_directory.h"

namespace cloister::storage {
namespace {

class ResealingTest : public testing::Test {
 protected:
  void Put(const std::string& family, const std::string& row, const DataKey& key, const std::string& value) {
    WriteBatch batch;
    ASSERT_TRUE(sealed_.Put(batch, family, row, key, value).ok());
    ASSERT_TRUE(store_.Write(batch).ok());
  }
  ResealParts Parts() {
    return {store_, store_.database_id(), keys_, {"a", "b"},
            [this](const std::function<StatusOr<WriteBatch>()>& make) -> Status {
              ++batches_;
              CLOISTER_ASSIGN_OR_RETURN(const WriteBatch batch, make());
              return store_.Write(batch);
            }};
  }
  KeyId KeyOf(const std::string& family, const std::string& row) {
    return *RecordKeyId(*store_.Get(family, row));
  }
  std::string Value(const std::string& family, const std::string& row) {
    const auto value = sealed_.Get(*store_.GetSnapshot(), family, row);
    return value.ok() ? *value : value.status().ToString();
  }

  MemoryKeySource keys_;
  MemoryStore store_{{"a", "b"}};
  SealedStore sealed_{store_.database_id(), keys_};
  int batches_ = 0;
};

TEST_F(ResealingTest, RowsUnderReplacedKeysAreSealedAnewAndTheOthersStay) {
  const auto keys = *keys_.CreateKeys(KeyKind::kDocument, 3);
  for (int i = 0; i < 2'500; ++i) Put("a", "row" + std::to_string(i), keys[0], "value" + std::to_string(i));
  Put("b", "other", keys[1], "second");
  Put("b", "third", keys[2], "third");
  const std::string untouched = *store_.Get("b", "third");
  const auto next = *keys_.ReplaceKeys({keys[0].id, keys[1].id});
  const auto done = ResealRows(Parts());
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_EQ(done->rows, 2'501u);
  EXPECT_EQ(done->unreadable, 0u);
  EXPECT_EQ(batches_, 4);
  ASSERT_TRUE(keys_.DestroyFormerKeys().ok());
  for (int i = 0; i < 2'500; ++i) ASSERT_EQ(Value("a", "row" + std::to_string(i)), "value" + std::to_string(i));
  EXPECT_EQ(KeyOf("b", "other"), next[1]);
  EXPECT_EQ(Value("b", "other"), "second");
  EXPECT_EQ(*store_.Get("b", "third"), untouched);
  EXPECT_EQ(ResealRows(Parts())->rows, 0u);
}

TEST_F(ResealingTest, WhatAnInterruptedCallLeftTheNextOneDoes) {
  const auto key = keys_.CreateKeys(KeyKind::kDocument, 1)->front();
  for (int i = 0; i < 3'500; ++i) Put("a", "row" + std::to_string(i), key, "value");
  ASSERT_TRUE(keys_.ReplaceKeys({key.id}).ok());
  uint64_t rows = 0;
  for (int allowed = 1; allowed < 20; ++allowed) {
    ResealParts parts = Parts();
    int left = allowed;
    parts.go_on = [&] { return left-- > 0 ? absl::OkStatus() : Unavailable("stopped"); };
    const auto done = ResealRows(parts);
    if (!done.ok()) continue;
    rows = done->rows;
    break;
  }
  EXPECT_LT(rows, 3'500u);  // The last call found part of it done.
  ASSERT_TRUE(keys_.DestroyFormerKeys().ok());
  for (int i = 0; i < 3'500; ++i) ASSERT_EQ(Value("a", "row" + std::to_string(i)), "value");
}

TEST_F(ResealingTest, ARowThatChangedMeanwhileIsLeftToWhoChangedIt) {
  const auto keys = *keys_.CreateKeys(KeyKind::kDocument, 2);
  Put("a", "deleted", keys[0], "value");
  Put("a", "rewritten", keys[0], "value");
  Put("a", "same", keys[0], "value");
  ASSERT_TRUE(keys_.ReplaceKeys({keys[0].id}).ok());
  ResealParts parts = Parts();
  parts.go_on = [&] {
    WriteBatch batch;
    batch.Delete("a", "deleted");
    EXPECT_TRUE(sealed_.Put(batch, "a", "rewritten", keys[1], "newer").ok());
    return store_.Write(batch);
  };
  // The first call of go_on comes before the rows are read, the second between the reading and the batch.
  int calls = 0;
  parts.go_on = [&, change = parts.go_on] { return ++calls == 2 ? change() : absl::OkStatus(); };
  const auto done = ResealRows(parts);
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_EQ(done->rows, 1u);
  EXPECT_EQ(store_.Get("a", "deleted").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Value("a", "rewritten"), "newer");
  EXPECT_EQ(Value("a", "same"), "value");
}

TEST_F(ResealingTest, DamagedRowsAndRowsThatAreNoRecordsAreLeftAndCounted) {
  const auto key = keys_.CreateKeys(KeyKind::kDocument, 1)->front();
  Put("a", "damaged", key, "value");
  Put("a", "right", key, "value");
  std::string damaged = *store_.Get("a", "damaged");
  damaged.back() ^= 1;
  WriteBatch batch;
  batch.Put("a", "damaged", damaged);
  batch.Put("a", "mark", "not a record");
  ASSERT_TRUE(store_.Write(batch).ok());
  ASSERT_TRUE(keys_.ReplaceKeys({key.id}).ok());
  const auto done = ResealRows(Parts());
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_EQ(done->rows, 1u);
  EXPECT_EQ(done->unreadable, 1u);
  EXPECT_EQ(*store_.Get("a", "damaged"), damaged);
  EXPECT_EQ(*store_.Get("a", "mark"), "not a record");
}

TEST_F(ResealingTest, AKeySourceThatDoesNotAnswerEndsIt) {
  const auto key = keys_.CreateKeys(KeyKind::kDocument, 1)->front();
  Put("a", "row", key, "value");
  ASSERT_TRUE(keys_.ReplaceKeys({key.id}).ok());
  keys_.failure = Unavailable("no answer");
  EXPECT_EQ(ResealRows(Parts()).status().code(), StatusCode::kUnavailable);
  keys_.failure = absl::OkStatus();
  EXPECT_EQ(ResealRows(Parts())->rows, 1u);
}

class RewrittenFilesTest : public testing::Test {
 protected:
  StatusOr<std::unique_ptr<RocksDbStore>> Open(const std::filesystem::path& directory) {
    return RocksDbStore::Open(
        {.directory = directory, .column_families = {"a", "b", "empty"}, .keys = &keys_, .write_buffer_bytes = 64 * 1024});
  }
  static Status Put(RocksDbStore& store, const std::string& family, int number) {
    WriteBatch batch;
    batch.Put(family, "row" + std::to_string(number), "value" + std::to_string(number) + std::string(500, 'x'));
    return store.Write(batch);
  }
  void ExpectRows(const RocksDbStore& store, int rows) {
    const auto snapshot = store.GetSnapshot();
    for (int i = 0; i < rows; ++i) {
      const auto row = snapshot->Get(i % 2 == 0 ? "a" : "b", "row" + std::to_string(i));
      ASSERT_TRUE(row.ok()) << i << ": " << row.status();
      ASSERT_TRUE(row->starts_with("value" + std::to_string(i)));
    }
  }
  // Tables on several levels, rows in the log.
  void Fill(RocksDbStore& store) {
    for (int i = 0; i < kRows; ++i) ASSERT_TRUE(Put(store, i % 2 == 0 ? "a" : "b", i).ok());
  }
  KeyId ReplaceVolumeKey() {
    const KeyId former = keys_.GetNamedKey(KeyKind::kStore, "files")->id;
    EXPECT_TRUE(keys_.ReplaceKeys({former}).ok());
    return former;
  }
  std::vector<std::string> FilesUnder(const KeyId& key) const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory_ / "rocksdb")) {
      const auto bytes = ReadFile(entry.path(), 64 * 1024 * 1024);
      if (!bytes.ok() || bytes->size() < kFilePrefixBytes) continue;
      const auto id = FilePrefixKeyId(bytes->substr(0, kFilePrefixBytes));
      if (id.ok() && *id == key) names.push_back(entry.path().filename());
    }
    return names;
  }

  static constexpr int kRows = 2'000;
  MemoryKeySource keys_;
  TemporaryDirectory temporary_;
  const std::filesystem::path directory_ = temporary_.path() / "db";
};

TEST_F(RewrittenFilesTest, EveryFileComesUnderTheNewKeyAndTheFormerOneMayGo) {
  auto store = *Open(directory_);
  Fill(*store);
  const KeyId former = ReplaceVolumeKey();
  ASSERT_GT(FilesUnder(former).size(), 6u);
  const auto rewritten = store->RewriteFiles([] { return absl::OkStatus(); });
  ASSERT_TRUE(rewritten.ok()) << rewritten.status();
  EXPECT_GT(*rewritten, 6u);
  EXPECT_EQ(FilesUnder(former), std::vector<std::string>());
  EXPECT_EQ(*store->RewriteFiles([] { return absl::OkStatus(); }), 0u);
  ExpectRows(*store, kRows);
  ASSERT_TRUE(keys_.DestroyFormerKeys().ok());
  ASSERT_TRUE(Put(*store, "a", kRows).ok());
  store.reset();
  auto again = Open(directory_);
  ASSERT_TRUE(again.ok()) << again.status();
  ExpectRows(**again, kRows + 1);
}

TEST_F(RewrittenFilesTest, WritesReadsAndCopiesGoOnMeanwhile) {
  auto store = *Open(directory_);
  Fill(*store);
  std::atomic<bool> stop = false;
  std::atomic<int> written = kRows, failed = 0;
  std::thread writer([&] {
    while (!stop) {
      if (!Put(*store, written % 2 == 0 ? "a" : "b", written).ok()) ++failed;
      ++written;
    }
  });
  std::thread reader([&] {
    while (!stop) failed += store->Get("a", "row0").ok() ? 0 : 1;
  });
  for (int round = 0; round < 3; ++round) {
    ReplaceVolumeKey();
    const auto rewritten = store->RewriteFiles([] { return absl::OkStatus(); });
    EXPECT_TRUE(rewritten.ok()) << rewritten.status();
    EXPECT_TRUE(store->Checkpoint(temporary_.path() / ("copy" + std::to_string(round))).ok());
  }
  stop = true;
  writer.join();
  reader.join();
  EXPECT_EQ(failed, 0);
  ExpectRows(*store, written);
  store.reset();
  auto again = Open(directory_);
  ASSERT_TRUE(again.ok()) << again.status();
  ExpectRows(**again, written);
  EXPECT_TRUE(Open(temporary_.path() / "copy2").ok());
}

TEST_F(RewrittenFilesTest, AnInterruptedCallIsFinishedByTheNextAlsoAfterAReopening) {
  auto store = *Open(directory_);
  Fill(*store);
  const KeyId former = ReplaceVolumeKey();
  for (int allowed = 0; allowed < 5; ++allowed) {
    int left = allowed;
    const auto stopped = store->RewriteFiles([&] { return left-- > 0 ? absl::OkStatus() : Unavailable("stopped"); });
    EXPECT_EQ(stopped.status().code(), StatusCode::kUnavailable);
    store.reset();
    store = *Open(directory_);
    ExpectRows(*store, kRows);
  }
  const auto rewritten = store->RewriteFiles([] { return absl::OkStatus(); });
  ASSERT_TRUE(rewritten.ok()) << rewritten.status();
  EXPECT_EQ(FilesUnder(former), std::vector<std::string>());
  ASSERT_TRUE(keys_.DestroyFormerKeys().ok());
  store.reset();
  ExpectRows(**Open(directory_), kRows);
}

TEST_F(RewrittenFilesTest, WhatAKillLeftOfAFileDoesNotKeepTheFormerKey) {
  auto store = *Open(directory_);
  Fill(*store);
  store.reset();
  const std::filesystem::path database = directory_ / "rocksdb";
  for (const char* name : {"OPTIONS-000070.dbtmp", "000071.dbtmp"}) std::filesystem::copy(database / "CURRENT", database / name);
  store = *Open(directory_);
  EXPECT_FALSE(std::filesystem::exists(database / "OPTIONS-000070.dbtmp"));
  EXPECT_FALSE(std::filesystem::exists(database / "000071.dbtmp"));
  const KeyId former = ReplaceVolumeKey();
  const auto rewritten = store->RewriteFiles([] { return absl::OkStatus(); });
  ASSERT_TRUE(rewritten.ok()) << rewritten.status();
  EXPECT_EQ(FilesUnder(former), std::vector<std::string>());
}

TEST_F(RewrittenFilesTest, AFileThatIsStillReadKeepsTheFormerKeyAndThatIsSaid) {
  auto store = *Open(directory_);
  Fill(*store);
  ASSERT_TRUE(store->Flush().ok());
  ReplaceVolumeKey();
  int looks = 0;
  const auto snapshot = store->GetSnapshot();
  // A reading in the middle of a family pins the tables it is in.
  EXPECT_TRUE(snapshot
                  ->Scan("a", "",
                         [&](std::string_view, std::string_view) {
                           const auto rewritten = store->RewriteFiles([&] {
                             return ++looks < 10 ? absl::OkStatus() : Unavailable("enough");
                           });
                           EXPECT_FALSE(rewritten.ok());
                           return false;
                         })
                  .ok());
  const auto rewritten = store->RewriteFiles([] { return absl::OkStatus(); });
  EXPECT_TRUE(rewritten.ok()) << rewritten.status();
}

}  // namespace
}  // namespace cloister::storage
