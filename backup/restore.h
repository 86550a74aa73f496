// SPDX-License-Identifier: Apache-2.0
// Brings the files of a backup into a data directory that holds a keyring and nothing else. Decides whether
// that may be done and does it in one step at the end; a refusal leaves the directory as it was. Opens no
// keyring and no database; does not know what the files mean. Blocks on the disk. SPEC:
// docs/formats/backup.md, "Restoring"
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "backup/manifest.h"
#include "backup/repository.h"
#include "common/status.h"
#include "keyring/keyring.h"

namespace cloister::backup {

constexpr size_t kProblemsMax = 20;  // More are counted, not listed.
// In the data directory while a restore is under way.
inline constexpr std::string_view kStagingFolder = "restoring";

struct CheckReport {
  uint64_t files = 0, bytes = 0;  // Read and right.
  uint64_t problem_count = 0;
  std::vector<std::string>
      problems;  // "audit/log/checkpoint: missing from the repository"; the first kProblemsMax.
};

// Reads every object that `manifest` names. `progress` is called with the bytes read so far, now and then;
// may be empty. Errors: kUnavailable (the repository cannot be read).
StatusOr<CheckReport> CheckFiles(const Repository& repository, const Manifest& manifest,
                                 const std::function<void(uint64_t bytes)>& progress);

// How a backup stands to the keyring it is to be restored with.
enum class BackupAge {
  kCurrent,
  kOlderThanKeys,     // Keys may have been destroyed since: of what was superseded, or none, by a rotation.
  kOlderThanErasure,  // Something was erased on request since: it stays unreadable.
  kNewerThanKeyring,  // The keyring lacks keys that the backup needs.
};
struct KeyringAge {
  uint64_t generation = 0;
  uint32_t epoch = 0;
  uint32_t erasure_epoch = 0;  // The one that the last erasure began; 0: none yet.
};
BackupAge CompareWithKeyring(const Manifest& manifest, const KeyringAge& keyring);
// kFailedPrecondition with what to do when `age` is one of the last two and `accept` is false.
Status CheckAge(BackupAge age, bool accept);
// What restoring all the same means, in plain sentences; empty for kCurrent.
std::vector<std::string> Consequences(BackupAge age);

// Whether the key of every database file in the backup is in `keyring`: without one its database cannot be opened, whatever
// is accepted. Call after CheckFiles found no problem. Errors: kFailedPrecondition, with what to do; kUnavailable.
Status CheckDatabaseKeys(const Repository& repository, const Manifest& manifest, const keyring::Keyring& keyring);

// The backup whose restore into `data` was interrupted while folders were moved into place, so that some are there and
// some are not; nothing when there is none. An appliance must not start on that. Errors: kDataLoss, kUnavailable.
StatusOr<std::optional<BackupId>> InterruptedRestore(const std::filesystem::path& data);
// Moves the rest into place. Errors: kFailedPrecondition (no restore was interrupted), kUnavailable.
Status FinishRestore(const std::filesystem::path& data);

// kFailedPrecondition when a service's folder in `data` holds anything: a restore never overwrites.
Status CheckTarget(const std::filesystem::path& data);

struct RestorePlan {
  std::filesystem::path data;
  // Where a file of the backup goes, as a path that CheckPath accepts; empty: it is left out.
  std::function<std::string(const std::string& path)> place = {};
  std::vector<Setting> more = {};  // Files besides; paths as CheckPath accepts.
  std::function<void()> before_moving = {};  // For tests; empty otherwise.
};
// Copies all files into kStagingFolder, checks each digest again, and renames the services' folders into
// place; settings are written where there are none yet. Call after CheckFiles found no problem. Errors:
// kFailedPrecondition (CheckTarget), kResourceExhausted (no room: said before anything is written),
// kDataLoss, kNotFound, kUnavailable. After an error before the renaming, `data` is as it was; a stop during it is
// finished by FinishRestore.
Status Restore(const Repository& repository, const Manifest& manifest, const RestorePlan& plan);

}  // namespace cloister::backup
