// SPDX-License-Identifier: Apache-2.0
#include "services/gateway/metrics.h"

namespace cloister::services {
namespace {

void Counter(std::string& out, const char* name, const char* help) {
  out += std::string("# HELP ") + name + " " + help + "\n# TYPE " + name + " counter\n";
}

void Sample(std::string& out, const char* name, const char* labels, uint64_t value) {
  out += std::string(name) + labels + " " + std::to_string(value) + "\n";
}

}  // namespace

std::string Metrics::Render(uint64_t authentication_failures) const {
  std::string out;
  Counter(out, "cloister_http_requests_total", "HTTP requests read.");
  Sample(out, "cloister_http_requests_total", "", requests);
  Counter(out, "cloister_http_responses_total", "HTTP responses by class.");
  Sample(out, "cloister_http_responses_total", "{class=\"2xx\"}", responses_2xx);
  Sample(out, "cloister_http_responses_total", "{class=\"4xx\"}", responses_4xx);
  Sample(out, "cloister_http_responses_total", "{class=\"5xx\"}", responses_5xx);
  Counter(out, "cloister_asks_total", "Asks by outcome.");
  Sample(out, "cloister_asks_total", "{outcome=\"answer\"}", asks_answer);
  Sample(out, "cloister_asks_total", "{outcome=\"may_help\"}", asks_may_help);
  Sample(out, "cloister_asks_total", "{outcome=\"refusal\"}", asks_refusal);
  Sample(out, "cloister_asks_total", "{outcome=\"failed\"}", asks_failed);
  Counter(out, "cloister_ask_microseconds_total", "Time spent on asks that ended well.");
  Sample(out, "cloister_ask_microseconds_total", "", ask_microseconds);
  Counter(out, "cloister_searches_total", "Searches.");
  Sample(out, "cloister_searches_total", "", searches);
  Counter(out, "cloister_authentication_failures_total", "Requests with credentials that were not valid.");
  Sample(out, "cloister_authentication_failures_total", "", authentication_failures);
  return out;
}

}  // namespace cloister::services
