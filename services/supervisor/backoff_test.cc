// SPDX-License-Identifier: Apache-2.0
#include "services/supervisor/backoff.h"

#include <gtest/gtest.h>

#include <vector>

namespace cloister::services {
namespace {

using std::chrono::milliseconds;

TEST(BackoffTest, DoublesUpToTheLimit) {
  Backoff backoff;
  for (const int expected : {100, 200, 400, 800, 1600, 3200, 6400, 10'000, 10'000}) {
    EXPECT_EQ(backoff.AfterRun(milliseconds(0)), milliseconds(expected));
  }
}

TEST(BackoffTest, AHealthyRunStartsOver) {
  Backoff backoff;
  for (int i = 0; i < 5; ++i) backoff.AfterRun(milliseconds(0));
  EXPECT_EQ(backoff.AfterRun(kHealthyRun - milliseconds(1)), milliseconds(3200));
  EXPECT_EQ(backoff.AfterRun(kHealthyRun), kRestartDelayMin);
  EXPECT_EQ(backoff.AfterRun(milliseconds(0)), 2 * kRestartDelayMin);
}

TEST(BackoffTest, WhatRanBeforeIsTriedMoreOften) {
  Backoff backoff;
  backoff.AfterRun(kHealthyRun);
  for (int expected : {200, 400, 800, 1600, 1600, 1600}) {
    EXPECT_EQ(backoff.AfterRun(milliseconds(0)), milliseconds(expected));
  }
}

}  // namespace
}  // namespace cloister::services
