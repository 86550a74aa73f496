// SPDX-License-Identifier: Apache-2.0
// The half of the eraser that ends former versions whose time is up: unasked, and without a receipt of its
// own.
#include <map>
#include <optional>
#include <string>

#include "retrieval/eraser.h"

namespace cloister::retrieval {
namespace {

constexpr std::string_view kActor = "retrieval";

}  // namespace

StatusOr<uint64_t> Eraser::EndDueVersions() {
  const int64_t now = clock_.Now().time_since_epoch().count();
  uint64_t total = 0;
  for (size_t ended = kVersionsPerEndingBatch; ended == kVersionsPerEndingBatch;) {
    // Looked up once for each collection, not for each of a million versions: classes and holds stay as they
    // are while EndKept holds the rows' write mutex.
    std::map<std::string, std::optional<Retention>> classes;
    const auto over = [&](const KeptVersion& version) {
      const auto [entry, added] = classes.try_emplace(version.info->collection);
      if (added) {
        const auto collection = corpus_.directory().FindCollection(version.info->collection);
        if (collection) entry->second = collection->retention;
      }
      if (!entry->second) return false;  // Damage hides which class counts.
      const auto end = EndOf(*entry->second, version.superseded_at_ns);
      return end && *end <= now && holds_->Covering(*version.info).empty();
    };
    CLOISTER_ASSIGN_OR_RETURN(ended, corpus_.documents().EndKept(over, kVersionsPerEndingBatch, kActor));
    total += ended;
    // Their events wait for audit; many thousands at once would keep other changes out.
    if (ended > 0) CLOISTER_RETURN_IF_ERROR(audit_.DeliverEvents());
  }
  return total;
}

}  // namespace cloister::retrieval
