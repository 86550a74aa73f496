// SPDX-License-Identifier: Apache-2.0
// The half of the eraser that ends former versions whose time is up: unasked, and without a receipt of its
// own.
#include "retrieval/eraser.h"

namespace cloister::retrieval {
namespace {

constexpr std::string_view kActor = "retrieval";

}  // namespace

StatusOr<uint64_t> Eraser::EndDueVersions() {
  const DocumentStore& documents = corpus_.documents();
  const int64_t now = clock_.Now().time_since_epoch().count();
  const auto over = [&](const KeptVersion& version) {
    const auto end = documents.EndOfVersion(version);
    return end && *end <= now && holds_->Covering(*version.info).empty();
  };
  uint64_t total = 0;
  for (size_t ended = kVersionsPerEndingBatch; ended == kVersionsPerEndingBatch;) {
    CLOISTER_ASSIGN_OR_RETURN(ended, corpus_.documents().EndKept(over, kVersionsPerEndingBatch, kActor));
    total += ended;
    // Their events wait for audit; many thousands at once would keep other changes out.
    if (ended > 0) CLOISTER_RETURN_IF_ERROR(audit_.DeliverEvents());
  }
  return total;
}

}  // namespace cloister::retrieval
