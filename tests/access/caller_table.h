// SPDX-License-Identifier: Apache-2.0
// Who may call what between services, written down a second time: a rule that is widened, narrowed or
// forgotten in a service no longer agrees with this table. Change it only together with the reason for the
// call.
#pragma once

#include <set>
#include <string>
#include <vector>

namespace cloister::services {

struct AllowedCallers {
  std::string process;            // The program that serves the method.
  std::string method;             // "Keys/CreateKeys", without the package.
  std::set<std::string> callers;  // Identities.
};

// One row for each method of cloister.v1.
const std::vector<AllowedCallers>& CallerTable();

// The programs that listen, gateway among them, which serves no method at all.
const std::vector<std::string>& ListeningProcesses();

// Every name the authority of an appliance puts into a certificate, and names it never does.
const std::vector<std::string>& CallersToTry();

// Whether `process` must let `caller` reach `method` ("/cloister.v1.Keys/CreateKeys").
bool MayCall(const std::string& process, const std::string& method, const std::string& caller);

}  // namespace cloister::services
