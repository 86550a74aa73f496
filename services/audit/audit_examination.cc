// SPDX-License-Identifier: Apache-2.0
// Examines audit: its rows, its logs, and that every section the log speaks of opens or is forgotten.
#include <algorithm>
#include <chrono>
#include <optional>
#include <set>
#include <system_error>
#include <thread>
#include <vector>

#include "audit/closed_log.h"
#include "audit/log_directory.h"
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

constexpr const char* kRestoreFormer =
    "put it back from a backup into audit/former/; until then what was recorded in it is not found";

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

Status ExamineSectionsOf(const EntryReader& read, uint64_t size, std::string_view log,
                         const Sections& sections, const storage::ExaminationOptions& options,
                         Examination& out) {
  out.Checked("sections", 0);
  for (uint64_t at = 0; at < size;) {
    CLOISTER_RETURN_IF_ERROR(options.CheckCancelled());
    const auto entries = read(at, static_cast<uint32_t>(std::min<uint64_t>(kEntriesPerStep, size - at)));
    if (!entries.ok() || entries->empty()) {
      at = (at / audit::kTileWidth + 1) * audit::kTileWidth;
      continue;
    }
    for (const std::string& entry : *entries) {
      const auto envelope = audit::ParseEnvelope(entry);
      if (!envelope.ok()) continue;
      for (const audit::SectionReference& section : envelope->sections) {
        const Status opened = sections.Open(section).status();
        if (opened.code() == StatusCode::kUnavailable) return opened;
        if (opened.ok() || opened.code() == StatusCode::kNotFound) {
          out.Checked("sections", 1);  // Opens, or belongs to somebody who is forgotten.
          continue;
        }
        out.Add(
            {"sections",
             "section " + section.id.hex() + " of entry " + std::to_string(envelope->seq) + std::string(log),
             MessageOf(opened), "its words are lost, the entry and its proof hold; " + std::string(kRestore),
             ""});
      }
    }
    at += entries->size();
  }
  return absl::OkStatus();
}

Status ExamineFormerLogs(const fs::path& audit_directory, uint32_t present, std::optional<Citation> cited,
                         std::string_view seed, const Sections* sections,
                         const storage::ExaminationOptions& options, Examination& out) {
  std::vector<FormerLog> logs = OpenFormerLogs(audit_directory, present, std::move(cited), seed);
  for (FormerLog& former : logs) {
    CLOISTER_RETURN_IF_ERROR(options.CheckCancelled());
    const std::string number = std::to_string(former.generation);
    const std::string name = std::string(kFormerLogsFolder) + "/" + number;
    const uint64_t before = out.findings_total();
    const fs::path folder = audit_directory / kFormerLogsFolder / number;
    if (const auto verifier = VerifierFor(folder, seed); verifier.ok()) {
      ExamineLogFolder(folder, "former logs", name, *verifier, out);
    }
    // Unless that has said it in more detail.
    if (!former.problem.empty() && out.findings_total() == before) {
      out.Add({"former logs", name, "the log of generation " + number + " " + former.problem, kRestoreFormer,
               ""});
    }
    if (!former.log || sections == nullptr) continue;
    const auto read = [&](uint64_t first, uint32_t count) { return former.log->Read(first, count); };
    CLOISTER_RETURN_IF_ERROR(ExamineSectionsOf(read, former.log->checkpoint().size,
                                               " of generation " + number, *sections, options, out));
  }
  return absl::OkStatus();
}

Status ExamineClosedLog(const fs::path& audit_directory, storage::KeySource& keys,
                        const std::optional<ClosedSections>& closed,
                        const storage::ExaminationOptions& options, Examination& out) {
  CLOISTER_ASSIGN_OR_RETURN(const auto seed, keys.GetNamedKey(storage::KeyKind::kSigning, "log"));
  const fs::path folder = audit_directory / "log";
  std::optional<People> people;
  std::optional<Sections> sections;
  if (closed) {
    people.emplace(closed->store, closed->database, keys);
    CLOISTER_RETURN_IF_ERROR(people->Load());
    sections.emplace(closed->store, closed->database, keys, *people);
  }
  const auto generation = ReadGeneration(audit_directory / kGenerationFile);
  if (!generation.ok()) out.Add({"log", "generation", MessageOf(generation.status()), kRestore, ""});
  uint32_t present = generation.ok() ? generation->number : kGenerationMax;
  std::optional<Citation> cited;
  const auto verifier = VerifierFor(folder, seed.key->view());
  if (verifier.ok()) {
    const uint64_t before = out.findings_total();
    ExamineLogFolder(folder, "log", "log", *verifier, out);
    const auto number = GenerationOf(verifier->name());
    if (number.ok() && generation.ok() && *number != present) {
      out.Add({"log", "generation",
               "says that the log is of generation " + std::to_string(present) + ", but it is '" +
                   verifier->name() + "'",
               "put the file 'generation' back from where it was restored", ""});
    }
    if (number.ok()) present = *number;
    // What a start would refuse: the journal is needed, too.
    const Status recovers = audit::LogDirectory(folder).Recover(*verifier).status();
    if (!recovers.ok() && out.findings_total() == before) {
      out.Add({"log", "log", MessageOf(recovers), kRestore, ""});
    }
    auto log = audit::ClosedLog::Open(folder, *verifier);
    if (log.ok()) {
      const auto read = [&](uint64_t first, uint32_t count) { return log->Read(first, count); };
      const auto first = log->Read(0, 1);
      if (first.ok() && !first->empty()) cited = CitationIn(first->front());
      // What the journal alone has is put into the database by the next start.
      if (sections) {
        CLOISTER_RETURN_IF_ERROR(
            ExamineSectionsOf(read, log->checkpoint().size, "", *sections, options, out));
      }
    }
  } else {
    out.Add({"log", "log/checkpoint", "cannot be read: " + MessageOf(verifier.status()), kRestore, ""});
  }
  return ExamineFormerLogs(audit_directory, present, std::move(cited), seed.key->view(),
                           sections ? &*sections : nullptr, options, out);
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
  // Up to the last checkpoint: what it covers is in the store.
  const auto read = [this](uint64_t first, uint32_t count) { return log_->Read(first, count); };
  CLOISTER_RETURN_IF_ERROR(
      ExamineSectionsOf(read, log_->State().checkpoint_size, "", sections_, options, out));
  std::optional<Citation> cited;
  const auto first = log_->Read(0, 1);
  if (first.ok() && !first->empty()) cited = CitationIn(first->front());
  return ExamineFormerLogs(options_.log_directory.parent_path(), generation_.number, std::move(cited),
                           seed.key->view(), &sections_, options, out);
}

}  // namespace cloister::services
