// SPDX-License-Identifier: Apache-2.0
#include "services/audit/append_rules.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "audit/event_names.h"

namespace cloister::services {
namespace {

struct Rule {
  std::string_view event;  // A class, or a family such as "document." with its dot.
  std::vector<std::string_view> identities;
};

// The first rule that fits decides; no rule means nobody. "audit." and "clock.stepped" are absent: only the
// audit service itself records those, and it does not ask.
const std::vector<Rule>& Rules() {
  static const std::vector<Rule> rules = {
      {"ask.release", {"retrieval"}},
      {"search.release", {"retrieval"}},
      {"document.viewed", {"retrieval"}},
      {"ask.", {"gateway", "retrieval"}},
      {"answer.", {"gateway"}},
      {"document.", {"retrieval", "ingest"}},
      {"subject.", {"retrieval", "ingest"}},
      {"recipient.", {"gateway", "retrieval"}},
      {"erasure.", {"gateway", "retrieval", "keys"}},
      {"hold.", {"gateway", "retrieval"}},
      {"policy.", {"gateway", "retrieval"}},
      {"directory.", {"gateway", "retrieval"}},
      {"key.", {"keys", "gateway"}},
      {"freshness.", {"keys"}},
      {"auth.", {"gateway"}},
      {"breakglass.", {"gateway", "retrieval"}},
      {"export.", {"gateway"}},
      {"report.", {"gateway"}},
      {"model.", {"embedding", "generation", "supervisor"}},
      {"config.", {"gateway", "supervisor"}},
      {"backup.", {"gateway", "supervisor"}},
      {"version.", {"retrieval"}},
      {"maintenance.", {"gateway"}},
      {"egress.", {"gateway", "retrieval", "ingest", "keys", "embedding", "generation", "relay", "supervisor"}},
      {"service.", {"gateway", "retrieval", "ingest", "keys", "embedding", "generation", "relay", "supervisor"}},
  };
  return rules;
}

bool Fits(const Rule& rule, std::string_view event) {
  return rule.event.back() == '.' ? event.substr(0, rule.event.size()) == rule.event : event == rule.event;
}

}  // namespace

bool IsServiceIdentity(std::string_view name) {
  static constexpr std::array<std::string_view, 9> kIdentities = {
      "gateway", "keys", "embedding", "retrieval", "generation", "audit", "ingest", "relay", "supervisor"};
  return std::find(kIdentities.begin(), kIdentities.end(), name) != kIdentities.end();
}

Status CheckMayAppend(std::string_view identity, std::string_view event) {
  if (!audit::IsEventName(event)) return InvalidArgument("the event is not one of the audit log's classes");
  for (const Rule& rule : Rules()) {
    if (!Fits(rule, event)) continue;
    const auto& allowed = rule.identities;
    if (std::find(allowed.begin(), allowed.end(), identity) != allowed.end()) return absl::OkStatus();
    break;
  }
  return PermissionDenied("this service may not record " + std::string(event));
}

}  // namespace cloister::services
