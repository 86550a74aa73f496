// SPDX-License-Identifier: Apache-2.0
// Kills a writer at random moments and opens the log again: nothing acknowledged may be lost, nothing may be
// there that was never asked for. CLOISTER_KILL_ROUNDS raises the number of rounds, CLOISTER_SEED repeats a
// run.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "audit/test_support.h"
#include "audit/verifier.h"

namespace cloister::audit {
namespace {

constexpr uint64_t kNumbersPerRound = 1'000'000;  // Records of one round carry numbers from round * this on.

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

struct Acknowledged {
  std::map<uint64_t, uint64_t> index_of;  // By number.
};

// Runs the child until `bytes` of its reports were read and `delay` has passed, kills it, and reads the rest.
std::string RunAndKill(const std::filesystem::path& directory, uint64_t first_number, size_t bytes,
                       std::chrono::microseconds delay) {
  int pipe_fds[2];
  EXPECT_EQ(::pipe(pipe_fds), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(pipe_fds[1], STDOUT_FILENO);
    ::close(pipe_fds[0]);
    ::close(pipe_fds[1]);
    const std::string number = std::to_string(first_number);
    ::execl(CLOISTER_CRASH_CHILD, CLOISTER_CRASH_CHILD, directory.c_str(), number.c_str(), nullptr);
    std::_Exit(127);
  }
  ::close(pipe_fds[1]);
  std::string out;
  char buffer[4096];
  bool killed = false;
  for (;;) {
    if (!killed && out.size() >= bytes) {
      ::usleep(static_cast<useconds_t>(delay.count()));
      ::kill(child, SIGKILL);
      killed = true;
    }
    const ssize_t got = ::read(pipe_fds[0], buffer, sizeof buffer);
    if (got <= 0) break;
    out.append(buffer, static_cast<size_t>(got));
  }
  ::close(pipe_fds[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status)) << "the child ended by itself with status " << WEXITSTATUS(status);
  return out;
}

void Collect(const std::string& output, Acknowledged& acknowledged) {
  std::istringstream lines(output);
  std::string line;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    uint64_t number = 0, index = 0;
    if (words >> number >> index) acknowledged.index_of[number] = index;
  }
}

// Every number in the log by the index of its record; adds a failure for one that was never asked for or is
// twice.
std::map<uint64_t, uint64_t> NumbersIn(const LogWriter& log, uint64_t rounds) {
  std::map<uint64_t, uint64_t> found;
  uint64_t next = 0, first = 0;
  std::string body;
  for (;;) {
    const auto entries = log.Read(next, 500);
    EXPECT_TRUE(entries.ok()) << entries.status();
    if (!entries.ok() || entries->empty()) return found;
    for (const std::string& entry : *entries) {
      const auto envelope = ParseEnvelope(entry);
      EXPECT_TRUE(envelope.ok()) << envelope.status();
      EXPECT_EQ(envelope->seq, next++);
      if (!envelope->part || envelope->part->number == 1) first = envelope->seq, body.clear();
      body += envelope->part ? envelope->part->body_text : envelope->body_json;
      if (envelope->part && envelope->part->number < envelope->part->of) continue;
      const auto json = nlohmann::json::parse(body, nullptr, false);
      const uint64_t number = json.value("number", uint64_t{0});
      EXPECT_LT(number / kNumbersPerRound, rounds);
      EXPECT_LT(number % kNumbersPerRound, kNumbersPerRound / 2) << "invented";
      EXPECT_TRUE(found.emplace(number, first).second) << "number " << number << " is there twice";
    }
  }
}

TEST(LogCrashTest, LosesNothingAcknowledgedAndInventsNothing) {
  const uint64_t rounds = FromEnvironment("CLOISTER_KILL_ROUNDS", 20);
  const uint64_t seed = FromEnvironment("CLOISTER_SEED", std::random_device()());
  std::cout << "kill rounds: " << rounds << ", CLOISTER_SEED=" << seed << "\n";
  std::mt19937_64 random(seed);
  TemporaryDirectory directory;
  Acknowledged acknowledged;
  for (uint64_t round = 0; round < rounds; ++round) {
    const size_t bytes = random() % 600;  // 0: while it is still opening.
    const auto delay = std::chrono::microseconds(random() % 20'000);
    Collect(RunAndKill(directory.path(), round * kNumbersPerRound, bytes, delay), acknowledged);
  }
  const NoteSigner signer = TestSigner();
  const SystemClock clock;
  auto log = LogWriter::Open(TestOptions(directory.path()), signer, clock);
  ASSERT_TRUE(log.ok()) << log.status();
  const auto found = NumbersIn(**log, rounds);
  uint64_t lost = 0, moved = 0;
  for (const auto& [number, index] : acknowledged.index_of) {
    const auto there = found.find(number);
    lost += there == found.end();
    moved += there != found.end() && there->second != index;
  }
  EXPECT_EQ(lost, 0u);
  EXPECT_EQ(moved, 0u);
  EXPECT_GE(found.size(), acknowledged.index_of.size());
  (*log)->Close();
  const FolderReport report = VerifyFolder(directory.path(), TestVerifier());
  EXPECT_TRUE(report.verified()) << ::testing::PrintToString(report.problems);
  std::cout << "acknowledged " << acknowledged.index_of.size() << ", found " << found.size() << ", lost "
            << lost << "\n";
}

}  // namespace
}  // namespace cloister::audit
