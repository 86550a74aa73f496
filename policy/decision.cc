// SPDX-License-Identifier: Apache-2.0
#include "policy/decision.h"

#include <algorithm>

namespace cloister::policy {
namespace {

constexpr char kPolicyVersion[] = "groups-and-collections/1";

bool Contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// An empty limit allows everything; that is a statement about limits, not about readers.
bool WithinLimit(const std::vector<std::string>& limit, const std::string& value) {
  return limit.empty() || Contains(limit, value);
}

// The name of the rule that lets the principal read, or nothing. A user rule names fewer people than a group
// rule, so it is the one that is recorded when both hold.
std::optional<std::string> DecidingRule(const Principal& principal, const AccessClass& access_class) {
  if (!principal.user.empty() && Contains(access_class.reader_users, principal.user)) return "reader-user";
  for (const std::string& group : principal.groups) {
    if (Contains(access_class.reader_groups, group)) return "reader-group";
  }
  return std::nullopt;
}

}  // namespace

Decision Decide(const Principal& principal, const std::map<ClassId, AccessClass>& classes,
                const Environment& environment) {
  Decision decision;
  decision.not_after_ns = principal.not_after_ns;
  decision.policy_version = kPolicyVersion;
  if (environment.now_ns >= principal.not_after_ns) return decision;
  for (const auto& [id, access_class] : classes) {
    if (!WithinLimit(access_class.regions, environment.node_region)) continue;
    if (!WithinLimit(access_class.purposes, principal.purpose)) continue;
    if (auto rule = DecidingRule(principal, access_class)) {
      decision.permitted.emplace(id, Permit{.obligations = {}, .policy = *std::move(rule)});
    }
  }
  return decision;
}

}  // namespace cloister::policy
