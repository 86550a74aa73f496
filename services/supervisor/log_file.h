// SPDX-License-Identifier: Apache-2.0
// The log files of the services: a thread copies what they write on their pipes into DATA/logs/<name>.log, so
// that a file never outgrows its cap and a service cannot be stopped by a full disk. Does not read what it
// copies.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "common/file.h"
#include "common/status.h"

namespace cloister::services {

constexpr uint64_t kLogBytesMax = 16 * 1024 * 1024;
constexpr int kOldLogsKept = 2;  // <name>.log.1 is younger than <name>.log.2.

// One file that rotates itself, mode 0600. Not thread-safe.
class LogFile {
 public:
  // Appends to an existing file. Errors: kPermissionDenied, kResourceExhausted, kUnavailable.
  static StatusOr<LogFile> Open(std::filesystem::path path, uint64_t bytes_max = kLogBytesMax);
  // Errors: kResourceExhausted (disk full: the bytes are lost, the next call tries again), kUnavailable.
  Status Append(std::string_view bytes);

 private:
  LogFile() = default;
  Status OpenCurrent();
  Status Rotate();
  std::filesystem::path path_;
  uint64_t bytes_max_ = 0;
  uint64_t size_ = 0;
  FileDescriptor fd_;
};

// The message of the last error in a service's log, for a person who would have to look there next; empty
// when there is none.
std::string LastErrorIn(const std::filesystem::path& log);

// Copies pipes into log files on a thread of its own. Thread-safe.
class LogCollector {
 public:
  // `directory` exists. Errors: kUnavailable (no pipe or thread left).
  static StatusOr<std::unique_ptr<LogCollector>> Start(std::filesystem::path directory);
  // Copies what is still in the pipes, then ends.
  ~LogCollector();
  // The end of a pipe for stdout and stderr of `name`; pass it to the child and close it.
  StatusOr<FileDescriptor> PipeFor(const std::string& name);

 private:
  class Impl;
  explicit LogCollector(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace cloister::services
