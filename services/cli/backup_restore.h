// SPDX-License-Identifier: Apache-2.0
// `cloister backup restore`, without its flags: a backup into a data directory that holds the keyring alone.
// Blocks.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "backup/manifest.h"
#include "backup/restore.h"
#include "common/status.h"

namespace cloister::services {

struct RestoreRequest {
  std::string folder;
  std::string id;               // As FindManifest.
  std::string passphrase_file;  // As OpenOfflineKeyring.
  bool accept_older = false;
  uint32_t generation = 0;  // Of the new log; 0: the one after the backup's.
};

struct Restored {
  backup::Manifest manifest;
  backup::CheckReport report;
  std::vector<std::string> consequences;  // Of an older backup, in plain sentences.
  std::filesystem::path former_log;       // Where the log of before lies.
};

// Checks everything before it writes anything; after an error `data` is as it was, save for a failure in the
// last renaming. Errors: those of OpenOfflineKeyring, backup::OpenManifest, backup::CheckAge and
// backup::Restore; kDataLoss when a file is missing or damaged, naming one; kInvalidArgument (generation).
StatusOr<Restored> RestoreBackup(const std::filesystem::path& data, const RestoreRequest& request);

}  // namespace cloister::services
