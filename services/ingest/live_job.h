// SPDX-License-Identifier: Apache-2.0
// The state of one running job, shared by the threads that work on it and the calls that ask about it. Thread-safe.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>

#include "cloister/v1/ingest.pb.h"
#include "common/status.h"
#include "services/ingest/halt.h"

namespace cloister::services {

constexpr int kFailuresKeptMax = 10'000;
constexpr size_t kFailureBytesMax = 8 * 1024 * 1024;  // Of all kept together.
constexpr int kFailuresPerAnswer = 100;

class LiveJob {
 public:
  LiveJob(v1::Job job, v1::StartJobRequest request) : request_(std::move(request)), job_(std::move(job)) {}

  const v1::StartJobRequest& request() const { return request_; }
  std::string id() const { return Snapshot().id(); }
  // Changes counters under the lock.
  void Update(const std::function<void(v1::Job&)>& change) {
    std::lock_guard lock(mutex_);
    change(job_);
  }
  // Lists `source` with `reason` until a limit; counts nothing.
  void List(const std::string& source, const std::string& reason) {
    std::lock_guard lock(mutex_);
    failure_bytes_ += source.size() + reason.size();
    if (job_.failures_size() >= kFailuresKeptMax || failure_bytes_ > kFailureBytesMax) return;
    auto* failure = job_.add_failures();
    failure->set_source(source);
    failure->set_reason(reason);
  }
  v1::Job Snapshot() const {
    std::lock_guard lock(mutex_);
    return job_;
  }

  // Asked for by a person.
  void Cancel() {
    cancelled_ = true;
    halt_.Set();
  }
  // Also when the service stops or the job as a whole failed.
  void End() { halt_.Set(); }
  bool cancelled() const { return cancelled_; }
  const std::atomic<bool>& halted() const { return halt_.is_set(); }
  Halt& halt() { return halt_; }

 private:
  const v1::StartJobRequest request_;
  mutable std::mutex mutex_;
  v1::Job job_;
  size_t failure_bytes_ = 0;
  std::atomic<bool> cancelled_{false};
  Halt halt_;
};

}  // namespace cloister::services
