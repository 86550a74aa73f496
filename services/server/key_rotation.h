// SPDX-License-Identifier: Apache-2.0
// Replaces the data keys of a service and has everything that they sealed sealed anew, in the background, while the service
// goes on. A file says that it was begun, so a kill at any step is followed by the rest at the next start. Knows neither
// rows nor files: its owner gives it the functions. SPEC: docs/key-rotation.md
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
#include <thread>
#include <vector>

#include "common/clock.h"
#include "common/id.h"
#include "common/status.h"
#include "storage/key_source.h"

namespace cloister::services {

// Of what a rotation may replace the keys. Stable: they are on the command line.
inline constexpr const char* kLevelVolumes = "volumes";      // Database files.
inline constexpr const char* kLevelRows = "rows";            // A service's own rows.
inline constexpr const char* kLevelDocuments = "documents";  // Versions of documents.
inline constexpr const char* kLevelSubjects = "subjects";    // Users, data subjects and quoted documents in the log.
inline constexpr const char* kLevelSegments = "segments";    // The index.

inline constexpr std::string_view kRotationFile = "rotation";  // In DATA/<service>.
constexpr std::chrono::seconds kRotationRetry{30};
// With less on the disk a rotation waits: what it seals anew needs room for a while, and others must go on.
constexpr uint64_t kRotationFreeBytesMin = 256 * 1024 * 1024;

struct KeyRotationParts {
  std::filesystem::path file;  // Its folder is there.
  storage::KeySource& keys;
  const Clock& clock;
  // The keys of one level that seal something now. May return one that was replaced already. Errors: kUnavailable.
  std::map<std::string, std::function<StatusOr<std::vector<KeyId>>()>> levels = {};
  // Seals anew everything under a replaced key, and lets go of such keys in memory first; returns how much there was.
  // Asks `go_on` from time to time, whose error ends it. Called by one thread at a time.
  std::function<StatusOr<uint64_t>(const std::function<Status()>& go_on)> renew = {};
  std::chrono::milliseconds retry = kRotationRetry;
  uint64_t free_bytes_min = kRotationFreeBytesMin;
};

// Thread-safe.
class KeyRotation {
 public:
  struct State {
    bool running = false;
    std::vector<std::string> levels;  // Of the one under way, or the last since this object was made.
    uint64_t replaced = 0, renewed = 0;
    std::optional<WallTime> finished_at;
    std::string problem;  // Why the last attempt ended early; empty: it did not.
  };

  // Goes on with what an earlier run began, on a thread of its own. Errors: kFailedPrecondition (the file is of a newer
  // version), kUnavailable. A damaged file is taken for a rotation of every level: that does no harm.
  static StatusOr<std::unique_ptr<KeyRotation>> Open(KeyRotationParts parts);
  ~KeyRotation();
  // Ends what is under way at the next occasion; the next start goes on with it.
  void Stop();

  // Durable before it returns. With one under way, that goes on and nothing new begins. Errors: kInvalidArgument (no level,
  // or one that is not among the parts'), kResourceExhausted (disk full), kUnavailable.
  Status Start(const std::vector<std::string>& levels);
  State GetState() const;
  std::vector<std::string> levels() const;

  struct Ended {
    uint64_t renewed = 0;
    storage::Destruction destruction;
  };
  // Seals anew what is still under a former key, and destroys those. Blocks. Errors: kFailedPrecondition (a rotation is
  // under way), kUnavailable (call again), kResourceExhausted.
  StatusOr<Ended> EndFormerKeys();

 private:
  // The first replaces keys and seals nothing anew, so what seals something tells which; the second only seals anew.
  enum class Phase : uint8_t { kReplacing = 1, kRenewing = 2 };
  explicit KeyRotation(KeyRotationParts parts);
  Status Load();
  Status WriteDown(Phase phase);
  void Run();
  Status RunOnce();
  Status Replace(const std::vector<std::string>& levels);
  StatusOr<uint64_t> RenewAll();
  Status GoOn() const;

  const KeyRotationParts parts_;
  mutable std::mutex mutex_;  // Guards what follows, up to the thread.
  std::condition_variable changed_;
  State state_;
  Phase phase_ = Phase::kReplacing;
  bool stopping_ = false;
  std::mutex renewing_;  // Held while something is sealed anew. Taken before mutex_.
  std::thread thread_;
};

}  // namespace cloister::services
