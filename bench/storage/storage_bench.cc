// SPDX-License-Identifier: Apache-2.0
// Times one round of sealing records and of writing and reading a database, and prints "NAME MICROSECONDS"
// lines. bench/storage/run starts it again and again and compares; see bench/storage/README.md.
#include <time.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "crypto/aead.h"
#include "crypto/random.h"
#include "storage/memory_key_source.h"
#include "storage/rocksdb_store.h"
#include "storage/sealed_record.h"

namespace cloister::storage {
namespace {

using Clock = std::chrono::steady_clock;

// The processor time of this thread, which other programs on the machine do not take part in.
struct ProcessorClock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<ProcessorClock>;
  static constexpr bool is_steady = true;
  static time_point now() {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return time_point(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
  }
};

template <class Clock, class Work>
void Report(const std::string& name, uint64_t times, const Work& work) {
  const auto begin = Clock::now();
  for (uint64_t i = 0; i < times; ++i) work(i);
  const std::chrono::duration<double, std::micro> took = Clock::now() - begin;
  std::printf("%s %.4f\n", name.c_str(), took.count() / static_cast<double>(times));
}

std::string RowKey(uint64_t number) {
  std::string key = "row-00000000";
  for (size_t at = key.size(); number > 0; number /= 10) key[--at] = static_cast<char>('0' + number % 10);
  return key;
}

// Sealing and opening beside plain AES-256-GCM in one call on the same bytes, in turns.
void Sealing(size_t bytes, uint64_t times) {
  const std::string size = std::to_string(bytes), plaintext = crypto::RandomBytes(bytes);
  const KeyId id = crypto::RandomId<KeyId>();
  const std::string key = crypto::RandomBytes(32), nonce(crypto::kAeadNonceBytes, '\0');
  const DatabaseId database = crypto::RandomId<DatabaseId>();
  const RecordContext context{database, "documents", "a row key of 24 bytes..."};
  const std::string record = *SealRecord(id, key, context, plaintext);
  const std::string sealed = crypto::AeadSeal(key, nonce, "", plaintext);
  Report<ProcessorClock>("plain_seal_" + size, times,
                         [&](uint64_t) { crypto::AeadSeal(key, nonce, "", plaintext); });
  Report<ProcessorClock>("seal_" + size, times,
                         [&](uint64_t) { CLOISTER_CHECK(SealRecord(id, key, context, plaintext).ok()); });
  Report<ProcessorClock>("plain_open_" + size, times,
                         [&](uint64_t) { CLOISTER_CHECK(crypto::AeadOpen(key, nonce, "", sealed).ok()); });
  Report<ProcessorClock>("open_" + size, times,
                         [&](uint64_t) { CLOISTER_CHECK(OpenRecord(key, context, record).ok()); });
}

// Synced puts one by one, puts with one fsync per group of 256 as bulk work does, and random reads nearly all
// past the block cache (it holds the tables' indexes and a twelfth of the rows), which the operating system's
// cache answers: what is left is RocksDB and the cipher.
void Database(const std::filesystem::path& directory, size_t bytes, uint64_t synced, uint64_t rows,
              uint64_t reads) {
  const std::string size = std::to_string(bytes), value = crypto::RandomBytes(bytes);
  MemoryKeySource keys{"seed"};
  const RocksDbStoreOptions options{.directory = directory / size,
                                    .column_families = {"rows"},
                                    .keys = &keys,
                                    .block_cache_bytes = 4 * 1024 * 1024};
  auto store = RocksDbStore::Open(options);
  CLOISTER_CHECK(store.ok());
  Report<Clock>("put_synced_" + size, synced, [&](uint64_t i) {
    WriteBatch batch;
    batch.Put("rows", RowKey(i), value);
    CLOISTER_CHECK((*store)->Write(batch).ok());
  });
  // Reported per row, flush to tables included.
  const auto begin = Clock::now();
  for (uint64_t i = 0; i < rows;) {
    WriteBatch batch;
    for (uint64_t in_batch = 0; in_batch < 256 && i < rows; ++in_batch, ++i)
      batch.Put("rows", RowKey(i), value);
    CLOISTER_CHECK((*store)->Write(batch).ok());
  }
  CLOISTER_CHECK((*store)->Flush().ok());
  const std::chrono::duration<double, std::micro> took = Clock::now() - begin;
  std::printf("put_bulk_%s %.4f\n", size.c_str(), took.count() / static_cast<double>(rows));
  std::mt19937_64 random(7);
  Report<ProcessorClock>("get_" + size, reads, [&](uint64_t) {
    CLOISTER_CHECK((*store)->Get("rows", RowKey(random() % rows)).ok());
  });
}

}  // namespace
}  // namespace cloister::storage

int main(int argc, char** argv) {
  using namespace cloister::storage;
  if (argc != 3) {
    std::fprintf(stderr, "usage: storage_bench sealing|database|smoke-sealing|smoke-database DIRECTORY\n");
    return 2;
  }
  const std::string mode = argv[1];
  const bool smoke = mode.starts_with("smoke");
  for (const size_t bytes : {size_t{1024}, size_t{4096}, size_t{65536}}) {
    if (mode.ends_with("sealing")) {
      Sealing(bytes, smoke ? 3 : 64 * 1024 * 1024 / (bytes + 4096));
    } else {
      const uint64_t rows = smoke ? 8 : 48 * 1024 * 1024 / bytes;
      Database(argv[2], bytes, smoke ? 2 : 100, rows, smoke ? 8 : std::min<uint64_t>(rows, 20'000));
    }
  }
  return 0;
}
