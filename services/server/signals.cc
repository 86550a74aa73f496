// SPDX-License-Identifier: Apache-2.0
#include "services/server/signals.h"

#include <semaphore.h>
#include <signal.h>

#include <atomic>
#include <cerrno>

#include "common/status.h"

namespace cloister::services {
namespace {

// A signal handler has nothing but globals. Memory rather than a descriptor: a child between fork and exec
// must not wake its parent.
sem_t signal_arrived;
std::atomic<bool> in_use = false;

extern "C" void OnSignal(int) {
  const int saved = errno;
  ::sem_post(&signal_arrived);
  errno = saved;
}

void Handle(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  ::sigaction(signal, &action, nullptr);
}

}  // namespace

StopSignal::StopSignal() {
  CLOISTER_CHECK(!in_use.exchange(true));
  CLOISTER_CHECK(::sem_init(&signal_arrived, 0, 0) == 0);
  Handle(SIGPIPE, SIG_IGN);
  Handle(SIGTERM, OnSignal);
  Handle(SIGINT, OnSignal);
  thread_ = std::thread([this] {
    for (;;) {
      if (::sem_wait(&signal_arrived) != 0) continue;  // EINTR
      std::lock_guard lock(mutex_);
      if (ending_) return;
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
  ::sem_post(&signal_arrived);
  thread_.join();
  Handle(SIGTERM, SIG_DFL);
  Handle(SIGINT, SIG_DFL);
  in_use = false;
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

void DefaultSignals() {
  for (const int signal : {SIGTERM, SIGINT, SIGPIPE}) Handle(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

}  // namespace cloister::services
