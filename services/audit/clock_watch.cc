// SPDX-License-Identifier: Apache-2.0
#include "services/audit/clock_watch.h"

namespace cloister::services {

std::optional<ClockWatch::Step> ClockWatch::Check(WallTime wall, std::chrono::nanoseconds monotonic) {
  std::lock_guard lock(mutex_);
  // Callers race between reading the clocks and coming here: an older pair says nothing new.
  if (monotonic < monotonic_) return std::nullopt;
  const std::chrono::nanoseconds passed = monotonic - monotonic_;
  const Step step{wall_ + passed, wall};
  wall_ = wall;
  monotonic_ = monotonic;
  const std::chrono::nanoseconds allowed = kClockStepMin + passed / 1000;
  return step.expected - step.found >= allowed ? std::optional(step) : std::nullopt;
}

}  // namespace cloister::services
