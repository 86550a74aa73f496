// SPDX-License-Identifier: Apache-2.0
#include "storage/sealed_store.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <map>

#include "crypto/random.h"
#include "storage/memory_key_source.h"
#include "storage/memory_store.h"
#include "storage/sealed_record.h"

namespace cloister::storage {
namespace {

class SealedStoreTest : public testing::Test {
 protected:
  DataKey NewKey() { return keys_.CreateKeys(KeyKind::kDocument, 1)->front(); }
  void Put(std::string_view row, const DataKey& key, std::string_view plaintext) {
    WriteBatch batch;
    ASSERT_TRUE(sealed_.Put(batch, "a", row, key, plaintext).ok());
    ASSERT_TRUE(store_.Write(batch).ok());
  }
  StatusOr<std::string> Get(std::string_view row, std::string_view column_family = "a") {
    return sealed_.Get(*store_.GetSnapshot(), column_family, row);
  }
  void PutRaw(std::string_view column_family, std::string_view row, std::string value) {
    WriteBatch batch;
    batch.Put(column_family, row, std::move(value));
    ASSERT_TRUE(store_.Write(batch).ok());
  }

  MemoryKeySource keys_;
  const DatabaseId database_ = crypto::RandomId<DatabaseId>();
  MemoryStore store_{{"a", "b"}, database_};
  SealedStore sealed_{database_, keys_};
};

TEST_F(SealedStoreTest, GivesBackWhatWasPutAndStoresNoneOfIt) {
  Put("row", NewKey(), "a plaintext that nobody else may see");
  EXPECT_EQ(*Get("row"), "a plaintext that nobody else may see");
  EXPECT_EQ(store_.Get("a", "row")->find("plaintext"), std::string::npos);
}

TEST_F(SealedStoreTest, AbsentRowsAreNotFound) {
  EXPECT_EQ(Get("row").status().code(), StatusCode::kNotFound);
}

TEST_F(SealedStoreTest, ARowWhoseKeyIsGoneIsLostAndNotAbsent) {
  const DataKey key = NewKey();
  Put("row", key, "plaintext");
  keys_.Lose(key.id);
  EXPECT_EQ(Get("row").status().code(), StatusCode::kDataLoss);
}

TEST_F(SealedStoreTest, PassesOnWhyAKeyWasNotGiven) {
  Put("row", NewKey(), "plaintext");
  for (const Status& failure : {PermissionDenied("another's"), Unavailable("keys is down")}) {
    keys_.failure = failure;
    EXPECT_EQ(Get("row").status(), failure);
    EXPECT_EQ(sealed_.Scan(*store_.GetSnapshot(), "a", "", [](auto, auto) { return true; }), failure);
  }
}

TEST_F(SealedStoreTest, RefusesRowsThatWereMovedOrDamaged) {
  Put("row", NewKey(), "plaintext");
  const std::string record = *store_.Get("a", "row");
  PutRaw("a", "another row", record);
  EXPECT_EQ(Get("another row").status().code(), StatusCode::kDataLoss);
  PutRaw("b", "row", record);
  EXPECT_EQ(Get("row", "b").status().code(), StatusCode::kDataLoss);
  std::string flipped = record;
  flipped.back() = static_cast<char>(flipped.back() ^ 1);
  PutRaw("a", "row", flipped);
  EXPECT_EQ(Get("row").status().code(), StatusCode::kDataLoss);
  PutRaw("a", "row", "never sealed");
  EXPECT_EQ(Get("row").status().code(), StatusCode::kDataLoss);
  std::string newer = record;
  newer[4] = 2;
  PutRaw("a", "row", newer);
  EXPECT_EQ(Get("row").status().code(), StatusCode::kFailedPrecondition);
}

TEST_F(SealedStoreTest, RowsOfAnotherDatabaseDoNotOpen) {
  Put("row", NewKey(), "plaintext");
  const SealedStore elsewhere(crypto::RandomId<DatabaseId>(), keys_);
  EXPECT_EQ(elsewhere.Get(*store_.GetSnapshot(), "a", "row").status().code(), StatusCode::kDataLoss);
}

TEST_F(SealedStoreTest, RefusesPlaintextsOverTheLimit) {
  // Address space only: what is refused for its size is never read.
  const size_t size = kPlaintextBytesMax + 1;
  void* pages = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(pages, MAP_FAILED);
  WriteBatch batch;
  EXPECT_EQ(sealed_.Put(batch, "a", "row", NewKey(), {static_cast<const char*>(pages), size}).code(),
            StatusCode::kInvalidArgument);
  EXPECT_TRUE(batch.operations().empty());
  ::munmap(pages, size);
}

TEST_F(SealedStoreTest, ScansInOrderAndFetchesAKeyOnceForNeighbours) {
  const DataKey first = NewKey(), second = NewKey();
  Put("p1", first, "one");
  Put("p2", first, "two");
  Put("p3", second, "three");
  Put("q1", second, "outside");
  std::vector<std::pair<std::string, std::string>> rows;
  const auto collect = [&](std::string_view key, std::string_view value) {
    rows.emplace_back(key, value);
    return true;
  };
  const uint64_t before = keys_.fetches();
  ASSERT_TRUE(sealed_.Scan(*store_.GetSnapshot(), "a", "p", collect).ok());
  EXPECT_EQ(rows, (std::vector<std::pair<std::string, std::string>>{
                      {"p1", "one"}, {"p2", "two"}, {"p3", "three"}}));
  EXPECT_EQ(keys_.fetches() - before, 2u);
}

TEST_F(SealedStoreTest, ScanStopsWhenToldToWithoutAnError) {
  Put("1", NewKey(), "one");
  Put("2", NewKey(), "two");
  int seen = 0;
  EXPECT_TRUE(sealed_.Scan(*store_.GetSnapshot(), "a", "", [&](auto, auto) { return ++seen < 1; }).ok());
  EXPECT_EQ(seen, 1);
}

TEST_F(SealedStoreTest, ScanStopsAtTheFirstDamagedRow) {
  const DataKey key = NewKey();
  for (const char* row : {"1", "2", "3"}) Put(row, key, row);
  std::string damaged = *store_.Get("a", "2");
  damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 1);
  PutRaw("a", "2", damaged);
  std::string seen;
  const Status status = sealed_.Scan(*store_.GetSnapshot(), "a", "", [&](std::string_view row, auto) {
    seen += row;
    return true;
  });
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_EQ(seen, "1");
}

}  // namespace
}  // namespace cloister::storage
