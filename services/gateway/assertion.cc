// SPDX-License-Identifier: Apache-2.0
#include "services/gateway/assertion.h"

#include <algorithm>

namespace cloister::services {

const std::vector<std::string>& KnownPurposes() {
  static const std::vector<std::string> purposes = {"COC",    "HCOMPL",   "HLEGAL", "HOPERAT",   "HPAYMT",
                                                    "HQUALIMP", "HRESCH", "PATADMIN", "PATRQT",  "PATSFTY",
                                                    "PUBHLTH", "RECORDMGT", "TRAIN", "TREAT"};
  return purposes;
}

Status CheckPurpose(std::string_view purpose) {
  const auto& known = KnownPurposes();
  if (std::find(known.begin(), known.end(), purpose) != known.end()) return absl::OkStatus();
  std::string message = "the purpose must be one of";
  for (const std::string& name : known) message += " " + name;
  return InvalidArgument(message);
}

v1::SignedAssertion AssertionSigner::Sign(const Caller& caller, const std::string& purpose,
                                          std::string_view session_id) const {
  const int64_t now = clock_.Now().time_since_epoch().count();
  v1::PrincipalAssertion assertion;
  assertion.set_tenant(tenant_);
  assertion.set_user(caller.user);
  for (const std::string& role : caller.roles) assertion.add_roles(role);
  assertion.set_purpose(purpose);
  assertion.set_client_application(caller.client_application);
  assertion.set_zone(caller.zone);
  assertion.set_authentication_method(caller.authentication_method);
  assertion.set_issued_at_ns(now);
  assertion.set_not_after_ns(now + std::chrono::nanoseconds(kAssertionLifetime).count());
  assertion.set_session_id(std::string(session_id));
  v1::SignedAssertion signed_assertion;
  signed_assertion.set_assertion(assertion.SerializeAsString());
  signed_assertion.set_signature(signer_.Sign(std::string(kAssertionPrefix) + signed_assertion.assertion()));
  return signed_assertion;
}

}  // namespace cloister::services
