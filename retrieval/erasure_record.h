// SPDX-License-Identifier: Apache-2.0
// What retrieval remembers of one erasure: how far it got, so that a restart goes on, and what became certain, for the
// receipt. Holds ids and numbers, and no name of a document or subject. Plain values and their bytes.
// SPEC: docs/formats/documents.md "Erasures"
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/id.h"
#include "common/status.h"
#include "retrieval/holds.h"
#include "retrieval/records.h"

namespace cloister::retrieval {

struct ErasureIdTag {};
using ErasureId = Id<ErasureIdTag>;

// Each is durable before the next begins.
enum class ErasureStep : uint8_t {
  kRequested = 1,  // Recorded; out of the index; its rows are being deleted.
  kDeleted = 2,    // No row is left, and which keys sealed them is written down as retired.
  kForgotten = 3,  // The audit log's sections about it are closed.
  kShredded = 4,   // Segments are rewritten, keys destroyed.
  kCompleted = 5,  // Verified and recorded.
};
std::string_view NameOf(ErasureStep step);

// One class of storage, for the receipt. Words, not numbers of meaning: a person reads them.
struct ErasedClass {
  std::string name, how, verified;
  uint64_t count = 0;
};

struct ErasureRecord {
  ErasureId id;
  ErasureStep step = ErasureStep::kRequested;
  TargetKind kind = TargetKind::kDocument;
  std::string subject;     // Of the target. Not part of the row: see Eraser::Begin.
  std::string collection;  // Of the target; empty once completed.
  std::string basis;
  std::string requested_by;
  std::vector<DocumentId> documents;
  std::vector<KeyId> key_ids;  // That sealed them; looked for at the end, and empty once completed.
  uint64_t kept = 0;  // Shared documents that were left, for a subject.
  int64_t requested_at_ns = 0, unsearchable_at_ns = 0, completed_at_ns = 0;  // Unix time.
  uint64_t rows = 0, chunks = 0, keys = 0, sections = 0, people = 0;
  uint32_t segments = 0;
  uint64_t releases = 0, recipients = 0, notified = 0;
  uint32_t epoch = 0;
  uint64_t keyring_generation = 0;
  std::string anchor, escrow;
  bool for_good = false;
  std::vector<ErasedClass> classes;
  std::vector<std::string> outside;
  uint64_t audit_requested = 0, audit_completed = 0;  // Indices in the log.
};

std::string Serialise(const ErasureRecord& record);
// Errors: kDataLoss, kFailedPrecondition (unknown format).
StatusOr<ErasureRecord> ParseErasureRecord(std::string_view bytes);

}  // namespace cloister::retrieval
