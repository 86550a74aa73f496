// SPDX-License-Identifier: Apache-2.0
// Counters for /metrics. Counts only: no names, no addresses, no paths. Thread-safe.
// SPEC: Prometheus text exposition format 0.0.4.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

namespace cloister::services {

struct Metrics {
  std::atomic<uint64_t> requests{0};
  std::atomic<uint64_t> responses_2xx{0}, responses_4xx{0}, responses_5xx{0};
  std::atomic<uint64_t> asks_answer{0}, asks_may_help{0}, asks_refusal{0}, asks_failed{0};
  std::atomic<uint64_t> searches{0};
  std::atomic<uint64_t> ask_microseconds{0};  // Of asks that ended well.

  std::string Render(uint64_t authentication_failures) const;
};

}  // namespace cloister::services
