// SPDX-License-Identifier: Apache-2.0
#include "services/retrieval/assertion_verifier.h"

#include <gtest/gtest.h>

#include "crypto/signer.h"

namespace cloister::services {
namespace {

constexpr std::chrono::nanoseconds kStart = std::chrono::hours(24 * 365 * 56);

class AssertionVerifierTest : public testing::Test {
 protected:
  AssertionVerifierTest()
      : verifier_(
            "main",
            [this]() -> StatusOr<std::string> {
              ++fetches_;
              if (!keys_up_) return Unavailable("keys is down");
              return signer_.public_key();
            },
            clock_) {}

  v1::PrincipalAssertion Good() const {
    const int64_t now = clock_.Now().time_since_epoch().count();
    v1::PrincipalAssertion assertion;
    assertion.set_tenant("main");
    assertion.set_user("a.weber");
    assertion.add_groups("directors");
    assertion.add_roles("b");
    assertion.add_roles("a");
    assertion.set_purpose("TREAT");
    assertion.set_issued_at_ns(now);
    assertion.set_not_after_ns(now + std::chrono::nanoseconds(std::chrono::seconds(60)).count());
    assertion.set_session_id(std::string(16, 's'));
    return assertion;
  }
  v1::SignedAssertion Sign(const v1::PrincipalAssertion& assertion) const {
    v1::SignedAssertion signed_assertion;
    signed_assertion.set_assertion(assertion.SerializeAsString());
    signed_assertion.set_signature(signer_.Sign("cloister/assertion/v1\n" + signed_assertion.assertion()));
    return signed_assertion;
  }
  StatusCode CodeAfter(const std::function<void(v1::PrincipalAssertion&)>& change) {
    auto assertion = Good();
    change(assertion);
    return verifier_.Verify(Sign(assertion)).status().code();
  }

  FakeClock clock_{WallTime(kStart)};
  crypto::Ed25519Signer signer_ = crypto::Ed25519Signer::Generate();
  bool keys_up_ = true;
  int fetches_ = 0;
  AssertionVerifier verifier_;
};

TEST_F(AssertionVerifierTest, AcceptsWhatGatewaySignedAndDropsItsGroups) {
  const auto verified = verifier_.Verify(Sign(Good()));
  ASSERT_TRUE(verified.ok()) << MessageOf(verified.status());
  EXPECT_EQ(verified->principal.user, "a.weber");
  EXPECT_TRUE(verified->principal.groups.empty());
  EXPECT_EQ(verified->principal.roles, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(verified->principal.purpose, "TREAT");
  EXPECT_EQ(verified->digest.size(), 32u);
  ASSERT_TRUE(verifier_.Verify(Sign(Good())).ok());
  EXPECT_EQ(fetches_, 1);
}

TEST_F(AssertionVerifierTest, RefusesEveryFlippedBit) {
  const auto good = Sign(Good());
  for (size_t bit = 0; bit < 8 * good.assertion().size(); ++bit) {
    auto bad = good;
    (*bad.mutable_assertion())[bit / 8] ^= static_cast<char>(1 << (bit % 8));
    ASSERT_EQ(verifier_.Verify(bad).status().code(), StatusCode::kUnauthenticated) << bit;
  }
  for (size_t bit = 0; bit < 8 * good.signature().size(); ++bit) {
    auto bad = good;
    (*bad.mutable_signature())[bit / 8] ^= static_cast<char>(1 << (bit % 8));
    ASSERT_EQ(verifier_.Verify(bad).status().code(), StatusCode::kUnauthenticated) << bit;
  }
  EXPECT_EQ(fetches_, 1);  // No bad signature made it ask again within the pause.
}

TEST_F(AssertionVerifierTest, RefusesASignatureOverAnotherContext) {
  auto signed_assertion = Sign(Good());
  signed_assertion.set_signature(signer_.Sign(signed_assertion.assertion()));
  EXPECT_EQ(verifier_.Verify(signed_assertion).status().code(), StatusCode::kUnauthenticated);
}

TEST_F(AssertionVerifierTest, RefusesWrongTimes) {
  const int64_t second = 1'000'000'000;
  const auto refused = StatusCode::kUnauthenticated;
  EXPECT_EQ(CodeAfter([&](auto& a) { a.set_not_after_ns(a.issued_at_ns() + 120 * second); }),
            StatusCode::kOk);
  EXPECT_EQ(CodeAfter([&](auto& a) { a.set_not_after_ns(a.issued_at_ns() + 120 * second + 1); }), refused);
  EXPECT_EQ(CodeAfter([&](auto& a) {
              a.set_issued_at_ns(a.issued_at_ns() - 60 * second),
                  a.set_not_after_ns(a.issued_at_ns() + 60 * second);
            }),
            refused);
  EXPECT_EQ(CodeAfter([&](auto& a) { a.set_not_after_ns(a.issued_at_ns()); }), refused);
  EXPECT_EQ(CodeAfter([&](auto& a) { a.set_issued_at_ns(a.issued_at_ns() + 5 * second); }), StatusCode::kOk);
  EXPECT_EQ(CodeAfter([&](auto& a) { a.set_issued_at_ns(a.issued_at_ns() + 5 * second + 1); }), refused);
  EXPECT_EQ(CodeAfter([&](auto& a) { a.set_issued_at_ns(0); }), refused);
  EXPECT_EQ(CodeAfter([&](auto& a) { a.set_issued_at_ns(INT64_MIN), a.set_not_after_ns(INT64_MAX); }),
            refused);
}

TEST_F(AssertionVerifierTest, RefusesOtherTenantsAndMalformedContent) {
  const auto refused = StatusCode::kUnauthenticated;
  EXPECT_EQ(CodeAfter([](auto& a) { a.set_tenant("other"); }), refused);
  EXPECT_EQ(CodeAfter([](auto& a) { a.set_user(""); }), refused);
  EXPECT_EQ(CodeAfter([](auto& a) { a.set_user(std::string(257, 'u')); }), refused);
  EXPECT_EQ(CodeAfter([](auto& a) { a.set_session_id("short"); }), refused);
  EXPECT_EQ(CodeAfter([](auto& a) {
              for (int i = 0; i < 257; ++i) a.add_roles("r");
            }),
            refused);
  EXPECT_EQ(CodeAfter([](auto& a) {
              for (int i = 0; i < 257; ++i) a.add_groups("g");
            }),
            refused);
  v1::SignedAssertion garbage;
  garbage.set_assertion(std::string(20, '\xFF'));
  garbage.set_signature(signer_.Sign("cloister/assertion/v1\n" + garbage.assertion()));
  EXPECT_EQ(verifier_.Verify(garbage).status().code(), refused);
  EXPECT_EQ(verifier_.Verify({}).status().code(), refused);
}

TEST_F(AssertionVerifierTest, FetchesANewKeyOnceWhenASignatureFails) {
  ASSERT_TRUE(verifier_.Verify(Sign(Good())).ok());
  signer_ = crypto::Ed25519Signer::Generate();
  EXPECT_EQ(verifier_.Verify(Sign(Good())).status().code(),
            StatusCode::kUnauthenticated);  // Within the pause.
  clock_.Advance(kKeyRefreshPause);
  EXPECT_TRUE(verifier_.Verify(Sign(Good())).ok());
  EXPECT_EQ(fetches_, 2);
}

TEST_F(AssertionVerifierTest, IsUnavailableWithoutAKey) {
  keys_up_ = false;
  EXPECT_EQ(verifier_.Verify(Sign(Good())).status().code(), StatusCode::kUnavailable);
  keys_up_ = true;
  EXPECT_TRUE(verifier_.Verify(Sign(Good())).ok());
}

}  // namespace
}  // namespace cloister::services
