// SPDX-License-Identifier: Apache-2.0
#include "services/retrieval/assertion_verifier.h"

#include <algorithm>

#include "common/id.h"
#include "crypto/hash.h"
#include "crypto/signer.h"

namespace cloister::services {
namespace {

constexpr std::string_view kAssertionPrefix = "cloister/assertion/v1\n";

bool FitsName(const std::string& name) { return name.size() <= policy::kNameBytesMax; }

}  // namespace

Status AssertionVerifier::CheckSignature(const v1::SignedAssertion& signed_assertion) {
  const std::string message = std::string(kAssertionPrefix) + signed_assertion.assertion();
  std::lock_guard lock(mutex_);
  if (!key_.empty() && crypto::Ed25519Verify(key_, message, signed_assertion.signature()))
    return absl::OkStatus();
  const auto now = clock_.Monotonic();
  if (!key_.empty() && now - fetched_at_ < kKeyRefreshPause)
    return Unauthenticated("the assertion is not signed by gateway");
  auto key = fetch_key_();
  if (!key.ok()) return Unavailable("gateway's public key cannot be had now");
  key_ = *std::move(key);
  fetched_at_ = now;
  if (crypto::Ed25519Verify(key_, message, signed_assertion.signature())) return absl::OkStatus();
  return Unauthenticated("the assertion is not signed by gateway");
}

StatusOr<VerifiedAssertion> AssertionVerifier::Verify(const v1::SignedAssertion& signed_assertion) {
  if (signed_assertion.assertion().size() > kAssertionBytesMax ||
      signed_assertion.signature().size() != crypto::kEd25519SignatureBytes) {
    return Unauthenticated("the assertion is malformed");
  }
  CLOISTER_RETURN_IF_ERROR(CheckSignature(signed_assertion));
  v1::PrincipalAssertion assertion;
  if (!assertion.ParseFromString(signed_assertion.assertion()))
    return Unauthenticated("the assertion is malformed");
  const int64_t now = clock_.Now().time_since_epoch().count();
  const int64_t issued = assertion.issued_at_ns(), ends = assertion.not_after_ns();
  if (issued <= 0 || ends <= issued ||
      ends - issued > std::chrono::nanoseconds(kAssertionLifetimeMax).count()) {
    return Unauthenticated("the assertion lives longer than it may");
  }
  if (issued > now + std::chrono::nanoseconds(kAssertionSkewMax).count()) {
    return Unauthenticated("the assertion is from the future");
  }
  if (now >= ends) return Unauthenticated("the assertion has ended");
  if (assertion.tenant() != tenant_) return Unauthenticated("the assertion is for another tenant");
  const auto names = {assertion.user(), assertion.purpose(), assertion.client_application(), assertion.zone(),
                      assertion.authentication_method()};
  if (assertion.user().empty() || !std::all_of(names.begin(), names.end(), FitsName) ||
      !std::all_of(assertion.roles().begin(), assertion.roles().end(), FitsName) ||
      static_cast<size_t>(assertion.groups_size()) > policy::kPrincipalGroupsMax ||
      static_cast<size_t>(assertion.roles_size()) > policy::kPrincipalGroupsMax ||
      assertion.session_id().size() != kIdBytes) {
    return Unauthenticated("the assertion is malformed");
  }
  VerifiedAssertion verified;
  verified.digest = crypto::Sha256(signed_assertion.assertion());
  policy::Principal& principal = verified.principal;
  principal.tenant = assertion.tenant();
  principal.user = assertion.user();
  principal.roles.assign(assertion.roles().begin(), assertion.roles().end());
  std::sort(principal.roles.begin(), principal.roles.end());
  principal.roles.erase(std::unique(principal.roles.begin(), principal.roles.end()), principal.roles.end());
  principal.purpose = assertion.purpose();
  principal.client_application = assertion.client_application();
  principal.zone = assertion.zone();
  principal.authentication_method = assertion.authentication_method();
  principal.not_after_ns = ends;
  return verified;
}

}  // namespace cloister::services
