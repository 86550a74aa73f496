// SPDX-License-Identifier: Apache-2.0
#include "services/server/key_rotation.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <set>

#include "common/file.h"
#include "storage/memory_key_source.h"
#include "storage/temporary_directory.h"

namespace cloister::services {
namespace {

using storage::KeyKind;
using storage::MemoryKeySource;
using storage::TemporaryDirectory;

// What a service seals: one row under one key each.
class KeyRotationTest : public testing::Test {
 protected:
  KeyRotationTest() {
    const auto made = *keys_.CreateKeys(KeyKind::kDocument, 10);
    for (const auto& key : made) rows_.push_back(key.id);
    first_ = rows_;
  }
  StatusOr<std::unique_ptr<KeyRotation>> Open() {
    return KeyRotation::Open({
        .file = file_,
        .keys = keys_,
        .clock = clock_,
        .levels = {{"documents",
                    [this]() -> StatusOr<std::vector<KeyId>> {
                      Reached();
                      return rows_;
                    }},
                   {"rows", []() -> StatusOr<std::vector<KeyId>> { return std::vector<KeyId>(); }}},
        .renew = [this](const std::function<Status()>& go_on) { return Renew(go_on); },
        .retry = std::chrono::milliseconds(1),
        .free_bytes_min = free_bytes_min_,
    });
  }
  StatusOr<uint64_t> Renew(const std::function<Status()>& go_on) {
    Reached();
    uint64_t renewed = 0;
    for (KeyId& row : rows_) {
      CLOISTER_RETURN_IF_ERROR(go_on());
      CLOISTER_RETURN_IF_ERROR(failure_);
      CLOISTER_ASSIGN_OR_RETURN(const auto current, keys_.CurrentKeys({row}));
      if (current.front() != row) ++renewed;
      row = current.front();
      Reached();
    }
    return renewed;
  }
  void Reached() {
    if (on_step_) on_step_();
  }
  static void Await(const KeyRotation& rotation) {
    while (rotation.GetState().running) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  bool Written() const { return std::filesystem::exists(file_); }

  MemoryKeySource keys_;
  SystemClock clock_;
  TemporaryDirectory directory_;
  const std::filesystem::path file_ = directory_.path() / kRotationFile;
  std::vector<KeyId> rows_, first_;
  std::function<void()> on_step_;
  Status failure_;
  uint64_t free_bytes_min_ = 0;
};

TEST_F(KeyRotationTest, EveryKeyIsReplacedAndEverythingSealedAnew) {
  auto rotation = *Open();
  EXPECT_FALSE(rotation->GetState().running);
  ASSERT_TRUE(rotation->Start({"documents"}).ok());
  Await(*rotation);
  const KeyRotation::State state = rotation->GetState();
  EXPECT_EQ(state.levels, std::vector<std::string>{"documents"});
  EXPECT_EQ(state.replaced, 10u);
  EXPECT_EQ(state.renewed, 10u);
  EXPECT_TRUE(state.finished_at.has_value());
  EXPECT_EQ(state.problem, "");
  EXPECT_FALSE(Written());
  for (size_t i = 0; i < rows_.size(); ++i) EXPECT_NE(rows_[i], first_[i]);
}

TEST_F(KeyRotationTest, UnknownLevelsAndNoneAreRefused) {
  auto rotation = *Open();
  EXPECT_EQ(rotation->Start({}).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(rotation->Start({"documents", "moons"}).code(), StatusCode::kInvalidArgument);
  EXPECT_FALSE(Written());
}

TEST_F(KeyRotationTest, ItIsTriedAgainUntilItSucceeds) {
  failure_ = Unavailable("the disk rests");
  auto rotation = *Open();
  ASSERT_TRUE(rotation->Start({"documents"}).ok());
  while (rotation->GetState().problem.empty()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_TRUE(rotation->GetState().running);
  EXPECT_TRUE(Written());
  EXPECT_EQ(rotation->EndFormerKeys().status().code(), StatusCode::kFailedPrecondition);
  // Under the mutex of nothing: the test's own thread stops first.
  rotation.reset();
  failure_ = absl::OkStatus();
  rotation = *Open();
  Await(*rotation);
  EXPECT_EQ(*keys_.CurrentKeys(rows_), rows_);
}

// Stops the thread at each step in turn, as a kill would, and goes on with a new object over the same file.
TEST_F(KeyRotationTest, StoppedAtEveryStepItIsFinishedByTheNextStart) {
  int most = 0;
  for (int stop_at = 1; stop_at <= 60; ++stop_at) {
    const std::vector<KeyId> before = rows_;
    std::atomic<int> steps = 0;
    KeyRotation* running = nullptr;
    auto rotation = *Open();
    on_step_ = [&] {
      if (++steps == stop_at && running != nullptr) running->Stop();
    };
    running = rotation.get();
    ASSERT_TRUE(rotation->Start({"documents"}).ok());
    while (rotation->GetState().running && steps < stop_at) std::this_thread::yield();
    rotation.reset();
    on_step_ = nullptr;
    most = std::max(most, steps.load());
    rotation = *Open();
    Await(*rotation);
    EXPECT_FALSE(Written());
    EXPECT_EQ(*keys_.CurrentKeys(rows_), rows_);
    // Each key was replaced once and no more.
    EXPECT_EQ(*keys_.CurrentKeys(before), rows_);
    if (steps < stop_at) {
      EXPECT_GT(stop_at, 20);
      return;
    }
  }
  FAIL() << "it never ended by itself; " << most << " steps";
}

TEST_F(KeyRotationTest, WithoutRoomOnTheDiskItWaits) {
  free_bytes_min_ = ~uint64_t{0};
  auto rotation = *Open();
  ASSERT_TRUE(rotation->Start({"documents"}).ok());
  while (rotation->GetState().problem.empty()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_NE(rotation->GetState().problem.find("free space"), std::string::npos);
  EXPECT_EQ(rows_, first_);
  EXPECT_EQ(*keys_.CurrentKeys(first_), first_);
  rotation.reset();
  free_bytes_min_ = 0;
  rotation = *Open();
  Await(*rotation);
  EXPECT_NE(rows_, first_);
}

TEST_F(KeyRotationTest, ASecondStartLeavesTheOneUnderWay) {
  failure_ = Unavailable("the disk rests");
  auto rotation = *Open();
  ASSERT_TRUE(rotation->Start({"documents"}).ok());
  ASSERT_TRUE(rotation->Start({"rows"}).ok());
  EXPECT_EQ(rotation->GetState().levels, std::vector<std::string>{"documents"});
}

TEST_F(KeyRotationTest, FormerKeysAreDestroyedOnceNothingIsUnderThem) {
  auto rotation = *Open();
  ASSERT_TRUE(rotation->Start({"documents"}).ok());
  Await(*rotation);
  // Something comes back under a former key, as from a backup.
  rows_[3] = first_[3];
  const auto ended = rotation->EndFormerKeys();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->renewed, 1u);
  EXPECT_EQ(ended->destruction.destroyed, 10u);
  for (const KeyId& key : first_) EXPECT_EQ(keys_.GetKey(key).status().code(), StatusCode::kNotFound);
  for (const KeyId& key : rows_) EXPECT_TRUE(keys_.GetKey(key).ok());
  EXPECT_EQ(rotation->EndFormerKeys()->destruction.destroyed, 0u);
}

TEST_F(KeyRotationTest, NothingIsDestroyedWhenSealingAnewFails) {
  auto rotation = *Open();
  ASSERT_TRUE(rotation->Start({"documents"}).ok());
  Await(*rotation);
  failure_ = Unavailable("the disk rests");
  EXPECT_EQ(rotation->EndFormerKeys().status().code(), StatusCode::kUnavailable);
  for (const KeyId& key : first_) EXPECT_TRUE(keys_.GetKey(key).ok());
}

TEST_F(KeyRotationTest, AFileOfANewerVersionIsRefusedAndADamagedOneBeginsAnew) {
  ASSERT_TRUE(WriteFileAtomic(file_, std::string("\x02", 1), 0600).ok());
  EXPECT_EQ(Open().status().code(), StatusCode::kFailedPrecondition);
  ASSERT_TRUE(WriteFileAtomic(file_, std::string("\x01\x09garbage", 9), 0600).ok());
  auto rotation = *Open();
  Await(*rotation);
  EXPECT_FALSE(Written());
  EXPECT_NE(rows_, first_);
}

}  // namespace
}  // namespace cloister::services
