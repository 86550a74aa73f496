// SPDX-License-Identifier: Apache-2.0
#include "storage/sealed_record.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <vector>

#include "common/document_example.h"
#include "crypto/random.h"
#include "storage/sealed_record_internal.h"

namespace cloister::storage {
namespace {

constexpr size_t kTagBytes = 16;

class SealedRecordTest : public testing::Test {
 protected:
  std::string Seal(std::string_view plaintext) const {
    return *SealRecord(key_id_, key_.view(), context_, plaintext);
  }
  StatusOr<std::string> Open(std::string_view record) const {
    return OpenRecord(key_.view(), context_, record);
  }
  // Refused, and as something this version cannot read rather than as damage only when that is what it says
  // it is.
  void ExpectRefused(std::string_view record, bool names_format = false) const {
    const auto opened = Open(record);
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.status().code(), names_format ? StatusCode::kFailedPrecondition : StatusCode::kDataLoss);
  }

  const KeyId key_id_ = crypto::RandomId<KeyId>();
  const crypto::Secret key_ = crypto::RandomSecret(32);
  const DatabaseId database_ = crypto::RandomId<DatabaseId>();
  const RecordContext context_{database_, "documents", "row key"};
};

const std::vector<size_t> kSizes = {
    0, 1, 100, kFrameBytes - 1, kFrameBytes, kFrameBytes + 1, 2 * kFrameBytes, 2 * kFrameBytes + 1000};

std::string Patterned(size_t size) {
  std::string out(size, '\0');
  for (size_t i = 0; i < size; ++i) out[i] = static_cast<char>(i * 31 + i / 251);
  return out;
}

TEST_F(SealedRecordTest, OpensWhatItSealed) {
  for (const size_t size : kSizes) {
    const std::string plaintext = Patterned(size);
    const std::string record = Seal(plaintext);
    const size_t frames = std::max<size_t>(1, (size + kFrameBytes - 1) / kFrameBytes);
    EXPECT_EQ(record.size(), kRecordHeaderBytes + size + frames * kTagBytes);
    const auto opened = Open(record);
    ASSERT_TRUE(opened.ok()) << size;
    EXPECT_EQ(*opened, plaintext);
    EXPECT_EQ(*RecordKeyId(record), key_id_);
  }
}

TEST_F(SealedRecordTest, SealsAfreshEachTime) { EXPECT_NE(Seal("same"), Seal("same")); }

TEST_F(SealedRecordTest, RefusesEveryFlippedBit) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{300}}) {
    const std::string record = Seal(Patterned(size));
    for (size_t bit = 0; bit < record.size() * 8; ++bit) {
      std::string flipped = record;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
      SCOPED_TRACE(bit);
      ExpectRefused(flipped, bit / 8 >= 4 && bit / 8 < 8);
    }
  }
}

TEST_F(SealedRecordTest, RefusesAFlippedBitInEveryFrame) {
  const std::string record = Seal(Patterned(2 * kFrameBytes + 1000));
  for (size_t at = kRecordHeaderBytes; at < record.size(); at += 997) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = record;
      flipped[at] = static_cast<char>(flipped[at] ^ (1 << bit));
      SCOPED_TRACE(at);
      ExpectRefused(flipped);
    }
  }
}

TEST_F(SealedRecordTest, RefusesEveryTruncationAndExtension) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{300}}) {
    const std::string record = Seal(Patterned(size));
    for (size_t length = 0; length < record.size(); ++length) ExpectRefused(record.substr(0, length));
    ExpectRefused(record + '\0');
    ExpectRefused(record + record);
  }
  // At and around every border of frames.
  const std::string record = Seal(Patterned(2 * kFrameBytes + 1000));
  for (size_t frame = 0; frame < 3; ++frame) {
    const size_t border = kRecordHeaderBytes + frame * (kFrameBytes + kTagBytes);
    for (const size_t length : {border - 1, border, border + 1, border + kTagBytes}) {
      ExpectRefused(record.substr(0, length));
    }
  }
}

TEST_F(SealedRecordTest, RefusesFramesExchangedRepeatedOrDropped) {
  const size_t sealed_frame = kFrameBytes + kTagBytes;
  const std::string record = Seal(std::string(3 * kFrameBytes, 'x'));
  const std::string header = record.substr(0, kRecordHeaderBytes);
  const auto frame = [&](size_t i) {
    return record.substr(kRecordHeaderBytes + i * sealed_frame, sealed_frame);
  };
  ASSERT_TRUE(Open(header + frame(0) + frame(1) + frame(2)).ok());
  ExpectRefused(header + frame(1) + frame(0) + frame(2));
  ExpectRefused(header + frame(0) + frame(2) + frame(1));
  ExpectRefused(header + frame(0) + frame(0) + frame(2));
  ExpectRefused(header + frame(0) + frame(1));
  // With a length that fits what is left, too.
  const auto with_length = [&](uint64_t length) {
    ByteWriter out;
    out.Raw(header.substr(0, 88));
    out.U64(length);
    return out.Take();
  };
  ExpectRefused(with_length(2 * kFrameBytes) + frame(0) + frame(1));
  ExpectRefused(with_length(2 * kFrameBytes) + frame(0) + frame(2));
  ExpectRefused(with_length(kFrameBytes) + frame(2));
  ExpectRefused(with_length(4 * kFrameBytes) + frame(0) + frame(1) + frame(2) + frame(2));
}

TEST_F(SealedRecordTest, RefusesFramesOfAnotherRecordOfTheSameRow) {
  const std::string a = Seal(std::string(100, 'a')), b = Seal(std::string(100, 'b'));
  ExpectRefused(a.substr(0, kRecordHeaderBytes) + b.substr(kRecordHeaderBytes));
}

TEST_F(SealedRecordTest, RefusesRecordsMovedToAnotherPlace) {
  const std::string record = Seal("plaintext");
  const DatabaseId elsewhere = crypto::RandomId<DatabaseId>();
  for (const RecordContext& context : std::vector<RecordContext>{{elsewhere, "documents", "row key"},
                                                                 {database_, "document", "row key"},
                                                                 {database_, "documents", "row kez"},
                                                                 {database_, "documents", ""},
                                                                 {database_, "", "row key"},
                                                                 // The border between both is bound, too.
                                                                 {database_, "documentsr", "ow key"}}) {
    EXPECT_EQ(OpenRecord(key_.view(), context, record).status().code(), StatusCode::kDataLoss);
  }
  EXPECT_TRUE(Open(record).ok());
}

TEST_F(SealedRecordTest, RefusesAnotherKeyByItsCommitment) {
  const std::string record = Seal("plaintext");
  const crypto::Secret other = crypto::RandomSecret(32);
  const Status status = OpenRecord(other.view(), context_, record).status();
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_NE(MessageOf(status).find("does not belong to this key"), std::string::npos) << status;
}

TEST_F(SealedRecordTest, NamesFormatsSuitesAndFlagsItDoesNotKnow) {
  const std::string record = Seal("plaintext");
  const auto refusal = [&](size_t at, char value) {
    std::string changed = record;
    changed[at] = value;
    EXPECT_EQ(RecordKeyId(changed).status(), Open(changed).status());
    EXPECT_EQ(RecordKeyId(changed).status().code(), StatusCode::kFailedPrecondition);
    return MessageOf(RecordKeyId(changed).status());
  };
  EXPECT_NE(refusal(4, 2).find("format 2,"), std::string::npos);
  EXPECT_NE(refusal(5, 9).find("suite 9,"), std::string::npos);
  EXPECT_NE(refusal(7, 4).find("flags 4,"), std::string::npos);
}

TEST_F(SealedRecordTest, RefusesWhatIsNoRecord) {
  for (const std::string& bad :
       {std::string(), std::string("CLSR"), std::string(200, '\0'), std::string(200, 'C')}) {
    EXPECT_EQ(Open(bad).status().code(), StatusCode::kDataLoss);
    EXPECT_EQ(RecordKeyId(bad).status().code(), StatusCode::kDataLoss);
  }
}

TEST_F(SealedRecordTest, AHostileLengthReservesNothing) {
  for (const uint64_t length :
       {kPlaintextBytesMax, kPlaintextBytesMax + 1, UINT64_MAX, UINT64_MAX - kFrameBytes}) {
    ByteWriter out;
    out.Raw(Seal("plaintext").substr(0, 88));
    out.U64(length);
    ExpectRefused(out.Take() + std::string(25, 'x'));
  }
}

TEST_F(SealedRecordTest, RefusesPlaintextsOverTheLimit) {
  // Address space only: what is refused for its size is never read.
  const size_t size = kPlaintextBytesMax + 1;
  void* pages = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(pages, MAP_FAILED);
  EXPECT_EQ(
      SealRecord(key_id_, key_.view(), context_, {static_cast<const char*>(pages), size}).status().code(),
      StatusCode::kInvalidArgument);
  ::munmap(pages, size);
}

TEST(SealedRecordFormatTest, TheDocumentsExampleIsReproducedAndOpens) {
  const auto example = DocumentExample(CLOISTER_SOURCE_DIR "/docs/formats/sealed-record.md", "sealed-record");
  ASSERT_FALSE(example.empty());
  const std::string key = ExampleBytes(example, "key"), row_key = ExampleBytes(example, "row_key");
  const RecordContext context{*DatabaseId::FromBytes(ExampleBytes(example, "database")),
                              example.at("column_family"), row_key};
  const auto record =
      internal::SealRecordWithSalt(*KeyId::FromBytes(ExampleBytes(example, "key_id")), key, context,
                                   example.at("plaintext"), ExampleBytes(example, "salt"));
  ASSERT_TRUE(record.ok());
  EXPECT_EQ(HexEncode(*record), example.at("record"));
  EXPECT_EQ(HexEncode(record->substr(56, 32)), example.at("commitment"));
  const auto opened = OpenRecord(key, context, ExampleBytes(example, "record"));
  ASSERT_TRUE(opened.ok());
  EXPECT_EQ(*opened, example.at("plaintext"));
}

}  // namespace
}  // namespace cloister::storage
