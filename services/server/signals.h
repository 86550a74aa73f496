// SPDX-License-Identifier: Apache-2.0
// SIGTERM and SIGINT as a condition to wait for. SIGPIPE is ignored. Libraries may have made threads before
// main() (OpenBLAS does), so the signals are caught by a handler that works on any thread rather than blocked
// and awaited.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace cloister::services {

// At most one at a time (CHECKed). A child process calls DefaultSignals before exec. Thread-safe.
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

// Gives a child process the signal handling of a fresh one: nothing caught, ignored or blocked. For use
// between fork and exec; async-signal-safe. Block all signals around fork(), or one that comes before this
// call is lost.
void DefaultSignals();

}  // namespace cloister::services
