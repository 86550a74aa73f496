// SPDX-License-Identifier: Apache-2.0
// An ordered key-value store with column families, atomic synced batches and snapshots. Does not encrypt
// values: callers seal them (storage/sealed_store.h). Row keys carry random ids only, never names or paths.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

namespace cloister::storage {

// Puts and deletes that happen together or not at all. Not thread-safe.
class WriteBatch {
 public:
  struct Operation {
    std::string column_family;
    std::string key;
    std::optional<std::string> value;  // Empty: delete.
  };
  void Put(std::string_view column_family, std::string_view key, std::string value);
  void Delete(std::string_view column_family, std::string_view key);
  const std::vector<Operation>& operations() const { return operations_; }
  size_t bytes() const { return bytes_; }

 private:
  std::vector<Operation> operations_;
  size_t bytes_ = 0;
};

// A consistent view of one moment. Thread-safe. Must not outlive its store.
class Snapshot {
 public:
  virtual ~Snapshot() = default;
  // Errors: kNotFound, kDataLoss (a checksum of the store's own failed), kUnavailable.
  virtual StatusOr<std::string> Get(std::string_view column_family, std::string_view key) const = 0;
  // Calls `visit` for each row whose key starts with `prefix`, in key order, until it returns false.
  virtual Status Scan(
      std::string_view column_family, std::string_view prefix,
      const std::function<bool(std::string_view key, std::string_view value)>& visit) const = 0;
};

// Thread-safe. Implementations: RocksDbStore and MemoryStore; both pass storage/kv_store_contract.h.
class KvStore {
 public:
  virtual ~KvStore() = default;
  // Durable (fsync) when this returns OK. After an error the outcome is unknown: the batch may be there after
  // the next open, and the store takes no further writes.
  // Errors: kResourceExhausted (disk full), kUnavailable (I/O).
  virtual Status Write(const WriteBatch& batch) = 0;
  virtual std::unique_ptr<Snapshot> GetSnapshot() const = 0;
  StatusOr<std::string> Get(std::string_view column_family, std::string_view key) const {
    return GetSnapshot()->Get(column_family, key);
  }
  // Number of the last batch acknowledged; grows by one per Write.
  virtual uint64_t CommitSequence() const = 0;
};

}  // namespace cloister::storage
