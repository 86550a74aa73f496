// SPDX-License-Identifier: Apache-2.0
#include "services/supervisor/anchor_change.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace cloister::services {
namespace {

// A keyring that opens with some secrets, or does not answer.
std::function<bool(const crypto::Secret&)> OpensWith(std::set<std::string> secrets) {
  return [secrets = std::move(secrets)](const crypto::Secret& secret) {
    return secrets.contains(std::string(secret.view()));
  };
}

class HeldSecretTest : public testing::Test {
 protected:
  bool Is(std::string_view secret) const { return held_.Is(crypto::Secret(secret)); }
  HeldSecret held_{crypto::Secret(std::string_view("former")), PassphraseSource::kTyped};
};

TEST_F(HeldSecretTest, WithoutAChangeInDoubtNothingIsAsked) {
  EXPECT_TRUE(held_.Settle([](const crypto::Secret&) -> bool {
    ADD_FAILURE() << "asked";
    return false;
  }));
  EXPECT_TRUE(Is("former"));
}

TEST_F(HeldSecretTest, AChangeInDoubtIsSettledByWhatOpens) {
  held_.Consider(crypto::Secret(std::string_view("next")), PassphraseSource::kFile);
  EXPECT_FALSE(held_.Settle(OpensWith({})));
  EXPECT_TRUE(Is("former"));
  EXPECT_TRUE(held_.Settle(OpensWith({"next"})));
  EXPECT_TRUE(Is("next"));
  EXPECT_EQ(held_.source(), PassphraseSource::kFile);
  EXPECT_FALSE(held_.TakeOther());
}

TEST_F(HeldSecretTest, TheFormerOneStaysWhenItOpens) {
  held_.Consider(crypto::Secret(std::string_view("next")), PassphraseSource::kFile);
  EXPECT_TRUE(held_.Settle(OpensWith({"former"})));
  EXPECT_TRUE(Is("former"));
  EXPECT_FALSE(held_.TakeOther());
}

TEST_F(HeldSecretTest, WhileNothingAnswersBothStay) {
  held_.Consider(crypto::Secret(std::string_view("next")), PassphraseSource::kFile);
  EXPECT_FALSE(held_.Settle(OpensWith({})));
  EXPECT_TRUE(held_.TakeOther());
  EXPECT_TRUE(Is("next"));
}

}  // namespace
}  // namespace cloister::services
