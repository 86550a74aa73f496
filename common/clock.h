// SPDX-License-Identifier: Apache-2.0
// Time sources. Own time is a claim, not evidence; see docs/formats/audit.md. Does not sleep.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace cloister {

using WallTime = std::chrono::sys_time<std::chrono::nanoseconds>;

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallTime Now() const = 0;
  // Nanoseconds since an arbitrary point of this boot; never steps back.
  virtual std::chrono::nanoseconds Monotonic() const = 0;
};

class SystemClock final : public Clock {
 public:
  WallTime Now() const override;
  std::chrono::nanoseconds Monotonic() const override;
};

// A clock that tests move by hand.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(WallTime start) : now_(start) {}
  WallTime Now() const override { return now_; }
  std::chrono::nanoseconds Monotonic() const override { return monotonic_; }
  void Advance(std::chrono::nanoseconds by) { now_ += by, monotonic_ += by; }
  void StepWall(std::chrono::nanoseconds by) { now_ += by; }  // Monotonic time stands still.

 private:
  WallTime now_;
  std::chrono::nanoseconds monotonic_{0};
};

// "2026-11-22T13:40:25.000000000Z": RFC 3339 UTC with nine digits. SPEC: RFC 3339 section 5.6
std::string FormatTime(WallTime time);
// The kernel's id of this boot as 32 hexadecimal digits, or 32 zeros where it has none.
std::string BootId();

}  // namespace cloister
