// SPDX-License-Identifier: Apache-2.0
// Signs who is asking, for retrieval to verify. Does not decide what the person may see, and does not authenticate.
// SPEC: proto/cloister/v1/common.proto (SignedAssertion).
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "cloister/v1/common.pb.h"
#include "common/clock.h"
#include "common/status.h"
#include "crypto/signer.h"
#include "services/gateway/caller.h"

namespace cloister::services {

constexpr std::chrono::seconds kAssertionLifetime{60};
constexpr std::string_view kAssertionPrefix = "cloister/assertion/v1\n";
constexpr const char* kDefaultPurpose = "HOPERAT";

// The purposes that may be asked for. Emergency access (ETREAT, BTG) is not among them: it is opened by its own,
// reviewed procedure. SPEC: HL7 v3 PurposeOfUse.
const std::vector<std::string>& KnownPurposes();
// Errors: kInvalidArgument, naming the purposes there are.
Status CheckPurpose(std::string_view purpose);

// Thread-safe.
class AssertionSigner {
 public:
  // `clock` must outlive the signer.
  AssertionSigner(crypto::Ed25519Signer signer, std::string tenant, const Clock& clock)
      : signer_(std::move(signer)), tenant_(std::move(tenant)), clock_(clock) {}
  // `session_id` has 16 bytes.
  v1::SignedAssertion Sign(const Caller& caller, const std::string& purpose, std::string_view session_id) const;

 private:
  const crypto::Ed25519Signer signer_;
  const std::string tenant_;
  const Clock& clock_;
};

}  // namespace cloister::services
