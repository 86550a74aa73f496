// SPDX-License-Identifier: Apache-2.0
// Who is asking, as authenticated. A plain value.
#pragma once

#include <set>
#include <string>

namespace cloister::services {

// The person at this machine who owns the data directory. The space keeps the name apart from every user's, so
// it is in no group and reads no documents.
inline constexpr const char* kLocalAdministrator = "local administrator";

struct Caller {
  std::string user;
  std::set<std::string> roles;
  std::string client_application;     // "cloister-cli", or what the API key is registered for.
  std::string authentication_method;  // "api-key", "password" or "peer".
  std::string zone;                   // "local" (this machine) or "network".
  bool HasRole(const std::string& role) const { return roles.contains(role); }
};

}  // namespace cloister::services
