// SPDX-License-Identifier: Apache-2.0
// What a power loss leaves of the logs and the list of tables that RocksDB was writing, cleared before
// RocksDB looks at them: it would take for damage what never arrived. Does not say whether something
// acknowledged is missing; the sequence check does. SPEC: docs/formats/encrypted-file.md
#pragma once

#include <chrono>
#include <filesystem>
#include <string_view>

#include "common/status.h"

namespace cloister::storage {

// A log with a hole is cut there, and kept whole beside it under this further extension, of which RocksDB
// takes no notice: 000123.log.torn.
constexpr std::string_view kTornSuffix = ".torn";
// How long such a copy is kept after it was made, for somebody to look at, and how many of one database: once
// the sequence check has passed, nothing that was acknowledged went with the end that was cut off.
constexpr std::chrono::hours kTornCopyKept{7 * 24};
constexpr size_t kTornCopiesMax = 4;

bool IsTornCopy(const std::filesystem::path& path);

// Makes the files in `database`, RocksDB's folder, end where their data end. A folder that is not there is
// one without files. Errors: kResourceExhausted, kUnavailable.
Status ClearTornLogs(const std::filesystem::path& database);

// Removes the copies that are older at `now`, or more, than they may be. Only for a database whose sequence
// check has passed, against a statement of what was acknowledged: without one a copy may hold what is
// missing.
void RemoveOldTornCopies(const std::filesystem::path& database, std::filesystem::file_time_type now);

}  // namespace cloister::storage
