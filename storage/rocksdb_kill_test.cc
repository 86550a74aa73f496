// SPDX-License-Identifier: Apache-2.0
// Kills a writing process at random moments and looks whether every batch it acknowledged is there. The seed
// is printed; CLOISTER_KILL_SEED repeats it and CLOISTER_KILL_ROUNDS asks for more rounds.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <random>
#include <sstream>
#include <thread>

#include "common/file.h"
#include "storage/memory_key_source.h"
#include "storage/numbered_rows.h"
#include "storage/rocksdb_store.h"
#include "storage/temporary_directory.h"

extern char** environ;

namespace cloister::storage {
namespace {

constexpr uint64_t kExtraRounds = 6;

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// The last number each thread of a writer had acknowledged, and last how often it had rewritten its files.
using Said = std::array<uint64_t, kNumberedWriters + 1>;

// What a writer said before it was killed after `life`.
Said RunAndKill(const std::filesystem::path& directory, std::string mode, uint64_t first, uint64_t replacements,
                std::chrono::microseconds life) {
  int ends[2];
  EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const FileDescriptor read_end(ends[0]);
  FileDescriptor write_end(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDOUT_FILENO);
  std::string path = CLOISTER_STORAGE_TEST_CHILD, where = directory.string(), number = std::to_string(first),
              replaced = std::to_string(replacements);
  char* arguments[] = {path.data(), mode.data(), where.data(), number.data(), replaced.data(), nullptr};
  pid_t child = 0;
  EXPECT_EQ(::posix_spawn(&child, path.c_str(), &actions, nullptr, arguments, environ), 0);
  posix_spawn_file_actions_destroy(&actions);
  write_end.Reset();
  // Reads while it waits, so that a full pipe does not stop the writer.
  std::thread killer([&] {
    std::this_thread::sleep_for(life);
    ::kill(child, SIGKILL);
  });
  const auto said = ReadAll(read_end.get(), 256 * 1024 * 1024);
  killer.join();
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "the writer ended by itself";
  Said last{};
  EXPECT_TRUE(said.ok());
  if (!said.ok()) return last;
  std::istringstream lines(said->substr(0, said->rfind('\n') + 1));
  uint32_t writer = 0;
  uint64_t acknowledged = 0;
  while (lines >> writer >> acknowledged) last.at(writer) = acknowledged;
  return last;
}

// Writes and is killed, again and again; everything acknowledged is found each time.
void KillAndLook(const std::string& mode, uint64_t rounds, uint64_t seed, uint64_t& rewritten) {
  std::printf("  seed %llu, %llu rounds\n", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(rounds));
  std::mt19937_64 random(seed);
  const TemporaryDirectory temporary;
  const auto directory = temporary.path() / "db";
  MemoryKeySource keys{"seed"};  // The writer has the same.
  uint64_t first = 1, acknowledged = 0, unacknowledged = 0, replacements = 0;
  const uint64_t life_us_max = mode == "rotate" ? 2'000'000 : 400'000;
  // On a busy machine no writer may get as far as an acknowledged batch, or a finished rewriting: go on, with longer
  // lives, until one did.
  const auto idle = [&] { return acknowledged == 0 || (mode == "rotate" && rewritten == 0); };
  for (uint64_t round = 0; round < rounds || (idle() && round < rounds + kExtraRounds); ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    const std::chrono::microseconds life((random() % life_us_max) << (round < rounds ? 0 : round - rounds));
    const auto last = RunAndKill(directory, mode, first, replacements, life);
    rewritten += last[kNumberedWriters];
    if (mode == "rotate") {
      ReplaceVolumeKeys(keys, kReplacementsPerLife);
      replacements += kReplacementsPerLife;
    }
    auto store = RocksDbStore::Open(
        {.directory = directory, .column_families = {std::string(kNumberedRows)}, .keys = &keys});
    ASSERT_TRUE(store.ok()) << store.status();
    const auto snapshot = (*store)->GetSnapshot();
    uint64_t next = first;
    for (uint32_t writer = 0; writer < kNumberedWriters; ++writer) {
      for (uint64_t number = first; number <= last[writer]; ++number) {
        const auto row = snapshot->Get(kNumberedRows, NumberedKey(writer, number));
        ASSERT_TRUE(row.ok()) << "writer " << writer << " lost row " << number << " of " << last[writer];
        ASSERT_EQ(*row, NumberedValue(writer, number));
        ++acknowledged;
      }
      // A batch that was durable and not yet acknowledged may be there, whole.
      next = std::max(next, last[writer] + 1);
      const auto row = snapshot->Get(kNumberedRows, NumberedKey(writer, std::max(first, last[writer] + 1)));
      if (row.ok()) {
        EXPECT_EQ(*row, NumberedValue(writer, std::max(first, last[writer] + 1)));
        ++unacknowledged;
      }
    }
    EXPECT_GE((*store)->CommitSequence(), acknowledged);
    first = next + 1;
  }
  std::printf("  %llu batches acknowledged and found, %llu durable before they were acknowledged, files written anew %llu "
              "times\n",
              static_cast<unsigned long long>(acknowledged), static_cast<unsigned long long>(unacknowledged),
              static_cast<unsigned long long>(rewritten));
  EXPECT_GT(acknowledged, 0u);
}

TEST(RocksDbKillTest, KeepsEveryAcknowledgedBatch) {
  uint64_t rewritten = 0;
  KillAndLook("write", FromEnvironment("CLOISTER_KILL_ROUNDS", 20),
              FromEnvironment("CLOISTER_KILL_SEED", std::random_device()()), rewritten);
}

TEST(RocksDbKillTest, KeepsEveryAcknowledgedBatchWhileItsFilesGetNewKeys) {
  uint64_t rewritten = 0;
  KillAndLook("rotate", FromEnvironment("CLOISTER_KILL_ROUNDS", 20),
              FromEnvironment("CLOISTER_KILL_SEED", std::random_device()()), rewritten);
  EXPECT_GT(rewritten, 0u);
}

}  // namespace
}  // namespace cloister::storage
