// SPDX-License-Identifier: Apache-2.0
#include "crypto/password.h"

#include <gtest/gtest.h>

#include "common/bytes.h"

namespace cloister::crypto {
namespace {

// Cheap on purpose: these tests are about meaning, not about strength.
constexpr Argon2Cost kCheap{.memory_kib = 64, .passes = 1, .lanes = 1};
const std::string kSalt(16, 's');

std::string Replaced(std::string text, std::string_view from, std::string_view to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos);
  return text.replace(at, from.size(), to);
}

// Made by the reference implementation's command line: argon2 somesalt1234567890 -id -t 2 -k 256 -p 1 -l 32.
TEST(KeyFromPassphraseTest, AgreesWithTheReferenceImplementation) {
  const auto key =
      KeyFromPassphrase("password", "somesalt1234567890", {.memory_kib = 256, .passes = 2, .lanes = 1});
  ASSERT_TRUE(key.ok());
  EXPECT_EQ(HexEncode(key->view()), "b9124e2ddbfdebac42c2c18aac648352e1fe550711c562126b581c4c3b00de39");
}

TEST(KeyFromPassphraseTest, DependsOnPassphraseSaltAndEveryCost) {
  const auto key = KeyFromPassphrase("correct horse", kSalt, kCheap);
  ASSERT_TRUE(key.ok());
  EXPECT_EQ(key->size(), 32u);
  EXPECT_EQ(KeyFromPassphrase("correct horse", kSalt, kCheap)->view(), key->view());
  EXPECT_NE(KeyFromPassphrase("correct horsf", kSalt, kCheap)->view(), key->view());
  EXPECT_NE(KeyFromPassphrase("correct horse", std::string(16, 't'), kCheap)->view(), key->view());
  EXPECT_NE(KeyFromPassphrase("correct horse", kSalt, {.memory_kib = 65, .passes = 1})->view(), key->view());
  EXPECT_NE(KeyFromPassphrase("correct horse", kSalt, {.memory_kib = 64, .passes = 2})->view(), key->view());
  EXPECT_NE(KeyFromPassphrase("correct horse", kSalt, {.memory_kib = 64, .passes = 1, .lanes = 2})->view(),
            key->view());
}

TEST(KeyFromPassphraseTest, RefusesSaltsAndCostsOutOfBounds) {
  const auto code = [](std::string_view salt, const Argon2Cost& cost) {
    return KeyFromPassphrase("correct horse", salt, cost).status().code();
  };
  EXPECT_EQ(code(std::string(15, 's'), kCheap), StatusCode::kInvalidArgument);
  EXPECT_EQ(code(std::string(65, 's'), kCheap), StatusCode::kInvalidArgument);
  EXPECT_EQ(code(kSalt, {.memory_kib = 7, .passes = 1}), StatusCode::kInvalidArgument);
  EXPECT_EQ(code(kSalt, {.memory_kib = kArgon2MemoryKibMax + 1, .passes = 1}), StatusCode::kInvalidArgument);
  EXPECT_EQ(code(kSalt, {.memory_kib = 64, .passes = 0}), StatusCode::kInvalidArgument);
  EXPECT_EQ(code(kSalt, {.memory_kib = 64, .passes = kArgon2PassesMax + 1}), StatusCode::kInvalidArgument);
  EXPECT_EQ(code(kSalt, {.memory_kib = 64, .passes = 1, .lanes = 0}), StatusCode::kInvalidArgument);
  EXPECT_EQ(code(kSalt, {.memory_kib = 1024, .passes = 1, .lanes = kArgon2LanesMax + 1}),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(KeyFromPassphrase(std::string(kPassphraseBytesMax + 1, 'p'), kSalt, kCheap).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_TRUE(KeyFromPassphrase(std::string(kPassphraseBytesMax, 'p'), kSalt, kCheap).ok());
}

TEST(HashPasswordTest, AcceptsTheRightPasswordAndNoOther) {
  const auto phc = HashPassword("correct horse", kCheap);
  ASSERT_TRUE(phc.ok());
  EXPECT_TRUE(phc->starts_with("$argon2id$v=19$m=64,t=1,p=1$")) << *phc;
  EXPECT_TRUE(CheckPassword(*phc, "correct horse").ok());
  for (const char* wrong : {"", "correct horsf", "correct horse ", "correct hors", "Correct horse"}) {
    EXPECT_EQ(CheckPassword(*phc, wrong).code(), StatusCode::kUnauthenticated) << wrong;
  }
  EXPECT_EQ(CheckPassword(*phc, std::string(kPassphraseBytesMax + 1, 'p')).code(),
            StatusCode::kUnauthenticated);
}

TEST(HashPasswordTest, SaltsEachHashAfresh) {
  EXPECT_NE(*HashPassword("correct horse", kCheap), *HashPassword("correct horse", kCheap));
}

TEST(HashPasswordTest, RefusesCostsAndLengthsOutOfBounds) {
  EXPECT_EQ(HashPassword("p", {.memory_kib = 64, .passes = 0}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(HashPassword(std::string(kPassphraseBytesMax + 1, 'p'), kCheap).status().code(),
            StatusCode::kInvalidArgument);
}

TEST(CheckPasswordTest, RefusesDoctoredParametersWithoutSpendingThem) {
  const std::string phc = *HashPassword("correct horse", kCheap);
  for (const auto& [from, to] :
       std::vector<std::pair<std::string, std::string>>{{"m=64", "m=4294967295"},
                                                        {"m=64", "m=1048577"},
                                                        {"m=64", "m=0"},
                                                        {"m=64", "m=064"},
                                                        {"m=64", "m=+64"},
                                                        {"m=64", "m="},
                                                        {"m=64", "m=64x"},
                                                        {"m=64", "m=99999999999"},
                                                        {"t=1", "t=0"},
                                                        {"t=1", "t=65"},
                                                        {"p=1", "p=17"},
                                                        {"p=1", "p=0"},
                                                        {"argon2id", "argon2i"},
                                                        {"argon2id", "argon2d"},
                                                        {"v=19", "v=16"},
                                                        {",t=1", ""},
                                                        {"m=64,t=1,p=1", "t=1,m=64,p=1"}}) {
    EXPECT_EQ(CheckPassword(Replaced(phc, from, to), "correct horse").code(), StatusCode::kDataLoss) << to;
  }
}

TEST(CheckPasswordTest, RefusesMalformedStrings) {
  const std::string phc = *HashPassword("correct horse", kCheap);
  for (const std::string& bad :
       {std::string(), std::string("$"), std::string("plain"), phc + "=", phc + "$", phc + "A",
        Replaced(phc, "$argon2id", "argon2id"), phc.substr(0, phc.rfind('$'))}) {
    EXPECT_EQ(CheckPassword(bad, "correct horse").code(), StatusCode::kDataLoss) << bad;
  }
  for (size_t size = 0; size < phc.size(); ++size) {
    EXPECT_EQ(CheckPassword(phc.substr(0, size), "correct horse").code(), StatusCode::kDataLoss) << size;
  }
}

TEST(CheckPasswordTest, AnotherSaltOrHashIsAnotherPassword) {
  std::string phc = *HashPassword("correct horse", kCheap);
  const size_t salt = phc.find("p=1$") + 4;
  phc[salt] = phc[salt] == 'A' ? 'B' : 'A';
  EXPECT_EQ(CheckPassword(phc, "correct horse").code(), StatusCode::kUnauthenticated);
}

}  // namespace
}  // namespace cloister::crypto
