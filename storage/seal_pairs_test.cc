// SPDX-License-Identifier: Apache-2.0
// No key and nonce seal twice: every call of AES-256-GCM's sealing half that sealed records make is counted, with the key
// and nonce it was given. The linker puts Counted... in place of the functions (see CMakeLists.txt), so the product has no
// hook. Worst case on purpose: one data key, one row, few different contents, several threads.
//
// seal_pairs_test [SEALS], else $CLOISTER_SEALS, else 1,000,000
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "crypto/random.h"
#include "storage/sealed_record.h"

namespace {

constexpr size_t kThreads = 2;
// Every so many records have several frames, which share a key and must differ in their nonces.
constexpr uint64_t kLargeEvery = 4096;
constexpr size_t kLargeBytes = 3 * cloister::storage::kFrameBytes;

// A pair as 128 bits: the key's first half with the nonce added in. Equal pairs are equal here, so that no repetition can
// hide; that two different ones are has a probability below 2^-70 for 10^8 of them.
using Pair = std::array<uint64_t, 2>;

struct Counter {
  std::vector<Pair> pairs;
};
thread_local Counter* counter = nullptr;

void Count(std::string_view key, std::string_view nonce) {
  if (counter == nullptr) return;
  Pair pair{}, added{};
  std::memcpy(pair.data(), key.data(), sizeof pair);
  std::memcpy(added.data(), nonce.data(), nonce.size());
  counter->pairs.push_back({pair[0] ^ added[0], pair[1] ^ added[1]});
}

}  // namespace

extern "C" {
#define CLOISTER_SEAL_INTO _ZN8cloister6crypto12AeadSealIntoESt17basic_string_viewIcSt11char_traitsIcEES4_S4_S4_Pc
#define CLOISTER_CONCAT(a, b) a##b
#define CLOISTER_NAME(a, b) CLOISTER_CONCAT(a, b)
void CLOISTER_NAME(__real_, CLOISTER_SEAL_INTO)(std::string_view key, std::string_view nonce, std::string_view aad,
                                                std::string_view plaintext, char* out);
void CLOISTER_NAME(__wrap_, CLOISTER_SEAL_INTO)(std::string_view key, std::string_view nonce, std::string_view aad,
                                                std::string_view plaintext, char* out) {
  Count(key, nonce);
  CLOISTER_NAME(__real_, CLOISTER_SEAL_INTO)(key, nonce, aad, plaintext, out);
}
}

int main(int argc, char** argv) {
  using namespace cloister;
  const char* environment = std::getenv("CLOISTER_SEALS");
  const uint64_t seals = std::strtoull(argc > 1 ? argv[1] : environment != nullptr ? environment : "1000000", nullptr, 10);
  const std::string key = crypto::RandomBytes(32);
  const KeyId id = crypto::RandomId<KeyId>();
  const DatabaseId database = crypto::RandomId<DatabaseId>();
  const std::string small(64, 's'), large(kLargeBytes, 'l');
  std::atomic<uint64_t> next = 0;
  std::atomic<bool> failed = false;
  std::vector<Counter> counters(kThreads);
  std::vector<std::thread> threads;
  for (Counter& own : counters) {
    own.pairs.reserve(static_cast<size_t>(seals / kThreads + seals / kThreads / 8));
    threads.emplace_back([&] {
      counter = &own;
      for (uint64_t n = next++; n < seals; n = next++) {
        const auto record = storage::SealRecord(id, key, {database, "family", "row"}, n % kLargeEvery == 0 ? large : small);
        if (!record.ok()) failed = true;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::vector<Pair> all;
  for (Counter& own : counters) {
    all.insert(all.end(), own.pairs.begin(), own.pairs.end());
    own.pairs = {};
  }
  std::sort(all.begin(), all.end());
  const size_t distinct = static_cast<size_t>(std::unique(all.begin(), all.end()) - all.begin());
  const uint64_t expected = seals + (seals + kLargeEvery - 1) / kLargeEvery * 2;
  std::printf("%llu records sealed, %zu pairs of key and nonce counted, %zu repeated\n",
              static_cast<unsigned long long>(seals), all.size(), all.size() - distinct);
  if (failed || all.size() != expected) {
    std::printf("%llu pairs were expected: sealing does not go through the function that is counted\n",
                static_cast<unsigned long long>(expected));
    return 1;
  }
  return all.size() == distinct ? 0 : 1;
}
