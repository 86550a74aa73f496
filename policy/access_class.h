// SPDX-License-Identifier: Apache-2.0
// The access class: one distinct combination of access list, classification, residency, purpose limits and
// hold state. Documents share classes; policy is evaluated per class, never per document. Pure values. SPEC:
// docs/formats/access-class.md
#pragma once

#include <string>
#include <vector>

#include "common/id.h"
#include "common/status.h"

namespace cloister::policy {

struct AccessClass {
  std::string collection;                  // Name of the collection.
  std::vector<std::string> reader_groups;  // Sorted, unique. Empty together with reader_users: nobody.
  std::vector<std::string> reader_users;   // Sorted, unique.
  std::string classification = "internal";
  std::vector<std::string> regions;   // Where it may be shown; empty: no limit. Sorted, unique.
  std::vector<std::string> purposes;  // For what; empty: no limit. Sorted, unique.
  bool on_hold = false;               // Legal hold: blocks erasure, not reading.
  bool operator==(const AccessClass&) const = default;
};

// Sorts and removes duplicates. Errors: kInvalidArgument (a name that is empty or over kNameBytesMax).
StatusOr<AccessClass> Normalised(AccessClass access_class);
// The same bytes for the same class on every machine. `access_class` must be normalised.
std::string Serialise(const AccessClass& access_class);
// Errors: kDataLoss (malformed), kFailedPrecondition (unknown format version).
StatusOr<AccessClass> ParseAccessClass(std::string_view bytes);

}  // namespace cloister::policy
