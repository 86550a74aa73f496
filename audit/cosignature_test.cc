// SPDX-License-Identifier: Apache-2.0
#include "audit/cosignature.h"

#include <gtest/gtest.h>

#include <string>

#include "audit/checkpoint.h"
#include "audit/test_support.h"

namespace cloister::audit {
namespace {

// Made by github.com/transparency-dev/formats v0.1.1 (note.NewSignerForCosignatureV1) from a seed of 32 bytes 42.
constexpr std::string_view kName = "witness.example/w1";
constexpr std::string_view kVerifierKey = "witness.example/w1+f1ed8c47+BCFS+NGbeR0kRTJC4V8uq2y3z/p7al7TAJeWDgaYgdsS";
constexpr uint64_t kTime = 0x6b0ef9b5;
constexpr std::string_view kText = "example.com/log/1\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
constexpr std::string_view kLogVerifierKey = "example.com/log/1+5c4a6524+AViTZgSr2hEryUkzVpyC+NDMDd+So/gyny9Ej39ISllM";
constexpr std::string_view kLogSignature =
    "\xe2\x80\x94 example.com/log/1 "
    "XEplJEPjkIQ8WYNH/9jXeQN+MxsGK2OrHeZ+V7axnVwh855nh2r0KLuQzPTNJnNY3M4p4aiL2Z3NMuhrs6St1Dn5kAI=\n";
constexpr std::string_view kCosignature =
    "\xe2\x80\x94 witness.example/w1 "
    "8e2MRwAAAABrDvm1de9YU2YiwQWDxpoZdKGzDSLuFMBLI+bwP3slBBn1Sb1pGx5eLSaI8eHRGmWg9BhRIonwkp9pRfOCU1d4OiG4CQ==\n";

std::string Note() { return std::string(kText) + "\n" + std::string(kLogSignature) + std::string(kCosignature); }
CosignatureVerifier Verifier() { return *CosignatureVerifier::Parse(kVerifierKey); }

TEST(CosignatureTest, CosignsAsTheReferenceDoes) {
  const auto cosigner = Cosigner::New(kName, std::string(32, '\x42'));
  ASSERT_TRUE(cosigner.ok()) << cosigner.status();
  EXPECT_EQ(cosigner->verifier_key(), kVerifierKey);
  EXPECT_EQ(cosigner->Sign(kText, kTime), kCosignature);
}

TEST(CosignatureTest, VerifiesWhatTheReferenceCosigned) {
  const auto time = Verifier().Verify(Note());
  ASSERT_TRUE(time.ok()) << time.status();
  EXPECT_EQ(*time, kTime);
  EXPECT_TRUE(OpenCheckpoint(Note(), *NoteVerifier::Parse(kLogVerifierKey)).ok());
}

TEST(CosignatureTest, TheLatestOfSeveralCounts) {
  const auto cosigner = *Cosigner::New(kName, std::string(32, '\x42'));
  EXPECT_EQ(*Verifier().Verify(Note() + cosigner.Sign(kText, kTime + 5) + cosigner.Sign(kText, kTime - 5)), kTime + 5);
}

TEST(CosignatureTest, EveryFlippedBitIsRefused) {
  const std::string note = Note();
  const CosignatureVerifier verifier = Verifier();
  const size_t log_line = kText.size() + 1;
  for (size_t bit = 0; bit < note.size() * 8; ++bit) {
    std::string altered = note;
    altered[bit / 8] = static_cast<char>(altered[bit / 8] ^ (1 << bit % 8));
    // The log's own signature is another verifier's business: here it only has to stay a signature line.
    if (bit / 8 >= log_line && bit / 8 < log_line + kLogSignature.size()) continue;
    EXPECT_FALSE(verifier.Verify(altered).ok()) << bit;
  }
}

TEST(CosignatureTest, SaysWhenThereIsNone) {
  const std::string uncosigned = std::string(kText) + "\n" + std::string(kLogSignature);
  EXPECT_EQ(Verifier().Verify(uncosigned).status().code(), StatusCode::kNotFound);
  const auto other = *Cosigner::New(kName, std::string(32, '\x43'));
  EXPECT_EQ(Verifier().Verify(uncosigned + other.Sign(kText, kTime)).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Verifier().Verify("no note").status().code(), StatusCode::kDataLoss);
}

TEST(CosignatureTest, KeysOfAnotherTypeAreRefused) {
  EXPECT_EQ(CosignatureVerifier::Parse(kLogVerifierKey).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(NoteVerifier::Parse(kVerifierKey).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(CosignatureVerifier::Parse("witness.example/w2+f1ed8c47+BCFS+NGbeR0kRTJC4V8uq2y3z/p7al7TAJeWDgaYgdsS").status().code(),
            StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace cloister::audit
