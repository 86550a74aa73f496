// SPDX-License-Identifier: Apache-2.0
// What the keys service has the audit log record: each change of epoch, and how often epoch keys were used,
// counted together. Records wait in memory and in one small file until the log has taken them, because audit
// needs keys to start: nothing here ever waits for audit. Holds no key material. Thread-safe. SPEC:
// docs/formats/keyring.md "What is not yet recorded"
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "cloister/v1/audit.pb.h"
#include "common/clock.h"
#include "common/status.h"
#include "keyring/keyring.h"

namespace cloister::services {

constexpr size_t kPendingRecordsMax = 1000;  // More are counted, and the count is recorded.

struct KeyRecordsOptions {
  std::filesystem::path file;  // DATA/keys/unrecorded
  std::chrono::milliseconds use_interval{600'000};
  std::chrono::milliseconds save_interval{60'000};  // What a kill may lose of the counts.
  size_t records_max = kPendingRecordsMax;
  // Called every save_interval, before the counts are saved; for other work of that rhythm. May be empty.
  std::function<void()> on_tick = {};
};

// Appends one record; kUnavailable and kDeadlineExceeded are tried again, anything else drops the record.
using AppendRecord = std::function<Status(const v1::AppendRequest&)>;

struct KeyChange {
  std::string level;       // "epoch", "anchor", "recovery" or "keys".
  uint64_t destroyed = 0;  // More than none: key.destroyed, else key.rotated.
  std::string escrow;      // What became of the escrowed copy, in words.
  std::string actor_kind;  // "user" or "service".
  std::string actor;
};

class KeyRecords {
 public:
  // Takes over what the last run left. `keyring` and `clock` must outlive it. Without `append` (a command on
  // a stopped appliance) records are only kept for the next run. Errors: kFailedPrecondition (the keyring is
  // older than the last run left it: it was replaced by an older file), kUnavailable.
  static StatusOr<std::unique_ptr<KeyRecords>> Open(KeyRecordsOptions options, keyring::Keyring& keyring,
                                                    const Clock& clock, AppendRecord append);
  // Saves what is not recorded.
  ~KeyRecords();

  // Durable in the file before this returns, in the log as soon as that takes it. A full disk is only logged:
  // the change has happened.
  void Add(const KeyChange& change);
  // An older state than was stated was accepted; likewise. `body_json` holds no personal data.
  void AddAccepted(const std::string& body_json, const std::string& actor);

 private:
  KeyRecords(KeyRecordsOptions options, keyring::Keyring& keyring, const Clock& clock, AppendRecord append);
  struct Counts {
    uint64_t wrapped = 0, unwrapped = 0, sealed = 0;
    int64_t since_ns = 0;
    bool any() const { return wrapped + unwrapped + sealed > 0; }
  };
  Status Load();
  void CountLocked();
  void AddLocked(const KeyChange& change);
  void PushLocked(const std::string& event, const std::string& body, const std::string& kind,
                  const std::string& actor);
  void RecordUseLocked();
  void SaveLocked();
  void Run();
  bool SendFirst(std::unique_lock<std::mutex>& lock);

  const KeyRecordsOptions options_;
  keyring::Keyring& keyring_;
  const Clock& clock_;
  const AppendRecord append_;
  std::mutex mutex_;  // Guards all that follows.
  std::condition_variable wake_;
  std::deque<v1::AppendRequest> pending_;
  uint64_t dropped_ = 0;
  Counts counts_;
  uint32_t recorded_epoch_ = 0;  // Changes up to this one have their records.
  bool stopping_ = false;
  std::thread thread_;
};

// The generation that the last run left in `file`; 0 when there is none.
uint64_t LastGeneration(const std::filesystem::path& file);

// kFailedPrecondition, in words for a person, when `generation` is less than that.
Status CheckNotOlderThanLastRun(const std::filesystem::path& file, uint64_t generation);

// DATA/keys/unrecorded
std::filesystem::path UnrecordedPath(const std::filesystem::path& data_directory);

}  // namespace cloister::services
