// SPDX-License-Identifier: Apache-2.0
#include "backup/repository.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <functional>
#include <memory>
#include <tuple>
#include <utility>

#include "crypto/hash.h"
#include "crypto/random.h"

namespace cloister::backup {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPieceBytes = 1024 * 1024;
constexpr std::string_view kTemporaryPrefix = "tmp.";
constexpr size_t kTimeTextBytes = 16;  // "20260314T101112Z"

fs::path ObjectsIn(const fs::path& folder) { return folder / "objects"; }
fs::path ManifestsIn(const fs::path& folder) { return folder / "manifests"; }

// Reads `from` to its end, a piece at a time.
Status ReadPieces(const fs::path& from, const std::function<Status(std::string_view)>& take) {
  const FileDescriptor file(::open(from.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file.valid()) return ErrnoStatus(errno, "opening a file of the backup");
  const std::unique_ptr<char[]> piece(new char[kPieceBytes]);
  for (;;) {
    const ssize_t got = ::read(file.get(), piece.get(), kPieceBytes);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, "reading a file of the backup");
    if (got == 0) return absl::OkStatus();
    CLOISTER_RETURN_IF_ERROR(take({piece.get(), static_cast<size_t>(got)}));
  }
}

Status RenameFile(const fs::path& from, const fs::path& to) {
  return ::rename(from.c_str(), to.c_str()) == 0 ? absl::OkStatus()
                                                 : ErrnoStatus(errno, "renaming a file of the backup");
}

// A file that goes away unless it is kept.
class TemporaryFile {
 public:
  static StatusOr<TemporaryFile> New(fs::path path) {
    TemporaryFile out;
    out.fd_ =
        FileDescriptor(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!out.fd_.valid()) return ErrnoStatus(errno, "making a file of the backup");
    out.path_ = std::move(path);
    return out;
  }
  TemporaryFile(TemporaryFile&& other) noexcept
      : path_(std::exchange(other.path_, fs::path())), fd_(std::move(other.fd_)) {}
  ~TemporaryFile() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  Status Write(std::string_view bytes) { return WriteAll(fd_.get(), bytes); }
  Status Sync() {
    return ::fsync(fd_.get()) == 0 ? absl::OkStatus() : ErrnoStatus(errno, "fsync of the backup");
  }
  Status MoveTo(const fs::path& target) {
    CLOISTER_RETURN_IF_ERROR(RenameFile(path_, target));
    path_.clear();
    return absl::OkStatus();
  }
  void Keep() { path_.clear(); }

 private:
  TemporaryFile() = default;
  fs::path path_;
  FileDescriptor fd_;
};

// Errors: as Repository::CheckObject.
Status ReadObject(const fs::path& object, const FileEntry& file,
                  const std::function<Status(std::string_view)>& take) {
  std::error_code error;
  const uint64_t size = fs::file_size(object, error);
  if (error == std::errc::no_such_file_or_directory) return NotFound("missing from the repository");
  if (error) return ErrnoStatus(error.value(), "a file of the backup");
  if (size < file.bytes) return DataLoss("cut short in the repository");
  if (size > file.bytes) return DataLoss("longer in the repository than it was");
  crypto::Sha256Stream digest;
  CLOISTER_RETURN_IF_ERROR(ReadPieces(object, [&](std::string_view piece) {
    digest.Update(piece);
    return take(piece);
  }));
  return digest.Finish() == file.sha256 ? absl::OkStatus() : DataLoss("damaged in the repository");
}

bool IsTime(std::string_view text) {
  if (text.size() != kTimeTextBytes || text[8] != 'T' || text[15] != 'Z') return false;
  return std::all_of(text.begin(), text.end(), [&](const char& c) {
    const auto at = static_cast<size_t>(&c - text.data());
    return at == 8 || at == 15 || (c >= '0' && c <= '9');
  });
}

}  // namespace

std::string ManifestTime(WallTime time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(
      std::chrono::time_point_cast<std::chrono::system_clock::duration>(time));
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &parts);
  return text;
}

StatusOr<Repository> Repository::OpenForWriting(fs::path folder) {
  std::error_code error;
  if (!folder.has_filename()) folder = folder.parent_path();  // "backups/" is meant as "backups".
  if (!fs::is_directory(folder.parent_path(), error)) {
    return NotFound("the folder above the backup folder is not there; is its disk mounted?");
  }
  for (const fs::path& made : {folder, ObjectsIn(folder), ManifestsIn(folder)}) {
    CLOISTER_RETURN_IF_ERROR(Annotate(MakePrivateDirectory(made), "backup folder"));
  }
  auto lock = LockFile(folder / "lock");
  if (lock.status().code() == StatusCode::kFailedPrecondition) {
    return FailedPrecondition("another command writes to this backup folder; wait for it");
  }
  if (!lock.ok()) return lock.status();
  return Repository(std::move(folder), *std::move(lock));
}

StatusOr<Repository> Repository::OpenForReading(fs::path folder) {
  std::error_code error;
  if (!folder.has_filename()) folder = folder.parent_path();
  if (!fs::is_directory(ManifestsIn(folder), error) || !fs::is_directory(ObjectsIn(folder), error)) {
    return NotFound("there are no backups in this folder");
  }
  return Repository(std::move(folder), FileDescriptor());
}

fs::path Repository::ObjectPath(std::string_view sha256) const {
  const std::string hex = HexEncode(sha256);
  return ObjectsIn(folder_) / hex.substr(0, 2) / hex;
}

StatusOr<StoredFile> Repository::PutFile(const fs::path& source) {
  CLOISTER_CHECK(lock_.valid());
  StoredFile stored;
  crypto::Sha256Stream digest;
  CLOISTER_ASSIGN_OR_RETURN(
      TemporaryFile copy,
      TemporaryFile::New(ObjectsIn(folder_) /
                         (std::string(kTemporaryPrefix) + HexEncode(crypto::RandomBytes(kIdBytes)))));
  CLOISTER_RETURN_IF_ERROR(ReadPieces(source, [&](std::string_view piece) {
    digest.Update(piece);
    stored.bytes += piece.size();
    return copy.Write(piece);
  }));
  stored.sha256 = digest.Finish();
  const fs::path object = ObjectPath(stored.sha256);
  // Also of one that is there: a command that was killed may have renamed it without getting here.
  unsynced_.insert(object.parent_path());
  std::error_code error;
  if (fs::file_size(object, error) == stored.bytes && !error) return stored;
  CLOISTER_RETURN_IF_ERROR(copy.Sync());
  CLOISTER_RETURN_IF_ERROR(MakePrivateDirectory(object.parent_path()));
  CLOISTER_RETURN_IF_ERROR(copy.MoveTo(object));
  stored.is_new = true;
  return stored;
}

Status Repository::PutManifest(const BackupId& id, WallTime time, std::string_view bytes) {
  CLOISTER_CHECK(lock_.valid());
  for (const fs::path& folder : unsynced_) CLOISTER_RETURN_IF_ERROR(SyncDirectory(folder));
  CLOISTER_RETURN_IF_ERROR(SyncDirectory(ObjectsIn(folder_)));
  unsynced_.clear();
  const fs::path path =
      ManifestsIn(folder_) / (ManifestTime(time) + "-" + id.hex() + std::string(kManifestExtension));
  std::error_code error;
  if (fs::exists(path, error)) return AlreadyExists("a backup of this id is in the folder already");
  return WriteFileAtomic(path, bytes, 0600);
}

StatusOr<std::vector<ManifestFile>> Repository::ListManifests() const {
  std::vector<ManifestFile> manifests;
  std::error_code error;
  for (fs::directory_iterator it(ManifestsIn(folder_), error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!name.ends_with(kManifestExtension)) continue;
    const std::string stem = name.substr(0, name.size() - kManifestExtension.size());
    const auto id = stem.size() > kTimeTextBytes + 1
                        ? BackupId::FromHex(std::string_view(stem).substr(kTimeTextBytes + 1))
                        : StatusOr<BackupId>(InvalidArgument("name"));
    if (!id.ok() || !IsTime(stem.substr(0, kTimeTextBytes)) || stem[kTimeTextBytes] != '-') continue;
    if (manifests.size() == kManifestsMax)
      return ResourceExhausted("the folder holds too many backups; prune it");
    manifests.push_back({it->path(), *id, stem.substr(0, kTimeTextBytes)});
  }
  if (error) return ErrnoStatus(error.value(), "reading the backup folder");
  std::sort(manifests.begin(), manifests.end(), [](const ManifestFile& a, const ManifestFile& b) {
    return std::tie(a.time, a.id) < std::tie(b.time, b.id);
  });
  return manifests;
}

Status Repository::RemoveManifest(const ManifestFile& manifest) {
  CLOISTER_CHECK(lock_.valid());
  if (::unlink(manifest.path.c_str()) != 0 && errno != ENOENT) return ErrnoStatus(errno, "removing a backup");
  return SyncDirectory(ManifestsIn(folder_));
}

StatusOr<RemovedObjects> Repository::RemoveUnnamed(const std::set<std::string>& named, WallTime now,
                                                   std::chrono::hours age) {
  CLOISTER_CHECK(lock_.valid());
  RemovedObjects removed;
  std::error_code error;
  const auto oldest = std::chrono::duration_cast<std::chrono::nanoseconds>((now - age).time_since_epoch());
  for (fs::recursive_directory_iterator it(ObjectsIn(folder_), error), end; !error && it != end;
       it.increment(error)) {
    struct stat info {};
    if (::lstat(it->path().c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    const std::string name = it->path().filename().string();
    const auto digest = HexDecode(name);
    if (digest.ok() && named.contains(*digest)) continue;
    // What is neither an object nor one of our temporary files is not ours.
    if (!name.starts_with(kTemporaryPrefix) && !(digest.ok() && digest->size() == crypto::kSha256Bytes))
      continue;
    const std::chrono::nanoseconds changed =
        std::chrono::seconds(info.st_mtim.tv_sec) + std::chrono::nanoseconds(info.st_mtim.tv_nsec);
    if (changed > oldest) continue;
    if (::unlink(it->path().c_str()) != 0) return ErrnoStatus(errno, "removing what no backup names");
    ++removed.files;
    removed.bytes += static_cast<uint64_t>(info.st_size);
  }
  if (error) return ErrnoStatus(error.value(), "reading the backup folder");
  return removed;
}

Status Repository::CheckObject(const FileEntry& file) const {
  return ReadObject(ObjectPath(file.sha256), file, [](std::string_view) { return absl::OkStatus(); });
}

Status Repository::CopyObject(const FileEntry& file, const fs::path& target) const {
  CLOISTER_ASSIGN_OR_RETURN(TemporaryFile copy, TemporaryFile::New(target));
  CLOISTER_RETURN_IF_ERROR(
      ReadObject(ObjectPath(file.sha256), file, [&](std::string_view piece) { return copy.Write(piece); }));
  CLOISTER_RETURN_IF_ERROR(copy.Sync());
  copy.Keep();
  return absl::OkStatus();
}

}  // namespace cloister::backup
