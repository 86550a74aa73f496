// SPDX-License-Identifier: Apache-2.0
// What every KvStore does. Include it in one test of each implementation and instantiate KvStoreContract with
// how to make an empty store:
//   INSTANTIATE_TEST_SUITE_P(Memory, KvStoreContract, testing::Values(&MakeMemoryStore));
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "storage/kv_store.h"

namespace cloister::storage {

using KvStoreMaker = std::unique_ptr<KvStore> (*)(const std::vector<std::string>& column_families);

class KvStoreContract : public testing::TestWithParam<KvStoreMaker> {
 protected:
  using Row = std::pair<std::string, std::string>;

  void SetUp() override {
    store_ = GetParam()({"a", "b"});
    ASSERT_NE(store_, nullptr);
  }

  Status Put(std::string_view column_family, std::string_view key, std::string value) {
    WriteBatch batch;
    batch.Put(column_family, key, std::move(value));
    return store_->Write(batch);
  }

  static std::vector<Row> Rows(const Snapshot& snapshot, std::string_view column_family,
                               std::string_view prefix, size_t most = SIZE_MAX) {
    std::vector<Row> rows;
    const Status status =
        snapshot.Scan(column_family, prefix, [&](std::string_view key, std::string_view value) {
          rows.emplace_back(key, value);
          return rows.size() < most;
        });
    EXPECT_TRUE(status.ok());
    return rows;
  }

  std::unique_ptr<KvStore> store_;
};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(KvStoreContract);

TEST_P(KvStoreContract, AbsentRowsAreNotFound) {
  EXPECT_EQ(store_->Get("a", "row").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(store_->Get("a", "").status().code(), StatusCode::kNotFound);
}

TEST_P(KvStoreContract, GivesBackWhatWasPut) {
  const std::string binary("\0\xff\n", 3);
  ASSERT_TRUE(Put("a", "row", "value").ok());
  ASSERT_TRUE(Put("a", binary, binary).ok());
  ASSERT_TRUE(Put("a", "empty", "").ok());
  ASSERT_TRUE(Put("a", "large", std::string(1 << 20, 'x')).ok());
  EXPECT_EQ(*store_->Get("a", "row"), "value");
  EXPECT_EQ(*store_->Get("a", binary), binary);
  EXPECT_EQ(*store_->Get("a", "empty"), "");
  EXPECT_EQ(store_->Get("a", "large")->size(), size_t{1} << 20);
}

TEST_P(KvStoreContract, ColumnFamiliesAreApart) {
  ASSERT_TRUE(Put("a", "row", "in a").ok());
  EXPECT_EQ(store_->Get("b", "row").status().code(), StatusCode::kNotFound);
  ASSERT_TRUE(Put("b", "row", "in b").ok());
  EXPECT_EQ(*store_->Get("a", "row"), "in a");
  EXPECT_EQ(*store_->Get("b", "row"), "in b");
}

TEST_P(KvStoreContract, LaterOperationsOfABatchWin) {
  WriteBatch batch;
  batch.Put("a", "put last", "first");
  batch.Delete("a", "put last");
  batch.Put("a", "put last", "second");
  batch.Put("a", "deleted last", "value");
  batch.Delete("a", "deleted last");
  batch.Delete("a", "never there");
  ASSERT_TRUE(store_->Write(batch).ok());
  EXPECT_EQ(*store_->Get("a", "put last"), "second");
  EXPECT_EQ(store_->Get("a", "deleted last").status().code(), StatusCode::kNotFound);
}

TEST_P(KvStoreContract, OverwritesAndDeletes) {
  ASSERT_TRUE(Put("a", "row", "old").ok());
  ASSERT_TRUE(Put("a", "row", "new").ok());
  EXPECT_EQ(*store_->Get("a", "row"), "new");
  WriteBatch batch;
  batch.Delete("a", "row");
  ASSERT_TRUE(store_->Write(batch).ok());
  EXPECT_EQ(store_->Get("a", "row").status().code(), StatusCode::kNotFound);
}

TEST_P(KvStoreContract, ScansAPrefixInByteOrder) {
  WriteBatch batch;
  const std::string keys[] = {"b", "ab",   "a",       std::string("a\0", 2), "a\xff", "a\xff\xff", "b\x80",
                              "",  "\xff", "\xff\xff"};
  for (const std::string& key : keys) batch.Put("a", key, "value of " + key);
  batch.Put("b", "ax", "another family");
  ASSERT_TRUE(store_->Write(batch).ok());
  const auto snapshot = store_->GetSnapshot();
  const auto expect = [&](std::string_view prefix, const std::vector<std::string>& expected) {
    std::vector<Row> rows;
    for (const std::string& key : expected) rows.emplace_back(key, "value of " + key);
    EXPECT_EQ(Rows(*snapshot, "a", prefix), rows);
  };
  expect("a", {"a", std::string("a\0", 2), "ab", "a\xff", "a\xff\xff"});
  expect("a\xff", {"a\xff", "a\xff\xff"});
  expect("\xff", {"\xff", "\xff\xff"});
  expect("c", {});
  EXPECT_EQ(Rows(*snapshot, "a", "").size(), std::size(keys));
}

TEST_P(KvStoreContract, ScanStopsWhenToldTo) {
  WriteBatch batch;
  for (const char* key : {"1", "2", "3"}) batch.Put("a", key, "");
  ASSERT_TRUE(store_->Write(batch).ok());
  EXPECT_EQ(Rows(*store_->GetSnapshot(), "a", "", 2).size(), 2u);
}

TEST_P(KvStoreContract, SnapshotsSeeOneMoment) {
  ASSERT_TRUE(Put("a", "kept", "old").ok());
  ASSERT_TRUE(Put("a", "deleted", "old").ok());
  const auto before = store_->GetSnapshot();
  WriteBatch batch;
  batch.Put("a", "kept", "new");
  batch.Delete("a", "deleted");
  batch.Put("a", "added", "new");
  ASSERT_TRUE(store_->Write(batch).ok());
  EXPECT_EQ(*before->Get("a", "kept"), "old");
  EXPECT_EQ(*before->Get("a", "deleted"), "old");
  EXPECT_EQ(before->Get("a", "added").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Rows(*before, "a", ""), (std::vector<Row>{{"deleted", "old"}, {"kept", "old"}}));
  EXPECT_EQ(Rows(*store_->GetSnapshot(), "a", ""), (std::vector<Row>{{"added", "new"}, {"kept", "new"}}));
}

TEST_P(KvStoreContract, SequenceGrowsByOneWithEachWrite) {
  const uint64_t start = store_->CommitSequence();
  ASSERT_TRUE(Put("a", "row", "value").ok());
  EXPECT_EQ(store_->CommitSequence(), start + 1);
  WriteBatch several;
  several.Put("a", "1", "");
  several.Put("a", "2", "");
  ASSERT_TRUE(store_->Write(several).ok());
  EXPECT_EQ(store_->CommitSequence(), start + 2);
  ASSERT_TRUE(store_->Write(WriteBatch()).ok());
  EXPECT_EQ(store_->CommitSequence(), start + 3);
}

TEST_P(KvStoreContract, ConcurrentWritesAllHappenAndBatchesShowWhole) {
  constexpr int kThreads = 4, kWrites = 50;
  const uint64_t start = store_->CommitSequence();
  std::atomic<bool> done = false;
  std::thread reader([&] {
    while (!done) {
      const auto snapshot = store_->GetSnapshot();
      EXPECT_EQ(Rows(*snapshot, "a", "").size(), Rows(*snapshot, "b", "").size());
    }
  });
  std::vector<std::thread> writers;
  for (int t = 0; t < kThreads; ++t) {
    writers.emplace_back([&, t] {
      for (int i = 0; i < kWrites; ++i) {
        const std::string key = std::to_string(t) + "/" + std::to_string(i);
        WriteBatch batch;
        batch.Put("a", key, key);
        batch.Put("b", key, key);
        EXPECT_TRUE(store_->Write(batch).ok());
        EXPECT_EQ(*store_->Get("a", key), key);  // Own writes are visible at once.
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  done = true;
  reader.join();
  EXPECT_EQ(store_->CommitSequence(), start + kThreads * kWrites);
  EXPECT_EQ(Rows(*store_->GetSnapshot(), "b", "").size(), size_t{kThreads * kWrites});
}

using KvStoreContractDeathTest = KvStoreContract;
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(KvStoreContractDeathTest);

TEST_P(KvStoreContractDeathTest, UnknownColumnFamiliesAreProgrammerErrors) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH((void)store_->Get("nowhere", "row"), "check failed");
  EXPECT_DEATH(Put("nowhere", "row", "value").IgnoreError(), "check failed");
}

}  // namespace cloister::storage
