// SPDX-License-Identifier: Apache-2.0
// What was erased on request and may not come back with the next sync. Holds keyed digests only: who has the rows
// without the key learns neither names nor content. Kept twice: as rows, and as marks beside the keys, so that an older
// backup does not bring back what was erased after it. SPEC: docs/formats/documents.md "Suppressions"
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "common/status.h"
#include "retrieval/records.h"
#include "retrieval/rows.h"

namespace cloister::retrieval {

// Thread-safe. `rows` must outlive it.
class Suppressions {
 public:
  // Takes over what only the marks say, as after a restore. Errors: kUnavailable; kDataLoss when a row is not what it
  // should be: nothing may come back unseen.
  static StatusOr<std::unique_ptr<Suppressions>> Open(Rows& rows);
  // Adds rows for a document's name and for its content in its collection; call Committed once `batch` is durable.
  Status Add(storage::WriteBatch& batch, const DocumentInfo& info);
  void Committed(const DocumentInfo& info);
  // Puts beside the keys what is not there yet. Call before an erasure destroys keys, so that the copy of the keyring
  // that is made then holds it. Errors: kResourceExhausted (more than storage::kMarksMax: the rows alone keep it),
  // kUnavailable.
  Status Mark();
  // Whether a document of this name was erased; with `original_sha256` (32 bytes), also the same bytes under any name
  // of the collection.
  bool CoversName(const SourceName& name) const;
  bool CoversContent(std::string_view collection, std::string_view original_sha256) const;
  // Allows the name again, and what came in under it. Takes rows.write_mutex(). Errors: kNotFound, kUnavailable.
  Status Lift(const SourceName& name, const Event& event);
  size_t size() const;

 private:
  explicit Suppressions(Rows& rows) : rows_(rows) {}
  std::string NameKey(const SourceName& name) const;
  std::string ContentKey(std::string_view collection, std::string_view original_sha256) const;
  bool CoversLocked(const std::string& key) const;

  Rows& rows_;
  storage::DataKey key_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, std::string> rows_by_key_;  // Row key to the row key of its other half.
  std::unordered_map<std::string, std::string> marks_;        // Half of a mark to the whole; both halves of each.
};

}  // namespace cloister::retrieval
