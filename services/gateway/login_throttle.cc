// SPDX-License-Identifier: Apache-2.0
#include "services/gateway/login_throttle.h"

#include <algorithm>

namespace cloister::services {

std::chrono::seconds LoginThrottle::LockedFor(const std::string& name) {
  std::lock_guard lock(mutex_);
  const auto found = entries_.find(name);
  if (found == entries_.end()) return std::chrono::seconds(0);
  const auto left = found->second.locked_until - clock_.Monotonic();
  return left.count() <= 0 ? std::chrono::seconds(0) : std::chrono::ceil<std::chrono::seconds>(left);
}

bool LoginThrottle::Failed(const std::string& name) {
  std::lock_guard lock(mutex_);
  const auto now = clock_.Monotonic();
  if (entries_.size() >= kThrottledNamesMax && !entries_.contains(name)) Forget();
  Entry& entry = entries_[name];
  if (now - entry.last > kFailureMemory) entry.failures = 0;
  entry.last = now;
  if (++entry.failures < kFailuresBeforeLock) return false;
  const uint32_t doublings = std::min<uint32_t>(entry.failures - kFailuresBeforeLock, 16);
  entry.locked_until = now + std::min<std::chrono::seconds>(kFirstLock * (1u << doublings), kLongestLock);
  return true;
}

void LoginThrottle::Succeeded(const std::string& name) {
  std::lock_guard lock(mutex_);
  entries_.erase(name);
}

void LoginThrottle::Forget() {
  const auto oldest = std::min_element(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) {
    return a.second.last < b.second.last;
  });
  if (oldest != entries_.end()) entries_.erase(oldest);
}

}  // namespace cloister::services
