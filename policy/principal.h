// SPDX-License-Identifier: Apache-2.0
// Who is asking, as gateway authenticated them. Does not authenticate, and does not resolve groups: retrieval
// does that from its own directory. Plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace cloister::policy {

// Limits on what an assertion may carry; more is refused as invalid.
constexpr size_t kPrincipalGroupsMax = 256;
constexpr size_t kNameBytesMax = 256;

struct Principal {
  std::string tenant;
  std::string user;                                 // Name in the directory, e.g. "a.weber".
  std::vector<std::string> groups;                  // Resolved by retrieval; sorted, unique.
  std::vector<std::string> roles;                   // e.g. "knowledge-manager"; sorted, unique.
  std::string purpose = "HOPERAT";                  // SPEC: HL7 v3 PurposeOfUse code.
  std::string client_application = "cloister-cli";  // Registered name.
  std::string zone = "local";                       // Network zone of the client.
  std::string authentication_method;                // "api-key", "password", "peer".
  int64_t not_after_ns = 0;                         // Unix time; the assertion is worthless after it.
};

}  // namespace cloister::policy
