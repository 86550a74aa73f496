// SPDX-License-Identifier: Apache-2.0
#include "witness/witness.h"

#include <gtest/gtest.h>

#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "audit/test_support.h"
#include "common/clock.h"
#include "witness/test_log.h"

namespace cloister::witness {
namespace {

class WitnessTest : public ::testing::Test {
 protected:
  void SetUp() override {
    log_.Grow(20);
    ASSERT_TRUE(Open().ok());
  }
  Status Open(char seed = 'w') {
    witness_.reset();
    auto opened = Witness::Open(directory_.path() / "w", {log_.verifier()},
                                *audit::Cosigner::New("witness.example/w1", std::string(32, seed)), clock_);
    if (!opened.ok()) return opened.status();
    witness_ = *std::move(opened);
    return absl::OkStatus();
  }
  uint64_t Size() const { return witness_->Logs().at(0).size; }
  size_t Forks() const { return witness_->Logs().at(0).forks; }
  size_t Unproven() const { return witness_->Logs().at(0).unproven; }
  std::string Kept(const std::string& name) const {
    const auto evidence = std::filesystem::directory_iterator(directory_.path() / "w" / "evidence");
    return *ReadFile(begin(evidence)->path() / name, 1 << 20);
  }

  audit::TemporaryDirectory directory_;
  SystemClock clock_;
  SmallLog log_;
  std::unique_ptr<Witness> witness_;
};

TEST_F(WitnessTest, CosignsWhatExtendsTheLastOne) {
  const auto verifier = *audit::CosignatureVerifier::Parse(witness_->verifier_key());
  size_t before = 0;
  for (const size_t size : {1, 2, 3, 7, 8, 8, 13, 20}) {
    const Answer answer = witness_->Add(log_.Request(before, size));
    ASSERT_EQ(answer.status, 200) << answer.body;
    EXPECT_TRUE(verifier.Verify(log_.Checkpoint(size) + answer.body).ok());
    before = size;
    ASSERT_TRUE(Open().ok());
    EXPECT_EQ(Size(), size);
    EXPECT_TRUE(verifier.Verify(witness_->Logs().at(0).checkpoint).ok());
  }
  EXPECT_EQ(Forks() + Unproven(), 0u);
}

TEST_F(WitnessTest, SaysWhichSizeItSawLast) {
  ASSERT_EQ(witness_->Add(log_.Request(0, 8)).status, 200);
  for (const size_t old_size : {0, 3, 9}) {
    const Answer answer = witness_->Add(log_.Request(old_size, 13));
    EXPECT_EQ(answer.status, 409);
    EXPECT_EQ(answer.content_type, kSizeContentType);
    EXPECT_EQ(answer.body, "8\n");
  }
  // A log that was put back to an older state.
  EXPECT_EQ(witness_->Add(log_.Request(3, 5)).body, "8\n");
  EXPECT_EQ(Size(), 8u);
}

TEST_F(WitnessTest, AForkIsRefusedAndKeptWithBothCheckpoints) {
  ASSERT_EQ(witness_->Add(log_.Request(0, 8)).status, 200);
  SmallLog fork;
  fork.Grow(5);
  fork.Grow(20, "other");
  for (int again = 0; again < 2; ++again) {
    const Answer same_size = witness_->Add(fork.Request(8, 8));
    EXPECT_EQ(same_size.status, 409);
    EXPECT_EQ(same_size.body, "8\n");
  }
  EXPECT_EQ(Forks(), 1u);
  EXPECT_EQ(Kept("submitted"), fork.Checkpoint(8));
  EXPECT_TRUE(audit::OpenCheckpoint(Kept("cosigned"), log_.verifier()).ok());
  EXPECT_EQ(Kept("request"), fork.Request(8, 8));
  EXPECT_EQ(witness_->Add(fork.Request(8, 13)).status, 422);
  EXPECT_EQ(Unproven(), 1u);
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(Forks(), 1u);
  EXPECT_EQ(Unproven(), 1u);
  EXPECT_EQ(witness_->Add(log_.Request(8, 13)).status, 200);
}

TEST_F(WitnessTest, EvidenceIsBoundedAndWhatAnybodyCanSendLeavesRoomForForks) {
  ASSERT_EQ(witness_->Add(log_.Request(0, 8)).status, 200);
  log_.Grow(8 + kEvidenceMax + 3);
  for (size_t size = 9; size < 9 + kEvidenceMax + 2; ++size) {
    EXPECT_EQ(witness_->Add(Serialise({8, std::vector<audit::Hash>(log_.Proof(8, size).size()), log_.Checkpoint(size)})).status, 422);
  }
  EXPECT_EQ(Unproven(), kEvidenceMax);
  for (size_t i = 0; i < kEvidenceMax + 3; ++i) {
    SmallLog fork;
    fork.Grow(8, std::to_string(i) + "-");
    EXPECT_EQ(witness_->Add(fork.Request(8, 8)).status, 409);
  }
  EXPECT_EQ(Forks(), kEvidenceMax);
}

TEST_F(WitnessTest, EveryFlippedBitIsRefused) {
  ASSERT_EQ(witness_->Add(log_.Request(0, 8)).status, 200);
  const std::string request = log_.Request(8, 13);
  for (size_t bit = 0; bit < request.size() * 8; ++bit) {
    std::string altered = request;
    altered[bit / 8] = static_cast<char>(altered[bit / 8] ^ (1 << bit % 8));
    EXPECT_NE(witness_->Add(altered).status, 200) << bit;
    EXPECT_EQ(Size(), 8u) << bit;
  }
  EXPECT_EQ(witness_->Add(request).status, 200);
}

TEST_F(WitnessTest, TellsWhatIsWrong) {
  EXPECT_EQ(witness_->Add("old 0\n\n").status, 400);
  SmallLog other("test/other/1");
  other.Grow(3);
  EXPECT_EQ(witness_->Add(other.Request(0, 3)).status, 404);
  const auto stranger = *audit::NoteSigner::New("test/main/1", std::string(32, 'x'));
  const std::string text = audit::CheckpointText({"test/main/1", 3, log_.Root(3)});
  EXPECT_EQ(witness_->Add(Serialise({0, {}, stranger.Sign(text)})).status, 403);
  EXPECT_EQ(witness_->Add(Serialise({9, {}, log_.Checkpoint(8)})).status, 400);
  EXPECT_EQ(witness_->Add(Serialise({0, log_.Proof(3, 8), log_.Checkpoint(8)})).status, 422);
  ASSERT_EQ(witness_->Add(log_.Request(0, 8)).status, 200);
  EXPECT_EQ(witness_->Add(Serialise({8, {}, log_.Checkpoint(13)})).status, 422);
  EXPECT_EQ(Forks() + Unproven(), 0u);  // A proof that is missing shows nothing about the log.
}

TEST_F(WitnessTest, AWitnessThatForgotDoesNotGoOn) {
  ASSERT_EQ(witness_->Add(log_.Request(0, 8)).status, 200);
  EXPECT_EQ(Open('v').code(), StatusCode::kDataLoss);  // Cosigned by another key.
  std::filesystem::path kept;
  for (const auto& file : std::filesystem::directory_iterator(directory_.path() / "w" / "logs")) kept = file.path();
  const std::string note = *ReadFile(kept, 1 << 20);
  for (size_t at = 0; at < note.size(); at += 7) {
    std::string altered = note;
    altered[at] = static_cast<char>(altered[at] ^ 1);
    std::ofstream(kept, std::ios::trunc) << altered;
    EXPECT_EQ(Open().code(), StatusCode::kDataLoss) << at;
  }
  std::ofstream(kept, std::ios::trunc) << note;
  EXPECT_TRUE(Open().ok());
}

TEST_F(WitnessTest, OneProcessAtATimeAndOneKeyALog) {
  const auto cosigner = [] { return *audit::Cosigner::New("w", std::string(32, 'w')); };
  EXPECT_EQ(Witness::Open(directory_.path() / "w", {log_.verifier()}, cosigner(), clock_).status().code(),
            StatusCode::kFailedPrecondition);
  EXPECT_EQ(Witness::Open(directory_.path() / "v", {log_.verifier(), log_.verifier()}, cosigner(), clock_).status().code(),
            StatusCode::kInvalidArgument);
}

TEST_F(WitnessTest, WhatCannotBeKeptIsNotCosigned) {
  std::filesystem::remove_all(directory_.path() / "w" / "logs");
  const Answer answer = witness_->Add(log_.Request(0, 8));
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(Size(), 0u);
}

}  // namespace
}  // namespace cloister::witness
