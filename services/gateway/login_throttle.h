// SPDX-License-Identifier: Apache-2.0
// Slows down the guessing of passwords: after some failures a name is locked for a while that doubles with each
// further one. Names that do not exist are treated alike, so that a lock tells nothing. Does not check passwords.
// Thread-safe.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>

#include "common/clock.h"

namespace cloister::services {

constexpr uint32_t kFailuresBeforeLock = 5;
constexpr std::chrono::seconds kFirstLock{30};
constexpr std::chrono::seconds kLongestLock{900};
constexpr std::chrono::seconds kFailureMemory{3600};  // Without a further failure.
constexpr size_t kThrottledNamesMax = 10'000;         // Then the longest quiet one is forgotten.

class LoginThrottle {
 public:
  explicit LoginThrottle(const Clock& clock) : clock_(clock) {}
  // How long `name` stays locked, rounded up; zero when it may try.
  std::chrono::seconds LockedFor(const std::string& name);
  // True when this failure locked the name.
  bool Failed(const std::string& name);
  void Succeeded(const std::string& name);

 private:
  struct Entry {
    uint32_t failures = 0;
    std::chrono::nanoseconds last{0};
    std::chrono::nanoseconds locked_until{0};
  };
  void Forget();
  const Clock& clock_;
  std::mutex mutex_;
  std::map<std::string, Entry> entries_;  // Guarded by mutex_.
};

}  // namespace cloister::services
