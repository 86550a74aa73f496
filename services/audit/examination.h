// SPDX-License-Identifier: Apache-2.0
// What an examination of audit looks at: rows of the sections' database, log folders against the log's key,
// and the sections that the log speaks of. Repairs nothing: what is lost here comes back from a backup alone.
// Blocks on the disk.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "audit/note.h"
#include "common/status.h"
#include "services/audit/audit_service.h"
#include "storage/examination.h"

namespace cloister::services {

// For storage::ExamineStore. Rows of those whose forgetting was begun are right without their keys. `keys`
// must outlive the result.
storage::StoreToExamine SectionsToExamine(storage::KeySource& keys);

// Verifies one log folder by the rules of cloister-verify; adds `entries` to the part `part` and a finding
// for each problem, with `where` below `name`.
void ExamineLogFolder(const std::filesystem::path& folder, std::string_view part, std::string_view name,
                      const audit::NoteVerifier& verifier, storage::Examination& out);

// The logs of former generations below `audit_directory`, signed by the log's `seed` (32 bytes). Counts the
// part "former logs".
void ExamineFormerLogs(const std::filesystem::path& audit_directory, std::string_view seed,
                       storage::Examination& out);

// The log in `audit_directory`, which nobody has open, and those of before. Counts "log". Errors:
// kUnavailable (keys).
Status ExamineClosedLog(const std::filesystem::path& audit_directory, storage::KeySource& keys,
                        storage::Examination& out);

}  // namespace cloister::services
