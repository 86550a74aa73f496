// SPDX-License-Identifier: Apache-2.0
#include "services/supervisor/child.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>

#include "services/server/signals.h"

namespace cloister::services {
namespace {

constexpr size_t kAll = 1 << 20;

struct Output {
  FileDescriptor reader;
  FileDescriptor writer;
};

Output MakeOutput() {
  int ends[2];
  EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  return {FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

ChildOptions Shell(const std::string& script, FileDescriptor output) {
  ChildOptions options;
  options.program = "/bin/sh";
  options.arguments = {"-c", script};
  options.environment = {"PATH=/usr/bin:/bin"};
  options.output = std::move(output);
  return options;
}

int Await(Child& child) {
  for (;;) {
    if (const auto ended = child.Poll()) return *ended;
    ::usleep(1000);
  }
}

TEST(ChildTest, SeesItsDescriptorsAndNoOthers) {
  const FileDescriptor secret(::dup(STDERR_FILENO));  // Not close-on-exec: would be inherited by default.
  Output output = MakeOutput();
  auto options = Shell("cat <&3; cat <&4; exec ls /proc/self/fd", std::move(output.writer));
  options.inherited.push_back(*PipeHolding("first "));
  options.inherited.push_back(*PipeHolding("second\n"));
  auto child = Child::Start(std::move(options));
  ASSERT_TRUE(child.ok()) << child.status();
  std::istringstream lines(*ReadAll(output.reader.get(), kAll));
  EXPECT_EQ(Await(*child), 0);
  std::string line;
  std::getline(lines, line);
  EXPECT_EQ(line, "first second");
  std::string descriptors;
  while (std::getline(lines, line)) descriptors += line + " ";
  // 5 is ls looking at the folder.
  EXPECT_EQ(descriptors, "0 1 2 3 4 5 ");
}

TEST(ChildTest, SeesOnlyTheEnvironmentItIsGiven) {
  ASSERT_EQ(::setenv("SECRET_OF_THE_SHELL", "x", 1), 0);
  ASSERT_EQ(::setenv("CLOISTER_TEST_CHILD", "y", 1), 0);
  Output output = MakeOutput();
  ChildOptions options;
  options.program = "/usr/bin/env";
  options.environment = ChildEnvironment();
  options.output = std::move(output.writer);
  auto child = Child::Start(std::move(options));
  ASSERT_TRUE(child.ok());
  const std::string seen = *ReadAll(output.reader.get(), kAll);
  EXPECT_EQ(seen.find("SECRET_OF_THE_SHELL"), std::string::npos);
  EXPECT_NE(seen.find("CLOISTER_TEST_CHILD=y"), std::string::npos);
  EXPECT_EQ(Await(*child), 0);
}

TEST(ChildTest, SaysHowItEnded) {
  auto exits = Child::Start(Shell("exit 3", MakeOutput().writer));
  ASSERT_TRUE(exits.ok());
  EXPECT_EQ(DescribeExit(Await(*exits)), "exit status 3");
  EXPECT_FALSE(exits->Poll().has_value());  // Only once.
  auto killed = Child::Start(Shell("kill -9 $$", MakeOutput().writer));
  ASSERT_TRUE(killed.ok());
  EXPECT_EQ(DescribeExit(Await(*killed)), "signal 9");
}

TEST(ChildTest, TerminateReachesAChildOfAProcessThatCatchesSignals) {
  const StopSignal stop;
  auto child = Child::Start(Shell("exec sleep 600", MakeOutput().writer));
  ASSERT_TRUE(child.ok());
  child->Terminate();
  EXPECT_EQ(DescribeExit(Await(*child)), "signal 15");
}

// True once the process behind `reader` and all who hold its other end are gone.
bool Ended(const FileDescriptor& reader) { return ReadAll(reader.get(), kAll).ok(); }

TEST(ChildTest, GrandchildrenDieWithTheChild) {
  Output output = MakeOutput();
  auto child = Child::Start(Shell("sleep 600 & echo started; exit 0", std::move(output.writer)));
  ASSERT_TRUE(child.ok());
  EXPECT_EQ(Await(*child), 0);
  EXPECT_TRUE(Ended(output.reader));
}

TEST(ChildTest, DestructionKillsTheWholeGroup) {
  Output output = MakeOutput();
  {
    auto child = Child::Start(Shell("sleep 600 & sleep 600", std::move(output.writer)));
    ASSERT_TRUE(child.ok());
  }
  EXPECT_TRUE(Ended(output.reader));
}

TEST(ChildTest, TheChildDiesWithAKilledParent) {
  Output output = MakeOutput();
  const pid_t parent = ::fork();
  ASSERT_GE(parent, 0);
  if (parent == 0) {
    output.reader.Reset();
    auto child = Child::Start(Shell("echo started; exec sleep 600", std::move(output.writer)));
    for (;;) ::pause();
  }
  output.writer.Reset();
  char started[8];
  ASSERT_EQ(::read(output.reader.get(), started, sizeof started), 8);
  ASSERT_EQ(::kill(parent, SIGKILL), 0);
  ASSERT_EQ(::waitpid(parent, nullptr, 0), parent);
  EXPECT_TRUE(Ended(output.reader));
}

TEST(ChildTest, AMissingProgramIsNamed) {
  ChildOptions options;
  options.program = "/nowhere/cloister-nothing";
  options.output = MakeOutput().writer;
  const Status status = Child::Start(std::move(options)).status();
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_NE(MessageOf(status).find("cloister-nothing"), std::string::npos);
}

TEST(PipeHoldingTest, HoldsItsBytesUpToTheLimit) {
  const std::string most(kPipeBytesMax, 'x');
  const auto pipe = PipeHolding(most);
  ASSERT_TRUE(pipe.ok());
  EXPECT_EQ(*ReadAll(pipe->get(), kAll), most);
  EXPECT_EQ(PipeHolding(most + "x").status().code(), StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace cloister::services
