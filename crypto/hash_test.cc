// SPDX-License-Identifier: Apache-2.0
#include "crypto/hash.h"

#include <gtest/gtest.h>

#include "common/bytes.h"

namespace cloister::crypto {
namespace {

std::string FromHex(std::string_view hex) { return *HexDecode(hex); }

TEST(Sha256Test, GivesTheVectorsOfFips180) {
  EXPECT_EQ(HexEncode(Sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(HexEncode(Sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(HexEncode(Sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Sha256Test, StreamsToTheSameDigestHoweverItIsCut) {
  const std::string message(1000, 'm');
  for (size_t cut = 0; cut <= message.size(); cut += 37) {
    Sha256Stream stream;
    stream.Update(std::string_view(message).substr(0, cut));
    EXPECT_EQ(stream.DigestSoFar(), Sha256(message.substr(0, cut)));
    stream.Update("");
    stream.Update(std::string_view(message).substr(cut));
    EXPECT_EQ(stream.Finish(), Sha256(message));
  }
}

// SPEC: RFC 4231 section 4.
TEST(HmacSha256Test, GivesTheVectorsOfRfc4231) {
  EXPECT_EQ(HexEncode(HmacSha256(std::string(20, '\x0b'), "Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(HexEncode(HmacSha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(HexEncode(HmacSha256(std::string(131, '\xaa'),
                                 "Test Using Larger Than Block-Size Key - Hash Key First")),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(HmacSha256Test, TakesEmptyKeyAndMessageWithoutStorage) {
  EXPECT_EQ(HexEncode(HmacSha256(std::string_view(), std::string_view())),
            "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

// SPEC: RFC 5869 appendix A.
TEST(HkdfTest, GivesTheVectorsOfRfc5869) {
  EXPECT_EQ(HexEncode(HkdfSha256(std::string(22, '\x0b'), FromHex("000102030405060708090a0b0c"),
                                 FromHex("f0f1f2f3f4f5f6f7f8f9"), 42)
                          .view()),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
  EXPECT_EQ(HexEncode(HkdfSha256(std::string(22, '\x0b'), "", "", 42).view()),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

TEST(HkdfTest, GivesAsMuchAsRfc5869AllowsAndDiesBeyond) {
  EXPECT_EQ(HkdfSha512("key", "salt", "info", 255 * 64).size(), size_t{255 * 64});
  EXPECT_EQ(HkdfSha256("key", "salt", "info", 255 * 32).size(), size_t{255 * 32});
  EXPECT_TRUE(HkdfSha512("key", "salt", "info", 0).empty());
  EXPECT_DEATH(HkdfSha512("key", "salt", "info", 255 * 64 + 1), "check failed");
  EXPECT_DEATH(HkdfSha256("key", "salt", "info", 255 * 32 + 1), "check failed");
}

// Contexts are kept between calls: nothing of one call may reach the next.
TEST(HkdfTest, EachCallStandsForItself) {
  const std::string first(HkdfSha512("key", "salt", "info", 64).view());
  const std::string plain(HkdfSha512("key", "", "", 64).view());
  EXPECT_NE(first, plain);
  for (int i = 0; i < 3; ++i) {
    HkdfSha512("another and longer key", "another salt", "another and longer info", 100);
    HkdfSha256("key", "salt", "info", 64);
    EXPECT_EQ(HkdfSha512("key", "", "", 64).view(), plain);
    EXPECT_EQ(HkdfSha512("key", "salt", "info", 64).view(), first);
    EXPECT_NE(HkdfSha512("", "salt", "info", 64).view(), first);
  }
}

TEST(HkdfTest, ShorterOutputIsAPrefixOfLonger) {
  const Secret longer = HkdfSha512("key", "salt", "info", 200);
  for (size_t size = 1; size < 200; ++size) {
    EXPECT_EQ(HkdfSha512("key", "salt", "info", size).view(), longer.view().substr(0, size));
  }
}

}  // namespace
}  // namespace cloister::crypto
