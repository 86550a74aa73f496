// SPDX-License-Identifier: Apache-2.0
// A folder of backups: files under the digest of their bytes, so that a backup adds only what is new, and
// manifests that name them. Knows no keys and opens no manifest: what it holds is ciphertext to it. Whatever
// step it is stopped at, backups that were there stay whole, and what is left over is removed by
// RemoveUnnamed. SPEC: docs/formats/backup.md
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "backup/manifest.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/status.h"

namespace cloister::backup {

inline constexpr std::string_view kManifestExtension = ".backup";
constexpr size_t kManifestsMax = 100'000;
// What no manifest names is left alone until it is older: a colleague's clock may be off, a copy may be under
// way.
constexpr std::chrono::hours kGarbageAge{24};

struct StoredFile {
  std::string sha256;  // 32 bytes.
  uint64_t bytes = 0;
  bool is_new = false;  // It was not in the repository before.
};

struct ManifestFile {
  std::filesystem::path path;
  BackupId id;
  std::string time;  // "20260314T101112Z", as in its name.
};

struct RemovedObjects {
  uint64_t files = 0, bytes = 0;
};

// Movable. One writer at a time, which the lock sees to; readers need none. Blocks on the disk.
class Repository {
 public:
  // Makes the folder when its parent is there, and what belongs into it; holds its lock.
  // Errors: kNotFound (no such parent: is the disk mounted?), kFailedPrecondition (another writer),
  // kResourceExhausted, kUnavailable.
  static StatusOr<Repository> OpenForWriting(std::filesystem::path folder);
  // Errors: kNotFound (no repository there).
  static StatusOr<Repository> OpenForReading(std::filesystem::path folder);

  // Copies `source` in. An object of that digest and size is taken for it. Durable after PutManifest.
  // Errors: kNotFound (source), kResourceExhausted, kUnavailable.
  StatusOr<StoredFile> PutFile(const std::filesystem::path& source);
  // Makes every file put so far durable, then the manifest. Errors: kAlreadyExists, kResourceExhausted,
  // kUnavailable.
  Status PutManifest(const BackupId& id, WallTime time, std::string_view bytes);

  // Oldest first. Errors: kUnavailable, kResourceExhausted (more than kManifestsMax).
  StatusOr<std::vector<ManifestFile>> ListManifests() const;
  Status RemoveManifest(const ManifestFile& manifest);
  // Removes objects whose digest (32 bytes) is not in `named`, and temporary files, when they were last
  // changed longer than `age` before `now`.
  StatusOr<RemovedObjects> RemoveUnnamed(const std::set<std::string>& named, WallTime now,
                                         std::chrono::hours age);

  // Reads an object whole. Errors: kNotFound (missing), kDataLoss (another size, or another content),
  // kUnavailable.
  Status CheckObject(const FileEntry& file) const;
  // Copies an object to `target`, which must not be there, mode 0600, with fsync; the same errors, and
  // kResourceExhausted. A target that did not come out right is removed.
  Status CopyObject(const FileEntry& file, const std::filesystem::path& target) const;

  const std::filesystem::path& folder() const { return folder_; }
  std::filesystem::path ObjectPath(std::string_view sha256) const;

 private:
  Repository(std::filesystem::path folder, FileDescriptor lock)
      : folder_(std::move(folder)), lock_(std::move(lock)) {}
  std::filesystem::path folder_;
  FileDescriptor lock_;
  std::set<std::filesystem::path> unsynced_;  // Folders with files put in since the last manifest.
};

// "20260314T101112Z". UTC.
std::string ManifestTime(WallTime time);

}  // namespace cloister::backup
