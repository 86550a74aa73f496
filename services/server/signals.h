// SPDX-License-Identifier: Apache-2.0
// SIGTERM and SIGINT as a condition to wait for, received by a thread of their own. SIGPIPE is ignored.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace cloister::services {

// Make one before any other thread of the process exists: it blocks the signals for all threads made later.
// A child process must unblock them (see UnblockSignals). Thread-safe.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;
  bool requested() const;
  void Wait() const;
  // True when a stop was requested before `timeout` passed.
  bool WaitFor(std::chrono::milliseconds timeout) const;
  // As if the signal had come.
  void Request();

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  bool requested_ = false;
  bool ending_ = false;
  std::thread thread_;
};

// Undoes what StopSignal did to the signal mask. For use between fork and exec; async-signal-safe.
void UnblockSignals();

}  // namespace cloister::services
