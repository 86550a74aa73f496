// SPDX-License-Identifier: Apache-2.0
// The log across backups: its copy for one, the first record of the generation after one, and the logs of
// before.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/bytes.h"
#include "common/file.h"
#include "services/audit/audit_service.h"

namespace cloister::services {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr size_t kGenerationFileBytesMax = 1024 * 1024;

// Whole tiles and bundles never change; partial ones are removed when they have grown.
bool IsImmutable(const std::string& path) {
  return path.starts_with("tile/") && path.find(".p/") == std::string::npos;
}

// Writes what LogWriter::Export gives, or links it.
class LogCopy {
 public:
  LogCopy(fs::path from, fs::path to) : from_(std::move(from)), to_(std::move(to)) {}
  Status Take(const std::string& path, uint64_t offset, std::string_view piece) {
    if (offset == 0) CLOISTER_RETURN_IF_ERROR(Begin(path));
    return linked_ ? absl::OkStatus() : WriteAll(file_.get(), piece);
  }

 private:
  Status Begin(const std::string& path) {
    CLOISTER_RETURN_IF_ERROR(MakePrivateDirectory((to_ / path).parent_path()));
    linked_ = IsImmutable(path) && ::link((from_ / path).c_str(), (to_ / path).c_str()) == 0;
    if (linked_) return absl::OkStatus();
    file_ = FileDescriptor(::open((to_ / path).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    return file_.valid() ? absl::OkStatus() : ErrnoStatus(errno, "a file of the log's copy");
  }
  const fs::path from_, to_;
  FileDescriptor file_;
  bool linked_ = false;
};

// Every file below `from`, as a hard link.
Status LinkTree(const fs::path& from, const fs::path& to) {
  std::error_code error;
  if (!fs::exists(from, error)) return absl::OkStatus();
  for (fs::recursive_directory_iterator it(from, error), end; !error && it != end; it.increment(error)) {
    if (!it->is_regular_file(error)) continue;
    const fs::path target = to / it->path().lexically_relative(from);
    CLOISTER_RETURN_IF_ERROR(MakePrivateDirectory(target.parent_path()));
    if (::link(it->path().c_str(), target.c_str()) != 0)
      return ErrnoStatus(errno, "a file of a former log's copy");
  }
  return error ? ErrnoStatus(error.value(), "the folder of former logs") : absl::OkStatus();
}

}  // namespace

StatusOr<v1::LogCheckpoint> AuditService::CopyLog(const fs::path& folder) const {
  const Status covered = log_->WaitForCheckpoint(log_->State().size, kCheckpointWait);
  // A busy log is copied as of its last checkpoint.
  if (covered.code() != StatusCode::kDeadlineExceeded) CLOISTER_RETURN_IF_ERROR(covered);
  LogCopy copy(options_.log_directory, folder / "log");
  CLOISTER_RETURN_IF_ERROR(
      log_->Export([&](const std::string& path, uint64_t offset, std::string_view piece) {
        return copy.Take(path, offset, piece);
      }));
  const fs::path beside = options_.log_directory.parent_path();
  CLOISTER_RETURN_IF_ERROR(LinkTree(beside / kFormerLogsFolder, folder / kFormerLogsFolder));
  const auto generation = ReadFile(beside / kGenerationFile, kGenerationFileBytesMax);
  if (generation.ok()) {
    CLOISTER_RETURN_IF_ERROR(WriteFileAtomic(folder / kGenerationFile, *generation, 0600));
  } else if (generation.status().code() != StatusCode::kNotFound) {
    return generation.status();
  }
  // The copy's own checkpoint: the log has gone on.
  CLOISTER_ASSIGN_OR_RETURN(const std::string note,
                            ReadFile(folder / "log" / audit::kCheckpointFile, audit::kNoteBytesMax));
  CLOISTER_ASSIGN_OR_RETURN(const auto verifier, audit::NoteVerifier::Parse(signer_.verifier_key()));
  CLOISTER_ASSIGN_OR_RETURN(const audit::Checkpoint checkpoint, audit::OpenCheckpoint(note, verifier));
  v1::LogCheckpoint out;
  out.set_origin(checkpoint.origin);
  out.set_size(checkpoint.size);
  out.set_root(std::string(checkpoint.root.bytes()));
  out.set_checkpoint(note);
  return out;
}

// Whether the former checkpoint carries this appliance's signature is said, not demanded: the log's key may
// have been changed since.
Status AuditService::RecordRestored() {
  const std::string& note = generation_.former_checkpoint;
  const std::string origin = note.substr(0, note.find('\n'));
  json former = {{"origin", origin}, {"verified", 0}};
  CLOISTER_ASSIGN_OR_RETURN(const auto seed, keys_.GetNamedKey(storage::KeyKind::kSigning, "log"));
  const auto signer = audit::NoteSigner::New(origin, seed.key->view());
  if (signer.ok()) {
    CLOISTER_ASSIGN_OR_RETURN(const auto verifier, audit::NoteVerifier::Parse(signer->verifier_key()));
    const auto checkpoint = audit::OpenCheckpoint(note, verifier);
    if (checkpoint.ok()) {
      former = {{"origin", origin},
                {"size", std::to_string(checkpoint->size)},
                {"root", Base64Encode(checkpoint->root.bytes())},
                {"verified", 1}};
    }
  }
  const json body = {{"backup", HexEncode(generation_.backup)},
                     {"generation", generation_.number},
                     {"restored_at", FormatTime(WallTime(std::chrono::nanoseconds(generation_.restored_ns)))},
                     {"former", std::move(former)}};
  return RecordOwn("backup.restored", body.dump(), "", "").status();
}

StatusOr<std::vector<FormerLog>> AuditService::FormerLogsHere() const {
  CLOISTER_ASSIGN_OR_RETURN(const auto seed, keys_.GetNamedKey(storage::KeyKind::kSigning, "log"));
  std::optional<Citation> cited;
  // Damage there is damage of the present log, which whoever reads that is told.
  const auto first = log_->Read(0, 1);
  if (first.ok() && !first->empty()) cited = CitationIn(first->front());
  return OpenFormerLogs(options_.log_directory.parent_path(), generation_.number, std::move(cited),
                        seed.key->view());
}

StatusOr<std::optional<FormerLog>> AuditService::FormerLogOf(uint32_t generation) const {
  if (generation == 0 || generation == generation_.number) return std::nullopt;
  CLOISTER_ASSIGN_OR_RETURN(const auto seed, keys_.GetNamedKey(storage::KeyKind::kSigning, "log"));
  CLOISTER_ASSIGN_OR_RETURN(
      FormerLog former, OpenFormerLog(options_.log_directory.parent_path(), generation, seed.key->view()));
  return former;
}

StatusOr<std::string> AuditService::LogKeyOf(const std::string& origin) const {
  CLOISTER_ASSIGN_OR_RETURN(const auto seed, keys_.GetNamedKey(storage::KeyKind::kSigning, "log"));
  CLOISTER_ASSIGN_OR_RETURN(const auto signer, audit::NoteSigner::New(origin, seed.key->view()));
  return signer.verifier_key();
}

}  // namespace cloister::services
