// SPDX-License-Identifier: Apache-2.0
// The walls around the parse process, tried from inside by sandbox_probe.
#include "ingest/sandbox.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "ingest/sandboxed_parser.h"

namespace cloister::ingest {
namespace {

SandboxedParserOptions Options() {
  SandboxedParserOptions options;
  options.binary = CLOISTER_SANDBOX_PROBE;
  options.memory_bytes_max = 256ull << 20;
  options.cpu_seconds_max = 1;
  options.wall_max = std::chrono::seconds(60);
  return options;
}

ParseOutcome Try(std::string_view what, const SandboxedParserOptions& options = Options()) {
  auto outcome = SandboxedParser(options).Parse(MediaType::kText, what);
  EXPECT_TRUE(outcome.ok()) << outcome.status();
  return outcome.ok() ? *std::move(outcome) : ParseOutcome();
}

TEST(SandboxTest, LetsParsersParse) {
  const ParseOutcome outcome = Try("just text");
  ASSERT_TRUE(outcome.document.has_value()) << outcome.reason;
  EXPECT_EQ(outcome.document->text, "just text");
}

TEST(SandboxTest, KillsForbiddenCalls) {
  for (const char* what : {"socket", "fork", "exec", "kill", "ptrace", "code"}) {
    const ParseOutcome outcome = Try(what);
    EXPECT_FALSE(outcome.document.has_value()) << what;
    EXPECT_TRUE(outcome.hostile) << what;
    EXPECT_EQ(outcome.reason, "made the parser try something no parser does, and was stopped") << what;
  }
}

TEST(SandboxTest, OpensNoFile) {
  const ParseOutcome outcome = Try("open");
  ASSERT_TRUE(outcome.document.has_value()) << outcome.reason;
  EXPECT_EQ(outcome.document->text, "refused");
}

TEST(SandboxTest, HasNoEnvironment) {
  const ParseOutcome outcome = Try("environment");
  ASSERT_TRUE(outcome.document.has_value()) << outcome.reason;
  EXPECT_EQ(outcome.document->text, "empty");
}

TEST(SandboxTest, LimitsMemory) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the address sanitizer needs the address space that the limit takes away";
#endif
  const ParseOutcome outcome = Try("memory");
  EXPECT_EQ(outcome.reason, "needed more than 256 MiB of memory to parse");
  EXPECT_TRUE(outcome.hostile);
}

TEST(SandboxTest, TellsAbortsForMemoryFromOthers) {
  EXPECT_EQ(Try("abort-for-memory").reason, "needed more than 256 MiB of memory to parse");
  EXPECT_EQ(Try("abort").reason, "crashed the parser; the crash was contained");
}

TEST(SandboxTest, LimitsProcessorTime) {
  const ParseOutcome outcome = Try("time");
  EXPECT_EQ(outcome.reason, "took more than 1 s of processor time to parse");
  EXPECT_TRUE(outcome.hostile);
}

TEST(SandboxTest, LimitsWallTime) {
  SandboxedParserOptions options = Options();
  options.cpu_seconds_max = 600;
  options.wall_max = std::chrono::seconds(2);
  const ParseOutcome outcome = Try("sleep", options);
  EXPECT_EQ(outcome.reason, "took more than 2 s to parse; is the machine overloaded? run it again");
  EXPECT_FALSE(outcome.hostile);
}

TEST(SandboxTest, LimitsOutput) {
  SandboxedParserOptions options = Options();
  options.output_bytes_max = 8 << 20;
  EXPECT_EQ(Try("flood", options).reason, "made the parser write more than it may");
}

TEST(SandboxTest, ContainsCrashesAndNonsense) {
  EXPECT_EQ(Try("crash").reason, "crashed the parser; the crash was contained");
  EXPECT_EQ(Try("exit").reason, "crashed the parser; the crash was contained");
  EXPECT_EQ(Try("nonsense").reason, "made the parser answer nonsense");
  EXPECT_EQ(Try("lie").reason, "made the parser answer nonsense");  // One file must not stop a whole job.
  EXPECT_EQ(Try("silence").reason, "made the parser answer nonsense");
}

TEST(SandboxTest, EndsWhenCancelled) {
  SandboxedParserOptions options = Options();
  options.cpu_seconds_max = 600;
  std::atomic<bool> cancelled{false};
  std::thread cancel([&] { cancelled = true; });
  const auto outcome = SandboxedParser(options).Parse(MediaType::kText, "time", &cancelled);
  cancel.join();
  EXPECT_EQ(outcome.status().code(), StatusCode::kCancelled);
}

TEST(SandboxTest, SandboxThatCannotBeAppliedIsNotTheFilesFault) {
  SandboxedParserOptions options = Options();
  options.binary = CLOISTER_SANDBOX_REFUSER;
  const auto outcome = SandboxedParser(options).Parse(MediaType::kText, "x");
  EXPECT_EQ(outcome.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(MessageOf(outcome.status()).find("sandbox"), std::string::npos);
}

TEST(SandboxTest, MissingBinaryIsNotTheFilesFault) {
  SandboxedParserOptions options = Options();
  options.binary = "/nonexistent/cloister-parse";
  EXPECT_EQ(SandboxedParser(options).Parse(MediaType::kText, "x").status().code(), StatusCode::kUnavailable);
}

}  // namespace
}  // namespace cloister::ingest
