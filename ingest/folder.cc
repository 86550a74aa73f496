// SPDX-License-Identifier: Apache-2.0
#include "ingest/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "common/bytes.h"
#include "ingest/text_normaliser.h"

namespace cloister::ingest {
namespace {

constexpr size_t kSkippedMax = 10'000;

bool IsInside(const std::filesystem::path& path, const std::filesystem::path& folder) {
  if (folder.empty()) return false;
  const auto [end, rest] = std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
  return end == folder.end();
}

// Opens below `fd` without following any link, whatever changes on the disk meanwhile.
int OpenBeneath(int fd, const std::string& path, uint64_t flags) {
  open_how how{};
  how.flags = flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(syscall(SYS_openat2, fd, path.c_str(), &how, sizeof how));
}

struct DirCloser {
  void operator()(DIR* directory) const { closedir(directory); }
};

class Scanner {
 public:
  Scanner(const std::filesystem::path& root, const std::filesystem::path& excluded, int fd)
      : root_(root), excluded_(excluded), fd_(fd) {}

  StatusOr<FolderScan> Run() {
    CLOISTER_RETURN_IF_ERROR(Visit(".", "", 0));
    std::sort(scan_.files.begin(), scan_.files.end(),
              [](const FoundFile& a, const FoundFile& b) { return a.source < b.source; });
    return std::move(scan_);
  }

 private:
  Status Visit(const std::string& path, const std::string& prefix, int depth) {
    if (depth > kFolderDepthMax) {
      Skip(prefix);
      return Status();
    }
    const int fd = OpenBeneath(fd_, path, O_RDONLY | O_DIRECTORY);
    std::unique_ptr<DIR, DirCloser> directory(fd >= 0 ? fdopendir(fd) : nullptr);
    if (directory == nullptr) {
      if (fd >= 0) close(fd);
      if (depth == 0) return ErrnoStatus(errno, "the folder");
      scan_.unreadable = true;
      Skip(prefix);
      return Status();
    }
    std::vector<std::string> folders;
    errno = 0;
    while (const dirent* entry = readdir(directory.get())) {
      CLOISTER_RETURN_IF_ERROR(Entry(fd, entry->d_name, prefix, folders));
      errno = 0;
    }
    if (errno != 0) scan_.unreadable = true;
    directory.reset();
    for (const std::string& folder : folders) CLOISTER_RETURN_IF_ERROR(Visit(folder, folder + "/", depth + 1));
    return Status();
  }

  Status Entry(int fd, const std::string& name, const std::string& prefix, std::vector<std::string>& folders) {
    if (name.empty() || name[0] == '.') return Status();
    const std::string source = prefix + name;
    struct stat info {};
    if (fstatat(fd, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      scan_.unreadable = true;
      return Status();
    }
    if (S_ISLNK(info.st_mode) || !IsUtf8(source) || source.size() > kSourceBytesMax) {
      Skip(source);
    } else if (S_ISDIR(info.st_mode)) {
      if (!IsInside(root_ / source, excluded_)) folders.push_back(source);
    } else if (S_ISREG(info.st_mode)) {
      if (scan_.files.size() >= kFilesMax) return ResourceExhausted("the folder has more than a million files; divide it");
      scan_.files.push_back({source, static_cast<uint64_t>(info.st_size)});
    }
    return Status();
  }

  void Skip(const std::string& source) {
    if (scan_.skipped.size() < kSkippedMax) {
      scan_.skipped.push_back(NormaliseText(source.substr(0, kSourceBytesMax), Whitespace::kCollapse));
    }
  }

  const std::filesystem::path& root_;
  const std::filesystem::path& excluded_;
  int fd_;
  FolderScan scan_;
};

}  // namespace

bool Contains(const FolderScan& scan, std::string_view source) {
  const auto place = std::lower_bound(scan.files.begin(), scan.files.end(), source,
                                      [](const FoundFile& file, std::string_view name) { return file.source < name; });
  return place != scan.files.end() && place->source == source;
}

StatusOr<Folder> Folder::Open(const std::filesystem::path& path, const std::filesystem::path& excluded) {
  if (!path.is_absolute()) return InvalidArgument("the folder must be an absolute path");
  std::error_code error;
  const std::filesystem::path canonical = std::filesystem::canonical(path, error);
  if (error) return ErrnoStatus(error.value(), "the folder");
  std::filesystem::path own;
  if (!excluded.empty()) {
    own = std::filesystem::weakly_canonical(excluded, error);
    if (error) own = excluded;
  }
  if (IsInside(canonical, own)) return InvalidArgument("the folder lies in the appliance's own data directory");
  FileDescriptor fd(open(canonical.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() && errno == ENOTDIR) return FailedPrecondition("the path is not a folder");
  if (!fd.valid()) return ErrnoStatus(errno, "the folder");
  return Folder(canonical, own, std::move(fd));
}

StatusOr<FolderScan> Folder::Scan() const { return Scanner(path_, excluded_, fd_.get()).Run(); }

StatusOr<std::string> Folder::Read(std::string_view source, size_t bytes_max) const {
  FileDescriptor file(OpenBeneath(fd_.get(), std::string(source), O_RDONLY));
  if (!file.valid()) {
    const bool link = errno == ELOOP || errno == EXDEV;
    return link ? FailedPrecondition("a symbolic link is not followed") : ErrnoStatus(errno, "the file");
  }
  struct stat info {};
  if (fstat(file.get(), &info) != 0) return ErrnoStatus(errno, "the file");
  if (!S_ISREG(info.st_mode)) return FailedPrecondition("not a regular file");
  return ReadAll(file.get(), bytes_max);
}

}  // namespace cloister::ingest
