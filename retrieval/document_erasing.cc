// SPDX-License-Identifier: Apache-2.0
// The erasing half of the document store: every row of a document, whatever its version and whether or not it opens.
#include <algorithm>
#include <mutex>

#include "retrieval/document_store.h"
#include "storage/sealed_record.h"

namespace cloister::retrieval {

StatusOr<ErasedRows> DocumentStore::AddErasure(const storage::Snapshot& snapshot, const DocumentId& document,
                                               storage::WriteBatch& batch) const {
  return AddRemoval(snapshot, document.bytes(), batch);
}

StatusOr<ErasedRows> DocumentStore::AddRemoval(const storage::Snapshot& snapshot, std::string_view prefix,
                                               storage::WriteBatch& batch) const {
  ErasedRows erased;
  for (const std::string_view family : kVersionFamilies) {
    CLOISTER_RETURN_IF_ERROR(
        snapshot.Scan(family, prefix, [&](std::string_view row_key, std::string_view record) {
          batch.Delete(family, row_key);
          ++erased.rows;
          const auto key = storage::RecordKeyId(record);
          if (key.ok() && (erased.keys.empty() || erased.keys.back() != *key)) erased.keys.push_back(*key);
          return true;
        }));
  }
  std::sort(erased.keys.begin(), erased.keys.end());
  erased.keys.erase(std::unique(erased.keys.begin(), erased.keys.end()), erased.keys.end());
  return erased;
}

void DocumentStore::Erased(const DocumentId& document) {
  std::unique_lock lock(mutex_);
  unreadable_former_.erase(document);
  if (const auto kept = kept_.find(document); kept != kept_.end()) {
    const auto info = kept->second.front().info;  // ForgetKept() takes it out of the map.
    ForgetKept(*info);
  }
  const auto found = documents_.find(document);
  if (found == documents_.end()) {
    unreadable_.erase(document);
    return;
  }
  const auto info = found->second;  // Forget() takes it out of the map.
  Forget(*info);
}

StatusOr<uint64_t> DocumentStore::CountRows(const storage::Snapshot& snapshot, const DocumentId& document) const {
  uint64_t rows = 0;
  for (const std::string_view family : kVersionFamilies) {
    CLOISTER_RETURN_IF_ERROR(snapshot.Scan(family, document.bytes(), [&](std::string_view, std::string_view) {
      ++rows;
      return true;
    }));
  }
  return rows;
}

}  // namespace cloister::retrieval
