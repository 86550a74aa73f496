// SPDX-License-Identifier: Apache-2.0
// Examines audit: its rows, its logs, and that every section the log speaks of opens or is forgotten.
#include <algorithm>
#include <chrono>
#include <optional>
#include <set>
#include <system_error>
#include <thread>
#include <vector>

#include "audit/log_writer.h"
#include "audit/verifier.h"
#include "common/bytes.h"
#include "common/file.h"
#include "services/audit/examination.h"
#include "storage/sealed_record.h"

namespace cloister::services {
namespace {

namespace fs = std::filesystem;
using storage::Examination;

constexpr uint32_t kEntriesPerStep = 4 * audit::kTileWidth;
// A log that is written to while it is read looks wrong at its edge: so often it is read again, then a copy
// is.
constexpr std::chrono::milliseconds kReadingPause{50};
constexpr int kReadings = 6;
constexpr std::string_view kCopyFolder = "examining";
constexpr const char* kRestore =
    "a log cannot be made anew: restore a backup by `cloister backup restore FOLDER` into a new data "
    "directory, where the "
    "log begins its next generation; keep this one as evidence";

std::set<KeyId> KeysBeingForgotten(const storage::Snapshot& snapshot) {
  std::set<KeyId> keys;
  std::vector<std::string> unreadable;
  storage::ScanReadable(
      snapshot, kForgettingFamily,
      [&](std::string_view, std::string_view value) {
        if (const auto id = KeyId::FromBytes(value); id.ok()) keys.insert(*id);
        return true;
      },
      unreadable)
      .IgnoreError();  // The rows themselves are examined, too.
  return keys;
}

// Origin of the log in `folder`, as its checkpoint says; the verifier holds it against the signature.
StatusOr<audit::NoteVerifier> VerifierFor(const fs::path& folder, std::string_view seed) {
  CLOISTER_ASSIGN_OR_RETURN(const std::string note,
                            ReadFile(folder / audit::kCheckpointFile, audit::kNoteBytesMax));
  CLOISTER_ASSIGN_OR_RETURN(const auto signer, audit::NoteSigner::New(note.substr(0, note.find('\n')), seed));
  return audit::NoteVerifier::Parse(signer.verifier_key());
}

Examination Reading(const fs::path& folder, const audit::NoteVerifier& verifier) {
  Examination out;
  ExamineLogFolder(folder, "log", "log", verifier, out);
  return out;
}

void Merge(const Examination& from, Examination& out) {
  for (const auto& part : from.parts()) out.Checked(part.name, part.checked, part.bytes);
  for (const auto& finding : from.findings()) out.Add(finding);
}

}  // namespace

storage::StoreToExamine SectionsToExamine(storage::KeySource& keys) {
  storage::StoreToExamine what;
  what.name = "sections";
  what.remedy = "restore a backup: `cloister backup restore FOLDER` into a new data directory";
  what.rows.column_families = AuditColumnFamilies();
  what.rows.judge = [&keys, forgotten = std::optional<std::set<KeyId>>()](
                        const storage::Snapshot& snapshot, std::string_view family, std::string_view row_key,
                        std::string_view value) mutable -> std::optional<Status> {
    if (family == kForgettingFamily) {
      return row_key.size() == kIdBytes && value.size() == kIdBytes ? absl::OkStatus()
                                                                    : DataLoss("a malformed mark");
    }
    // Sealed under a key of its own that its key record holds: opened by way of the log, which says what it
    // must be.
    if (family == kSectionsFamily) {
      return storage::RecordKeyId(value).status().ok() ? absl::OkStatus() : DataLoss("not a section");
    }
    if (family == kSectionKeysFamily && value == kForgottenSection) return absl::OkStatus();
    if (family != kSectionKeysFamily && family != kPeopleFamily) return std::nullopt;
    const auto id = storage::RecordKeyId(value);
    if (!id.ok() || keys.GetKey(*id).status().code() != StatusCode::kNotFound) return std::nullopt;
    if (!forgotten) forgotten = KeysBeingForgotten(snapshot);
    return forgotten->contains(*id) ? absl::OkStatus() : NotFound("its key is destroyed");
  };
  return what;
}

void ExamineLogFolder(const fs::path& folder, std::string_view part, std::string_view name,
                      const audit::NoteVerifier& verifier, Examination& out) {
  const audit::FolderReport report = audit::VerifyFolder(folder, verifier);
  out.Checked(part, report.verified() ? report.entries : 0);
  for (const std::string& problem : report.problems) {
    out.Add({std::string(part), std::string(name), problem, kRestore, ""});
  }
}

void ExamineFormerLogs(const fs::path& audit_directory, std::string_view seed, Examination& out) {
  std::error_code error;
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(audit_directory / kFormerLogsFolder, error))
    folders.push_back(entry.path());
  std::sort(folders.begin(), folders.end());
  for (const fs::path& folder : folders) {
    const std::string name = std::string(kFormerLogsFolder) + "/" + folder.filename().string();
    const auto verifier = VerifierFor(folder, seed);
    if (verifier.ok()) {
      ExamineLogFolder(folder, "former logs", name, *verifier, out);
    } else {
      out.Add({"former logs", name, "its checkpoint cannot be read: " + MessageOf(verifier.status()),
               kRestore, ""});
    }
  }
}

Status ExamineClosedLog(const fs::path& audit_directory, storage::KeySource& keys, Examination& out) {
  CLOISTER_ASSIGN_OR_RETURN(const auto seed, keys.GetNamedKey(storage::KeyKind::kSigning, "log"));
  const fs::path log = audit_directory / "log";
  const auto verifier = VerifierFor(log, seed.key->view());
  if (verifier.ok()) {
    ExamineLogFolder(log, "log", "log", *verifier, out);
  } else {
    out.Add({"log", "log/checkpoint", "cannot be read: " + MessageOf(verifier.status()), kRestore, ""});
  }
  const auto generation = ReadGeneration(audit_directory / kGenerationFile);
  if (!generation.ok()) out.Add({"log", "generation", MessageOf(generation.status()), kRestore, ""});
  ExamineFormerLogs(audit_directory, seed.key->view(), out);
  return absl::OkStatus();
}

Status AuditService::ExamineLog(const storage::ExaminationOptions& options, Examination& out) const {
  CLOISTER_ASSIGN_OR_RETURN(const auto verifier, audit::NoteVerifier::Parse(signer_.verifier_key()));
  Examination found;
  bool settled = false;
  std::optional<uint64_t> quiet_at;
  for (int reading = 0; reading < kReadings && !settled; ++reading) {
    CLOISTER_RETURN_IF_ERROR(options.CheckCancelled());
    const audit::LogState before = log_->State();
    found = Reading(options_.log_directory, verifier);
    const audit::LogState after = log_->State();
    // While a checkpoint is made, files of the next one are there already, and just after it those of the
    // last one still: damage is what two readings find between which nothing was written.
    const bool quiet = before.size == before.checkpoint_size && after.size == before.size &&
                       after.checkpoint_size == before.checkpoint_size;
    settled = found.findings_total() == 0 || (quiet && quiet_at == before.size);
    quiet_at = quiet ? std::optional<uint64_t>(before.size) : std::nullopt;
    if (settled) break;
    // Until what is there is covered, and the files of the former checkpoint are gone.
    log_->WaitForCheckpoint(log_->State().size, kCheckpointWait).IgnoreError();
    std::this_thread::sleep_for(kReadingPause);
  }
  if (!settled) {
    // Of the log as of one moment. What never changes is the same file there.
    const fs::path copy = options_.log_directory.parent_path() / kCopyFolder;
    std::error_code error;
    fs::remove_all(copy, error);
    CLOISTER_RETURN_IF_ERROR(MakePrivateDirectory(copy));
    const Status copied = CopyLog(copy).status();
    found = Reading(copy / "log", verifier);
    fs::remove_all(copy, error);
    CLOISTER_RETURN_IF_ERROR(copied);
  }
  Merge(found, out);
  CLOISTER_ASSIGN_OR_RETURN(const auto seed, keys_.GetNamedKey(storage::KeyKind::kSigning, "log"));
  ExamineFormerLogs(options_.log_directory.parent_path(), seed.key->view(), out);
  return ExamineSections(options, out);
}

// Up to the last checkpoint: what it covers is in the store.
Status AuditService::ExamineSections(const storage::ExaminationOptions& options, Examination& out) const {
  const uint64_t size = log_->State().checkpoint_size;
  out.Checked("sections", 0);
  for (uint64_t at = 0; at < size;) {
    CLOISTER_RETURN_IF_ERROR(options.CheckCancelled());
    const auto count = static_cast<uint32_t>(std::min<uint64_t>(kEntriesPerStep, size - at));
    const auto entries = log_->Read(at, count);
    if (!entries.ok() || entries->empty()) return absl::OkStatus();  // Told as damage of the log.
    for (const std::string& entry : *entries) {
      const auto envelope = audit::ParseEnvelope(entry);
      if (!envelope.ok()) continue;
      for (const audit::SectionReference& section : envelope->sections) {
        const Status opened = sections_.Open(section).status();
        if (opened.code() == StatusCode::kUnavailable) return opened;
        if (opened.ok() || opened.code() == StatusCode::kNotFound) {
          out.Checked("sections", 1);  // Opens, or belongs to somebody who is forgotten.
          continue;
        }
        out.Add({"sections", "section " + section.id.hex() + " of entry " + std::to_string(envelope->seq),
                 MessageOf(opened),
                 "its words are lost, the entry and its proof hold; " + std::string(kRestore), ""});
      }
    }
    at += entries->size();
  }
  return absl::OkStatus();
}

}  // namespace cloister::services
