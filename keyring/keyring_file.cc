// SPDX-License-Identifier: Apache-2.0
#include "keyring/keyring_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace cloister::keyring {
namespace {

constexpr unsigned kFileMode = 0600;
constexpr size_t kZerosBytes = 1024 * 1024;

void Overwrite(const FileDescriptor& file) {
  const off_t bytes = ::lseek(file.get(), 0, SEEK_END);
  const std::string zeros(kZerosBytes, '\0');
  for (off_t at = 0; at < bytes; at += static_cast<off_t>(kZerosBytes)) {
    const size_t count = std::min<size_t>(kZerosBytes, static_cast<size_t>(bytes - at));
    if (::pwrite(file.get(), zeros.data(), count, at) < 0) return;
  }
  ::fdatasync(file.get());
}

}  // namespace

// The file is replaced on each change, so the lock is on a neighbour that stays.
StatusOr<FileDescriptor> LockKeyringFile(const std::filesystem::path& path) {
  auto lock = LockFile(path.string() + ".lock");
  if (lock.status().code() == StatusCode::kFailedPrecondition) {
    return FailedPrecondition("another process has the keyring open; stop it first");
  }
  return lock;
}

StatusOr<bool> KeyringFileExists(const std::filesystem::path& path) {
  if (::access(path.c_str(), F_OK) == 0) return true;
  if (errno == ENOENT) return false;
  return ErrnoStatus(errno, "keyring");
}

Status WriteKeyringFile(const std::filesystem::path& path, std::string_view bytes) {
  return Annotate(ReplaceAndOverwrite(path, bytes), "keyring");
}

Status ReplaceAndOverwrite(const std::filesystem::path& path, std::string_view bytes) {
  const FileDescriptor former(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomic(path, bytes, kFileMode));
  if (former.valid()) Overwrite(former);
  return absl::OkStatus();
}

std::string ReadHead(const std::filesystem::path& path, size_t bytes_max) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  std::string head(bytes_max, '\0');
  const ssize_t got = file.valid() ? ::pread(file.get(), head.data(), bytes_max, 0) : 0;
  head.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return head;
}

void RemoveLeftOverKeyrings(const std::filesystem::path& path) {
  const std::string prefix = path.filename().string() + ".tmp.";
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(path.parent_path(), error)) {
    if (!entry.path().filename().string().starts_with(prefix)) continue;
    Overwrite(FileDescriptor(::open(entry.path().c_str(), O_WRONLY | O_CLOEXEC)));
    std::filesystem::remove(entry.path(), error);
  }
}

}  // namespace cloister::keyring
