// SPDX-License-Identifier: Apache-2.0
// A folder of documents, read without ever leaving it: no symbolic link is followed, neither while scanning nor while
// reading. Does not look into files. Thread-safe after Open.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "common/file.h"
#include "common/status.h"

namespace cloister::ingest {

constexpr size_t kFilesMax = 1'000'000;
constexpr size_t kSourceBytesMax = 4096;
constexpr int kFolderDepthMax = 64;

struct FoundFile {
  std::string source;  // Path inside the folder, with '/' between; UTF-8.
  uint64_t bytes = 0;
};

struct FolderScan {
  std::vector<FoundFile> files;      // Regular files in byte order of `source`; hidden ones are left out.
  std::vector<std::string> skipped;  // Links and names that are not UTF-8 or too long, made printable; at most 10,000.
  bool unreadable = false;           // Some subfolder could not be read: what was not found may still be there.
};

// Whether the scan found a file of this name.
bool Contains(const FolderScan& scan, std::string_view source);

class Folder {
 public:
  // `excluded`, when not empty, is never scanned nor accepted as the folder: the appliance's own data.
  // Errors: kInvalidArgument (relative, or inside `excluded`), kNotFound, kPermissionDenied, kFailedPrecondition
  // (not a folder).
  static StatusOr<Folder> Open(const std::filesystem::path& path, const std::filesystem::path& excluded);

  // Errors: kResourceExhausted (more than kFilesMax files), kUnavailable.
  StatusOr<FolderScan> Scan() const;
  // Errors: kNotFound, kPermissionDenied, kFailedPrecondition (a link or no regular file), kResourceExhausted (more
  // than `bytes_max`), kUnavailable.
  StatusOr<std::string> Read(std::string_view source, size_t bytes_max) const;
  const std::filesystem::path& path() const { return path_; }  // Canonical.

 private:
  Folder(std::filesystem::path path, std::filesystem::path excluded, FileDescriptor fd)
      : path_(std::move(path)), excluded_(std::move(excluded)), fd_(std::move(fd)) {}
  std::filesystem::path path_;
  std::filesystem::path excluded_;
  FileDescriptor fd_;
};

}  // namespace cloister::ingest
