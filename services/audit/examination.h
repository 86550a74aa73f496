// SPDX-License-Identifier: Apache-2.0
// What an examination of audit looks at: rows of the sections' database, log folders against the log's key,
// and the sections that the log speaks of. Repairs nothing: what is lost here comes back from a backup alone.
// Blocks on the disk.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/note.h"
#include "common/status.h"
#include "services/audit/audit_service.h"
#include "services/audit/former_logs.h"
#include "services/audit/sections.h"
#include "storage/examination.h"

namespace cloister::services {

// For storage::ExamineStore. Rows of those whose forgetting was begun are right without their keys. `keys`
// must outlive the result.
storage::StoreToExamine SectionsToExamine(storage::KeySource& keys);

// Verifies one log folder by the rules of cloister-verify; adds `entries` to the part `part` and a finding
// for each problem, with `where` below `name`.
void ExamineLogFolder(const std::filesystem::path& folder, std::string_view part, std::string_view name,
                      const audit::NoteVerifier& verifier, storage::Examination& out);

// Entries of one log from `first`, as LogWriter::Read gives them.
using EntryReader = std::function<StatusOr<std::vector<std::string>>(uint64_t first, uint32_t count)>;
// Opens every section that the first `size` entries of a log commit to. Counts the part "sections"; what does
// not open and belongs to nobody who was forgotten is a finding, which names the entry and `log`. Entries
// that cannot be read are damage of the log, told elsewhere. Errors: kCancelled, kUnavailable (keys).
Status ExamineSectionsOf(const EntryReader& read, uint64_t size, std::string_view log,
                         const Sections& sections, const storage::ExaminationOptions& options,
                         storage::Examination& out);

// The logs of generations before `present` below `audit_directory`, signed by the log's `seed` (32 bytes),
// with those that `cited`, the present log's first record, and theirs speak of; and their sections, unless
// `sections` is null. Counts the part "former logs". Errors: as ExamineSectionsOf.
Status ExamineFormerLogs(const std::filesystem::path& audit_directory, uint32_t present,
                         std::optional<Citation> cited, std::string_view seed, const Sections* sections,
                         const storage::ExaminationOptions& options, storage::Examination& out);

// The sections' database beside a log that nobody has open.
struct ClosedSections {
  storage::KvStore& store;
  DatabaseId database;
};
// The log in `audit_directory`, which nobody has open: the parts that are published, the journal, the file
// that says which generation it is, the logs of before, and against all of them the sections in `closed`,
// unless it is absent because it does not open. Changes nothing. Counts "log". Errors: kCancelled,
// kUnavailable (keys).
Status ExamineClosedLog(const std::filesystem::path& audit_directory, storage::KeySource& keys,
                        const std::optional<ClosedSections>& closed,
                        const storage::ExaminationOptions& options, storage::Examination& out);

}  // namespace cloister::services
