// SPDX-License-Identifier: Apache-2.0
// What gateway does of a backup: has every service copy itself, and seals and signs the manifest of what was
// copied. Does not touch the repository: the `cloister` command, which runs as the owner of the data, carries
// files. Thread-safe; one backup at a time; blocks on the services.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "backup/manifest.h"
#include "common/clock.h"
#include "common/status.h"
#include "services/gateway/peers.h"
#include "services/server/maintenance.h"
#include "storage/key_source.h"

namespace cloister::services {

constexpr std::chrono::milliseconds kCheckpointTimeout{170'000};  // Below the patience of the command.
constexpr size_t kBackupFilesPerCallMax = 4'000;  // So that a call stays below the HTTP body's limit.

class BackupDesk {
 public:
  // All must outlive this. `keys` are gateway's own, `own` copies gateway's database.
  BackupDesk(Peers& peers, storage::KeySource& keys, MaintenanceService& own, const Clock& clock)
      : peers_(peers), keys_(keys), own_(own), clock_(clock) {}

  // Makes a copy in every service, audit last, so that the log knows at least what the copies hold. A backup
  // that was begun before is given up. The result has no files yet. After an error nothing is left, where
  // services answer. Errors: kUnavailable, kResourceExhausted (disk full), kDataLoss.
  StatusOr<backup::Manifest> Begin();
  // What was carried to the repository. Errors: kNotFound (no backup of this id under way), kInvalidArgument.
  Status AddFiles(const backup::BackupId& id, std::vector<backup::FileEntry> files);
  // The whole manifest; the backup stays under way until Drop. Errors: kNotFound; those of
  // backup::SealManifest.
  StatusOr<backup::Manifest> Complete(const backup::BackupId& id, const backup::BackupId& former,
                                      std::vector<backup::Setting> settings);
  StatusOr<std::string> Seal(const backup::Manifest& manifest) {
    return backup::SealManifest(manifest, keys_);
  }
  // Removes the copies. One that is not under way is passed over. Errors: kUnavailable (a service; its next
  // start removes them).
  Status Drop(const backup::BackupId& id);
  // What is in the manifest file `bytes`. Errors: those of backup::OpenManifest.
  StatusOr<backup::Manifest> Open(std::string_view bytes);

 private:
  StatusOr<v1::KeyringStatus> Keyring();
  Status CopyService(const std::string& service, backup::Manifest& manifest);
  Status CopyAll(backup::Manifest& manifest);
  Status DropEverywhere(const backup::BackupId& id);
  Peers& peers_;
  storage::KeySource& keys_;
  MaintenanceService& own_;
  const Clock& clock_;
  std::mutex begin_mutex_;  // Held while services copy.
  std::mutex mutex_;
  std::optional<backup::Manifest> draft_;  // Guarded by mutex_.
};

}  // namespace cloister::services
