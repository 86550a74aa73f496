// SPDX-License-Identifier: Apache-2.0
#include "storage/torn_logs.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "common/file.h"
#include "common/log.h"
#include "storage/file_cipher.h"

namespace cloister::storage {
namespace {

// So many zeros in a row are not ciphertext.
constexpr uint64_t kZerosMin = 16;
// So many are left: the last bytes of a record may be zeros by chance, and less than the head of a record,
// which has seven bytes, is an end to RocksDB.
constexpr uint64_t kZerosKept = 6;
constexpr uint64_t kPageBytes = 4096;

// Where a file ends when zeros at its end are left out: a power loss may leave the length that was written
// and nothing of what was written.
StatusOr<uint64_t> EndOfData(const std::filesystem::path& path, uint64_t size) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return ErrnoStatus(errno, "a log of the database");
  std::string piece;
  for (uint64_t end = size; end > 0; end -= piece.size()) {
    piece.resize(std::min<uint64_t>(end, kFilePrefixBytes));
    const ssize_t count =
        ::pread(file.get(), piece.data(), piece.size(), static_cast<off_t>(end - piece.size()));
    if (count != static_cast<ssize_t>(piece.size()))
      return ErrnoStatus(count < 0 ? errno : EIO, "a log of the database");
    const size_t last = piece.find_last_not_of('\0');
    if (last != std::string::npos) return end - piece.size() + last + 1;
  }
  return 0;
}

// Where the first page begins that holds nothing but zeros; `size` when there is none. The zeros at the end
// of a prefix are shorter.
StatusOr<uint64_t> FirstEmptyPage(const std::filesystem::path& path, uint64_t size) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return ErrnoStatus(errno, "a log of the database");
  std::string page(kPageBytes, 0);
  for (uint64_t at = 0; at + kPageBytes <= size; at += kPageBytes) {
    const ssize_t count = ::pread(file.get(), page.data(), page.size(), static_cast<off_t>(at));
    if (count != static_cast<ssize_t>(page.size()))
      return ErrnoStatus(count < 0 ? errno : EIO, "a log of the database");
    if (page.find_first_not_of('\0') == std::string::npos) return at;
  }
  return size;
}

// The pages of one large write reach the disk in any order, so a power loss may leave holes in it. What was
// synced has none, so what lies behind a hole in the newest log was not acknowledged. It is cut off, so that
// RocksDB finds a torn tail and not damage, and kept beside it: a disk that lost a page of what was synced
// looks the same until the sequence check, which refuses the database then.
Status CutAtHole(const std::filesystem::path& log) {
  std::error_code error;
  const uint64_t size = std::filesystem::file_size(log, error);
  if (error) return ErrnoStatus(error.value(), "a log of the database");
  CLOISTER_ASSIGN_OR_RETURN(const uint64_t hole, FirstEmptyPage(log, size));
  if (hole == size) return absl::OkStatus();
  std::filesystem::path whole = log;
  whole += kTornSuffix;
  std::filesystem::copy_file(log, whole, std::filesystem::copy_options::overwrite_existing, error);
  if (!error) std::filesystem::resize_file(log, hole, error);
  if (error) return ErrnoStatus(error.value(), "cutting a torn log of the database");
  Log(LogLevel::kWarning, "storage.torn_log_cut", {{"count", static_cast<int64_t>(size - hole)}});
  return absl::OkStatus();
}

}  // namespace

// A log is torn when the disk or its power went between its creation and its first record, so nothing in it
// was acknowledged. Zeros at the end of one are no ciphertext, but where writes never arrived: RocksDB would
// decrypt them and find damage instead of an end. What an attacker cut off or zeroed, the sequence check
// finds. The list of tables grows by records as logs do, so its end is cut likewise.
Status ClearTornLogs(const std::filesystem::path& database) {
  std::error_code error;
  uint64_t removed = 0;
  std::filesystem::path newest;
  for (std::filesystem::directory_iterator it(database, error), end; !error && it != end;
       it.increment(error)) {
    const bool log = it->path().extension() == ".log";
    const bool manifest = it->path().filename().native().starts_with("MANIFEST-");
    if ((!log && !manifest) || !it->is_regular_file(error)) continue;
    const uint64_t size = it->file_size(error);
    if (error || size == 0) continue;
    CLOISTER_ASSIGN_OR_RETURN(const uint64_t data, EndOfData(it->path(), size));
    // A list of tables that is all zeros is damage, which the seal beside the database tells.
    if (manifest && data <= kFilePrefixBytes) continue;
    if (size < kFilePrefixBytes || data == 0) {
      if (std::filesystem::remove(it->path(), error)) ++removed;
      continue;
    }
    // Numbers are padded, and longer when they outgrow that.
    const auto by_number = [](const auto& path) { return std::pair(path.native().size(), path.native()); };
    if (log && (newest.empty() || by_number(newest) < by_number(it->path()))) newest = it->path();
    if (const uint64_t end = std::max<uint64_t>(data, kFilePrefixBytes); size - end >= kZerosMin) {
      const uint64_t whole = end + kZerosKept;
      std::filesystem::resize_file(it->path(), whole, error);
      Log(LogLevel::kWarning, "storage.torn_log_cut", {{"count", static_cast<int64_t>(size - whole)}});
    }
  }
  if (error) return ErrnoStatus(error.value(), "clearing torn files of the database");
  if (!newest.empty()) CLOISTER_RETURN_IF_ERROR(CutAtHole(newest));
  if (removed == 0) return absl::OkStatus();
  Log(LogLevel::kWarning, "storage.torn_logs_removed", {{"count", static_cast<int64_t>(removed)}});
  return SyncDirectory(database);
}

bool IsTornCopy(const std::filesystem::path& path) {
  return path.extension() == kTornSuffix && path.stem().extension() == ".log";
}

// What cannot be removed now is tried again at the next open.
void RemoveOldTornCopies(const std::filesystem::path& database, std::filesystem::file_time_type now) {
  std::error_code error;
  std::vector<std::pair<std::filesystem::file_time_type, std::filesystem::path>> copies;
  for (std::filesystem::directory_iterator it(database, error), end; !error && it != end;
       it.increment(error)) {
    if (!IsTornCopy(it->path())) continue;
    std::error_code gone;
    const auto made = std::filesystem::last_write_time(it->path(), gone);
    if (!gone) copies.emplace_back(made, it->path());
  }
  std::sort(copies.rbegin(), copies.rend());
  int64_t removed = 0;
  for (size_t i = 0; i < copies.size(); ++i) {
    const auto& [made, path] = copies[i];
    if (i < kTornCopiesMax && now - made < kTornCopyKept) continue;
    if (std::filesystem::remove(path, error)) ++removed;
  }
  if (removed > 0) Log(LogLevel::kInfo, "storage.torn_copies_removed", {{"count", removed}});
}

}  // namespace cloister::storage
