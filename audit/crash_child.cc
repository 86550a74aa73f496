// SPDX-License-Identifier: Apache-2.0
// Appends numbered records from several threads and reports each acknowledgement, until it is killed.
// Arguments: directory, first number. Output: "number index\n" for each record that was acknowledged.
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "audit/test_support.h"

namespace {

constexpr int kWriters = 4;

}  // namespace

int main(int argc, char** argv) {
  using namespace cloister;
  if (argc != 3) return 2;
  const audit::NoteSigner signer = audit::TestSigner();
  const SystemClock clock;
  audit::LogWriterOptions options = audit::TestOptions(argv[1]);
  options.journal_rotate_bytes = 20'000;  // Often, so that kills fall into it.
  auto log = audit::LogWriter::Open(options, signer, clock);
  if (!log.ok()) {
    std::fprintf(stderr, "%s\n", MessageOf(log.status()).c_str());
    return 3;
  }
  std::printf("open\n");
  std::fflush(stdout);
  std::atomic<uint64_t> next{std::strtoull(argv[2], nullptr, 10)};
  std::vector<std::thread> threads;
  threads.reserve(kWriters);
  for (int t = 0; t < kWriters; ++t) {
    threads.emplace_back([&] {
      for (;;) {
        const uint64_t number = next++;
        audit::Event event = audit::NumberedEvent(number);
        // Some records are large, some continue in a second entry.
        if (number % 7 == 0) {
          event.body_json = "{\"number\":" + std::to_string(number) + ",\"text\":\"" +
                            std::string(number % 3 == 0 ? 70'000 : 5'000, 'x') + "\"}";
        }
        const auto index = (*log)->Append(event);
        if (!index.ok()) std::_Exit(4);
        const std::string line = std::to_string(number) + " " + std::to_string(*index) + "\n";
        // One write of a short line to a pipe is not interleaved.
        if (::write(STDOUT_FILENO, line.data(), line.size()) < 0) std::_Exit(5);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}
