// SPDX-License-Identifier: Apache-2.0
// Checkpoints of a log that somebody kept: an auditor, or a witness as evidence. Reads and compares them; whether a log
// begins with them is audit/verifier.h's to say.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/checkpoint.h"
#include "audit/cosignature.h"
#include "audit/note.h"
#include "common/status.h"

namespace cloister::services {

struct Cosigned {
  std::string witness;
  uint64_t time = 0;  // Unix time in seconds, by the witness's clock.
};
struct KeptCheckpoint {
  audit::Checkpoint checkpoint;
  std::vector<Cosigned> cosigned;
};

// Errors: kDataLoss (not signed by the log's key, or a cosignature of one of `witnesses` that does not verify).
StatusOr<KeptCheckpoint> OpenKept(std::string_view note, const audit::NoteVerifier& log,
                                  const std::vector<audit::CosignatureVerifier>& witnesses);
// Two of one size with different roots, in a sentence: the log's key signed two logs. Nothing when there are none.
std::optional<std::string> FindFork(const std::vector<KeptCheckpoint>& kept);

}  // namespace cloister::services
