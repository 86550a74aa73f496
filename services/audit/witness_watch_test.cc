// SPDX-License-Identifier: Apache-2.0
#include "services/audit/witness_watch.h"

#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "audit/test_support.h"
#include "common/clock.h"
#include "witness/test_log.h"
#include "witness/witness.h"

namespace cloister::services {
namespace {

// A log whose witnesses run in this process, and can be away, late or liars.
class WitnessWatchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const std::string name : {"w1", "w2", "w3"}) MakeWitness(name);
    log_.Grow(40);
  }
  void MakeWitness(const std::string& name) {
    auto cosigner = *audit::Cosigner::New(name, std::string(32, name[1]));
    lines_[name] = cosigner.verifier_key() + " https://" + name + ".example";
    witnesses_[name] = *witness::Witness::Open(directory_.path() / name, {log_.verifier()}, std::move(cosigner), clock_);
  }
  StatusOr<std::unique_ptr<WitnessWatch>> Compare(uint32_t quorum = 1, std::chrono::milliseconds patience = {}) {
    WitnessWatchParts parts;
    parts.hold = [this] {
      std::lock_guard lock(mutex_);
      const witness::SmallLog& log = *present_;
      const size_t size = size_;
      return audit::HeldCheckpoint{{"test/main/1", size, log.Root(size)}, log.Checkpoint(size),
                                   [&log, size](uint64_t from) -> StatusOr<std::vector<audit::Hash>> {
                                     if (from > size) return FailedPrecondition("shorter");
                                     return from == 0 || from == size ? std::vector<audit::Hash>() : log.Proof(from, size);
                                   }};
    };
    parts.check = [this](uint64_t size, const audit::Hash& root) -> Status {
      const bool extends = size <= size_ && present_->Root(size) == root;
      return extends ? absl::OkStatus() : FailedPrecondition("it does not");
    };
    parts.log_key = audit::TestSigner().verifier_key();
    std::vector<std::string> lines;
    for (const auto& [name, line] : lines_) lines.push_back(line);
    parts.witnesses = *witness::ParseWitnesses(lines);
    parts.quorum = quorum;
    parts.file = directory_.path() / "witnessed";
    parts.patience = patience;
    parts.retry = std::chrono::milliseconds(5);
    parts.interval = std::chrono::milliseconds(5);
    parts.ask = [this](const std::string& name, const std::string& body) { return Ask(name, body); };
    parts.on_rollback = [this] { rolled_back_ = true; };
    return WitnessWatch::Compare(std::move(parts));
  }
  StatusOr<WitnessAnswer> Ask(const std::string& name, const std::string& body) {
    std::lock_guard lock(mutex_);
    ++asked_;
    if (const auto lie = lies_.find(name); lie != lies_.end()) return lie->second;
    const auto found = witnesses_.find(name);
    if (found == witnesses_.end()) return Unavailable("away");
    const witness::Answer answer = found->second->Add(body);
    return WitnessAnswer{answer.status, answer.content_type, answer.body};
  }
  void At(size_t size) {
    std::lock_guard lock(mutex_);
    size_ = size;
  }
  uint64_t SizeAt(const std::string& name) { return witnesses_.at(name)->Logs().at(0).size; }

  audit::TemporaryDirectory directory_;
  SystemClock clock_;
  witness::SmallLog log_, fork_;
  const witness::SmallLog* present_ = &log_;
  size_t size_ = 5;
  std::mutex mutex_;
  std::map<std::string, std::string> lines_;
  std::map<std::string, std::unique_ptr<witness::Witness>> witnesses_;
  std::map<std::string, WitnessAnswer> lies_;
  std::atomic<int> asked_{0};
  std::atomic<bool> rolled_back_{false};
};

TEST_F(WitnessWatchTest, HasTheLogCosignedAndKeepsWhatItGot) {
  const auto watch = Compare(3);
  ASSERT_TRUE(watch.ok()) << watch.status();
  for (const auto& [name, line] : lines_) {
    const auto verifier = *audit::CosignatureVerifier::Parse(line.substr(0, line.find(' ')));
    EXPECT_TRUE(verifier.Verify((*watch)->Witnessed()).ok());
    EXPECT_EQ(SizeAt(name), 5u);
  }
  EXPECT_EQ(audit::OpenCheckpoint((*watch)->Witnessed(), log_.verifier())->size, 5u);
  EXPECT_EQ(*ReadFile(directory_.path() / "witnessed", 1 << 20), (*watch)->Witnessed());
}

TEST_F(WitnessWatchTest, GoesOnWithTheLog) {
  auto watch = Compare(2);
  ASSERT_TRUE(watch.ok());
  (*watch)->Start();
  for (const size_t size : {9, 20, 40}) {
    At(size);
    while (audit::OpenCheckpoint((*watch)->Witnessed(), log_.verifier())->size < size) std::this_thread::yield();
    for (const WitnessState& state : (*watch)->States()) EXPECT_EQ(state.problem, "");
  }
  EXPECT_EQ(SizeAt("w3"), 40u);
  EXPECT_FALSE(rolled_back_);
}

TEST_F(WitnessWatchTest, LearnsFromAWitnessHowFarItIs) {
  ASSERT_TRUE(Compare().ok());
  std::filesystem::remove(directory_.path() / "witnessed");
  At(20);
  const auto watch = Compare(3);
  ASSERT_TRUE(watch.ok()) << watch.status();
  EXPECT_EQ((*watch)->States().at(0).size, 20u);
}

TEST_F(WitnessWatchTest, ALogThatIsShorterIsRefused) {
  At(20);
  ASSERT_TRUE(Compare().ok());
  At(12);
  // By what is kept beside the log, and when that was put back, too, by the witnesses.
  for (int round = 0; round < 2; ++round) {
    const Status refused = Compare().status();
    EXPECT_EQ(refused.code(), StatusCode::kFailedPrecondition);
    EXPECT_NE(MessageOf(refused).find("20"), std::string::npos) << refused;
    EXPECT_NE(MessageOf(refused).find(std::string(kWitnessRemedy)), std::string::npos) << refused;
    std::filesystem::remove(directory_.path() / "witnessed");
  }
}

TEST_F(WitnessWatchTest, AForkIsRefusedAndLeavesEvidence) {
  At(20);
  ASSERT_TRUE(Compare().ok());
  fork_.Grow(5);
  fork_.Grow(40, "other");
  present_ = &fork_;
  for (const size_t size : {20, 33}) {
    At(size);
    for (int round = 0; round < 2; ++round) {
      EXPECT_EQ(Compare().status().code(), StatusCode::kFailedPrecondition) << size;
      std::filesystem::remove(directory_.path() / "witnessed");
    }
  }
  EXPECT_EQ(witnesses_.at("w1")->Logs().at(0).forks, 1u);
  EXPECT_EQ(witnesses_.at("w1")->Logs().at(0).unproven, 1u);
}

TEST_F(WitnessWatchTest, ARollbackWhileItRunsEndsTheProcess) {
  At(20);
  auto watch = Compare();
  ASSERT_TRUE(watch.ok());
  At(12);
  (*watch)->Start();
  while (!rolled_back_) std::this_thread::yield();
}

TEST_F(WitnessWatchTest, WaitsForAQuorum) {
  std::map<std::string, std::unique_ptr<witness::Witness>> away;
  away.swap(witnesses_);
  EXPECT_EQ(Compare(1).status().code(), StatusCode::kUnavailable);
  witnesses_["w1"] = std::move(away["w1"]);
  EXPECT_TRUE(Compare(1).ok());
  EXPECT_EQ(Compare(2).status().code(), StatusCode::kUnavailable);
  std::thread comes([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    std::lock_guard lock(mutex_);
    witnesses_["w2"] = std::move(away["w2"]);
  });
  const auto watch = Compare(2, std::chrono::seconds(60));
  comes.join();
  ASSERT_TRUE(watch.ok()) << watch.status();
  EXPECT_EQ((*watch)->States().at(2).problem, "away");
  EXPECT_EQ(Compare(0).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Compare(4).status().code(), StatusCode::kInvalidArgument);
}

TEST_F(WitnessWatchTest, AWitnessThatLiesCosignsNothing) {
  const auto other = *audit::Cosigner::New("w1", std::string(32, 'x'));
  const auto own = *audit::Cosigner::New("w1", std::string(32, '1'));
  const std::string text = audit::CheckpointText({"test/main/1", 6, log_.Root(6)});
  for (const auto& [lie, words] : std::vector<std::pair<WitnessAnswer, std::string>>{
           {{200, "", ""}, "does not verify"},
           {{200, "", "no signature\n"}, "does not verify"},
           {{200, "", other.Sign(text, 1)}, "does not verify"},
           {{200, "", own.Sign(text, 1)}, "does not verify"},  // Of another checkpoint.
           {{409, "text/x.tlog.size", "many\n"}, "which size"},
           {{409, "text/x.tlog.size", "0\n"}, "contradicts itself"},
           {{404, "", ""}, "does not serve"},
           {{403, "", ""}, "another key"},
           {{503, "", ""}, "status 503"},
           {{307, "", ""}, "status 307"}}) {
    lies_["w1"] = lie;
    const auto watch = Compare(2);
    ASSERT_TRUE(watch.ok()) << watch.status();
    EXPECT_NE((*watch)->States().at(0).problem.find(words), std::string::npos) << (*watch)->States().at(0).problem;
    EXPECT_EQ(Compare(3).status().code(), StatusCode::kUnavailable);
  }
}

TEST_F(WitnessWatchTest, TheFileThatIsKept) {
  ASSERT_TRUE(Compare().ok());
  const auto file = directory_.path() / "witnessed";
  const std::string note = *ReadFile(file, 1 << 20);
  for (size_t at = 0; at < note.find("\xe2\x80\x94 w"); ++at) {
    std::string altered = note;
    altered[at] = static_cast<char>(altered[at] ^ 1);
    std::ofstream(file, std::ios::trunc) << altered;
    const auto watch = Compare();
    // An origin of another generation is none of this log's business; anything else is damage.
    if (watch.ok()) {
      EXPECT_LT(at, std::string("test/main/1").size());
    } else {
      EXPECT_EQ(watch.status().code(), StatusCode::kDataLoss) << at;
    }
    std::filesystem::remove(file);
  }
}

}  // namespace
}  // namespace cloister::services
