// SPDX-License-Identifier: Apache-2.0
// How long to wait before a service that ended is started again. Does not sleep. Not thread-safe.
#pragma once

#include <chrono>

namespace cloister::services {

constexpr std::chrono::milliseconds kRestartDelayMin{100};
constexpr std::chrono::milliseconds kRestartDelayMax{10'000};
// After a success: what can run is missed, and what keeps it from running, such as a disk that fails for a while, may be over.
constexpr std::chrono::milliseconds kRestartDelayMaxOfProven{1'600};
// A run that was healthy this long counts as a success: the next delay is the shortest again. Short, for the
// delay is there for a service that cannot run and not for one that is ended now and then: that one is
// missed.
constexpr std::chrono::milliseconds kHealthyRun{5'000};

class Backoff {
 public:
  // The delay after a run that was healthy for `healthy`: 100 ms, doubling to 10 s, or to 1.6 s once a run was a success.
  std::chrono::milliseconds AfterRun(std::chrono::milliseconds healthy);

 private:
  std::chrono::milliseconds next_ = kRestartDelayMin, max_ = kRestartDelayMax;
};

}  // namespace cloister::services
