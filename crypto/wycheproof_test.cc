// SPDX-License-Identifier: Apache-2.0
// Runs the Wycheproof vectors that apply to the primitives of this folder, and says how many there were.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "common/bytes.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/signer.h"

namespace cloister::crypto {
namespace {

using nlohmann::json;

std::string Bytes(const json& test, const char* field) {
  return *HexDecode(test.at(field).get<std::string>());
}

struct Counts {
  int valid = 0;
  int invalid = 0;
};

class WycheproofTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::is_directory(Folder())) {
      GTEST_SKIP() << "no Wycheproof vectors: put them in conformance/wycheproof of the evaluation folder";
    }
  }

  // Calls `run` with each group that `applies` to and each of its tests.
  Counts ForEach(const std::string& name, const std::function<bool(const json& group)>& applies,
                 const std::function<void(const json& group, const json& test, bool valid)>& run) {
    Counts counts;
    std::ifstream in(Folder() / (name + "_test.json"));
    const json file = json::parse(in);
    for (const json& group : file.at("testGroups")) {
      if (!applies(group)) continue;
      for (const json& test : group.at("tests")) {
        const std::string result = test.at("result");
        Count(result, counts);
        SCOPED_TRACE(name + " test " + std::to_string(test.at("tcId").get<int>()));
        run(group, test, result == "valid");
      }
    }
    std::printf("  %s: %d valid and %d invalid vectors of %d in the file\n", name.c_str(), counts.valid,
                counts.invalid, file.at("numberOfTests").get<int>());
    return counts;
  }

 private:
  static std::filesystem::path Folder() {
    return std::filesystem::path(CLOISTER_EVAL_DIR) / "conformance" / "wycheproof";
  }
  // "acceptable" would need a decision for each vector; the files in use have none.
  static void Count(const std::string& result, Counts& counts) {
    EXPECT_TRUE(result == "valid" || result == "invalid") << result;
    ++(result == "valid" ? counts.valid : counts.invalid);
  }
};

TEST_F(WycheproofTest, AesGcm) {
  const Counts counts = ForEach(
      "aes_gcm",
      [](const json& group) {
        return group.at("keySize") == 256 && group.at("ivSize") == 96 && group.at("tagSize") == 128;
      },
      [](const json&, const json& test, bool valid) {
        const std::string key = Bytes(test, "key"), nonce = Bytes(test, "iv"), aad = Bytes(test, "aad");
        const std::string sealed = Bytes(test, "ct") + Bytes(test, "tag"), message = Bytes(test, "msg");
        const auto opened = AeadOpen(key, nonce, aad, sealed);
        ASSERT_EQ(opened.ok(), valid);
        if (valid) {
          EXPECT_EQ(*opened, message);
        }
        EXPECT_EQ(AeadSeal(key, nonce, aad, message) == sealed, valid);
      });
  EXPECT_GT(counts.valid, 20);
  EXPECT_GT(counts.invalid, 20);
}

void RunHkdf(const json& test, bool valid, size_t hash_bytes,
             Secret (*hkdf)(std::string_view, std::string_view, std::string_view, size_t)) {
  const size_t size = test.at("size");
  // What is invalid asks for too much; our function dies of that, see HkdfTest.
  ASSERT_EQ(size <= 255 * hash_bytes, valid);
  if (!valid) return;
  EXPECT_EQ(hkdf(Bytes(test, "ikm"), Bytes(test, "salt"), Bytes(test, "info"), size).view(),
            Bytes(test, "okm"));
}

TEST_F(WycheproofTest, HkdfSha512) {
  const Counts counts = ForEach(
      "hkdf_sha512", [](const json&) { return true; },
      [](const json&, const json& test, bool valid) { RunHkdf(test, valid, 64, HkdfSha512); });
  EXPECT_GT(counts.valid, 50);
}

TEST_F(WycheproofTest, HkdfSha256) {
  const Counts counts = ForEach(
      "hkdf_sha256", [](const json&) { return true; },
      [](const json&, const json& test, bool valid) { RunHkdf(test, valid, 32, HkdfSha256); });
  EXPECT_GT(counts.valid, 50);
}

TEST_F(WycheproofTest, HmacSha256) {
  const Counts counts = ForEach(
      "hmac_sha256", [](const json&) { return true; },
      [](const json& group, const json& test, bool valid) {
        // Shorter tags are prefixes.
        const std::string tag = HmacSha256(Bytes(test, "key"), Bytes(test, "msg"))
                                    .substr(0, group.at("tagSize").get<size_t>() / 8);
        EXPECT_EQ(ConstantTimeEqual(tag, Bytes(test, "tag")), valid);
      });
  EXPECT_GT(counts.valid, 50);
  EXPECT_GT(counts.invalid, 50);
}

TEST_F(WycheproofTest, Ed25519) {
  const Counts counts = ForEach(
      "ed25519", [](const json&) { return true; },
      [](const json& group, const json& test, bool valid) {
        EXPECT_EQ(Ed25519Verify(Bytes(group.at("publicKey"), "pk"), Bytes(test, "msg"), Bytes(test, "sig")),
                  valid);
      });
  EXPECT_GT(counts.valid, 50);
  EXPECT_GT(counts.invalid, 50);
}

}  // namespace
}  // namespace cloister::crypto
