// SPDX-License-Identifier: Apache-2.0
// What retrieval does unasked: finishes erasures that could not be finished, delivers events that wait for audit, gives
// up kept versions whose time is up, and destroys the keys of what was given up from time to time. Failures are logged
// and tried again.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "retrieval/corpus.h"
#include "retrieval/eraser.h"
#include "services/server/audit_client.h"

namespace cloister::services {

constexpr std::chrono::seconds kUpkeepInterval{5};
constexpr std::chrono::seconds kEndVersionsInterval{60};  // Looks at every kept version.

// Runs from construction to destruction on a thread of its own; what it is given must outlive it.
class Upkeep {
 public:
  // `shred_interval` of 0: only when somebody asks.
  Upkeep(retrieval::Corpus& corpus, retrieval::Eraser& eraser, const AuditClient& audit,
         std::chrono::seconds shred_interval);
  ~Upkeep();

  // One round. The thread calls it every kUpkeepInterval; whoever else does waits for a round under way.
  void Once();

 private:
  void Run();
  void EndVersions();
  void ShredRetired();

  retrieval::Corpus& corpus_;
  retrieval::Eraser& eraser_;
  const AuditClient& audit_;
  const std::chrono::seconds shred_interval_;
  std::mutex round_mutex_;
  std::optional<std::chrono::steady_clock::time_point> ended_versions_at_;
  std::chrono::steady_clock::time_point shredded_at_ = std::chrono::steady_clock::now();
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace cloister::services
