// SPDX-License-Identifier: Apache-2.0
// The logs of former generations: which of them should be here, and what they hold. Each generation's first
// record cites the log before it, so one that was taken away, or put back to an earlier checkpoint, is
// noticed. Reads only; opens no sections. Functions block on the disk. SPEC: docs/formats/backup.md, "The
// log's generation"
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/closed_log.h"
#include "common/status.h"
#include "services/audit/generation.h"

namespace cloister::services {

constexpr size_t kFormerLogsMax = 1000;  // More are not opened, and said to be there.

struct FormerLog {
  uint32_t generation = 0;
  std::string origin;                   // Empty when it cannot be told.
  std::optional<audit::ClosedLog> log;  // Absent when it cannot be read at all; `problem` says why.
  std::string problem;                  // A part of a sentence that begins with the log; empty: none was met.
};

// What the first record of a generation, an entry of the log, says of the one before it.
struct Citation {
  uint32_t generation = 0;
  std::string origin;
  std::optional<audit::Checkpoint> checkpoint;  // Absent when it could not be verified then.
};
// Nothing for an entry that is not such a record.
std::optional<Citation> CitationIn(std::string_view entry);

// All below `audit_directory`/kFormerLogsFolder that have a number for a name, and those that are cited,
// oldest first. One that is not before `present` is told and not read. `cited`: by the present log's first
// record. `seed`: of the log's signing key, 32 bytes.
std::vector<FormerLog> OpenFormerLogs(const std::filesystem::path& audit_directory, uint32_t present,
                                      std::optional<Citation> cited, std::string_view seed);

// One of them, for a look at single entries. Errors: kNotFound (no such folder), kDataLoss (it cannot be
// read).
StatusOr<FormerLog> OpenFormerLog(const std::filesystem::path& audit_directory, uint32_t generation,
                                  std::string_view seed);

}  // namespace cloister::services
