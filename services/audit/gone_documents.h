// SPDX-License-Identifier: Apache-2.0
// Documents that the log was told to forget. An ask that began before may still bring their words afterwards; those are
// sealed under a key that nobody keeps. Ids only, and for good: a document's id never comes back. Thread-safe.
#pragma once

#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "common/id.h"
#include "common/status.h"
#include "storage/key_source.h"
#include "storage/kv_store.h"
#include "storage/sealed_store.h"

namespace cloister::services {

constexpr std::string_view kGoneDocumentsFamily = "gone-documents";

class GoneDocuments {
 public:
  // `store` and `keys` must outlive this.
  GoneDocuments(storage::KvStore& store, const DatabaseId& database, storage::KeySource& keys)
      : store_(store), keys_(keys), sealed_(database, keys) {}
  // Call once, first. Errors: kUnavailable, kDataLoss (a row is not what it should be).
  Status Load();
  // By their names in hexadecimal; others are ignored. Durable when it returns. Errors: kResourceExhausted, kUnavailable.
  Status Add(const std::vector<std::string>& documents);
  bool Contains(const std::string& document) const;
  // That rows are sealed under from now on. Errors: kUnavailable.
  StatusOr<KeyId> RowKey() const;

 private:
  storage::KvStore& store_;
  storage::KeySource& keys_;
  const storage::SealedStore sealed_;
  mutable std::shared_mutex mutex_;
  std::unordered_set<DocumentId> gone_;
};

}  // namespace cloister::services
