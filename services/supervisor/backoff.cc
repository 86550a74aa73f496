// SPDX-License-Identifier: Apache-2.0
#include "services/supervisor/backoff.h"

#include <algorithm>

namespace cloister::services {

std::chrono::milliseconds Backoff::AfterRun(std::chrono::milliseconds healthy) {
  if (healthy >= kHealthyRun) {
    next_ = kRestartDelayMin;
    max_ = kRestartDelayMaxOfProven;
  }
  const auto delay = next_;
  next_ = std::min(2 * next_, max_);
  return delay;
}

}  // namespace cloister::services
