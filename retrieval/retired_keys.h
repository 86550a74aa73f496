// SPDX-License-Identifier: Apache-2.0
// Keys of what was superseded, deleted or rewritten: written down in the batch that gave it up, destroyed together
// later, because each destruction wraps the whole keyring anew. Does not destroy by itself; see shredder.h.
// SPEC: docs/formats/documents.md "Retired keys"
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "common/clock.h"
#include "common/id.h"
#include "common/status.h"
#include "retrieval/rows.h"

namespace cloister::retrieval {

// Thread-safe. `rows` and `clock` must outlive it.
class RetiredKeys {
 public:
  // Errors: kUnavailable.
  static StatusOr<std::unique_ptr<RetiredKeys>> Open(Rows& rows, const Clock& clock);
  // Adds a row for each to `batch`; call Committed once that is durable.
  Status Retire(storage::WriteBatch& batch, const std::vector<KeyId>& keys);
  void Committed(const std::vector<KeyId>& keys);
  // What waits, oldest first.
  std::vector<KeyId> Waiting() const;
  size_t size() const;
  // Forgets those that are destroyed. Takes rows.write_mutex(). Errors: kUnavailable, kResourceExhausted.
  Status Destroyed(const std::vector<KeyId>& keys);

 private:
  RetiredKeys(Rows& rows, const Clock& clock) : rows_(rows), clock_(clock) {}
  Rows& rows_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::map<KeyId, int64_t> waiting_;  // Since when, Unix time in nanoseconds.
};

}  // namespace cloister::retrieval
