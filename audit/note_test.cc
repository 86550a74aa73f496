// SPDX-License-Identifier: Apache-2.0
#include "audit/note.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "audit/checkpoint.h"
#include "audit/test_support.h"
#include "common/bytes.h"

namespace cloister::audit {
namespace {

using ::testing::HasSubstr;

// The example that the Go implementation documents: key pair, text and signature.
constexpr std::string_view kName = "PeterNeumann";
constexpr std::string_view kSeedWithType = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
constexpr std::string_view kVerifierKey =
    "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
constexpr std::string_view kText =
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n";
constexpr std::string_view kSignature =
    "\xe2\x80\x94 PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

std::string Note() { return std::string(kText) + "\n" + std::string(kSignature); }
NoteVerifier Verifier() { return *NoteVerifier::Parse(kVerifierKey); }

TEST(NoteTest, SignsAsTheReferenceDoes) {
  const std::string seed = Base64Decode(kSeedWithType)->substr(1);
  const auto signer = NoteSigner::New(kName, seed);
  ASSERT_TRUE(signer.ok()) << signer.status();
  EXPECT_EQ(signer->verifier_key(), kVerifierKey);
  EXPECT_EQ(signer->Sign(kText), Note());
}

TEST(NoteTest, OpensWhatTheReferenceSigned) {
  const auto text = Verifier().Open(Note());
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_EQ(*text, kText);
}

TEST(NoteTest, EveryFlippedBitIsRefused) {
  const std::string note = Note();
  const NoteVerifier verifier = Verifier();
  for (size_t bit = 0; bit < note.size() * 8; ++bit) {
    std::string altered = note;
    altered[bit / 8] = static_cast<char>(altered[bit / 8] ^ (1 << bit % 8));
    EXPECT_EQ(verifier.Open(altered).status().code(), StatusCode::kDataLoss) << bit;
  }
}

TEST(NoteTest, EveryTruncationIsRefused) {
  const std::string note = Note();
  const NoteVerifier verifier = Verifier();
  for (size_t length = 0; length < note.size(); ++length) {
    EXPECT_FALSE(verifier.Open(note.substr(0, length)).ok()) << length;
  }
}

TEST(NoteTest, IgnoresSignaturesOfOthersAndWantsItsOwn) {
  const std::string stranger = "\xe2\x80\x94 stranger " + Base64Encode("id??signature") + "\n";
  const std::string text(kText), own(kSignature);
  EXPECT_TRUE(Verifier().Open(text + "\n" + stranger + own).ok());
  EXPECT_TRUE(Verifier().Open(text + "\n" + own + stranger).ok());
  EXPECT_THAT(MessageOf(Verifier().Open(text + "\n" + stranger).status()), HasSubstr("not signed by"));
  // Same name, another key id: a stranger, too.
  const std::string other_id =
      "\xe2\x80\x94 PeterNeumann " + Base64Encode("id??" + std::string(64, 's')) + "\n";
  EXPECT_TRUE(Verifier().Open(text + "\n" + other_id + own).ok());
  // Its own name and id with a signature that does not verify spoils the note, even beside a good one.
  std::string forged = *Base64Decode(own.substr(own.rfind(' ') + 1, own.size() - own.rfind(' ') - 2));
  forged.back() ^= 1;
  const std::string bad = "\xe2\x80\x94 PeterNeumann " + Base64Encode(forged) + "\n";
  EXPECT_FALSE(Verifier().Open(text + "\n" + own + bad).ok());
}

TEST(NoteTest, BoundsTheNumberOfSignatures) {
  std::string note = Note();
  for (size_t i = 1; i < kNoteSignaturesMax; ++i) note += kSignature;
  EXPECT_TRUE(Verifier().Open(note).ok());
  EXPECT_THAT(MessageOf(Verifier().Open(note + std::string(kSignature)).status()), HasSubstr("64"));
  EXPECT_FALSE(Verifier().Open(std::string(kNoteBytesMax, 'x') + "\n" + Note()).ok());
}

TEST(NoteTest, TheTextEndsAtTheLastBlankLine) {
  const auto signer = TestSigner();
  const std::string text = "first\n\nsecond\n";
  EXPECT_EQ(*TestVerifier().Open(signer.Sign(text)), text);
}

TEST(NoteTest, RefusesMalformedVerifierKeys) {
  EXPECT_TRUE(NoteVerifier::Parse(std::string(kVerifierKey) + "\n").ok());
  std::string wrong_id(kVerifierKey), wrong_type;
  wrong_id.replace(13, 8, "c74f20a4");
  std::string key = *Base64Decode(kVerifierKey.substr(22));
  key[0] = 4;
  wrong_type = "PeterNeumann+c74f20a3+" + Base64Encode(key);
  for (const std::string& text :
       {std::string(), std::string("PeterNeumann"), std::string("PeterNeumann+c74f20a3"), wrong_id,
        wrong_type, std::string("Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"),
        std::string("PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"),
        std::string("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10"),
        std::string(kVerifierKey) + "\n\n", "+c74f20a3+" + std::string(kVerifierKey.substr(22))}) {
    EXPECT_EQ(NoteVerifier::Parse(text).status().code(), StatusCode::kInvalidArgument) << text;
  }
}

TEST(NoteTest, RefusesUnfitNamesAndSeeds) {
  EXPECT_EQ(NoteSigner::New("with space", std::string(32, 's')).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(NoteSigner::New("with+plus", std::string(32, 's')).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(NoteSigner::New("", std::string(32, 's')).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(NoteSigner::New(std::string(257, 'n'), std::string(32, 's')).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(NoteSigner::New("name", std::string(31, 's')).status().code(), StatusCode::kInvalidArgument);
}

TEST(CheckpointTest, HasThreeLines) {
  const Checkpoint checkpoint{"example.com/behind-the-sofa", 20852163, LeafHash("x")};
  const std::string text = CheckpointText(checkpoint);
  EXPECT_EQ(text, "example.com/behind-the-sofa\n20852163\n" + Base64Encode(LeafHash("x").bytes()) + "\n");
  const auto parsed = ParseCheckpointText(text);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->origin, checkpoint.origin);
  EXPECT_EQ(parsed->size, checkpoint.size);
  EXPECT_EQ(parsed->root, checkpoint.root);
}

TEST(CheckpointTest, RefusesEveryOtherForm) {
  const std::string root = Base64Encode(LeafHash("x").bytes());
  const std::vector<std::string> texts = {"",
                                          "origin\n1\n" + root,
                                          "origin\n01\n" + root + "\n",
                                          "origin\n-1\n" + root + "\n",
                                          "origin\n+1\n" + root + "\n",
                                          "origin\n1 \n" + root + "\n",
                                          "origin\n\n" + root + "\n",
                                          "\n1\n" + root + "\n",
                                          "origin\n1\n" + root + "\nextension\n",
                                          "origin\n1\nAAAA\n",
                                          "origin\n1\n" + root.substr(1) + "\n",
                                          "origin\n18446744073709551616\n" + root + "\n",
                                          "origin\n1\n"};
  for (const std::string& text : texts) {
    EXPECT_EQ(ParseCheckpointText(text).status().code(), StatusCode::kDataLoss) << text;
  }
}

TEST(CheckpointTest, OpensOnlyForItsOwnOrigin) {
  const auto signer = TestSigner();
  const Checkpoint own{signer.name(), 7, LeafHash("x")}, foreign{"other/log/1", 7, LeafHash("x")};
  EXPECT_EQ(OpenCheckpoint(signer.Sign(CheckpointText(own)), TestVerifier())->size, 7u);
  EXPECT_THAT(MessageOf(OpenCheckpoint(signer.Sign(CheckpointText(foreign)), TestVerifier()).status()),
              HasSubstr("another log"));
  EXPECT_EQ(OpenCheckpoint("nonsense", TestVerifier()).status().code(), StatusCode::kDataLoss);
}

}  // namespace
}  // namespace cloister::audit
