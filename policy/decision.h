// SPDX-License-Identifier: Apache-2.0
// A decision: which access classes a principal may see now, under which obligations, and until when. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/id.h"
#include "policy/access_class.h"
#include "policy/principal.h"

namespace cloister::policy {

// What must be done to a passage before it is shown. Unions over determining permits; caps take the minimum.
struct Obligations {
  std::vector<std::string> redact;  // Identifier types to mask, sorted.
  std::optional<uint32_t> passages_max;
  bool watermark = false;
  bool operator==(const Obligations&) const = default;
};

struct Permit {
  Obligations obligations;
  std::string policy;  // Name of the deciding rule, e.g. "reader-group".
};

struct Decision {
  std::map<ClassId, Permit> permitted;  // A class that is not here is denied.
  int64_t not_after_ns = 0;             // Unix time; no cache of this decision outlives it.
  std::string policy_version;           // Names the rule set that decided; goes into the release record.
  bool Permits(const ClassId& id) const { return permitted.contains(id); }
};

// The place a release happens at.
struct Environment {
  int64_t now_ns = 0;
  std::string node_region = "local";
};

// Groups and collections: a class is permitted when the principal is among its readers, its regions hold the
// node's region or are empty, and its purposes hold the principal's or are empty. Everything else is denied;
// so is everything when the assertion has expired. Thread-safe, no I/O.
Decision Decide(const Principal& principal, const std::map<ClassId, AccessClass>& classes,
                const Environment& environment);

}  // namespace cloister::policy
