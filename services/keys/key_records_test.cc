// SPDX-License-Identifier: Apache-2.0
#include "services/keys/key_records.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "common/file.h"
#include "keyring/passphrase_anchor.h"
#include "services/server/test_authority.h"

namespace cloister::services {
namespace {

using nlohmann::json;

constexpr crypto::Argon2Cost kCheap{8, 1, 1};

class KeyRecordsTest : public ::testing::Test {
 protected:
  KeyRecordsTest() {
    keyring_ =
        *keyring::Keyring::Create({.path = directory_.path() / "keyring"},
                                  keyring::NewPassphraseAnchor("correct horse battery", kCheap), clock_);
    keyring_->TakeUse();
  }
  KeyRecordsOptions Options() {
    KeyRecordsOptions options;
    options.file = file_;
    return options;
  }
  StatusOr<std::unique_ptr<KeyRecords>> OpenWithoutLog() {
    return KeyRecords::Open(Options(), *keyring_, clock_, nullptr);
  }
  StatusOr<std::unique_ptr<KeyRecords>> OpenWithLog(KeyRecordsOptions options) {
    return KeyRecords::Open(std::move(options), *keyring_, clock_, [this](const v1::AppendRequest& record) {
      std::lock_guard lock(mutex_);
      log_.push_back(record);
      return answer_;
    });
  }
  std::vector<v1::AppendRequest> Logged(size_t count) {
    for (;;) {
      {
        std::lock_guard lock(mutex_);
        if (log_.size() >= count) return log_;
      }
      ::usleep(1000);
    }
  }
  json Saved() { return json::parse(*ReadFile(file_, 1 << 20)); }

  TestDirectory directory_;
  const std::filesystem::path file_ = directory_.path() / "unrecorded";
  SystemClock clock_;
  std::unique_ptr<keyring::Keyring> keyring_;
  std::mutex mutex_;
  std::vector<v1::AppendRequest> log_;
  Status answer_;
};

TEST_F(KeyRecordsTest, UseIsCountedTogetherOverRunsAndRecordedOnce) {
  {
    const auto records = OpenWithoutLog();
    ASSERT_TRUE(records.ok()) << records.status();
    ASSERT_TRUE(keyring_->CreateKeys("retrieval", storage::KeyKind::kDocument, 3).ok());
  }
  EXPECT_EQ(Saved()["wrapped"], 3);
  EXPECT_EQ(Saved()["sealed"], 1);
  ASSERT_TRUE(keyring_->CreateKeys("retrieval", storage::KeyKind::kDocument, 2).ok());
  KeyRecordsOptions options = Options();
  options.use_interval = options.save_interval = std::chrono::milliseconds(1);
  const auto records = OpenWithLog(options);
  const auto logged = Logged(1);
  EXPECT_EQ(logged[0].event(), "key.used");
  const json body = json::parse(logged[0].body_json());
  EXPECT_EQ(body["wrapped"], 5);
  EXPECT_EQ(body["unwrapped"], 0);
  EXPECT_EQ(body["sealed"], 2);
  EXPECT_EQ(body["epoch"], 1);
  EXPECT_LT(body["since"].get<std::string>(), body["until"].get<std::string>());
}

TEST_F(KeyRecordsTest, WhatTheLogDidNotTakeIsTakenInTheNextRun) {
  answer_ = Unavailable("no log yet");
  {
    const auto records = OpenWithLog(Options());
    (*records)->Add({"epoch", 0, "none is configured", "user", "n.okafor"});
    Logged(1);
  }
  ASSERT_EQ(Saved()["records"].size(), 1u);
  log_.clear();
  answer_ = absl::OkStatus();
  {
    const auto records = OpenWithLog(Options());
    const auto logged = Logged(1);
    EXPECT_EQ(logged[0].event(), "key.rotated");
    EXPECT_EQ(logged[0].actor(), "n.okafor");
  }
  EXPECT_TRUE(Saved()["records"].empty());
}

TEST_F(KeyRecordsTest, ARecordSaysWhatChangedAndIsTheSameWhenItIsSentTwice) {
  ASSERT_TRUE(keyring_->RotateEpoch().ok());
  answer_ = Unavailable("no log yet");
  std::string first;
  {
    const auto records = OpenWithLog(Options());
    (*records)->Add({"keys", 7, "replaced in /mnt", "service", "retrieval"});
    first = Logged(1)[0].body_json();
  }
  log_.clear();
  const auto records = OpenWithLog(Options());
  const auto again = Logged(1)[0];
  EXPECT_EQ(again.body_json(), first);
  EXPECT_EQ(again.event(), "key.destroyed");
  const json body = json::parse(first);
  EXPECT_EQ(body["count"], 7);
  EXPECT_EQ(body["epoch"], 2);
  EXPECT_EQ(body["anchor"], "passphrase");
  EXPECT_EQ(body["escrow"], "replaced in /mnt");
  EXPECT_EQ(body["event_id"].get<std::string>().size(), 32u);
}

TEST_F(KeyRecordsTest, AChangeWhoseRecordAKillTookIsRecordedAtTheNextStart) {
  { ASSERT_TRUE(OpenWithoutLog().ok()); }
  ASSERT_TRUE(keyring_->RotateEpoch().ok());
  const auto records = OpenWithLog(Options());
  const auto logged = Logged(1);
  EXPECT_EQ(logged[0].event(), "key.rotated");
  EXPECT_EQ(json::parse(logged[0].body_json())["level"], "unknown");
}

TEST_F(KeyRecordsTest, AnOlderKeyringIsRefusedAndTheFileLeftAsItWas) {
  ASSERT_TRUE(keyring_->RotateEpoch().ok());
  { ASSERT_TRUE(OpenWithoutLog().ok()); }
  json saved = Saved();
  saved["generation"] = keyring_->generation() + 1;
  ASSERT_TRUE(WriteFileAtomic(file_, saved.dump(), 0600).ok());
  const auto records = OpenWithoutLog();
  EXPECT_EQ(records.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(MessageOf(records.status()).find("older"), std::string::npos);
  EXPECT_EQ(Saved(), saved);
  EXPECT_EQ(LastGeneration(file_), keyring_->generation() + 1);
}

TEST_F(KeyRecordsTest, ARefusedRecordIsDroppedAndADamagedFileForgotten) {
  ASSERT_TRUE(WriteFileAtomic(file_, "{\"format\":1", 0600).ok());
  answer_ = PermissionDenied("not this one");
  {
    const auto records = OpenWithLog(Options());
    ASSERT_TRUE(records.ok());
    (*records)->Add({"epoch", 0, "", "service", "keys"});
    Logged(1);
    while (!Saved()["records"].empty()) ::usleep(1000);
  }
  EXPECT_EQ(log_.size(), 1u);
}

TEST_F(KeyRecordsTest, MoreRecordsThanThereIsRoomForAreCounted) {
  KeyRecordsOptions options = Options();
  options.records_max = 4;
  const auto records = KeyRecords::Open(std::move(options), *keyring_, clock_, nullptr);
  for (int i = 0; i < 7; ++i) (*records)->Add({"epoch", 0, "", "service", "keys"});
  EXPECT_EQ(Saved()["records"].size(), 4u);
  EXPECT_EQ(Saved()["dropped"], 3);
}

}  // namespace
}  // namespace cloister::services
