// SPDX-License-Identifier: Apache-2.0
#include "crypto/signer.h"

#include <gtest/gtest.h>

#include "common/bytes.h"

namespace cloister::crypto {
namespace {

struct Vector {
  const char* seed;
  const char* public_key;
  const char* message;
  const char* signature;
};

// SPEC: RFC 8032 section 7.1, tests 1 to 3.
constexpr Vector kVectors[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f"
     "0595bbe"
     "24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2ea"
     "eb4302a"
     "eeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e"
     "9716ed2"
     "8dc027beceea1ec40a"},
};

TEST(Ed25519Test, GivesTheVectorsOfRfc8032) {
  for (const Vector& vector : kVectors) {
    const auto signer = Ed25519Signer::FromSeed(*HexDecode(vector.seed));
    ASSERT_TRUE(signer.ok());
    EXPECT_EQ(HexEncode(signer->public_key()), vector.public_key);
    const std::string message = *HexDecode(vector.message);
    EXPECT_EQ(HexEncode(signer->Sign(message)), vector.signature);
    EXPECT_TRUE(Ed25519Verify(signer->public_key(), message, *HexDecode(vector.signature)));
  }
}

TEST(Ed25519Test, RefusesEveryFlippedBitOfSignatureAndMessage) {
  const Ed25519Signer signer = Ed25519Signer::Generate();
  const std::string message = "a checkpoint";
  const std::string signature = signer.Sign(message);
  for (size_t bit = 0; bit < signature.size() * 8; ++bit) {
    std::string flipped = signature;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    EXPECT_FALSE(Ed25519Verify(signer.public_key(), message, flipped)) << bit;
  }
  for (size_t bit = 0; bit < message.size() * 8; ++bit) {
    std::string flipped = message;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    EXPECT_FALSE(Ed25519Verify(signer.public_key(), flipped, signature)) << bit;
  }
}

TEST(Ed25519Test, RefusesKeysAndSignaturesOfAWrongSize) {
  const Ed25519Signer signer = Ed25519Signer::Generate();
  const std::string signature = signer.Sign("m");
  EXPECT_FALSE(Ed25519Verify("", "m", signature));
  EXPECT_FALSE(Ed25519Verify(signer.public_key() + "x", "m", signature));
  EXPECT_FALSE(Ed25519Verify(signer.public_key(), "m", ""));
  EXPECT_FALSE(Ed25519Verify(signer.public_key(), "m", signature.substr(0, 63)));
  EXPECT_FALSE(Ed25519Verify(signer.public_key(), "m", signature + "x"));
}

TEST(Ed25519Test, RefusesSeedsOfAWrongSize) {
  for (const size_t size : {0, 31, 33, 64}) {
    EXPECT_EQ(Ed25519Signer::FromSeed(std::string(size, 's')).status().code(), StatusCode::kInvalidArgument);
  }
}

TEST(Ed25519Test, SeedMakesTheSameSignerAgain) {
  const Ed25519Signer signer = Ed25519Signer::Generate();
  const auto again = Ed25519Signer::FromSeed(signer.seed().view());
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->public_key(), signer.public_key());
  EXPECT_NE(Ed25519Signer::Generate().public_key(), signer.public_key());
}

}  // namespace
}  // namespace cloister::crypto
