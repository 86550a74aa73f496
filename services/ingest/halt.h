// SPDX-License-Identifier: Apache-2.0
// A switch that ends work under way: set once, seen by loops, and it cancels RPCs that are waiting. Thread-safe.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <mutex>
#include <set>

namespace cloister::services {

class Halt {
 public:
  void Set() {
    std::lock_guard lock(mutex_);
    set_ = true;
    for (grpc::ClientContext* context : active_) context->TryCancel();
  }
  const std::atomic<bool>& is_set() const { return set_; }

  // Cancels `context` when the switch is set, or has been, for the life of the guard.
  class Guard {
   public:
    Guard(Halt& halt, grpc::ClientContext& context) : halt_(halt), context_(context) {
      std::lock_guard lock(halt_.mutex_);
      halt_.active_.insert(&context_);
      if (halt_.set_) context_.TryCancel();
    }
    ~Guard() {
      std::lock_guard lock(halt_.mutex_);
      halt_.active_.erase(&context_);
    }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    Halt& halt_;
    grpc::ClientContext& context_;
  };

 private:
  std::mutex mutex_;
  std::atomic<bool> set_{false};
  std::set<grpc::ClientContext*> active_;
};

}  // namespace cloister::services
