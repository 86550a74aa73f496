// SPDX-License-Identifier: Apache-2.0
#include "services/server/signals.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace cloister::services {
namespace {

TEST(StopSignalTest, TermAndIntRequestAStop) {
  for (const int signal : {SIGTERM, SIGINT}) {
    StopSignal stop;
    EXPECT_FALSE(stop.requested());
    EXPECT_FALSE(stop.WaitFor(std::chrono::milliseconds(1)));
    ASSERT_EQ(::kill(::getpid(), signal), 0);
    stop.Wait();
    EXPECT_TRUE(stop.requested());
    EXPECT_TRUE(stop.WaitFor(std::chrono::milliseconds(0)));
  }
}

TEST(StopSignalTest, RequestWakesWaiters) {
  StopSignal stop;
  std::thread waiter([&] { stop.Wait(); });
  stop.Request();
  waiter.join();
  EXPECT_TRUE(stop.requested());
}

TEST(StopSignalTest, AChildThatUnblocksDiesOfTerm) {
  StopSignal stop;
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    UnblockSignals();
    for (;;) ::pause();
  }
  ASSERT_EQ(::kill(child, SIGTERM), 0);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGTERM);
}

}  // namespace
}  // namespace cloister::services
