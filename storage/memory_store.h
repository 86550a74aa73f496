// SPDX-License-Identifier: Apache-2.0
// A KvStore in memory, for tests of what is built on one. Not durable. Passes the same contract as
// RocksDbStore.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/id.h"
#include "storage/kv_store.h"

namespace cloister::storage {

// Thread-safe. Reading or writing a column family it was not made with is a programmer error (CHECKed).
class MemoryStore final : public KvStore {
 public:
  explicit MemoryStore(const std::vector<std::string>& column_families, DatabaseId database = DatabaseId());
  Status Write(const WriteBatch& batch) override;
  std::unique_ptr<Snapshot> GetSnapshot() const override;
  uint64_t CommitSequence() const override;
  const DatabaseId& database_id() const { return database_; }
  // From now on every Write fails with `error`, and kUnavailable after the first, as a full or broken disk
  // would.
  void FailWrites(Status error);

  using Rows = std::map<std::string, std::string, std::less<>>;
  using Families = std::map<std::string, Rows, std::less<>>;

 private:
  const DatabaseId database_;
  mutable std::mutex mutex_;
  std::shared_ptr<Families> families_;  // Copied before a write when a snapshot still holds it.
  uint64_t sequence_ = 0;
  Status failure_;
};

}  // namespace cloister::storage
