// SPDX-License-Identifier: Apache-2.0
// What storage tests run in a process of its own: a writer to be killed, and a store on a disk that fills up.
// RocksDB's threads do not survive a fork, so neither can happen inside the test.
#include <sys/mount.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "common/file.h"
#include "storage/memory_key_source.h"
#include "storage/numbered_rows.h"
#include "storage/rocksdb_store.h"
#include "storage/small_disk.h"

namespace cloister::storage {
namespace {

constexpr int kSkipped = 77;
constexpr useconds_t kFarewellMicroseconds = 200'000;

int Fail(const char* what, const Status& status = absl::OkStatus()) {
  std::fprintf(stderr, "%s: %s\n", what, MessageOf(status).c_str());
  return 1;
}

// Shorter than PIPE_BUF: lines of several threads do not mix.
bool Say(uint32_t writer, uint64_t number) {
  return WriteAll(STDOUT_FILENO, std::to_string(writer) + " " + std::to_string(number) + "\n").ok();
}

// Writes numbered rows from several threads until killed, and says on standard output which were
// acknowledged. With `rotate`, gives its files new keys all the while and says how often it was done with that.
int WriteUntilKilled(const std::filesystem::path& directory, uint64_t first, bool rotate, uint64_t replacements) {
  MemoryKeySource keys{"seed"};
  ReplaceVolumeKeys(keys, replacements);
  // A small buffer, so that kills also come during flushes and compactions.
  auto store = RocksDbStore::Open({.directory = directory,
                                   .column_families = {std::string(kNumberedRows)},
                                   .keys = &keys,
                                   .write_buffer_bytes = 64 * 1024});
  if (!store.ok()) return Fail("open", store.status());
  std::vector<std::thread> writers;
  for (uint32_t writer = 0; writer < kNumberedWriters; ++writer) {
    writers.emplace_back([&, writer] {
      for (uint64_t number = first;; ++number) {
        WriteBatch batch;
        batch.Put(kNumberedRows, NumberedKey(writer, number), NumberedValue(writer, number));
        if (!(*store)->Write(batch).ok()) {
          // Like a service, which lets its answers leave: RocksDB's own threads go on meanwhile.
          ::usleep(kFarewellMicroseconds);
          ::_exit(1);
        }
        if (!Say(writer, number)) ::_exit(1);
      }
    });
  }
  for (uint64_t number = 1; rotate && number < kReplacementsPerLife; ++number) {
    ReplaceVolumeKeys(keys, 1);
    const auto rewritten = (*store)->RewriteFiles([] { return absl::OkStatus(); });
    if (!rewritten.ok() && rewritten.status().code() != StatusCode::kUnavailable) {
      Fail("rewriting files", rewritten.status());
      ::_exit(1);
    }
    if (rewritten.ok() && !Say(kNumberedWriters, number)) ::_exit(1);
  }
  for (std::thread& writer : writers) writer.join();
  return 0;
}

// Looks for the rows of which standard input says, in WriteUntilKilled's words, that they were acknowledged.
int FindAcknowledged(const std::filesystem::path& directory) {
  MemoryKeySource keys{"seed"};
  auto store = RocksDbStore::Open(
      {.directory = directory, .column_families = {std::string(kNumberedRows)}, .keys = &keys});
  if (!store.ok()) return Fail("open", store.status());
  const auto snapshot = (*store)->GetSnapshot();
  uint32_t writer = 0;
  uint64_t number = 0, found = 0;
  for (; std::cin >> writer >> number; ++found) {
    const auto row = snapshot->Get(kNumberedRows, NumberedKey(writer, number));
    if (!row.ok()) return Fail("lost a row", row.status());
    if (*row != NumberedValue(writer, number)) return Fail("a row is not what it was");
  }
  std::printf("%llu rows found\n", static_cast<unsigned long long>(found));
  return 0;
}

// Writes rows 1, 2, ... and copies the open store after each few, until killed.
int CopyUntilKilled(const std::filesystem::path& directory) {
  MemoryKeySource keys{"seed"};
  auto store = RocksDbStore::Open({.directory = directory / "db",
                                   .column_families = {std::string(kNumberedRows)},
                                   .keys = &keys,
                                   .write_buffer_bytes = 64 * 1024});
  if (!store.ok()) return Fail("open", store.status());
  constexpr uint64_t kRowsBetween = 10;
  for (uint64_t number = 1;; ++number) {
    WriteBatch batch;
    batch.Put(kNumberedRows, NumberedKey(0, number), NumberedValue(0, number));
    if (const Status written = (*store)->Write(batch); !written.ok()) return Fail("write", written);
    if (number % kRowsBetween != 0) continue;
    const auto made = (*store)->Checkpoint(directory / std::to_string(number));
    if (!made.ok()) return Fail("checkpoint", made.status());
  }
}

// Fills the disk under a store: a clear refusal, reads go on, and nothing acknowledged is lost.
int FillDisk(const std::filesystem::path& directory) {
  if (!MountSmallDisk(directory)) return kSkipped;
  MemoryKeySource keys{"seed"};
  std::vector<Status> stopped;
  const RocksDbStoreOptions options{.directory = directory / "db",
                                    .column_families = {std::string(kNumberedRows)},
                                    .keys = &keys,
                                    .on_stopped = [&](const Status& reason) { stopped.push_back(reason); },
                                    .write_buffer_bytes = 1024 * 1024};
  uint64_t acknowledged = 0;
  {
    auto store = RocksDbStore::Open(options);
    if (!store.ok()) return Fail("open", store.status());
    const auto write = [&](uint64_t number) {
      WriteBatch batch;
      batch.Put(kNumberedRows, NumberedKey(0, number),
                NumberedValue(0, number) + std::string(64 * 1024, 'f'));
      return (*store)->Write(batch);
    };
    Status status;
    while ((status = write(acknowledged)).ok()) ++acknowledged;
    if (status.code() != StatusCode::kResourceExhausted) return Fail("expected a full disk", status);
    if (MessageOf(status).find("disk is full") == std::string::npos) return Fail("unclear message", status);
    if (write(acknowledged + 1).code() != StatusCode::kUnavailable)
      return Fail("writes go on after a full disk");
    if (stopped.size() != 1 || stopped[0] != status)
      return Fail("it was not told once why the store stopped");
    const auto first = (*store)->Get(kNumberedRows, NumberedKey(0, 0));
    if (!first.ok()) return Fail("reads stopped", first.status());
  }
  // Room again: everything acknowledged is there.
  if (::mount("none", directory.c_str(), nullptr, MS_REMOUNT, "size=96m") != 0) return Fail("remount");
  auto store = RocksDbStore::Open(options);
  if (!store.ok()) return Fail("reopen", store.status());
  for (uint64_t number = 0; number < acknowledged; ++number) {
    const auto row = (*store)->Get(kNumberedRows, NumberedKey(0, number));
    if (!row.ok() || !row->starts_with(NumberedValue(0, number))) return Fail("lost a row", row.status());
  }
  std::printf("%llu rows kept\n", static_cast<unsigned long long>(acknowledged));
  return acknowledged > 10 ? 0 : Fail("too few rows to mean anything");
}

}  // namespace
}  // namespace cloister::storage

int main(int argc, char** argv) {
  const std::string mode = argc > 2 ? argv[1] : "";
  if ((mode == "write" || mode == "rotate") && (argc == 4 || argc == 5)) {
    return cloister::storage::WriteUntilKilled(argv[2], std::strtoull(argv[3], nullptr, 10), mode == "rotate",
                                               argc == 5 ? std::strtoull(argv[4], nullptr, 10) : 0);
  }
  if (mode == "find") return cloister::storage::FindAcknowledged(argv[2]);
  if (mode == "checkpoints") return cloister::storage::CopyUntilKilled(argv[2]);
  if (mode == "fill-disk") return cloister::storage::FillDisk(argv[2]);
  return cloister::storage::Fail(
      "usage: write|rotate DIRECTORY FIRST [REPLACEMENTS] | find DIRECTORY | checkpoints DIRECTORY | fill-disk DIRECTORY");
}
