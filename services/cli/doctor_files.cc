// SPDX-License-Identifier: Apache-2.0
// The files of a data directory, without looking into them: who may read them, what is left over, how much
// room there is.
#include <sys/stat.h>

#include <cerrno>
#include <system_error>

#include "backup/restore.h"
#include "common/file.h"
#include "services/cli/doctor.h"
#include "services/cli/terminal_text.h"
#include "storage/torn_logs.h"

namespace cloister::services {
namespace {

namespace fs = std::filesystem;
using storage::Examination;

constexpr mode_t kOthers = 077;
constexpr uint64_t kFreeBytesWanted = 512 * 1024 * 1024;  // Below this an appliance soon refuses to write.
constexpr std::string_view kPublicFile = "gateway.crt";
constexpr std::string_view kTemporaryMark = ".tmp.";  // Of a file that is written beside the one it replaces.
constexpr size_t kToldMax = 20;                       // Of one kind; the rest is counted.

// Many files of one kind are one mistake.
class Kind {
 public:
  Kind(std::string problem, std::string remedy, std::string done)
      : problem_(std::move(problem)), remedy_(std::move(remedy)), done_(std::move(done)) {}
  void Add(const std::string& where, bool done, Examination& out) {
    if (++count_ > kToldMax) return;
    out.Add({"files", where, problem_, done ? "" : remedy_, done ? done_ : ""});
  }
  void Finish(Examination& out) const {
    if (count_ > kToldMax)
      out.Add({"files", std::to_string(count_ - kToldMax) + " more", problem_, remedy_,
               remedy_.empty() ? done_ : ""});
  }

 private:
  const std::string problem_, remedy_, done_;
  size_t count_ = 0;
};

class FilesExaminer {
 public:
  FilesExaminer(const fs::path& data, bool stopped, bool repair, Examination& out)
      : data_(data), stopped_(stopped), repair_(repair), out_(out) {}

  Status Run() {
    struct stat root {};
    if (::lstat(data_.c_str(), &root) != 0) return ErrnoStatus(errno, "data directory");
    owner_ = root.st_uid;
    Look(data_);
    std::error_code error;
    for (fs::recursive_directory_iterator it(data_, error), end; !error && it != end; it.increment(error))
      Look(it->path());
    if (error) {
      out_.Add(
          {"files", data_.string(), "cannot be listed completely: " + error.message(), "check the disk", ""});
    }
    for (const Kind* kind : {&open_, &foreign_, &temporary_, &torn_}) kind->Finish(out_);
    if (stopped_) LookForRestore();
    LookForSpace();
    return absl::OkStatus();
  }

 private:
  std::string NameOf(const fs::path& path) const {
    return path == data_ ? data_.string() : path.lexically_relative(data_).string();
  }

  void Look(const fs::path& path) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) return;  // Gone meanwhile.
    ++checked_;
    out_.Checked("files", 1, S_ISREG(info.st_mode) ? static_cast<uint64_t>(info.st_size) : 0);
    if (info.st_uid != owner_) foreign_.Add(NameOf(path), false, out_);
    const bool is_public = path == data_ / kPublicFile && (info.st_mode & kOthers & ~mode_t{044}) == 0;
    if (!S_ISLNK(info.st_mode) && (info.st_mode & kOthers) != 0 && !is_public) {
      const bool mended = repair_ && ::chmod(path.c_str(), info.st_mode & ~kOthers & 07777) == 0;
      open_.Add(NameOf(path), mended, out_);
    }
    if (storage::IsTornCopy(path)) torn_.Add(NameOf(path), true, out_);
    if (stopped_ && S_ISREG(info.st_mode) &&
        path.filename().string().find(kTemporaryMark) != std::string::npos) {
      std::error_code error;
      temporary_.Add(NameOf(path), repair_ && fs::remove(path, error), out_);
    }
  }

  void LookForRestore() {
    const fs::path staging = data_ / backup::kStagingFolder;
    std::error_code error;
    if (!fs::exists(staging, error)) return;
    storage::Finding finding{"files", std::string(backup::kStagingFolder) + "/", "", "", ""};
    const auto whole = backup::InterruptedRestore(data_);
    if (whole.ok() && *whole) {
      finding.problem = "a restore was interrupted while it put folders in place; what waits here is whole";
      if (repair_ && backup::FinishRestore(data_).ok()) {
        finding.done = "put in place";
      } else {
        finding.remedy = "`cloister backup restore` of backup " + (*whole)->hex() +
                         ", or `cloister doctor --offline --repair`, puts the rest in place";
      }
    } else if (backup::CheckTarget(data_).ok()) {
      finding.problem = "a restore was interrupted before it had all its files";
      if (repair_ && fs::remove_all(staging, error) > 0) finding.done = "removed";
      finding.remedy = "run `cloister backup restore` again";
    } else {
      finding.problem = "a restore was interrupted, and the data directory was used since";
      finding.remedy =
          "remove the folder when what the appliance shows is what you want; otherwise restore into a new "
          "data directory";
    }
    out_.Add(std::move(finding));
  }

  void LookForSpace() {
    std::error_code error;
    const auto space = fs::space(data_, error);
    if (error || space.available >= kFreeBytesWanted) return;
    out_.Add({"files", data_.string(),
              "its disk has " + HumanBytes(static_cast<double>(space.available)) + " left",
              "free space: with none the appliance answers and takes nothing in", ""});
  }

  const fs::path data_;
  const bool stopped_, repair_;
  Examination& out_;
  uid_t owner_ = 0;
  uint64_t checked_ = 0;
  Kind open_{"others on this machine may read or change it",
             "`cloister doctor --repair` takes that right from them", "closed to others"};
  Kind foreign_{"belongs to another user than the data directory", "give it to the owner: chown, as root",
                ""};
  Kind temporary_{"left over from a write that was cut short",
                  "`cloister doctor --offline --repair` removes it", "removed"};
  // Evidence as long as the database does not open, which is said where it is opened; so no repair removes
  // it.
  Kind torn_{"a log as a power loss left it, before its end was cut off at the first hole", "",
             "kept to be looked at; a start of its service removes it after " +
                 std::to_string(storage::kTornCopyKept.count() / 24) +
                 " days, once nothing acknowledged is missing"};
};

}  // namespace

Status ExamineFiles(const fs::path& data, bool stopped, bool repair, Examination& out) {
  return FilesExaminer(data, stopped, repair, out).Run();
}

}  // namespace cloister::services
