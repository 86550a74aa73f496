// SPDX-License-Identifier: Apache-2.0
// Documents that were found damaged: not searched, not released, not named to ingest, so that the next ingest
// of their folder brings them again. Their rows stay as they are until they are replaced, deleted or erased.
// Holds ids only. SPEC: docs/formats/documents.md "Set aside"
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "common/id.h"
#include "common/status.h"
#include "retrieval/rows.h"

namespace cloister::retrieval {

// Thread-safe. `rows` must outlive it.
class SetAside {
 public:
  // A row that does not open is logged and left out. Errors: kUnavailable, kDataLoss (its table is damaged).
  static StatusOr<std::unique_ptr<SetAside>> Open(Rows& rows);
  // Durable when it returns, with its event for audit. Takes rows.write_mutex(). Errors: kUnavailable,
  // kResourceExhausted.
  Status Add(const DocumentId& document, const VersionId& version);
  // Forgets those whose version is not there any more. Errors: as Add.
  Status Remove(const std::vector<DocumentId>& documents);
  bool Contains(const DocumentId& document, const VersionId& version) const;
  std::vector<std::pair<DocumentId, VersionId>> List() const;

 private:
  explicit SetAside(Rows& rows) : rows_(rows) {}
  Rows& rows_;
  mutable std::mutex mutex_;
  std::map<DocumentId, VersionId> documents_;
};

}  // namespace cloister::retrieval
