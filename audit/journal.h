// SPDX-License-Identifier: Apache-2.0
// The write-ahead file of the audit log: records, with their sealed sections, that no checkpoint covers yet.
// Encodes and decodes; does no I/O and no locking; see audit/log_writer.h. Pure and thread-safe. SPEC:
// docs/formats/audit.md "Journal"
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "audit/envelope.h"
#include "common/status.h"

namespace cloister::audit {

constexpr size_t kJournalHeaderBytes = 64;
constexpr size_t kJournalNonceBytes = 16;
constexpr size_t kFrameHeaderBytes = 40;

// One record: entries with consecutive indices from `first_index`, and the sections they refer to.
struct JournalRecord {
  uint64_t first_index = 0;
  std::vector<std::string> entries;
  std::vector<SealedSection> sections;  // Commitments are not stored: the first entry holds them.
};

// The head of a file whose first frame will be `first_index`. `nonce` is random and ties the frames to the
// file.
std::string EncodeJournalHeader(uint64_t first_index, std::string_view nonce);

// One frame. Frames written and synced together form a batch: they share `batch`, which counts up by one, and
// `batch_last`, the first_index of the batch's last frame.
std::string EncodeFrame(const JournalRecord& record, uint64_t batch, uint64_t batch_last,
                        std::string_view nonce);

struct JournalContents {
  uint64_t first_index = 0;
  std::vector<JournalRecord> records;
  size_t torn_bytes = 0;  // Left over from a batch that was never acknowledged.
};

// Reads a file whole. A torn tail, what a power cut or a kill leaves of a batch nobody was told about, is cut
// off and counted: the file ends inside a frame, or part of a frame was never written (is zero), and no later
// batch follows. Errors: kFailedPrecondition (another format version; the message names it), kDataLoss
// (everything else).
StatusOr<JournalContents> DecodeJournal(std::string_view file);

}  // namespace cloister::audit
