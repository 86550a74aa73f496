// SPDX-License-Identifier: Apache-2.0
#include "witness/witness.h"

#include <chrono>
#include <utility>

#include "common/bytes.h"
#include "common/log.h"
#include "crypto/hash.h"

namespace cloister::witness {
namespace {

constexpr unsigned kPrivate = 0600;

Answer Refusal(int status, std::string_view why) {
  return {status, "text/plain; charset=utf-8", std::string(why) + '\n'};
}

}  // namespace

StatusOr<std::unique_ptr<Witness>> Witness::Open(std::filesystem::path folder, std::vector<audit::NoteVerifier> logs,
                                                 audit::Cosigner cosigner, const Clock& clock) {
  for (const std::filesystem::path& made : {folder, folder / "logs", folder / "evidence"}) {
    CLOISTER_RETURN_IF_ERROR(MakePrivateDirectory(made));
  }
  CLOISTER_ASSIGN_OR_RETURN(FileDescriptor lock, LockFile(folder / "lock"));
  auto witness =
      std::unique_ptr<Witness>(new Witness(std::move(folder), std::move(lock), std::move(cosigner), clock));
  for (audit::NoteVerifier& verifier : logs) {
    const std::string origin = verifier.name();
    State log{std::move(verifier), HexEncode(crypto::Sha256(origin)), 0, audit::EmptyRoot(), "", {}, {}};
    CLOISTER_RETURN_IF_ERROR(witness->Load(log));
    if (!witness->logs_.emplace(origin, std::move(log)).second) {
      return InvalidArgument("two keys are given for the log " + origin);
    }
  }
  return witness;
}

Status Witness::Load(State& log) const {
  std::error_code error;
  for (const bool fork : {true, false}) {
    size_t& kept = (fork ? log.forks : log.unproven).kept;
    while (kept < kEvidenceMax && std::filesystem::exists(EvidenceFolder(log, fork, kept) / "request", error)) ++kept;
  }
  const auto note = ReadFile(folder_ / "logs" / log.name, audit::kNoteBytesMax);
  if (note.status().code() == StatusCode::kNotFound) return absl::OkStatus();
  CLOISTER_RETURN_IF_ERROR(note.status());
  const auto refused = [&](const Status& status) {
    return DataLoss("what was last seen of " + log.verifier.name() + " is damaged (" + MessageOf(status) +
                    "); a witness that forgot it must not go on under this key");
  };
  const auto checkpoint = audit::OpenCheckpoint(*note, log.verifier);
  if (!checkpoint.ok()) return refused(checkpoint.status());
  CLOISTER_ASSIGN_OR_RETURN(const auto own, audit::CosignatureVerifier::Parse(cosigner_.verifier_key()));
  if (const auto time = own.Verify(*note); !time.ok()) return refused(time.status());
  log.size = checkpoint->size;
  log.root = checkpoint->root;
  log.checkpoint = *note;
  return absl::OkStatus();
}

Answer Witness::Add(std::string_view body) {
  const auto request = ParseAddCheckpoint(body);
  if (!request.ok()) return Refusal(kStatusMalformed, MessageOf(request.status()));
  const std::string_view note = request->checkpoint;
  std::lock_guard lock(mutex_);
  const auto found = logs_.find(note.substr(0, note.find('\n')));
  if (found == logs_.end()) return Refusal(kStatusUnknownLog, "this witness does not serve that log");
  State& log = found->second;
  const auto checkpoint = audit::OpenCheckpoint(note, log.verifier);
  if (!checkpoint.ok()) return Refusal(kStatusNotSigned, MessageOf(checkpoint.status()));
  if (request->old_size > checkpoint->size) return Refusal(kStatusMalformed, "the old size is above the checkpoint's");
  if (request->old_size != log.size) return {kStatusOtherSize, std::string(kSizeContentType), std::to_string(log.size) + '\n'};
  Status extends;
  if (log.size == 0) {
    if (!request->proof.empty()) extends = InvalidArgument("a proof from size 0 is empty");
    if (checkpoint->size == 0 && checkpoint->root != audit::EmptyRoot()) extends = DataLoss("the root of an empty log");
  } else if (checkpoint->size == log.size && checkpoint->root != log.root) {
    KeepEvidence(log, true, log.forks, body, note);
    return {kStatusOtherSize, std::string(kSizeContentType), std::to_string(log.size) + '\n'};
  } else {
    extends = audit::VerifyConsistency(log.size, checkpoint->size, request->proof, log.root, checkpoint->root);
  }
  if (!extends.ok()) {
    if (extends.code() == StatusCode::kDataLoss) KeepEvidence(log, false, log.unproven, body, note);
    return Refusal(kStatusNotProven, "the checkpoint is not shown to extend the last one: " + MessageOf(extends));
  }
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(clock_.Now().time_since_epoch()).count();
  const std::string cosignature = cosigner_.Sign(audit::CheckpointText(*checkpoint), static_cast<uint64_t>(now));
  const audit::NoteParts parts = *audit::SplitNote(note);  // It was opened before.
  const std::string kept = parts.text + '\n' + audit::SignatureLinesOf(parts, log.verifier.name()) + cosignature;
  const Status written = WriteFileAtomic(folder_ / "logs" / log.name, kept, kPrivate);
  if (!written.ok()) {
    LogStatus(LogLevel::kError, "witness.not_kept", written);
    return Refusal(kStatusNotKept, "the checkpoint could not be kept here; try again");
  }
  log.size = checkpoint->size;
  log.root = checkpoint->root;
  log.checkpoint = kept;
  return {kStatusCosigned, "text/plain; charset=utf-8", cosignature};
}

void Witness::KeepEvidence(const State& log, bool fork, State::Evidence& evidence, std::string_view request,
                           std::string_view checkpoint) const {
  if (evidence.kept == kEvidenceMax || evidence.last == checkpoint) return;
  Log(fork ? LogLevel::kError : LogLevel::kWarning, fork ? "witness.forked_log" : "witness.unproven_checkpoint");
  const std::filesystem::path folder = EvidenceFolder(log, fork, evidence.kept);
  Status status = MakePrivateDirectory(folder);
  for (const auto& [name, bytes] : {std::pair{"cosigned", std::string_view(log.checkpoint)},
                                    {"submitted", checkpoint}, {"request", request}}) {
    if (status.ok()) status = WriteFileAtomic(folder / name, bytes, kPrivate);
  }
  if (!status.ok()) return LogStatus(LogLevel::kError, "witness.evidence_not_kept", status);
  evidence.last = checkpoint;
  ++evidence.kept;
}

std::filesystem::path Witness::EvidenceFolder(const State& log, bool fork, size_t number) const {
  return folder_ / "evidence" / (log.name + (fork ? "-fork-" : "-unproven-") + std::to_string(number));
}

std::vector<WitnessedLog> Witness::Logs() const {
  std::lock_guard lock(mutex_);
  std::vector<WitnessedLog> out;
  for (const auto& [origin, log] : logs_) out.push_back({origin, log.size, log.checkpoint, log.forks.kept, log.unproven.kept});
  return out;
}

}  // namespace cloister::witness
