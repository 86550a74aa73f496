// SPDX-License-Identifier: Apache-2.0
#include "crypto/aead.h"

#include <gtest/gtest.h>

#include "common/bytes.h"

namespace cloister::crypto {
namespace {

const std::string kKey(kAeadKeyBytes, 'k');
const std::string kNonce(kAeadNonceBytes, 'n');

// SPEC: NIST SP 800-38D; test cases 13 to 16 of McGrew and Viega, "The Galois/Counter Mode of Operation".
TEST(AeadTest, GivesThePublishedVectors) {
  const std::string zero_key(32, '\0'), zero_nonce(12, '\0');
  EXPECT_EQ(HexEncode(AeadSeal(zero_key, zero_nonce, "", "")), "530f8afbc74536b9a963b4f1c4cb738b");
  EXPECT_EQ(HexEncode(AeadSeal(zero_key, zero_nonce, "", std::string(16, '\0'))),
            "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
  EXPECT_EQ(
      HexEncode(AeadSeal(
          *HexDecode("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"),
          *HexDecode("cafebabefacedbaddecaf888"), *HexDecode("feedfacedeadbeeffeedfacedeadbeefabaddad2"),
          *HexDecode(
              "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449"
              "a6b525b16aedf5aa0de657ba637b39"))),
      "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f6"
      "1e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b");
}

TEST(AeadTest, OpensWhatItSealed) {
  for (const size_t size : {0, 1, 15, 16, 17, 1000, 70000}) {
    const std::string plaintext(size, 'p');
    const std::string sealed = AeadSeal(kKey, kNonce, "aad", plaintext);
    EXPECT_EQ(sealed.size(), size + kAeadTagBytes);
    const auto opened = AeadOpen(kKey, kNonce, "aad", sealed);
    ASSERT_TRUE(opened.ok());
    EXPECT_EQ(*opened, plaintext);
  }
}

TEST(AeadTest, RefusesEveryFlippedBit) {
  const std::string sealed = AeadSeal(kKey, kNonce, "aad", "a plaintext of some length");
  for (size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    std::string flipped = sealed;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    EXPECT_EQ(AeadOpen(kKey, kNonce, "aad", flipped).status().code(), StatusCode::kDataLoss) << bit;
  }
}

TEST(AeadTest, RefusesEveryTruncationAndExtension) {
  const std::string sealed = AeadSeal(kKey, kNonce, "aad", "a plaintext of some length");
  for (size_t size = 0; size < sealed.size(); ++size) {
    EXPECT_EQ(AeadOpen(kKey, kNonce, "aad", sealed.substr(0, size)).status().code(), StatusCode::kDataLoss);
  }
  EXPECT_EQ(AeadOpen(kKey, kNonce, "aad", sealed + '\0').status().code(), StatusCode::kDataLoss);
}

TEST(AeadTest, RefusesAnotherKeyNonceOrAdditionalData) {
  const std::string sealed = AeadSeal(kKey, kNonce, "aad", "plaintext");
  EXPECT_FALSE(AeadOpen(std::string(32, 'K'), kNonce, "aad", sealed).ok());
  EXPECT_FALSE(AeadOpen(kKey, std::string(12, 'N'), "aad", sealed).ok());
  EXPECT_FALSE(AeadOpen(kKey, kNonce, "aae", sealed).ok());
  EXPECT_FALSE(AeadOpen(kKey, kNonce, "", sealed).ok());
  EXPECT_TRUE(AeadOpen(kKey, kNonce, "aad", sealed).ok());
}

TEST(AeadTest, DiesOnKeysAndNoncesOfAWrongSize) {
  EXPECT_DEATH(AeadSeal(std::string(16, 'k'), kNonce, "", ""), "check failed");
  EXPECT_DEATH(AeadSeal(kKey, std::string(11, 'n'), "", ""), "check failed");
}

}  // namespace
}  // namespace cloister::crypto
