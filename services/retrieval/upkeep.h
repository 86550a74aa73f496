// SPDX-License-Identifier: Apache-2.0
// What retrieval does unasked: finishes erasures that could not be finished, delivers events that wait for audit, and
// destroys the keys of superseded and deleted versions from time to time. Failures are logged and tried again.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "retrieval/corpus.h"
#include "retrieval/eraser.h"
#include "services/server/audit_client.h"

namespace cloister::services {

constexpr std::chrono::seconds kUpkeepInterval{5};

// Runs from construction to destruction on a thread of its own; what it is given must outlive it.
class Upkeep {
 public:
  // `shred_interval` of 0: only when somebody asks.
  Upkeep(retrieval::Corpus& corpus, retrieval::Eraser& eraser, const AuditClient& audit,
         std::chrono::seconds shred_interval);
  ~Upkeep();

 private:
  void Run();
  void Once();

  retrieval::Corpus& corpus_;
  retrieval::Eraser& eraser_;
  const AuditClient& audit_;
  const std::chrono::seconds shred_interval_;
  std::chrono::steady_clock::time_point shredded_at_ = std::chrono::steady_clock::now();
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace cloister::services
