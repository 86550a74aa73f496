// SPDX-License-Identifier: Apache-2.0
// A small file system of a process's own, to be filled up. For tests only: call it from a process without threads.
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <utility>

#include "common/file.h"

namespace cloister::storage {

// Mounts 24 MiB at `directory`, seen by this process alone. False where the kernel does not allow it.
inline bool MountSmallDisk(const std::filesystem::path& directory) {
  const unsigned user = ::getuid(), group = ::getgid();
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
  for (const auto& [file, text] : {std::pair("/proc/self/setgroups", std::string("deny")),
                                   std::pair("/proc/self/uid_map", "0 " + std::to_string(user) + " 1"),
                                   std::pair("/proc/self/gid_map", "0 " + std::to_string(group) + " 1")}) {
    std::FILE* out = std::fopen(file, "w");
    if (out == nullptr) return false;
    std::fputs(text.c_str(), out);
    std::fclose(out);
  }
  return ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("tmpfs", directory.c_str(), "tmpfs", 0, "size=24m") == 0;
}

// Takes every page that is left.
inline void TakeTheRest(const std::filesystem::path& file) {
  const FileDescriptor rest(::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  for (const size_t bytes : {size_t{1} << 20, size_t{1} << 12, size_t{1}}) {
    while (WriteAll(rest.get(), std::string(bytes, 'x')).ok()) {
    }
  }
}

}  // namespace cloister::storage
