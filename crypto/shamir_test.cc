// SPDX-License-Identifier: Apache-2.0
#include "crypto/shamir.h"

#include <gtest/gtest.h>

#include <array>
#include <set>

#include "common/bytes.h"
#include "crypto/random.h"

namespace cloister::crypto {
namespace {

std::vector<SecretShare> Pick(const std::vector<SecretShare>& from, const std::vector<size_t>& which) {
  std::vector<SecretShare> out;
  for (const size_t index : which) out.push_back({from[index].x, from[index].y.Clone()});
  return out;
}

// Every choice of `count` indexes below `size`, in ascending order.
std::vector<std::vector<size_t>> Choices(size_t size, size_t count) {
  std::vector<std::vector<size_t>> out;
  for (size_t mask = 0; mask < size_t{1} << size; ++mask) {
    std::vector<size_t> choice;
    for (size_t i = 0; i < size; ++i) {
      if (mask >> i & 1) choice.push_back(i);
    }
    if (choice.size() == count) out.push_back(std::move(choice));
  }
  return out;
}

struct Vector {
  const char* source;
  uint32_t threshold;
  const char* secret;
  std::vector<const char*> shares;  // x = 1, 2, ...
};

// Made by others. Each byte is shared for itself, so a short vector may stand several times in a row. The
// first is the test case of draft-mcgrew-tss-03 section 9; the others are TV011B_2 to TV011B_6 of Bouncy
// Castle's tests for the polynomial 0x11b.
const std::vector<Vector>& Vectors() {
  static const auto* const vectors = new std::vector<Vector>{
      {"draft-mcgrew-tss-03", 2, "7465737400", {"b9fa07e185", "f5409b4511"}},
      {"TV011B_2", 2, "53414d5443", {"6a1c7438c4", "21fb3f8c56", "18a606e0d1", "b72ea9ff69"}},
      {"TV011B_3", 3, "53414d5443", {"4e737f9172", "f5d5526093", "e8e760a5a2", "429f849e06"}},
      {"TV011B_4", 4, "53414d5443", {"27c094bb54", "b969f9f40e", "7ec7cd3250", "abaf81828d"}},
      {"TV011B_5",
       2,
       "546573742044617461",
       {"2bd19b2c3ef33cbd24", "aa16b8c41c31dbfdeb", "d5a2509c02868634ae", "b383fe0f58ae0e7d6e",
        "cc371657461953b42b", "4df035bf64dbb4f4e4", "3244dde77a6ce93da1", "81b27282d08bbf667f",
        "fe069adace3ce2af3a"}},
      {"TV011B_6",
       3,
       "0102030405060708090a0b0c0d0e0f",
       {"7b73f0190e272493a03a7a8d242ce9", "acfe7900583b52d877665415106787", "d68f8a1d531a7143de562594394561",
        "3f99ddf4889be16a29e2773e106863", "45e82ee983bac2f180d206bf394a85"}}};
  return *vectors;
}

std::string Repeated(const char* hex) {
  const std::string once = *HexDecode(hex);
  std::string out;
  while (out.size() < kSharedSecretBytesMin) out += once;
  return out;
}

TEST(ShamirTest, CombinesTheSharesOfPublishedVectors) {
  for (const Vector& vector : Vectors()) {
    SCOPED_TRACE(vector.source);
    std::vector<SecretShare> shares;
    for (const char* share : vector.shares) {
      shares.push_back({static_cast<uint8_t>(shares.size() + 1), Secret(Repeated(share))});
    }
    for (const auto& choice : Choices(shares.size(), vector.threshold)) {
      const auto secret = CombineShares(Pick(shares, choice), vector.threshold);
      ASSERT_TRUE(secret.ok()) << secret.status();
      EXPECT_EQ(HexEncode(secret->view()), HexEncode(Repeated(vector.secret)));
    }
    // Those beyond the threshold are on the same polynomials.
    EXPECT_TRUE(CombineShares(shares, vector.threshold).ok());
  }
}

TEST(ShamirTest, EveryChoiceOfEnoughSharesRestores) {
  constexpr std::array<std::pair<uint32_t, uint32_t>, 7> kShapes{
      {{2, 2}, {2, 3}, {3, 5}, {2, 7}, {5, 8}, {8, 8}, {4, 9}}};
  for (const auto& [threshold, count] : kShapes) {
    for (const size_t size : {kSharedSecretBytesMin, size_t{32}, kSharedSecretBytesMax}) {
      const Secret secret = RandomSecret(size);
      const auto shares = SplitSecret(secret.view(), threshold, count);
      ASSERT_TRUE(shares.ok()) << shares.status();
      ASSERT_EQ(shares->size(), count);
      for (uint32_t given = threshold; given <= count; ++given) {
        for (const auto& choice : Choices(count, given)) {
          const auto restored = CombineShares(Pick(*shares, choice), threshold);
          ASSERT_TRUE(restored.ok()) << restored.status();
          ASSERT_EQ(restored->view(), secret.view()) << threshold << " of " << count;
        }
      }
    }
  }
}

TEST(ShamirTest, TheOrderOfSharesDoesNotMatterAndTheLastOf255Counts) {
  const Secret secret = RandomSecret(32);
  const auto shares = SplitSecret(secret.view(), 3, kShamirSharesMax);
  ASSERT_TRUE(shares.ok());
  EXPECT_EQ(shares->back().x, 255);
  const auto restored = CombineShares(Pick(*shares, {254, 0, 127}), 3);
  ASSERT_TRUE(restored.ok());
  EXPECT_EQ(restored->view(), secret.view());
}

TEST(ShamirTest, FewerSharesThanTheThresholdAllowEverySecretByte) {
  const Secret secret = RandomSecret(kSharedSecretBytesMin);
  for (const uint32_t threshold : {2u, 3u, 4u}) {
    const auto shares = SplitSecret(secret.view(), threshold, threshold);
    ASSERT_TRUE(shares.ok());
    std::vector<size_t> all(threshold);
    for (size_t i = 0; i < threshold; ++i) all[i] = i;
    std::set<char> possible;
    for (int guess = 0; guess < 256; ++guess) {  // All that the missing share's first byte could be.
      auto tried = Pick(*shares, all);
      tried.back().y.data()[0] = static_cast<char>(guess);
      possible.insert(CombineShares(tried, threshold)->view().front());
    }
    EXPECT_EQ(possible.size(), 256u) << "each value once, so all are equally likely";
  }
}

// How far counts in 256 buckets are from equal ones; about 255 with a deviation of 22.6 when they are
// uniform.
double ChiSquare(const std::array<int, 256>& counts, int total) {
  const double expected = total / 256.0;
  double sum = 0;
  for (const int count : counts) sum += (count - expected) * (count - expected) / expected;
  return sum;
}

TEST(ShamirTest, SharesBelowTheThresholdLookUniform) {
  constexpr int kRounds = 256 * 100;
  constexpr double kBound = 255 + 8 * 22.6;
  for (const char filler : {'\0', 'a'}) {
    const std::string secret(kSharedSecretBytesMin, filler);
    std::array<int, 256> one{}, other{}, both{};
    for (int round = 0; round < kRounds; ++round) {
      const auto shares = SplitSecret(secret, 3, 3);
      const auto a = static_cast<uint8_t>((*shares)[0].y.view().front());
      const auto b = static_cast<uint8_t>((*shares)[1].y.view().front());
      ++one[a];
      ++other[b];
      ++both[a ^ b];
    }
    EXPECT_LT(ChiSquare(one, kRounds), kBound);
    EXPECT_LT(ChiSquare(other, kRounds), kBound);
    EXPECT_LT(ChiSquare(both, kRounds), kBound);
  }
}

TEST(ShamirTest, SplittingTwiceGivesOtherShares) {
  const Secret secret = RandomSecret(32);
  const auto first = SplitSecret(secret.view(), 2, 2), second = SplitSecret(secret.view(), 2, 2);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_NE(first->front().y.view(), second->front().y.view());
  auto mixture = Pick(*first, {0});
  mixture.push_back({2, second->back().y.Clone()});
  const auto mixed = CombineShares(mixture, 2);
  ASSERT_TRUE(mixed.ok()) << "sharing cannot tell";
  EXPECT_NE(mixed->view(), secret.view());
}

TEST(ShamirTest, RefusesToSplitOutOfBounds) {
  const std::string secret(32, 's');
  for (const auto& [threshold, count] :
       {std::pair{0u, 3u}, {1u, 3u}, {4u, 3u}, {2u, 256u}, {256u, 256u}, {2u, 0u}}) {
    EXPECT_EQ(SplitSecret(secret, threshold, count).status().code(), StatusCode::kInvalidArgument);
  }
  for (const size_t size : {size_t{0}, kSharedSecretBytesMin - 1, kSharedSecretBytesMax + 1}) {
    EXPECT_EQ(SplitSecret(std::string(size, 's'), 2, 3).status().code(), StatusCode::kInvalidArgument);
  }
}

TEST(ShamirTest, RefusesToCombineWhatCannotBe) {
  const auto shares = SplitSecret(std::string(32, 's'), 3, 5);
  ASSERT_TRUE(shares.ok());
  const auto code = [](const std::vector<SecretShare>& tried, uint32_t threshold) {
    return CombineShares(tried, threshold).status().code();
  };
  EXPECT_EQ(code({}, 3), StatusCode::kInvalidArgument);
  EXPECT_EQ(code(Pick(*shares, {0, 1}), 3), StatusCode::kInvalidArgument);
  EXPECT_EQ(code(Pick(*shares, {0, 1}), 1), StatusCode::kInvalidArgument);
  EXPECT_EQ(code(Pick(*shares, {0, 1, 1}), 3), StatusCode::kInvalidArgument);
  auto zero = Pick(*shares, {0, 1, 2});
  zero[1].x = 0;
  EXPECT_EQ(code(zero, 3), StatusCode::kInvalidArgument);
  auto shorter = Pick(*shares, {0, 1, 2});
  shorter[2].y = Secret(shorter[2].y.view().substr(1));
  EXPECT_EQ(code(shorter, 3), StatusCode::kInvalidArgument);
  auto foreign = Pick(*shares, {0, 1, 2, 3});
  foreign[3].y.data()[7] = static_cast<char>(foreign[3].y.data()[7] ^ 1);
  EXPECT_EQ(code(foreign, 3), StatusCode::kDataLoss);
}

}  // namespace
}  // namespace cloister::crypto
