// SPDX-License-Identifier: Apache-2.0
#include "crypto/stream_cipher.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <thread>
#include <vector>

#include "common/bytes.h"
#include "crypto/random.h"

namespace cloister::crypto {
namespace {

const std::string kZeroCounter(kStreamCipherBlockBytes, '\0');

std::string Applied(const StreamCipher& cipher, uint64_t offset, std::string bytes) {
  cipher.Apply(offset, bytes.data(), bytes.size());
  return bytes;
}

// SPEC: NIST SP 800-38A, F.5.5 and F.5.6.
TEST(StreamCipherTest, GivesTheVectorsOfSp80038a) {
  const StreamCipher cipher(*HexDecode("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"),
                            *HexDecode("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"));
  const std::string plaintext = *HexDecode(
      "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
      "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710");
  const std::string ciphertext =
      "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
      "2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6";
  EXPECT_EQ(HexEncode(Applied(cipher, 0, plaintext)), ciphertext);
  EXPECT_EQ(HexEncode(Applied(cipher, 0, *HexDecode(ciphertext))), HexEncode(plaintext));
  // Each block on its own, too.
  for (size_t block = 0; block < 4; ++block) {
    EXPECT_EQ(HexEncode(Applied(cipher, block * 16, plaintext.substr(block * 16, 16))),
              ciphertext.substr(block * 32, 32));
  }
}

TEST(StreamCipherTest, AnyPieceIsThatPieceOfTheWholeStream) {
  const StreamCipher cipher(RandomBytes(kStreamCipherKeyBytes), kZeroCounter);
  const std::string zeros(3000, '\0');
  const std::string stream = Applied(cipher, 0, zeros);
  for (size_t offset = 0; offset < 70; ++offset) {
    for (const size_t size : {0, 1, 2, 15, 16, 17, 31, 32, 33, 100, 2000}) {
      ASSERT_EQ(Applied(cipher, offset, zeros.substr(0, size)), stream.substr(offset, size))
          << offset << " " << size;
    }
  }
}

TEST(StreamCipherTest, CarriesThroughTheWholeCounter) {
  const std::string key = RandomBytes(kStreamCipherKeyBytes);
  const std::string zeros(64, '\0');
  // Blocks 2^8, 2^32 and 2^56 of a stream from 0 are the first of a stream that begins there.
  for (const int power : {8, 32, 56}) {
    ByteWriter counter;
    counter.U64(0);
    counter.U64(uint64_t{1} << power);
    const StreamCipher whole(key, kZeroCounter), later(key, counter.bytes());
    EXPECT_EQ(Applied(whole, (uint64_t{1} << power) * 16, zeros), Applied(later, 0, zeros)) << power;
  }
  // From the last counter to the first.
  const StreamCipher last(key, std::string(16, '\xff')), first(key, kZeroCounter);
  EXPECT_EQ(Applied(last, 16, zeros), Applied(first, 0, zeros));
}

TEST(StreamCipherTest, ManyThreadsGetTheSameStream) {
  const StreamCipher cipher(RandomBytes(kStreamCipherKeyBytes), kZeroCounter);
  const std::string stream = Applied(cipher, 0, std::string(100'000, '\0'));
  std::vector<std::thread> threads;
  std::vector<int> wrong(8, 0);
  for (size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 random(t);
      for (int i = 0; i < 2000; ++i) {
        const size_t offset = random() % 90'000, size = random() % 10'000;
        if (Applied(cipher, offset, std::string(size, '\0')) != stream.substr(offset, size)) ++wrong[t];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(8, 0));
}

TEST(StreamCipherTest, DiesOnKeysAndCountersOfAWrongSize) {
  EXPECT_DEATH(StreamCipher(std::string(16, 'k'), kZeroCounter), "check failed");
  EXPECT_DEATH(StreamCipher(std::string(32, 'k'), std::string(12, 'n')), "check failed");
}

}  // namespace
}  // namespace cloister::crypto
