// SPDX-License-Identifier: Apache-2.0
#include "services/audit/witness_watch.h"

#include <utility>

#include "audit/checkpoint.h"
#include "common/file.h"
#include "common/log.h"
#include "witness/add_checkpoint.h"

namespace cloister::services {
namespace {

constexpr int kAttemptsMax = 3;  // With a size that the witness told.
constexpr unsigned kPrivate = 0600;

Status RolledBack(const std::string& what) { return FailedPrecondition(what + std::string(kWitnessRemedy)); }

}  // namespace

WitnessWatch::WitnessWatch(WitnessWatchParts parts, audit::NoteVerifier log) : parts_(std::move(parts)), log_(std::move(log)) {
  for (const witness::WitnessPeer& peer : parts_.witnesses) states_[peer.verifier.name()].name = peer.verifier.name();
}

StatusOr<std::unique_ptr<WitnessWatch>> WitnessWatch::Compare(WitnessWatchParts parts) {
  if (parts.quorum < 1 || parts.quorum > parts.witnesses.size()) {
    return InvalidArgument("audit.witness_quorum must be 1 to the number of audit.witnesses");
  }
  CLOISTER_ASSIGN_OR_RETURN(audit::NoteVerifier log, audit::NoteVerifier::Parse(parts.log_key));
  std::unique_ptr<WitnessWatch> out(new WitnessWatch(std::move(parts), std::move(log)));
  CLOISTER_RETURN_IF_ERROR(out->ReadKept());
  const auto deadline = std::chrono::steady_clock::now() + out->parts_.patience;
  while (true) {
    const Status asked = out->AskAll();
    if (asked.ok()) return out;
    if (asked.code() != StatusCode::kUnavailable) return asked;
    if (std::chrono::steady_clock::now() + out->parts_.retry > deadline) return asked;
    std::this_thread::sleep_for(out->parts_.retry);
  }
}

void WitnessWatch::Start() {
  thread_ = std::thread([this] { Run(); });
}

WitnessWatch::~WitnessWatch() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

std::vector<WitnessState> WitnessWatch::States() const {
  std::lock_guard lock(mutex_);
  std::vector<WitnessState> out;
  for (const auto& [name, state] : states_) out.push_back(state);
  return out;
}

std::string WitnessWatch::Witnessed() const {
  std::lock_guard lock(mutex_);
  return witnessed_;
}

Status WitnessWatch::ReadKept() {
  auto note = ReadFile(parts_.file, audit::kNoteBytesMax);
  if (note.status().code() == StatusCode::kNotFound) return absl::OkStatus();
  CLOISTER_RETURN_IF_ERROR(note.status());
  const auto parts = audit::SplitNote(*note);
  const auto text = parts.ok() ? audit::ParseCheckpointText(parts->text) : StatusOr<audit::Checkpoint>(parts.status());
  // Of a generation of before: this log began after it, and says so in its first record.
  if (text.ok() && text->origin != log_.name()) return absl::OkStatus();
  const auto kept = audit::OpenCheckpoint(*note, log_);
  if (!kept.ok()) return DataLoss("the file `witnessed` beside the log is damaged; delete it, and the witnesses are asked instead");
  const Status extends = parts_.check(kept->size, kept->root);
  if (extends.code() == StatusCode::kFailedPrecondition) {
    return RolledBack("the log does not go on from its checkpoint of size " + std::to_string(kept->size) +
                      ", which witnesses cosigned");
  }
  CLOISTER_RETURN_IF_ERROR(extends);
  std::lock_guard lock(mutex_);
  witnessed_ = *std::move(note);
  for (const witness::WitnessPeer& peer : parts_.witnesses) {
    const auto time = peer.verifier.Verify(witnessed_);
    if (!time.ok()) continue;
    WitnessState& state = states_[peer.verifier.name()];
    state.size = kept->size;
    state.cosigned_at = *time;
  }
  return absl::OkStatus();
}

StatusOr<std::string> WitnessWatch::AskOne(const witness::WitnessPeer& peer, const audit::HeldCheckpoint& log) {
  const std::string& name = peer.verifier.name();
  uint64_t known;
  {
    std::lock_guard lock(mutex_);
    known = states_[name].size;
  }
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    CLOISTER_ASSIGN_OR_RETURN(const auto proof, log.proof_from(known));
    CLOISTER_ASSIGN_OR_RETURN(const WitnessAnswer answer, parts_.ask(name, witness::Serialise({known, proof, log.note})));
    if (answer.status == witness::kStatusCosigned) {
      const auto time = peer.verifier.Verify(log.note + answer.body);
      if (!time.ok()) return Unavailable("it answered with a cosignature that does not verify");
      std::lock_guard lock(mutex_);
      states_[name] = {name, log.checkpoint.size, *time, ""};
      return audit::SignatureLinesOf(*audit::SplitNote(log.note + answer.body), name);  // It was verified.
    }
    if (answer.status == witness::kStatusOtherSize) {
      const auto told = witness::ParseSizeAnswer(answer.body);
      if (!told.ok()) return Unavailable("it does not say which size it saw last");
      if (*told > log.checkpoint.size) {
        return RolledBack("the witness " + name + " cosigned this log at size " + std::to_string(*told) +
                          ", and here it has " + std::to_string(log.checkpoint.size) + " entries");
      }
      if (*told == known && known == log.checkpoint.size) {
        return RolledBack("the witness " + name + " cosigned another log of the same name at size " + std::to_string(known));
      }
      if (*told == known) return Unavailable("it contradicts itself about the size that it saw last");
      known = *told;
      continue;
    }
    if (answer.status == witness::kStatusNotProven) {
      return RolledBack("the log does not go on from what the witness " + name + " cosigned at size " + std::to_string(known));
    }
    if (answer.status == witness::kStatusUnknownLog) return Unavailable("it does not serve this log; give it this key: " + parts_.log_key);
    if (answer.status == witness::kStatusNotSigned) return Unavailable("it has another key of this log than " + parts_.log_key);
    return Unavailable("it answered with status " + std::to_string(answer.status));
  }
  return Unavailable("it tells another size each time");
}

Status WitnessWatch::AskAll() {
  const audit::HeldCheckpoint log = parts_.hold();  // It grows meanwhile, and all are asked about the same.
  std::string note = log.note;
  uint32_t cosigned = 0;
  std::string problems;
  for (const witness::WitnessPeer& peer : parts_.witnesses) {
    if (Stopping()) return Unavailable("the service stops");
    const auto line = AskOne(peer, log);
    if (line.ok()) {
      note += *line;
      ++cosigned;
      continue;
    }
    if (line.status().code() == StatusCode::kFailedPrecondition) return line.status();
    problems += "; " + peer.verifier.name() + ": " + MessageOf(line.status());
    std::lock_guard lock(mutex_);
    states_[peer.verifier.name()].problem = MessageOf(line.status());
  }
  if (cosigned >= parts_.quorum) return Keep(note);
  return Unavailable("too few witnesses cosigned the log, " + std::to_string(parts_.quorum) +
                     " must (audit.witness_quorum)" + problems);
}

bool WitnessWatch::Stopping() const {
  std::lock_guard lock(mutex_);
  return stopping_;
}

Status WitnessWatch::Keep(const std::string& note) {
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomic(parts_.file, note, kPrivate));
  std::lock_guard lock(mutex_);
  witnessed_ = note;
  return absl::OkStatus();
}

void WitnessWatch::Run() {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, parts_.interval, [this] { return stopping_; })) {
    lock.unlock();
    const Status asked = AskAll();
    if (asked.code() == StatusCode::kFailedPrecondition) {
      LogStatus(LogLevel::kError, "audit.rolled_back", asked);
      if (parts_.on_rollback) parts_.on_rollback();
      return;
    }
    if (!asked.ok() && !Stopping()) LogStatus(LogLevel::kWarning, "audit.not_witnessed", asked);
    lock.lock();
  }
}

}  // namespace cloister::services
