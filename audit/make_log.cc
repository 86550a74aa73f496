// SPDX-License-Identifier: Apache-2.0
// Writes a log of numbered records and exports it, so that other programs can be tried on it.
// Arguments: an empty directory for the log, one for the export, the number of records.
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "audit/test_support.h"

int main(int argc, char** argv) {
  using namespace cloister;
  if (argc != 4) return 2;
  const uint64_t records = std::strtoull(argv[3], nullptr, 10);
  const audit::NoteSigner signer = audit::TestSigner();
  const SystemClock clock;
  auto log = audit::LogWriter::Open(audit::TestOptions(argv[1]), signer, clock);
  Status status = log.status();
  if (status.ok()) {
    // Many at once share a sync.
    std::vector<std::thread> threads;
    for (uint64_t t = 0; t < 64; ++t) {
      threads.emplace_back([&, t] {
        for (uint64_t i = t; i < records; i += 64) (void)(*log)->Append(audit::NumberedEvent(i));
      });
    }
    for (std::thread& thread : threads) thread.join();
    (*log)->Close();
    if ((*log)->State().checkpoint_size != records) status = Internal("records are missing");
  }
  if (status.ok()) status = audit::ExportTo(**log, argv[2]);
  if (!status.ok()) std::fprintf(stderr, "%s\n", MessageOf(status).c_str());
  return status.ok() ? 0 : 1;
}
