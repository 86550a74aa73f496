// SPDX-License-Identifier: Apache-2.0
#include "common/clock.h"

#include <gtest/gtest.h>

#include "common/bytes.h"

namespace cloister {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

TEST(FormatTimeTest, WritesRfc3339WithNineDigits) {
  EXPECT_EQ(FormatTime(WallTime(seconds(0))), "1970-01-01T00:00:00.000000000Z");
  EXPECT_EQ(FormatTime(WallTime(seconds(1'795'354'825) + nanoseconds(1))), "2026-11-22T13:40:25.000000001Z");
  EXPECT_EQ(FormatTime(WallTime(seconds(951'782'400) - nanoseconds(1))), "2000-02-28T23:59:59.999999999Z");
  EXPECT_EQ(FormatTime(WallTime(nanoseconds(-1))), "1969-12-31T23:59:59.999999999Z");
}

TEST(SystemClockTest, MonotonicTimeNeverStepsBack) {
  const SystemClock clock;
  nanoseconds last = clock.Monotonic();
  for (int i = 0; i < 1000; ++i) {
    const nanoseconds now = clock.Monotonic();
    EXPECT_GE(now, last);
    last = now;
  }
  EXPECT_GT(clock.Now(), WallTime(seconds(1'700'000'000)));
}

TEST(FakeClockTest, MovesByHand) {
  FakeClock clock{WallTime(seconds(100))};
  clock.Advance(seconds(5));
  EXPECT_EQ(clock.Now(), WallTime(seconds(105)));
  EXPECT_EQ(clock.Monotonic(), seconds(5));
  clock.StepWall(seconds(-50));
  EXPECT_EQ(clock.Now(), WallTime(seconds(55)));
  EXPECT_EQ(clock.Monotonic(), seconds(5));
}

TEST(BootIdTest, IsTheSameSixteenBytesEachTime) {
  EXPECT_EQ(BootId(), BootId());
  EXPECT_EQ(BootId().size(), 32u);
  EXPECT_TRUE(HexDecode(BootId()).ok());
}

}  // namespace
}  // namespace cloister
