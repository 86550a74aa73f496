// SPDX-License-Identifier: Apache-2.0
// Sealed rows in a KvStore: seals on the way in, fetches the key and opens on the way out. Caches nothing,
// and does not write: callers put rows into their own batch. Thread-safe.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "common/id.h"
#include "common/status.h"
#include "storage/key_source.h"
#include "storage/kv_store.h"

namespace cloister::storage {

class SealedStore {
 public:
  // `keys` must outlive this. `database` is the database_id() of the store the rows live in.
  SealedStore(const DatabaseId& database, KeySource& keys) : database_(database), keys_(keys) {}

  // Adds `plaintext`, sealed under `key` and bound to its row, to `batch`.
  // Errors: kInvalidArgument (more than kPlaintextBytesMax).
  Status Put(WriteBatch& batch, std::string_view column_family, std::string_view row_key, const DataKey& key,
             std::string_view plaintext) const;

  // Errors: kNotFound (no such row), kDataLoss (damaged, moved from another row, or its key is gone),
  // kFailedPrecondition (an unknown record format), kPermissionDenied (another service's key), kUnavailable.
  StatusOr<std::string> Get(const Snapshot& snapshot, std::string_view column_family,
                            std::string_view row_key) const;

  // Calls `visit` with each opened row whose key starts with `prefix`, in key order, until it returns false.
  // Stops at the first row that does not open, with the error Get gives for it.
  Status Scan(const Snapshot& snapshot, std::string_view column_family, std::string_view prefix,
              const std::function<bool(std::string_view row_key, std::string_view plaintext)>& visit) const;

 private:
  StatusOr<DataKey> KeyOf(std::string_view record) const;

  const DatabaseId database_;
  KeySource& keys_;
};

}  // namespace cloister::storage
