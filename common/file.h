// SPDX-License-Identifier: Apache-2.0
// Files and directories with durability spelled out: what has returned OK survives a power cut. Does not
// encrypt, and does not log. Functions block on the disk and are thread-safe unless two write one path.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "common/status.h"

namespace cloister {

// An open file descriptor, closed on destruction. Movable, not copyable.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(other.Release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor() { Reset(); }
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int Release();
  void Reset();

 private:
  int fd_ = -1;
};

// The whole file. Errors: kNotFound, kResourceExhausted (more than `bytes_max`), kUnavailable (I/O).
StatusOr<std::string> ReadFile(const std::filesystem::path& path, size_t bytes_max);

// Everything up to end of file from a descriptor (a pipe, say). Errors as ReadFile.
StatusOr<std::string> ReadAll(int fd, size_t bytes_max);

// Writes all of `bytes` to `fd`, resuming short writes. Errors: kResourceExhausted (disk full), kUnavailable.
Status WriteAll(int fd, std::string_view bytes);

// Replaces `path` so that a reader, or a crash, sees the old or the new content and never a mixture:
// temporary file in the same directory, fsync, rename, fsync of the directory. `mode` such as 0600.
// Errors: kResourceExhausted (disk full), kUnavailable.
Status WriteFileAtomic(const std::filesystem::path& path, std::string_view bytes, unsigned mode);

// Makes directory entries durable.
Status SyncDirectory(const std::filesystem::path& directory);

// Makes `directory` and its parents with mode 0700 and makes them durable; an existing one is left as it is.
Status MakePrivateDirectory(const std::filesystem::path& directory);

// Holds an exclusive advisory lock on `path` (created 0600) for the life of the returned descriptor.
// Errors: kFailedPrecondition (another process holds it).
StatusOr<FileDescriptor> LockFile(const std::filesystem::path& path);

// "No space left on device" and friends as a Status: ENOSPC and EDQUOT become kResourceExhausted, ENOENT
// kNotFound, EACCES and EPERM kPermissionDenied, everything else kUnavailable. The path is not personal data
// but may hold names, so messages give `what` only.
Status ErrnoStatus(int error, std::string_view what);

}  // namespace cloister
