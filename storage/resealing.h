// SPDX-License-Identifier: Apache-2.0
// The second half of replacing data keys: seals the rows of a store anew whose key was replaced. Does not decide which keys
// are (KeySource::ReplaceKeys) and keeps no state: what is left to do is what the rows say, so the next call finishes
// what an interrupted one left.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/id.h"
#include "common/status.h"
#include "storage/key_source.h"
#include "storage/kv_store.h"

namespace cloister::storage {

// Rows and their bytes that one batch seals anew, whichever comes first; one row may be larger.
constexpr size_t kResealedRowsMax = 1'000;
constexpr size_t kResealedBytesMax = 4 * 1024 * 1024;

struct ResealParts {
  const KvStore& store;
  DatabaseId database;
  KeySource& keys;
  // Every value in them is a sealed record, or begins otherwise and is passed over.
  std::vector<std::string> families;
  // Calls `make` while nobody else writes to these rows, and writes what it returns, durably, before that changes.
  std::function<Status(const std::function<StatusOr<WriteBatch>()>& make)> change;
  // Asked before each batch; an error of it ends the call. May be empty.
  std::function<Status()> go_on = {};
};

struct Resealed {
  uint64_t rows = 0;        // Sealed anew.
  uint64_t unreadable = 0;  // Left as they are: damaged, or their key is gone.
};

// Reads every row twice where there is something to do, once where there is not. Rows that change meanwhile are left to
// those who change them, who use the present key. Holds the ids of all keys of one family in memory. Errors: kUnavailable,
// kResourceExhausted (disk full), those of `change` and `go_on`.
StatusOr<Resealed> ResealRows(const ResealParts& parts);

}  // namespace cloister::storage
