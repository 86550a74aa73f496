// SPDX-License-Identifier: Apache-2.0
// Has witnesses cosign the log's checkpoints, and asks them at the start what they saw last: a log that is shorter than that,
// or another one, is not written to. Does not reach them itself: `ask` does (see services/relay).
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "audit/log_writer.h"
#include "audit/note.h"
#include "common/status.h"
#include "witness/witness_list.h"

namespace cloister::services {

inline constexpr std::string_view kWitnessedFile = "witnessed";  // Beside the log: its last checkpoint with a quorum.
constexpr std::chrono::seconds kWitnessRetry{2};                 // At the start, between attempts.

// What to do about a log that witnesses saw more of, for the end of a message.
inline constexpr std::string_view kWitnessRemedy =
    ". Put the newer files back, or restore a backup (`cloister backup restore`). If this older state is meant, "
    "`cloister keys accept-older --new-log` begins a new generation of the log and has it recorded";

// What a witness answered, whatever it was.
struct WitnessAnswer {
  int status = 0;  // Of HTTP.
  std::string content_type, body;
};

struct WitnessWatchParts {
  std::function<audit::HeldCheckpoint()> hold;  // The log's last checkpoint.
  // Whether the log begins with the one of this size and root. Errors: as LogWriter::CheckExtends.
  std::function<Status(uint64_t size, const audit::Hash& root)> check;
  std::string log_key;  // Verifier key of the log.
  std::vector<witness::WitnessPeer> witnesses;
  uint32_t quorum = 1;  // How many must cosign; 1 to the number of witnesses.
  std::filesystem::path file;  // See kWitnessedFile.
  // Hands POST /add-checkpoint to the witness of that name. Errors: kUnavailable. Blocks.
  std::function<StatusOr<WitnessAnswer>(const std::string& witness, const std::string& body)> ask;
  std::chrono::milliseconds interval{60'000};
  std::chrono::milliseconds patience{30'000};  // At the start, for a quorum.
  std::chrono::milliseconds retry = kWitnessRetry;
  // Called once when a witness shows, later than at the start, that the log was cut back or forked. The process should end.
  std::function<void()> on_rollback = {};
};

// What is known of one witness.
struct WitnessState {
  std::string name;
  uint64_t size = 0;         // Last cosigned, as far as this process knows.
  uint64_t cosigned_at = 0;  // Unix time in seconds, the witness's own; 0: never.
  std::string problem;       // Why the last attempt gave nothing; empty: it did.
};

// Thread-safe. What `parts` names must outlive it.
class WitnessWatch {
 public:
  // Compares the log with the last checkpoint kept here and with what the witnesses saw, and waits for a quorum. Errors:
  // kFailedPrecondition (the log is shorter than, or another than, what was cosigned; the message says by whom and what to
  // do), kUnavailable (no quorum within `patience`), kDataLoss (the file is damaged), kInvalidArgument (quorum).
  static StatusOr<std::unique_ptr<WitnessWatch>> Compare(WitnessWatchParts parts);
  // From here on asks every `interval` on a thread of its own, also when nothing is new: the witness's time is.
  void Start();
  // Waits for the answer under way, and for no other.
  ~WitnessWatch();

  std::vector<WitnessState> States() const;
  // The last checkpoint with cosignatures of a quorum, as a note; empty: none yet.
  std::string Witnessed() const;

 private:
  explicit WitnessWatch(WitnessWatchParts parts, audit::NoteVerifier log);
  Status ReadKept();
  // Asks every witness once. kFailedPrecondition when one shows a rollback or fork, else kUnavailable without a quorum.
  Status AskAll();
  // The cosignature line of one witness over that checkpoint.
  StatusOr<std::string> AskOne(const witness::WitnessPeer& peer, const audit::HeldCheckpoint& log);
  Status Keep(const std::string& note);
  bool Stopping() const;
  void Run();

  const WitnessWatchParts parts_;
  const audit::NoteVerifier log_;
  mutable std::mutex mutex_;  // Guards what follows.
  std::condition_variable changed_;
  std::map<std::string, WitnessState> states_;
  std::string witnessed_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace cloister::services
