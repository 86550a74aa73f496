// SPDX-License-Identifier: Apache-2.0
// Checks who is asking, as gateway signed it. Does not resolve groups and does not decide; see
// retrieval/directory.h. SPEC: proto/cloister/v1/common.proto (SignedAssertion).
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <string>

#include "cloister/v1/common.pb.h"
#include "common/clock.h"
#include "common/status.h"
#include "policy/principal.h"

namespace cloister::services {

constexpr std::chrono::seconds kAssertionLifetimeMax{120};
// How far in the future an assertion may have been issued: both clocks are this machine's, but clocks step.
constexpr std::chrono::seconds kAssertionSkewMax{5};
constexpr std::chrono::seconds kKeyRefreshPause{1};
constexpr size_t kAssertionBytesMax = 256 * 1024;

struct VerifiedAssertion {
  policy::Principal principal;  // Without groups: those asserted are not believed.
  std::string digest;           // SHA-256 of the assertion.
};

// Thread-safe. `clock` must outlive it.
class AssertionVerifier {
 public:
  // `fetch_key` gets gateway's public key (32 bytes) and may block; it is called at the first assertion and
  // again, at most once each kKeyRefreshPause, when a signature does not verify.
  AssertionVerifier(std::string tenant, std::function<StatusOr<std::string>()> fetch_key, const Clock& clock)
      : tenant_(std::move(tenant)), fetch_key_(std::move(fetch_key)), clock_(clock) {}

  // Errors: kUnauthenticated (signature, lifetime, expired, another tenant, malformed), kUnavailable (no key
  // yet).
  StatusOr<VerifiedAssertion> Verify(const v1::SignedAssertion& signed_assertion);

 private:
  Status CheckSignature(const v1::SignedAssertion& signed_assertion);

  const std::string tenant_;
  const std::function<StatusOr<std::string>()> fetch_key_;
  const Clock& clock_;
  std::mutex mutex_;
  std::string key_;
  std::chrono::nanoseconds fetched_at_{0};  // Monotonic; meaningless while key_ is empty.
};

}  // namespace cloister::services
