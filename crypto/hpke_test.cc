// SPDX-License-Identifier: Apache-2.0
#include "crypto/hpke.h"

#include <gtest/gtest.h>

#include <set>

#include "common/bytes.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/hpke_internal.h"

namespace cloister::crypto {
namespace {

constexpr std::string_view kInfo = "cloister/v1/test", kAad = "additional", kMessage = "a recovery key";

// SPEC: the vectors that go with RFC 9180 (cfrg/draft-irtf-cfrg-hpke, test-vectors.json): mode 0, kem 32, kdf
// 1, aead 2, the first encryption.
constexpr const char* kVectorInfo = "4f6465206f6e2061204772656369616e2055726e";
constexpr const char* kVectorEphemeral = "179d4b53b6365c45b600c4163b61d95cbc2f4d9e36f1695558dce265ab8bab11";
constexpr const char* kVectorPrivate = "497b4502664cfea5d5af0b39934dac72242a74f8480451e1aee7d6a53320333d";
constexpr const char* kVectorPublic = "430f4b9859665145a6b1ba274024487bd66f03a2dd577d7753c68d7d7d00c00c";
constexpr const char* kVectorAad = "436f756e742d30";
constexpr const char* kVectorMessage = "4265617574792069732074727574682c20747275746820626561757479";
constexpr const char* kVectorSealed =
    "6c93e09869df3402d7bf231bf540fadd35cd56be14f97178f0954db94b7fc256"
    "e5d84cd531cfb583096e7cfa9641bd3079cf3a91cda813c52deb5f512be9931980a41de125a925cdad859d5b7a";

TEST(HpkeTest, GivesTheVectorOfRfc9180) {
  EXPECT_EQ(HexEncode(*HpkePublicKey(*HexDecode(kVectorPrivate))), kVectorPublic);
  const auto sealed = internal::HpkeSealWithEphemeralKey(*HexDecode(kVectorEphemeral),
                                                         *HexDecode(kVectorPublic), *HexDecode(kVectorInfo),
                                                         *HexDecode(kVectorAad), *HexDecode(kVectorMessage));
  ASSERT_TRUE(sealed.ok()) << sealed.status();
  EXPECT_EQ(HexEncode(*sealed), kVectorSealed);
  const auto opened = HpkeOpen(*HexDecode(kVectorPrivate), *HexDecode(kVectorInfo), *HexDecode(kVectorAad),
                               *HexDecode(kVectorSealed));
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(HexEncode(opened->view()), kVectorMessage);
}

TEST(HpkeTest, OpensWhatItSealed) {
  const HpkeKeyPair pair = HpkeGenerate();
  for (const size_t size : {0, 1, 32, 5000, 70000}) {
    const std::string message(size, 'm');
    const auto sealed = HpkeSeal(pair.public_key, kInfo, kAad, message);
    ASSERT_TRUE(sealed.ok()) << sealed.status();
    EXPECT_EQ(sealed->size(), size + kHpkeOverheadBytes);
    const auto opened = HpkeOpen(pair.private_key.view(), kInfo, kAad, *sealed);
    ASSERT_TRUE(opened.ok()) << opened.status();
    EXPECT_EQ(opened->view(), message);
  }
}

TEST(HpkeTest, NeverSealsTwiceAlike) {
  const HpkeKeyPair pair = HpkeGenerate();
  std::set<std::string> encapsulated, bodies;
  for (int i = 0; i < 100; ++i) {
    const std::string sealed = *HpkeSeal(pair.public_key, kInfo, kAad, kMessage);
    encapsulated.insert(sealed.substr(0, kHpkeKeyBytes));
    bodies.insert(sealed.substr(kHpkeKeyBytes));
  }
  EXPECT_EQ(encapsulated.size(), 100u);
  EXPECT_EQ(bodies.size(), 100u);
}

TEST(HpkeTest, RefusesEveryFlippedBitAndEveryTruncation) {
  const HpkeKeyPair pair = HpkeGenerate();
  const std::string sealed = *HpkeSeal(pair.public_key, kInfo, kAad, kMessage);
  const auto code = [&](std::string_view tried) {
    return HpkeOpen(pair.private_key.view(), kInfo, kAad, tried).status().code();
  };
  ASSERT_EQ(code(sealed), StatusCode::kOk);
  for (size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    std::string flipped = sealed;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    EXPECT_EQ(code(flipped), StatusCode::kDataLoss) << bit;
  }
  for (size_t size = 0; size < sealed.size(); ++size) {
    EXPECT_EQ(code(std::string_view(sealed).substr(0, size)), StatusCode::kDataLoss) << size;
  }
  EXPECT_EQ(code(sealed + "x"), StatusCode::kDataLoss);
}

TEST(HpkeTest, OtherKeyInfoOrAdditionalDataDoNotOpen) {
  const HpkeKeyPair pair = HpkeGenerate();
  const std::string sealed = *HpkeSeal(pair.public_key, kInfo, kAad, kMessage);
  EXPECT_EQ(HpkeOpen(HpkeGenerate().private_key.view(), kInfo, kAad, sealed).status().code(),
            StatusCode::kDataLoss);
  EXPECT_EQ(HpkeOpen(pair.private_key.view(), "other", kAad, sealed).status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(HpkeOpen(pair.private_key.view(), kInfo, "other", sealed).status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(HpkeOpen(pair.private_key.view(), "", kAad, sealed).status().code(), StatusCode::kDataLoss);
}

TEST(HpkeTest, RefusesKeysOfAWrongSize) {
  const HpkeKeyPair pair = HpkeGenerate();
  for (const size_t size : {0, 31, 33, 64}) {
    const std::string key(size, 'k');
    EXPECT_EQ(HpkePublicKey(key).status().code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(HpkeSeal(key, kInfo, kAad, kMessage).status().code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(HpkeOpen(key, kInfo, kAad, kMessage).status().code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(internal::HpkeSealWithEphemeralKey(key, pair.public_key, kInfo, kAad, kMessage).status().code(),
              StatusCode::kInvalidArgument);
  }
}

TEST(HpkeTest, RefusesPointsOfLowOrder) {
  // SPEC: RFC 7748 section 6.1; the points of order 1, 2, 4 and 8 and non-canonical forms of two of them.
  constexpr const char* kLowOrder[] = {"0000000000000000000000000000000000000000000000000000000000000000",
                                       "0100000000000000000000000000000000000000000000000000000000000000",
                                       "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
                                       "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
                                       "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                                       "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                                       "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"};
  const HpkeKeyPair pair = HpkeGenerate();
  for (const char* point : kLowOrder) {
    SCOPED_TRACE(point);
    EXPECT_EQ(HpkeSeal(*HexDecode(point), kInfo, kAad, kMessage).status().code(),
              StatusCode::kInvalidArgument);
    EXPECT_EQ(HpkeOpen(pair.private_key.view(), kInfo, kAad, *HexDecode(point) + std::string(32, 'x'))
                  .status()
                  .code(),
              StatusCode::kDataLoss);
  }
}

// What somebody without any key can seal to `pair` when the shared secret of a low-order point were accepted:
// the whole key schedule from a secret that everybody knows.
std::string Forge(const HpkeKeyPair& pair, std::string_view encapsulated, std::string_view dh) {
  using namespace std::string_literals;
  const std::string kem = "KEM\x00\x20"s, suite = "HPKE\x00\x20\x00\x01\x00\x02"s;
  const auto extract = [](const std::string& id, std::string_view salt, const char* label,
                          std::string_view input) {
    return HmacSha256(salt, "HPKE-v1" + id + label + std::string(input));
  };
  const auto expand = [](const std::string& id, std::string_view key, const char* label,
                         std::string_view info, char size) {
    return HmacSha256(key, "\x00"s + size + "HPKE-v1" + id + label + std::string(info) + "\x01"s)
        .substr(0, static_cast<size_t>(size));
  };
  const std::string shared = expand(kem, extract(kem, "", "eae_prk", dh), "shared_secret",
                                    std::string(encapsulated) + pair.public_key, 32);
  const std::string context =
      "\x00"s + extract(suite, "", "psk_id_hash", "") + extract(suite, "", "info_hash", kInfo);
  const std::string secret = extract(suite, shared, "secret", "");
  return std::string(encapsulated) + AeadSeal(expand(suite, secret, "key", context, 32),
                                              expand(suite, secret, "base_nonce", context, 12), kAad,
                                              kMessage);
}

TEST(HpkeTest, WhatNobodyNeedsAKeyToSealDoesNotOpen) {
  const HpkeKeyPair pair = HpkeGenerate();
  for (const std::string& dh : {std::string(32, '\0'), std::string()}) {
    EXPECT_EQ(HpkeOpen(pair.private_key.view(), kInfo, kAad, Forge(pair, std::string(32, '\0'), dh))
                  .status()
                  .code(),
              StatusCode::kDataLoss);
  }
}

}  // namespace
}  // namespace cloister::crypto
