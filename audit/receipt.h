// SPDX-License-Identifier: Apache-2.0
// Receipts: a proof, checkable offline with nothing but the log's verifier key, that an entry is in the log.
// The entry itself travels in the `extra` line. Does not say that the log was never cut short; only a witness
// can. Thread-safe. SPEC: c2sp.org/tlog-proof@v1
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/checkpoint.h"
#include "audit/merkle.h"
#include "audit/note.h"
#include "common/status.h"

namespace cloister::audit {

constexpr size_t kReceiptBytesMax = 256 * 1024;

struct Receipt {
  std::optional<std::string> extra;  // Not authenticated by itself; this log puts the entry here.
  uint64_t index = 0;
  std::vector<Hash> proof;  // Leaf to root.
  std::string checkpoint;   // The signed note, verbatim.
};

std::string FormatReceipt(const Receipt& receipt);
// Errors: kDataLoss (anything but the exact form), kFailedPrecondition (another version; the message says
// so).
StatusOr<Receipt> ParseReceipt(std::string_view text);

struct VerifiedReceipt {
  Checkpoint checkpoint;
  uint64_t index = 0;
  std::string entry;
};
// Checks that `entry`, or without it the entry in `extra`, is in the log that `verifier` names.
// Errors: kInvalidArgument (neither entry nor extra), kDataLoss (the signature, or the proof, or the two
// entries differ; the message says which).
StatusOr<VerifiedReceipt> VerifyReceipt(const Receipt& receipt, const std::optional<std::string>& entry,
                                        const NoteVerifier& verifier);

}  // namespace cloister::audit
