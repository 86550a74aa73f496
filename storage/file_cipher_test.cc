// SPDX-License-Identifier: Apache-2.0
#include "storage/file_cipher.h"

#include <gtest/gtest.h>

#include <set>

#include "common/document_example.h"
#include "crypto/random.h"
#include "storage/file_cipher_internal.h"

namespace cloister::storage {
namespace {

constexpr size_t kMeaningBytes = 88;  // Magic to commitment; zeros follow.

class FileCipherTest : public testing::Test {
 protected:
  std::string Prefix() const { return MakeFilePrefix(key_id_, key_.view(), "000012.sst"); }
  Status Refusal(std::string_view prefix, std::string_view name = "000012.sst") const {
    return FileCipher::Open(key_.view(), name, prefix).status();
  }
  std::string Applied(std::string_view prefix, uint64_t offset, std::string bytes) const {
    const auto cipher = FileCipher::Open(key_.view(), "000012.sst", prefix);
    EXPECT_TRUE(cipher.ok()) << cipher.status();
    (*cipher)->Apply(offset, bytes.data(), bytes.size());
    return bytes;
  }

  const KeyId key_id_ = crypto::RandomId<KeyId>();
  const crypto::Secret key_ = crypto::RandomSecret(32);
};

TEST_F(FileCipherTest, DecryptsAtAnyOffsetWhatItEncrypted) {
  const std::string prefix = Prefix();
  EXPECT_EQ(prefix.size(), kFilePrefixBytes);
  EXPECT_EQ(*FilePrefixKeyId(prefix), key_id_);
  const std::string content(10'000, 'c');
  const std::string encrypted = Applied(prefix, 0, content);
  EXPECT_EQ(encrypted.find("ccc"), std::string::npos);
  for (const size_t offset : {0, 1, 4095, 4096, 9000}) {
    EXPECT_EQ(Applied(prefix, offset, encrypted.substr(offset)), content.substr(offset));
  }
}

TEST_F(FileCipherTest, EachFileHasAKeyOfItsOwn) {
  std::set<std::string> streams;
  for (int i = 0; i < 100; ++i) streams.insert(Applied(Prefix(), 0, std::string(16, '\0')));
  EXPECT_EQ(streams.size(), 100u);
}

TEST_F(FileCipherTest, RefusesEveryFlippedBitOfThePrefix) {
  const std::string prefix = Prefix();
  for (size_t bit = 0; bit < prefix.size() * 8; ++bit) {
    // The zeros are all alike: every bit of their first and last bytes, one bit in between.
    const size_t at = bit / 8;
    if (at > kMeaningBytes + 8 && at < kFilePrefixBytes - 8 && bit % 8 != at % 8) continue;
    std::string flipped = prefix;
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << bit % 8));
    const bool named = at >= 4 && at < 8;  // Format, suite and flags.
    // A flipped key id sends the reader to another key; under this one the file still opens.
    if (at >= 8 && at < 24) {
      EXPECT_NE(*FilePrefixKeyId(flipped), key_id_);
      continue;
    }
    ASSERT_EQ(Refusal(flipped).code(), named ? StatusCode::kFailedPrecondition : StatusCode::kDataLoss)
        << bit;
  }
}

TEST_F(FileCipherTest, RefusesEveryTruncation) {
  const std::string prefix = Prefix();
  for (size_t size = 0; size < prefix.size(); ++size) {
    ASSERT_EQ(Refusal(prefix.substr(0, size)).code(), StatusCode::kDataLoss) << size;
    ASSERT_EQ(FilePrefixKeyId(prefix.substr(0, size)).status().code(), StatusCode::kDataLoss) << size;
  }
  EXPECT_EQ(Refusal(prefix + '\0').code(), StatusCode::kDataLoss);
}

TEST_F(FileCipherTest, RefusesAnotherKeyOrNameByTheCommitment) {
  const std::string prefix = Prefix();
  EXPECT_TRUE(Refusal(prefix).ok());
  for (const std::string_view name : {"000013.sst", "000012.log", "", "000012.sst "}) {
    EXPECT_EQ(Refusal(prefix, name).code(), StatusCode::kDataLoss) << name;
  }
  const crypto::Secret other = crypto::RandomSecret(32);
  const Status status = FileCipher::Open(other.view(), "000012.sst", prefix).status();
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_NE(MessageOf(status).find("does not belong to this key"), std::string::npos) << status;
}

TEST_F(FileCipherTest, NamesFormatsSuitesAndFlagsItDoesNotKnow) {
  const auto refusal = [&](size_t at, char value) {
    std::string changed = Prefix();
    changed[at] = value;
    EXPECT_EQ(FilePrefixKeyId(changed).status(), Refusal(changed));
    EXPECT_EQ(Refusal(changed).code(), StatusCode::kFailedPrecondition);
    return MessageOf(Refusal(changed));
  };
  EXPECT_NE(refusal(4, 2).find("format 2,"), std::string::npos);
  EXPECT_NE(refusal(5, 9).find("suite 9,"), std::string::npos);
  EXPECT_NE(refusal(7, 4).find("flags 4,"), std::string::npos);
}

TEST_F(FileCipherTest, DiesOnKeysAndSaltsOfAWrongSize) {
  EXPECT_DEATH(MakeFilePrefix(key_id_, "short", ""), "check failed");
  EXPECT_DEATH(internal::MakeFilePrefixWithSalt(key_id_, key_.view(), "", "short"), "check failed");
  EXPECT_DEATH((void)FileCipher::Open("short", "", Prefix()), "check failed");
}

TEST(FileCipherFormatTest, TheDocumentsExampleIsReproducedAndOpens) {
  const auto example =
      DocumentExample(CLOISTER_SOURCE_DIR "/docs/formats/encrypted-file.md", "encrypted-file");
  ASSERT_FALSE(example.empty());
  const std::string key = ExampleBytes(example, "volume_key"), name = example.at("name");
  const std::string content = example.at("content");
  const std::string prefix = internal::MakeFilePrefixWithSalt(
      *KeyId::FromBytes(ExampleBytes(example, "key_id")), key, name, ExampleBytes(example, "salt"));
  EXPECT_EQ(HexEncode(prefix.substr(0, kMeaningBytes)), example.at("prefix_without_zeros"));
  EXPECT_EQ(HexEncode(prefix.substr(56, 32)), example.at("commitment"));
  EXPECT_EQ(prefix.substr(kMeaningBytes), std::string(kFilePrefixBytes - kMeaningBytes, '\0'));
  const auto cipher = FileCipher::Open(key, name, prefix);
  ASSERT_TRUE(cipher.ok());
  std::string bytes = content;
  (*cipher)->Apply(0, bytes.data(), bytes.size());
  EXPECT_EQ(HexEncode(bytes), example.at("encrypted_content"));
  std::string tail = bytes.substr(20);
  (*cipher)->Apply(20, tail.data(), tail.size());
  EXPECT_EQ(tail, content.substr(20));
}

}  // namespace
}  // namespace cloister::storage
