// SPDX-License-Identifier: Apache-2.0
#include "common/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace cloister {

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  if (this != &other) {
    Reset();
    fd_ = other.Release();
  }
  return *this;
}

int FileDescriptor::Release() { return std::exchange(fd_, -1); }

void FileDescriptor::Reset() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

Status ErrnoStatus(int error, std::string_view what) {
  const std::string message = std::string(what) + ": " + std::strerror(error);
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return ResourceExhausted(message);
    case ENOENT:
      return NotFound(message);
    case EACCES:
    case EPERM:
      return PermissionDenied(message);
    default:
      return Unavailable(message);
  }
}

StatusOr<std::string> ReadAll(int fd, size_t bytes_max) {
  std::string out;
  char buffer[64 * 1024];
  for (;;) {
    const ssize_t got = ::read(fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, "read");
    if (got == 0) return out;
    if (out.size() + static_cast<size_t>(got) > bytes_max) {
      return ResourceExhausted("input is larger than the limit of " + std::to_string(bytes_max) + " bytes");
    }
    out.append(buffer, static_cast<size_t>(got));
  }
}

StatusOr<std::string> ReadFile(const std::filesystem::path& path, size_t bytes_max) {
  FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, "open");
  return ReadAll(fd.get(), bytes_max);
}

Status WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return ErrnoStatus(errno, "write");
    bytes.remove_prefix(static_cast<size_t>(put));
  }
  return absl::OkStatus();
}

Status SyncDirectory(const std::filesystem::path& directory) {
  FileDescriptor fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, "open directory");
  if (::fsync(fd.get()) != 0) return ErrnoStatus(errno, "fsync directory");
  return absl::OkStatus();
}

Status WriteFileAtomic(const std::filesystem::path& path, std::string_view bytes, unsigned mode) {
  std::string temporary = path.string() + ".tmp.XXXXXX";
  FileDescriptor fd(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(errno, "create temporary file");
  Status status = WriteAll(fd.get(), bytes);
  if (status.ok() && ::fchmod(fd.get(), mode) != 0) status = ErrnoStatus(errno, "fchmod");
  if (status.ok() && ::fsync(fd.get()) != 0) status = ErrnoStatus(errno, "fsync");
  if (status.ok() && ::rename(temporary.c_str(), path.c_str()) != 0) status = ErrnoStatus(errno, "rename");
  if (!status.ok()) {
    ::unlink(temporary.c_str());
    return status;
  }
  const auto parent = path.parent_path();
  return SyncDirectory(parent.empty() ? std::filesystem::path(".") : parent);
}

Status MakePrivateDirectory(const std::filesystem::path& directory) {
  std::error_code error;
  if (std::filesystem::is_directory(directory, error)) return absl::OkStatus();
  const auto parent = directory.parent_path();
  if (!parent.empty() && parent != directory) CLOISTER_RETURN_IF_ERROR(MakePrivateDirectory(parent));
  // Another process may have made it meanwhile; a file of that name is in the way.
  if (::mkdir(directory.c_str(), 0700) != 0) {
    const int reason = errno;
    if (reason != EEXIST || !std::filesystem::is_directory(directory, error)) return ErrnoStatus(reason, "mkdir");
  }
  return SyncDirectory(parent.empty() ? std::filesystem::path(".") : parent);
}

StatusOr<FileDescriptor> LockFile(const std::filesystem::path& path) {
  FileDescriptor fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) return ErrnoStatus(errno, "open lock file");
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return ErrnoStatus(errno, "lock file");
    return FailedPrecondition("another process holds the lock; stop it first");
  }
  return fd;
}

}  // namespace cloister
