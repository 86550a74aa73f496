// SPDX-License-Identifier: Apache-2.0
// How long to wait before a service that ended is started again. Does not sleep. Not thread-safe.
#pragma once

#include <chrono>

namespace cloister::services {

constexpr std::chrono::milliseconds kRestartDelayMin{100};
constexpr std::chrono::milliseconds kRestartDelayMax{10'000};
// A run that was healthy this long counts as a success: the next delay is the shortest again. Short, for the
// delay is there for a service that cannot run and not for one that is ended now and then: that one is
// missed.
constexpr std::chrono::milliseconds kHealthyRun{5'000};

class Backoff {
 public:
  // The delay after a run that was healthy for `healthy`: 100 ms, doubling to 10 s.
  std::chrono::milliseconds AfterRun(std::chrono::milliseconds healthy);

 private:
  std::chrono::milliseconds next_ = kRestartDelayMin;
};

}  // namespace cloister::services
