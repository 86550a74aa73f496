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
  if (corpus_.rows().PendingEvents() > 0) {
    const Status status = DeliverOutbox(corpus_.rows(), audit_);
    if (!status.ok()) return;  // Whatever follows needs audit, too.
  }
  if (eraser_.HasUnfinished()) {
    const Status status = eraser_.Resume();
    if (!status.ok()) LogStatus(LogLevel::kWarning, "retrieval.erasure_waits", status);
  }
  const auto now = std::chrono::steady_clock::now();
  if (shred_interval_.count() == 0 || now - shredded_at_ < shred_interval_) return;
  shredded_at_ = now;
  if (corpus_.retired_keys().size() == 0) return;
  const auto shredded = corpus_.Shred();
  if (!shredded.ok()) LogStatus(LogLevel::kWarning, "retrieval.shredding_waits", shredded.status());
}

}  // namespace cloister::services
