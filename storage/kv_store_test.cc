// SPDX-License-Identifier: Apache-2.0
#include "storage/kv_store.h"

#include "storage/memory_key_source.h"
#include "storage/kv_store_contract.h"
#include "storage/memory_store.h"
#include "storage/rocksdb_store.h"
#include "storage/temporary_directory.h"

namespace cloister::storage {
namespace {

std::unique_ptr<KvStore> MakeMemoryStore(const std::vector<std::string>& column_families) {
  return std::make_unique<MemoryStore>(column_families);
}

// A RocksDbStore with a directory of its own.
class TemporaryRocksDbStore final : public KvStore {
 public:
  explicit TemporaryRocksDbStore(const std::vector<std::string>& column_families) {
    auto store = RocksDbStore::Open(
        {.directory = directory_.path() / "db", .column_families = column_families, .keys = &keys_});
    CLOISTER_CHECK(store.ok());
    store_ = *std::move(store);
  }
  Status Write(const WriteBatch& batch) override { return store_->Write(batch); }
  std::unique_ptr<Snapshot> GetSnapshot() const override { return store_->GetSnapshot(); }
  uint64_t CommitSequence() const override { return store_->CommitSequence(); }

 private:
  TemporaryDirectory directory_;
  MemoryKeySource keys_{"seed"};
  std::unique_ptr<RocksDbStore> store_;
};

std::unique_ptr<KvStore> MakeRocksDbStore(const std::vector<std::string>& column_families) {
  return std::make_unique<TemporaryRocksDbStore>(column_families);
}

constexpr auto kName = [](const auto& info) { return info.index == 0 ? "Memory" : "RocksDb"; };
INSTANTIATE_TEST_SUITE_P(Store, KvStoreContract, testing::Values(&MakeMemoryStore, &MakeRocksDbStore), kName);
INSTANTIATE_TEST_SUITE_P(Store, KvStoreContractDeathTest,
                         testing::Values(&MakeMemoryStore, &MakeRocksDbStore), kName);

TEST(WriteBatchTest, CountsBytesAndKeepsOrder) {
  WriteBatch batch;
  EXPECT_EQ(batch.bytes(), 0u);
  batch.Put("cf", "key", "value");
  batch.Delete("cf", "key2");
  EXPECT_EQ(batch.bytes(), 2u + 3 + 5 + 2 + 4);
  ASSERT_EQ(batch.operations().size(), 2u);
  EXPECT_EQ(batch.operations()[0].value, "value");
  EXPECT_FALSE(batch.operations()[1].value.has_value());
}

TEST(MemoryStoreTest, FailsAsToldAndThenStaysStopped) {
  MemoryStore store({"a"});
  WriteBatch batch;
  batch.Put("a", "row", "value");
  store.FailWrites(ResourceExhausted("the disk is full"));
  EXPECT_EQ(store.Write(batch).code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(store.Write(batch).code(), StatusCode::kUnavailable);
  EXPECT_EQ(store.Write(batch).code(), StatusCode::kUnavailable);
  EXPECT_EQ(store.Get("a", "row").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(store.CommitSequence(), 0u);
}

}  // namespace
}  // namespace cloister::storage
