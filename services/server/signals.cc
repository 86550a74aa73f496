// SPDX-License-Identifier: Apache-2.0
#include "services/server/signals.h"

#include <pthread.h>
#include <signal.h>

#include "common/status.h"

namespace cloister::services {
namespace {

// SIGUSR2 ends the waiting thread.
sigset_t WaitedSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGUSR2);
  return set;
}

}  // namespace

StopSignal::StopSignal() {
  const sigset_t set = WaitedSignals();
  CLOISTER_CHECK(::pthread_sigmask(SIG_BLOCK, &set, nullptr) == 0);
  ::signal(SIGPIPE, SIG_IGN);
  thread_ = std::thread([this, set] {
    for (;;) {
      int signal = 0;
      if (::sigwait(&set, &signal) != 0) continue;
      std::lock_guard lock(mutex_);
      if (ending_) return;
      if (signal == SIGUSR2) continue;
      requested_ = true;
      changed_.notify_all();
    }
  });
}

StopSignal::~StopSignal() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  ::pthread_kill(thread_.native_handle(), SIGUSR2);
  thread_.join();
}

bool StopSignal::requested() const {
  std::lock_guard lock(mutex_);
  return requested_;
}

void StopSignal::Wait() const {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return requested_; });
}

bool StopSignal::WaitFor(std::chrono::milliseconds timeout) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, timeout, [this] { return requested_; });
}

void StopSignal::Request() {
  std::lock_guard lock(mutex_);
  requested_ = true;
  changed_.notify_all();
}

void UnblockSignals() {
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
}

}  // namespace cloister::services
