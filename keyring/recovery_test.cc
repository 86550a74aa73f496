// SPDX-License-Identifier: Apache-2.0
#include "keyring/recovery.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "crypto/hpke.h"

namespace cloister::keyring {
namespace {

class RecoveryTest : public testing::Test {
 protected:
  static RecoveryShare Parsed(const crypto::Secret& text) {
    auto share = ParseShare(text.view());
    EXPECT_TRUE(share.ok()) << share.status();
    return *std::move(share);
  }
  std::vector<RecoveryShare> Take(const RecoverySet& set, const std::vector<size_t>& which) {
    std::vector<RecoveryShare> out;
    for (const size_t i : which) out.push_back(Parsed(set.shares[i]));
    return out;
  }
  FakeClock clock_{WallTime(std::chrono::seconds(1'700'000'000))};
};

TEST_F(RecoveryTest, AnyThresholdOfSharesGivesTheKeyThatFitsThePublicOne) {
  const auto set = MakeRecovery(3, 5, clock_);
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_EQ(set->key.threshold, 3);
  EXPECT_EQ(set->key.shares, 5);
  EXPECT_EQ(set->key.created_ns, 1'700'000'000'000'000'000);
  ASSERT_EQ(set->shares.size(), 5u);
  std::set<std::string> keys;
  for (const auto& which :
       std::vector<std::vector<size_t>>{{0, 1, 2}, {4, 2, 0}, {3, 1, 4}, {0, 1, 2, 3, 4}}) {
    const auto key = CombineShares(Take(*set, which), set->key);
    ASSERT_TRUE(key.ok()) << key.status();
    EXPECT_EQ(*crypto::HpkePublicKey(key->view()), set->key.public_key);
    keys.insert(std::string(key->view()));
  }
  EXPECT_EQ(keys.size(), 1u);
}

TEST_F(RecoveryTest, ATextIsOneLineThatSaysWhatItIs) {
  const auto set = MakeRecovery(2, 3, clock_);
  const std::string text(set->shares[1].view());
  EXPECT_TRUE(text.starts_with("cloister-share-1 " + HexEncode(set->key.set_id.substr(0, 4)) + " 2-of-3 2 "))
      << text;
  EXPECT_EQ(text.find_first_of("\r\n"), std::string::npos);
  EXPECT_NE(text, std::string(set->shares[0].view()));
}

TEST_F(RecoveryTest, PeopleMayTypeAShareLoosely) {
  const auto set = MakeRecovery(2, 2, clock_);
  const std::string text(set->shares[0].view());
  std::string loose = "  ";
  for (const char c : text) {
    loose += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    if (c == ' ') loose += "\n\t";
  }
  // The digits alone may have their hyphens elsewhere, and o for 0, l for 1.
  const size_t digits = loose.find("1 ", loose.find("-OF-")) + 1;
  for (size_t i = digits; i < loose.size(); ++i) {
    if (loose[i] == '-') loose[i] = ' ';
    if (loose[i] == '0') loose[i] = 'O';
    if (loose[i] == '1') loose[i] = 'l';
  }
  const auto share = ParseShare(loose);
  ASSERT_TRUE(share.ok()) << share.status() << loose;
  EXPECT_EQ(share->share.y.view(), Parsed(set->shares[0]).share.y.view());
}

TEST_F(RecoveryTest, EveryMistypedCharacterIsFound) {
  const auto set = MakeRecovery(2, 3, clock_);
  const std::string text(set->shares[0].view());
  for (size_t i = 0; i < text.size(); ++i) {
    for (const char other : {'0', '3', '7', 'a', 'z', 'u', '!'}) {
      if (text[i] == other) continue;
      if (text[i] == '-' && i > text.find("-of-") + 3) continue;  // Between digits a hyphen means nothing.
      std::string typo = text;
      typo[i] = other;
      const auto share = ParseShare(typo);
      EXPECT_EQ(share.status().code(), StatusCode::kInvalidArgument) << i << other;
    }
    EXPECT_FALSE(ParseShare(text.substr(0, i)).ok()) << i;
  }
  EXPECT_FALSE(ParseShare(text + "0").ok());
  EXPECT_FALSE(ParseShare(text + std::string(kShareTextBytesMax, ' ')).ok());
}

TEST_F(RecoveryTest, TwoDigitsExchangedAreFoundAndErrorsQuoteNoDigit) {
  const auto set = MakeRecovery(2, 3, clock_);
  const std::string text(set->shares[2].view());
  const size_t first = text.rfind(' ') - 9;
  for (size_t i = first; i + 1 < text.size(); ++i) {
    if (text[i] == text[i + 1] || text[i] == '-' || text[i + 1] == '-' || text[i] == ' ' ||
        text[i + 1] == ' ')
      continue;
    std::string typo = text;
    std::swap(typo[i], typo[i + 1]);
    const auto share = ParseShare(typo);
    ASSERT_FALSE(share.ok());
    EXPECT_NE(MessageOf(share.status()).find("share 3 has a typing error"), std::string::npos);
    EXPECT_EQ(MessageOf(share.status()).find(text.substr(first, 4)), std::string::npos);
  }
}

TEST_F(RecoveryTest, SaysWhatIsWrongWithAChoiceOfShares) {
  const auto set = MakeRecovery(3, 4, clock_);
  const auto other = MakeRecovery(3, 4, clock_);
  const auto message = [&](const std::vector<RecoveryShare>& shares) {
    const auto key = CombineShares(shares, set->key);
    EXPECT_EQ(key.status().code(), StatusCode::kInvalidArgument);
    return MessageOf(key.status());
  };
  EXPECT_NE(message(Take(*set, {0, 1})).find("takes 3 different shares"), std::string::npos);
  EXPECT_NE(message(Take(*set, {0, 1, 1})).find("share 2 was given twice"), std::string::npos);
  std::vector<RecoveryShare> mixed = Take(*set, {0, 1});
  mixed.push_back(Parsed(other->shares[2]));
  EXPECT_NE(message(mixed).find("share 3 is of set"), std::string::npos);
  // Somebody who knows how checksums are made, or another set whose mark is the same by chance.
  mixed.back().set_mark = set->key.set_id.substr(0, 4);
  EXPECT_NE(message(mixed).find("do not give the recovery key"), std::string::npos);
}

TEST_F(RecoveryTest, RefusesASplitThatIsNone) {
  EXPECT_EQ(MakeRecovery(1, 3, clock_).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(MakeRecovery(4, 3, clock_).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(MakeRecovery(2, 256, clock_).status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace cloister::keyring
