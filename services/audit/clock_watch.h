// SPDX-License-Identifier: Apache-2.0
// Notices that the wall clock ran backwards. Does not read clocks; callers pass what they read. Thread-safe.
#pragma once

#include <chrono>
#include <mutex>
#include <optional>

#include "common/clock.h"

namespace cloister::services {

// Steps smaller than this, such as a clock being slewed, are not worth a record.
constexpr std::chrono::milliseconds kClockStepMin{500};

class ClockWatch {
 public:
  ClockWatch(WallTime wall, std::chrono::nanoseconds monotonic) : wall_(wall), monotonic_(monotonic) {}
  struct Step {
    WallTime expected, found;  // `expected` is the last wall time plus the monotonic time since.
  };
  // The step since the last call, when it went backwards by at least kClockStepMin. A slewed clock may lag by
  // 500 parts per million; twice that is allowed for.
  std::optional<Step> Check(WallTime wall, std::chrono::nanoseconds monotonic);

 private:
  std::mutex mutex_;
  WallTime wall_;
  std::chrono::nanoseconds monotonic_;
};

}  // namespace cloister::services
