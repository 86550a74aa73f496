// SPDX-License-Identifier: Apache-2.0
#include "services/retrieval/upkeep.h"

#include "common/log.h"
#include "services/retrieval/audit_records.h"

namespace cloister::services {

Upkeep::Upkeep(retrieval::Corpus& corpus, retrieval::Eraser& eraser, const AuditClient& audit,
               std::chrono::seconds shred_interval)
    : corpus_(corpus), eraser_(eraser), audit_(audit), shred_interval_(shred_interval), thread_([this] { Run(); }) {}

Upkeep::~Upkeep() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Upkeep::Run() {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, kUpkeepInterval, [this] { return stopping_; })) {
    lock.unlock();
    Once();
    lock.lock();
  }
}

void Upkeep::Once() {
  std::lock_guard round(round_mutex_);
  if (corpus_.rows().PendingEvents() > 0) {
    const Status status = DeliverOutbox(corpus_.rows(), audit_);
    if (!status.ok()) return;  // Whatever follows needs audit, too.
  }
  if (eraser_.HasUnfinished()) {
    const Status status = eraser_.Resume();
    if (!status.ok()) LogStatus(LogLevel::kWarning, "retrieval.erasure_waits", status);
  }
  EndVersions();
  ShredRetired();
}

void Upkeep::EndVersions() {
  const auto now = std::chrono::steady_clock::now();
  if (ended_versions_at_ && now - *ended_versions_at_ < kEndVersionsInterval) return;
  ended_versions_at_ = now;
  const auto ended = eraser_.EndDueVersions();
  if (!ended.ok()) LogStatus(LogLevel::kWarning, "retrieval.version_end_waits", ended.status());
}

void Upkeep::ShredRetired() {
  const auto now = std::chrono::steady_clock::now();
  if (shred_interval_.count() == 0 || now - shredded_at_ < shred_interval_) return;
  shredded_at_ = now;
  // A kept version retires no key, and yet segments hold its vectors and terms until they are rewritten.
  if (corpus_.retired_keys().size() == 0 && !corpus_.SegmentsHoldDead()) return;
  const auto shredded = corpus_.Shred(storage::DestroyFor::kUpkeep);
  if (!shredded.ok()) LogStatus(LogLevel::kWarning, "retrieval.shredding_waits", shredded.status());
}

}  // namespace cloister::services
