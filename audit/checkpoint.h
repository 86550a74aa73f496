// SPDX-License-Identifier: Apache-2.0
// What a log signs: its origin, size and root. Extension lines are refused: this log writes none.
// SPEC: c2sp.org/tlog-checkpoint v1.0.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "audit/merkle.h"
#include "audit/note.h"
#include "common/status.h"

namespace cloister::audit {

struct Checkpoint {
  std::string origin;
  uint64_t size = 0;
  Hash root;
};

// The text to be signed. The origin must satisfy CheckKeyName.
std::string CheckpointText(const Checkpoint& checkpoint);
// Errors: kDataLoss (anything but the exact form).
StatusOr<Checkpoint> ParseCheckpointText(std::string_view text);
// Verifies the signature, then parses; the origin must be the name of the key.
// Errors: kDataLoss, and the message says which of these failed.
StatusOr<Checkpoint> OpenCheckpoint(std::string_view note, const NoteVerifier& verifier);

// A decimal number without sign, leading zeros or anything else. Errors: kDataLoss.
StatusOr<uint64_t> ParseDecimal(std::string_view text);

}  // namespace cloister::audit
