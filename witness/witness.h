// SPDX-License-Identifier: Apache-2.0
// A witness of logs: cosigns a checkpoint when it extends the last one that it cosigned of that log, and never two that do
// not go together. It keeps that last checkpoint, and as evidence whatever a log's key signed that does not extend it.
// Meant for a host under another administration than the log's: beside the log it proves nothing. Does not speak HTTP; see
// services/witness. SPEC: c2sp.org/tlog-witness v1.0.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "audit/checkpoint.h"
#include "audit/cosignature.h"
#include "audit/note.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/status.h"
#include "witness/add_checkpoint.h"

namespace cloister::witness {

constexpr size_t kEvidenceMax = 100;  // Of one log and one kind; later ones are refused all the same and not kept.

// An answer of HTTP.
struct Answer {
  int status = 0;
  std::string content_type, body;
};

// What is known of one log.
struct WitnessedLog {
  std::string origin;
  uint64_t size = 0;       // Last cosigned; 0: nothing yet.
  std::string checkpoint;  // The note with both signatures; empty: nothing yet.
  size_t forks = 0;        // Kept requests whose checkpoint has the size of what was cosigned, and another root.
  size_t unproven = 0;     // Kept requests whose proof does not lead to their checkpoint: anybody can make one.
};

// Thread-safe; answers one request at a time. `clock` must outlive it. In `folder`: `logs/<SHA-256 of the origin>`, the last
// checkpoint cosigned, and folders `evidence/<SHA-256 of the origin>-fork-<number>` and `-unproven-<number>` of what did not go
// together with it: `cosigned` and `submitted`, both checkpoints with the log's signature, and `request`, as it came. A fork
// takes the log's key. What is only unproven may come from anybody who has a checkpoint and sends a wrong proof with it.
class Witness {
 public:
  // `logs` are the verifier keys of the logs it serves; one that it served before and does not any more keeps its file.
  // Errors: kInvalidArgument (two keys of one origin), kDataLoss (a kept checkpoint is damaged or was cosigned by another
  // key: a witness that forgot what it saw must not go on), kFailedPrecondition (another process has the folder),
  // kUnavailable.
  static StatusOr<std::unique_ptr<Witness>> Open(std::filesystem::path folder, std::vector<audit::NoteVerifier> logs,
                                                 audit::Cosigner cosigner, const Clock& clock);
  // The answer to POST /add-checkpoint. 200 only once the checkpoint is durable here; 503 when it cannot be.
  Answer Add(std::string_view body);
  // By origin.
  std::vector<WitnessedLog> Logs() const;
  std::string verifier_key() const { return cosigner_.verifier_key(); }

 private:
  struct State {
    audit::NoteVerifier verifier;
    std::string name;  // Of its files.
    uint64_t size = 0;
    audit::Hash root;
    std::string checkpoint;
    struct Evidence {
      size_t kept = 0;
      std::string last;  // The checkpoint in it: a log that tries again adds nothing.
    };
    Evidence forks, unproven;
  };
  Witness(std::filesystem::path folder, FileDescriptor lock, audit::Cosigner cosigner, const Clock& clock)
      : folder_(std::move(folder)), lock_(std::move(lock)), cosigner_(std::move(cosigner)), clock_(clock) {}
  Status Load(State& log) const;
  // Without an error: what cannot be kept is refused all the same.
  void KeepEvidence(const State& log, bool fork, State::Evidence& evidence, std::string_view request,
                    std::string_view checkpoint) const;

  std::filesystem::path EvidenceFolder(const State& log, bool fork, size_t number) const;

  const std::filesystem::path folder_;
  const FileDescriptor lock_;
  const audit::Cosigner cosigner_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::map<std::string, State, std::less<>> logs_;  // By origin.
};

}  // namespace cloister::witness
