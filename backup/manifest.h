// SPDX-License-Identifier: Apache-2.0
// The manifest of a backup: what was copied, from which databases and which log, under which keyring. Sealed,
// so that it says nothing without the keyring, and signed, so that nobody but the appliance can have made it.
// Does no I/O; keeps no data itself: files are named by their digests and stand in a repository
// (backup/repository.h). Thread-safe. SPEC: docs/formats/backup.md
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/id.h"
#include "common/status.h"
#include "storage/key_source.h"

namespace cloister::backup {

struct BackupIdTag {};
using BackupId = Id<BackupIdTag>;

constexpr uint8_t kManifestFormat = 1;
constexpr size_t kManifestFilesMax = 1'000'000;
constexpr size_t kManifestBytesMax = 256 * 1024 * 1024;
constexpr size_t kPathBytesMax = 512;
constexpr size_t kSettingBytesMax = 1024 * 1024;
constexpr size_t kSettingsMax = 16;
constexpr size_t kNoteBytesMax = 64 * 1024;

// The identity whose keys seal and sign, and the names of these keys.
inline constexpr std::string_view kOwner = "gateway";
inline constexpr std::string_view kSealingKey = "backup-manifest";  // kStore.
inline constexpr std::string_view kSigningKey = "backup";           // kSigning.

struct FileEntry {
  std::string path;    // In the data directory: CheckPath.
  std::string sha256;  // 32 bytes, of the file as it is stored.
  uint64_t bytes = 0;
  bool operator==(const FileEntry&) const = default;
};

struct StoreEntry {
  std::string service, name;  // "audit", "sections".
  DatabaseId database;
  uint64_t commit_sequence = 0;
  bool operator==(const StoreEntry&) const = default;
};

struct LogEntry {
  std::string origin;
  uint64_t size = 0;
  std::string root;  // 32 bytes.
  std::string note;  // The signed checkpoint.
  bool operator==(const LogEntry&) const = default;
};

// A small file that is in the manifest itself, since its text would be readable in a repository.
struct Setting {
  std::string path;
  std::string content;
  bool operator==(const Setting&) const = default;
};

struct Manifest {
  BackupId id;
  BackupId former;  // Of the backup before in the same repository; empty: the first.
  int64_t created_ns = 0;
  DatabaseId appliance;
  uint64_t keyring_generation = 0;
  uint32_t epoch = 0;
  std::vector<StoreEntry> stores;
  LogEntry log;
  std::vector<FileEntry> files;
  std::vector<Setting> settings;
  bool operator==(const Manifest&) const = default;
};

// The services whose folders a backup holds, in the order of copying.
const std::vector<std::string>& BackedUpServices();
// Relative, of [A-Za-z0-9._-] and slashes, without "." and "..", at most kPathBytesMax, in the folder of a
// service of BackedUpServices(). Errors: kInvalidArgument.
Status CheckPath(std::string_view path);
// One of the small files that a backup holds: "cloister.toml" and "models/manifest".
const std::vector<std::string>& SettingPaths();

// The bytes of a manifest file. `keys` are those of kOwner. Errors: kInvalidArgument (a limit, a path, a
// digest of another length), those of the key source.
StatusOr<std::string> SealManifest(const Manifest& manifest, storage::KeySource& keys);

// Which appliance made it; readable by anybody, proven by nobody before OpenManifest.
// Errors: kDataLoss (no manifest, cut short), kFailedPrecondition (a newer format; the message names it).
StatusOr<DatabaseId> ManifestAppliance(std::string_view bytes);

// Checks that `appliance` made it and that nothing in it was altered. Asks for keys by id alone, so that it
// makes none. Errors: as ManifestAppliance; kFailedPrecondition (another appliance's), kDataLoss (altered,
// cut short, or its keys are not in the keyring; the message says which), kUnavailable (keys).
StatusOr<Manifest> OpenManifest(std::string_view bytes, const DatabaseId& appliance,
                                storage::KeySource& keys);

}  // namespace cloister::backup
