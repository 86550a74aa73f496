// SPDX-License-Identifier: Apache-2.0
#include "audit/receipt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "audit/test_support.h"
#include "audit/tiles.h"
#include "common/bytes.h"

namespace cloister::audit {
namespace {

using ::testing::HasSubstr;

class ReceiptTest : public ::testing::Test {
 protected:
  void SetUp() override {
    TileBuilder builder;
    const TileSink ignore = [](const TileId&, std::string_view) { return absl::OkStatus(); };
    for (const char* entry : {"zero", "one", "two", "three", "four"}) {
      ASSERT_TRUE(builder.Append(LeafHash(entry), ignore).ok());
    }
    ProofBuilder proofs(5, [&](const TileId& tile) -> StatusOr<std::string> {
      return std::string(builder.Partial(tile.level));
    });
    receipt_.index = 2;
    receipt_.extra = "two";
    receipt_.proof = *proofs.Inclusion(2);
    const auto signer = TestSigner();
    receipt_.checkpoint = signer.Sign(CheckpointText({signer.name(), 5, builder.Root()}));
  }
  Receipt receipt_;
};

TEST_F(ReceiptTest, HasTheFormOfTheSpecification) {
  std::string expected = "c2sp.org/tlog-proof@v1\nextra dHdv\nindex 2\n";
  for (const Hash& hash : receipt_.proof) expected += Base64Encode(hash.bytes()) + "\n";
  EXPECT_EQ(FormatReceipt(receipt_), expected + "\n" + receipt_.checkpoint);
}

TEST_F(ReceiptTest, ParsesBack) {
  for (const bool with_extra : {true, false}) {
    if (!with_extra) receipt_.extra.reset();
    const auto parsed = ParseReceipt(FormatReceipt(receipt_));
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(parsed->extra, receipt_.extra);
    EXPECT_EQ(parsed->index, 2u);
    EXPECT_EQ(parsed->proof, receipt_.proof);
    EXPECT_EQ(parsed->checkpoint, receipt_.checkpoint);
  }
}

TEST_F(ReceiptTest, ProvesTheEntryItCarriesOrTheOneGiven) {
  const auto carried = VerifyReceipt(receipt_, std::nullopt, TestVerifier());
  ASSERT_TRUE(carried.ok()) << carried.status();
  EXPECT_EQ(carried->entry, "two");
  EXPECT_EQ(carried->index, 2u);
  EXPECT_EQ(carried->checkpoint.size, 5u);
  receipt_.extra.reset();
  EXPECT_TRUE(VerifyReceipt(receipt_, "two", TestVerifier()).ok());
  EXPECT_EQ(VerifyReceipt(receipt_, "three", TestVerifier()).status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(VerifyReceipt(receipt_, std::nullopt, TestVerifier()).status().code(),
            StatusCode::kInvalidArgument);
}

TEST_F(ReceiptTest, TwoEntriesThatDifferAreRefused) {
  EXPECT_THAT(MessageOf(VerifyReceipt(receipt_, "three", TestVerifier()).status()),
              HasSubstr("not the entry"));
}

TEST_F(ReceiptTest, AnotherIndexOrKeyIsRefused) {
  Receipt moved = receipt_;
  moved.index = 3;
  EXPECT_EQ(VerifyReceipt(moved, std::nullopt, TestVerifier()).status().code(), StatusCode::kDataLoss);
  moved.index = 5;
  EXPECT_EQ(VerifyReceipt(moved, std::nullopt, TestVerifier()).status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(VerifyReceipt(receipt_, std::nullopt, TestVerifier("test/main/2")).status().code(),
            StatusCode::kDataLoss);
}

TEST_F(ReceiptTest, EveryFlippedBitIsRefused) {
  const std::string text = FormatReceipt(receipt_);
  for (size_t bit = 0; bit < text.size() * 8; ++bit) {
    std::string altered = text;
    altered[bit / 8] = static_cast<char>(altered[bit / 8] ^ (1 << bit % 8));
    const auto parsed = ParseReceipt(altered);
    EXPECT_FALSE(parsed.ok() && VerifyReceipt(*parsed, std::nullopt, TestVerifier()).ok()) << bit;
  }
}

TEST_F(ReceiptTest, EveryTruncationIsRefused) {
  const std::string text = FormatReceipt(receipt_);
  for (size_t length = 0; length < text.size(); ++length) {
    const auto parsed = ParseReceipt(text.substr(0, length));
    EXPECT_FALSE(parsed.ok() && VerifyReceipt(*parsed, std::nullopt, TestVerifier()).ok()) << length;
  }
}

TEST_F(ReceiptTest, AnotherVersionIsNamed) {
  std::string text = FormatReceipt(receipt_);
  text.replace(text.find("@v1"), 3, "@v2");
  const Status status = ParseReceipt(text).status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(MessageOf(status), HasSubstr("v1"));
}

TEST_F(ReceiptTest, BoundsProofAndLength) {
  std::string text = "c2sp.org/tlog-proof@v1\nindex 0\n";
  for (int i = 0; i < 65; ++i) text += Base64Encode(LeafHash("").bytes()) + "\n";
  EXPECT_THAT(MessageOf(ParseReceipt(text + "\n" + receipt_.checkpoint).status()), HasSubstr("64"));
  EXPECT_EQ(ParseReceipt(std::string(kReceiptBytesMax + 1, 'x')).status().code(), StatusCode::kDataLoss);
}

}  // namespace
}  // namespace cloister::audit
