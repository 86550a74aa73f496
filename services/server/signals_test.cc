// SPDX-License-Identifier: Apache-2.0
#include "services/server/signals.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mutex>
#include <thread>

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

TEST(StopSignalTest, WorksOnAThreadMadeBefore) {
  std::mutex mutex;
  std::unique_lock held(mutex);
  std::thread older([&] { std::lock_guard wait(mutex); });
  {
    StopSignal stop;
    ASSERT_EQ(::pthread_kill(older.native_handle(), SIGTERM), 0);
    stop.Wait();
    EXPECT_TRUE(stop.requested());
  }
  held.unlock();
  older.join();
}

TEST(StopSignalTest, TheSignalInAChildBeforeExecIsNotTheParents) {
  StopSignal stop;
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::raise(SIGTERM);
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_FALSE(stop.WaitFor(std::chrono::milliseconds(50)));
}

TEST(StopSignalTest, RequestWakesWaiters) {
  StopSignal stop;
  std::thread waiter([&] { stop.Wait(); });
  stop.Request();
  waiter.join();
  EXPECT_TRUE(stop.requested());
}

TEST(StopSignalTest, AChildWithDefaultSignalsDiesOfTerm) {
  StopSignal stop;
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, &before);
  const pid_t child = ::fork();
  if (child == 0) {
    DefaultSignals();
    for (;;) ::pause();
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ASSERT_GT(child, 0);
  ASSERT_EQ(::kill(child, SIGTERM), 0);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGTERM);
}

}  // namespace
}  // namespace cloister::services
