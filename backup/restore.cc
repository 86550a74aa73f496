// SPDX-License-Identifier: Apache-2.0
#include "backup/restore.h"

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <set>
#include <utility>

#include "common/file.h"
#include "storage/file_cipher.h"

namespace cloister::backup {
namespace {

namespace fs = std::filesystem;

// Left free on the disk, so that what was restored can also start.
constexpr uint64_t kSpareBytes = 64 * 1024 * 1024;
constexpr std::string_view kDatabaseFolder = "/rocksdb/";

Status CheckRoom(const Manifest& manifest, const fs::path& data) {
  uint64_t bytes = kSpareBytes;
  for (const FileEntry& file : manifest.files) bytes += file.bytes;
  std::error_code error;
  const auto space = fs::space(data, error);
  if (error || space.available >= bytes) return absl::OkStatus();
  return ResourceExhausted("the disk has room for " + std::to_string(space.available >> 20) +
                           " MiB and the backup needs " + std::to_string(bytes >> 20));
}

Status CopyFiles(const Repository& repository, const Manifest& manifest, const RestorePlan& plan,
                 const fs::path& staging) {
  std::set<fs::path> folders;
  const auto folder_of = [&](const fs::path& target) {
    if (!folders.insert(target.parent_path()).second) return absl::OkStatus();
    return MakePrivateDirectory(target.parent_path());
  };
  for (const FileEntry& file : manifest.files) {
    const std::string path = plan.place ? plan.place(file.path) : file.path;
    if (path.empty()) continue;
    CLOISTER_RETURN_IF_ERROR(CheckPath(path));
    CLOISTER_RETURN_IF_ERROR(folder_of(staging / path));
    CLOISTER_RETURN_IF_ERROR(Annotate(repository.CopyObject(file, staging / path), file.path));
  }
  for (const Setting& more : plan.more) {
    CLOISTER_RETURN_IF_ERROR(CheckPath(more.path));
    CLOISTER_RETURN_IF_ERROR(folder_of(staging / more.path));
    CLOISTER_RETURN_IF_ERROR(WriteFileAtomic(staging / more.path, more.content, 0600));
  }
  for (const fs::path& folder : folders) CLOISTER_RETURN_IF_ERROR(SyncDirectory(folder));
  return absl::OkStatus();
}

Status WriteSettings(const Manifest& manifest, const fs::path& data) {
  for (const Setting& setting : manifest.settings) {
    const fs::path path = data / setting.path;
    std::error_code error;
    if (fs::exists(path, error)) continue;  // What was set up here is meant.
    CLOISTER_RETURN_IF_ERROR(MakePrivateDirectory(path.parent_path()));
    CLOISTER_RETURN_IF_ERROR(WriteFileAtomic(path, setting.content, 0600));
  }
  return absl::OkStatus();
}

// In the staging folder once all of it is there and durable, with the backup's id.
constexpr const char* kCompleteFile = "complete";

// The log first: an appliance that finds documents and no log would begin one.
Status MoveIntoPlace(const fs::path& staging, const fs::path& data) {
  const auto& services = BackedUpServices();
  std::error_code error;
  for (auto service = services.rbegin(); service != services.rend(); ++service) {
    if (!fs::exists(staging / *service, error)) continue;
    fs::remove(data / *service, error);  // An empty folder, or none.
    fs::rename(staging / *service, data / *service, error);
    if (error) return ErrnoStatus(error.value(), "moving what was restored into place");
  }
  return SyncDirectory(data);
}

}  // namespace

StatusOr<CheckReport> CheckFiles(const Repository& repository, const Manifest& manifest,
                                 const std::function<void(uint64_t)>& progress) {
  CheckReport report;
  std::set<std::string_view> read;  // One object may stand for several files.
  for (const FileEntry& file : manifest.files) {
    const Status checked = read.insert(file.sha256).second ? repository.CheckObject(file) : absl::OkStatus();
    if (checked.code() == StatusCode::kNotFound || checked.code() == StatusCode::kDataLoss) {
      read.erase(file.sha256);
      ++report.problem_count;
      if (report.problems.size() < kProblemsMax)
        report.problems.push_back(file.path + ": " + MessageOf(checked));
      continue;
    }
    CLOISTER_RETURN_IF_ERROR(checked);
    ++report.files;
    report.bytes += file.bytes;
    if (progress) progress(report.bytes);
  }
  return report;
}

BackupAge CompareWithKeyring(const Manifest& manifest, const KeyringAge& keyring) {
  if (keyring.generation < manifest.keyring_generation) return BackupAge::kNewerThanKeyring;
  if (keyring.erasure_epoch > manifest.epoch) return BackupAge::kOlderThanErasure;
  return keyring.epoch > manifest.epoch ? BackupAge::kOlderThanKeys : BackupAge::kCurrent;
}

Status CheckAge(BackupAge age, bool accept) {
  if (age == BackupAge::kCurrent || age == BackupAge::kOlderThanKeys || accept) return absl::OkStatus();
  if (age == BackupAge::kNewerThanKeyring) {
    return FailedPrecondition(
        "the keyring is older than the backup, so keys of the backup are missing; take a newer copy of "
        "the keyring or an older backup, or add --accept-older to restore what can be read");
  }
  return FailedPrecondition(
      "the backup is older than the last erasure on request, or than keys that were rotated and destroyed; take a newer backup, "
      "or add --accept-older to restore what can still be read");
}

Status CheckDatabaseKeys(const Repository& repository, const Manifest& manifest, const keyring::Keyring& keyring) {
  for (const FileEntry& file : manifest.files) {
    if (file.path.find(kDatabaseFolder) == std::string::npos || file.bytes < storage::kFilePrefixBytes) continue;
    std::string prefix(storage::kFilePrefixBytes, '\0');
    std::ifstream object(repository.ObjectPath(file.sha256), std::ios::binary);
    if (!object.read(prefix.data(), static_cast<std::streamsize>(prefix.size())))
      return Unavailable("a file of the backup cannot be read");
    const auto id = storage::FilePrefixKeyId(prefix);
    if (!id.ok()) continue;  // Nothing that the database opens; what it needs is checked when it does.
    const Status key = keyring.GetKey(file.path.substr(0, file.path.find('/')), *id).status();
    if (key.ok()) continue;
    if (key.code() != StatusCode::kNotFound && key.code() != StatusCode::kPermissionDenied) return key;
    return FailedPrecondition(
        "the keys of the backup's databases are not in the keyring: they were rotated and destroyed after it, or it is of "
        "another keyring. Take a newer backup");
  }
  return absl::OkStatus();
}

std::vector<std::string> Consequences(BackupAge age) {
  switch (age) {
    case BackupAge::kCurrent:
      return {};
    case BackupAge::kNewerThanKeyring:
      return {
          "What was brought in after the keyring was copied stays unreadable; its rows are counted as "
          "unreadable."};
    case BackupAge::kOlderThanKeys:
      return {
          "Documents that were changed or deleted after the backup, and whose former versions were shredded since, "
          "come back unreadable and are counted so: bring their folders in again."};
    case BackupAge::kOlderThanErasure:
      return {
          "What was erased since the backup stays unreadable: its keys are destroyed. Its rows come back and are "
          "counted as unreadable. It stays suppressed: the next ingest does not bring it back.",
          "Documents that were changed or deleted after the backup may be unreadable, too: bring their folders in "
          "again."};
  }
  return {};
}

Status CheckTarget(const fs::path& data) {
  for (const std::string& service : BackedUpServices()) {
    std::error_code error;
    if (!fs::exists(data / service, error)) continue;
    if (fs::is_directory(data / service, error) && fs::is_empty(data / service, error) && !error) continue;
    return FailedPrecondition("the data directory holds data already (" + service +
                              "/); a restore never overwrites: take a new folder");
  }
  return absl::OkStatus();
}

Status Restore(const Repository& repository, const Manifest& manifest, const RestorePlan& plan) {
  CLOISTER_RETURN_IF_ERROR(CheckTarget(plan.data));
  CLOISTER_RETURN_IF_ERROR(CheckRoom(manifest, plan.data));
  const fs::path staging = plan.data / kStagingFolder;
  std::error_code error;
  fs::remove_all(staging, error);  // Of a restore that was interrupted.
  if (error) return ErrnoStatus(error.value(), "removing what an interrupted restore left");
  CLOISTER_RETURN_IF_ERROR(MakePrivateDirectory(staging));
  Status done = CopyFiles(repository, manifest, plan, staging);
  if (done.ok()) done = WriteSettings(manifest, plan.data);
  if (done.ok()) done = WriteFileAtomic(staging / kCompleteFile, manifest.id.hex() + "\n", 0600);
  if (!done.ok()) {
    fs::remove_all(staging, error);
    return done;
  }
  if (plan.before_moving) plan.before_moving();
  return FinishRestore(plan.data);
}

StatusOr<std::optional<BackupId>> InterruptedRestore(const fs::path& data) {
  const auto text = ReadFile(data / kStagingFolder / kCompleteFile, 2 * kIdBytes + 1);
  if (text.status().code() == StatusCode::kNotFound) return std::optional<BackupId>();
  CLOISTER_RETURN_IF_ERROR(text.status());
  const auto id = BackupId::FromHex(std::string_view(*text).substr(0, 2 * kIdBytes));
  if (!id.ok()) return DataLoss("what an interrupted restore left is damaged: empty the data directory save keys/");
  return std::optional<BackupId>(*id);
}

Status FinishRestore(const fs::path& data) {
  CLOISTER_ASSIGN_OR_RETURN(const auto interrupted, InterruptedRestore(data));
  if (!interrupted) return FailedPrecondition("no restore was interrupted here");
  CLOISTER_RETURN_IF_ERROR(MoveIntoPlace(data / kStagingFolder, data));
  std::error_code error;
  fs::remove(data / kStagingFolder / kCompleteFile, error);
  fs::remove_all(data / kStagingFolder, error);
  return SyncDirectory(data);
}

}  // namespace cloister::backup
