// SPDX-License-Identifier: Apache-2.0
#include "services/audit/append_rules.h"

#include <gtest/gtest.h>

#include "audit/event_names.h"
#include "services/audit/clock_watch.h"

namespace cloister::services {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(AppendRulesTest, OnlyRetrievalMayRecordARelease) {
  for (const char* event : {"ask.release", "search.release", "document.viewed", "version.read", "version.ended"}) {
    EXPECT_TRUE(CheckMayAppend("retrieval", event).ok());
    for (const char* identity :
         {"gateway", "ingest", "keys", "embedding", "generation", "supervisor", "audit", ""}) {
      EXPECT_EQ(CheckMayAppend(identity, event).code(), StatusCode::kPermissionDenied) << identity << event;
    }
  }
}

TEST(AppendRulesTest, NobodyMayRecordThatTheLogWasReadOrTheClockStepped) {
  for (const char* event : {"audit.queried", "audit.unsealed", "audit.rotated", "clock.stepped"}) {
    for (const char* identity :
         {"gateway", "retrieval", "ingest", "keys", "embedding", "generation", "relay", "supervisor"}) {
      EXPECT_EQ(CheckMayAppend(identity, event).code(), StatusCode::kPermissionDenied) << identity << event;
    }
  }
}

TEST(AppendRulesTest, WhatTheServicesRecordTodayIsAllowed) {
  EXPECT_TRUE(CheckMayAppend("gateway", "ask.intent").ok());
  EXPECT_TRUE(CheckMayAppend("gateway", "ask.outcome").ok());
  EXPECT_TRUE(CheckMayAppend("gateway", "auth.failed").ok());
  EXPECT_TRUE(CheckMayAppend("gateway", "directory.changed").ok());
  EXPECT_TRUE(CheckMayAppend("retrieval", "document.ingested").ok());
  EXPECT_TRUE(CheckMayAppend("retrieval", "policy.changed").ok());
  EXPECT_TRUE(CheckMayAppend("retrieval", "directory.changed").ok());
  EXPECT_TRUE(CheckMayAppend("ingest", "document.quarantined").ok());
  EXPECT_TRUE(CheckMayAppend("generation", "model.loaded").ok());
  EXPECT_TRUE(CheckMayAppend("embedding", "model.rejected").ok());
  for (const char* identity :
       {"gateway", "retrieval", "ingest", "keys", "embedding", "generation", "relay", "supervisor"}) {
    EXPECT_TRUE(CheckMayAppend(identity, "service.started").ok()) << identity;
  }
}

TEST(AppendRulesTest, AnUnknownCallerOrClassIsRefused) {
  for (const std::string_view event : audit::EventNames()) {
    EXPECT_EQ(CheckMayAppend("parse", event).code(), StatusCode::kPermissionDenied) << event;
  }
  EXPECT_EQ(CheckMayAppend("gateway", "ask.unheard").code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(CheckMayAppend("gateway", "").code(), StatusCode::kInvalidArgument);
}

TEST(ClockWatchTest, NoticesAStepBackwardsOnce) {
  FakeClock clock{WallTime(seconds(1'800'000'000))};
  ClockWatch watch(clock.Now(), clock.Monotonic());
  clock.Advance(seconds(10));
  EXPECT_FALSE(watch.Check(clock.Now(), clock.Monotonic()));
  clock.StepWall(-seconds(60));
  clock.Advance(seconds(1));
  const auto step = watch.Check(clock.Now(), clock.Monotonic());
  ASSERT_TRUE(step);
  EXPECT_EQ(step->expected - step->found, seconds(60));
  EXPECT_FALSE(watch.Check(clock.Now(), clock.Monotonic()));
}

TEST(ClockWatchTest, LeavesForwardStepsAndSlewingAlone) {
  FakeClock clock{WallTime(seconds(1'800'000'000))};
  ClockWatch watch(clock.Now(), clock.Monotonic());
  clock.StepWall(seconds(3600));
  EXPECT_FALSE(watch.Check(clock.Now(), clock.Monotonic()));
  clock.Advance(seconds(3600));
  clock.StepWall(-milliseconds(1800));  // 500 parts per million of an hour.
  EXPECT_FALSE(watch.Check(clock.Now(), clock.Monotonic()));
  clock.StepWall(-milliseconds(501));
  EXPECT_TRUE(watch.Check(clock.Now(), clock.Monotonic()));
}

TEST(ClockWatchTest, AnOlderReadingSaysNothing) {
  FakeClock clock{WallTime(seconds(1'800'000'000))};
  ClockWatch watch(clock.Now(), clock.Monotonic() + seconds(5));
  EXPECT_FALSE(watch.Check(clock.Now() - seconds(100), clock.Monotonic() + seconds(4)));
}

}  // namespace
}  // namespace cloister::services
