// SPDX-License-Identifier: Apache-2.0
#include "services/keys/freshness_keeper.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>

#include "common/file.h"
#include "keyring/memory_counter.h"
#include "keyring/passphrase_anchor.h"
#include "services/server/test_authority.h"
#include "storage/small_disk.h"

namespace cloister::services {
namespace {

namespace fs = std::filesystem;

constexpr crypto::Argon2Cost kCheap{8, 1, 1};
constexpr const char* kPassphrase = "correct horse battery";

FreshStore StoreAt(uint64_t sequence, char id = 'd') {
  return {*DatabaseId::FromBytes(std::string(16, id)), sequence};
}
FreshLog LogAt(uint64_t size, char root = 'r') { return {"clinic/main/1", size, std::string(32, root)}; }

class FreshnessKeeperTest : public testing::Test {
 protected:
  FreshnessKeeperTest() {
    EXPECT_TRUE(MakePrivateDirectory(data_ / "keys").ok() && MakePrivateDirectory(escrow_).ok());
    keyring_ = *keyring::Keyring::Create({.path = data_ / "keys" / "keyring"},
                                         keyring::NewPassphraseAnchor(kPassphrase, kCheap), clock_);
  }
  StatusOr<std::unique_ptr<FreshnessKeeper>> Open() {
    FreshnessOptions options;
    options.file = FreshnessPath(data_);
    if (with_escrow_) options.escrow_folder = escrow_;
    if (with_counter_) options.counter = std::make_unique<keyring::MemoryCounter>(device_);
    return FreshnessKeeper::Open(std::move(options), *keyring_, clock_);
  }
  // Everything in the data directory as it is now, to be put back later.
  std::string TakeStatement() const { return *ReadFile(FreshnessPath(data_), 1 << 20); }
  void PutBack(const std::string& statement) {
    ASSERT_TRUE(WriteFileAtomic(FreshnessPath(data_), statement, 0600).ok());
  }
  void ExpectOlder(const Status& status, std::string_view what) {
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition) << status;
    EXPECT_NE(MessageOf(status).find(what), std::string::npos) << status;
    EXPECT_NE(MessageOf(status).find("accept-older"), std::string::npos) << status;
  }

  TestDirectory directory_;
  const fs::path data_ = directory_.path() / "data", escrow_ = directory_.path() / "escrow";
  FakeClock clock_{WallTime(std::chrono::hours(500'000))};
  std::unique_ptr<keyring::Keyring> keyring_;
  std::shared_ptr<keyring::MemoryCounterDevice> device_ = std::make_shared<keyring::MemoryCounterDevice>();
  bool with_escrow_ = false, with_counter_ = false;
};

TEST_F(FreshnessKeeperTest, StatesAndRemembers) {
  {
    auto keeper = Open();
    ASSERT_TRUE(keeper.ok()) << keeper.status();
    EXPECT_TRUE((*keeper)->StoresOf("retrieval").empty());
    EXPECT_FALSE((*keeper)->StatedLog().has_value());
    ASSERT_TRUE((*keeper)->Note("retrieval", {{"db", StoreAt(7)}}, std::nullopt).ok());
    ASSERT_TRUE((*keeper)->Note("audit", {{"sections", StoreAt(3, 's')}}, LogAt(5)).ok());
  }
  auto keeper = Open();
  ASSERT_TRUE(keeper.ok()) << keeper.status();
  EXPECT_EQ((*keeper)->StoresOf("retrieval"), (std::map<std::string, FreshStore>{{"db", StoreAt(7)}}));
  EXPECT_EQ((*keeper)->StatedLog(), LogAt(5));
  EXPECT_EQ((*keeper)->state().statement.keyring, keyring_->generation());
  // A note that says nothing new writes nothing.
  const uint64_t number = (*keeper)->state().statement.number;
  ASSERT_TRUE((*keeper)->Note("retrieval", {{"db", StoreAt(7)}}, std::nullopt).ok());
  EXPECT_EQ((*keeper)->state().statement.number, number);
}

TEST_F(FreshnessKeeperTest, WhatIsOlderOrAnotherIsRefusedAndNothingChanges) {
  auto keeper = *Open();
  ASSERT_TRUE(keeper->Note("retrieval", {{"db", StoreAt(7)}}, std::nullopt).ok());
  ASSERT_TRUE(keeper->Note("audit", {}, LogAt(5)).ok());
  const FreshnessStatement before = keeper->state().statement;
  ExpectOlder(keeper->Note("retrieval", {{"db", StoreAt(6)}}, std::nullopt), "retrieval/db is older");
  ExpectOlder(keeper->Note("retrieval", {{"db", StoreAt(9, 'e')}}, std::nullopt), "retrieval/db is another");
  ExpectOlder(keeper->Note("audit", {}, LogAt(4)), "shorter");
  ExpectOlder(keeper->Note("audit", {}, LogAt(5, 'x')), "replaced");
  FreshLog elsewhere = LogAt(9);
  elsewhere.origin = "clinic/main/2";
  ExpectOlder(keeper->Note("audit", {}, elsewhere), "clinic/main/2");
  EXPECT_EQ(keeper->state().statement, before);
  // The same name under another owner is another database.
  EXPECT_TRUE(keeper->Note("ingest", {{"db", StoreAt(1, 'i')}}, std::nullopt).ok());
  EXPECT_EQ(keeper->Note("ingest", {{"a b", StoreAt(1, 'i')}}, std::nullopt).code(),
            StatusCode::kInvalidArgument);
}

TEST_F(FreshnessKeeperTest, EveryFlippedBitAndEveryLengthIsRefused) {
  Open().value()->Note("retrieval", {{"db", StoreAt(7)}}, LogAt(2)).IgnoreError();
  const std::string good = TakeStatement();
  uint64_t refused = 0;
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    PutBack(bad);
    const auto opened = ReadFreshness(FreshnessPath(data_), *keyring_);
    refused += opened.ok() ? 0 : 1;
    EXPECT_FALSE(opened.ok()) << "bit " << bit;
  }
  for (size_t length = 0; length < good.size(); ++length) {
    PutBack(good.substr(0, length));
    const auto opened = ReadFreshness(FreshnessPath(data_), *keyring_);
    refused += opened.ok() ? 0 : 1;
    EXPECT_FALSE(opened.ok()) << "length " << length;
  }
  EXPECT_EQ(refused, good.size() * 9);
  PutBack(good);
  EXPECT_TRUE(Open().ok());
}

TEST_F(FreshnessKeeperTest, AMissingStatementIsNotAFreshStart) {
  EXPECT_TRUE(Open().ok());
  ASSERT_TRUE(keyring_->CreateKeys("retrieval", storage::KeyKind::kDocument, 1).ok());
  fs::remove(FreshnessPath(data_));
  ExpectOlder(Open().status(), "is missing");
}

// Killed after its key was made and before the first statement was written.
TEST_F(FreshnessKeeperTest, AnInterruptedFirstStartBeginsAgain) {
  ASSERT_TRUE(keyring_->GetNamedKey("keys", storage::KeyKind::kSigning, "freshness").ok());
  EXPECT_TRUE(Open().ok());
}

TEST_F(FreshnessKeeperTest, AnOlderKeyringIsRefused) {
  const std::string older = *ReadFile(data_ / "keys" / "keyring", 1 << 20);
  EXPECT_TRUE(Open().ok());
  ASSERT_TRUE(keyring_->CreateKeys("retrieval", storage::KeyKind::kDocument, 1).ok());
  EXPECT_TRUE(Open().ok());
  const std::string newer = *ReadFile(data_ / "keys" / "keyring", 1 << 20);
  for (const bool has_key : {false, true}) {
    keyring_.reset();
    ASSERT_TRUE(WriteFileAtomic(data_ / "keys" / "keyring", older, 0600).ok());
    keyring_ = *keyring::Keyring::Open({.path = data_ / "keys" / "keyring"},
                                       keyring::NewPassphraseAnchor(kPassphrase), clock_);
    // From before the key of statements, or from after it.
    if (has_key) {
      keyring_.reset();
      ASSERT_TRUE(WriteFileAtomic(data_ / "keys" / "keyring", newer, 0600).ok());
      keyring_ = *keyring::Keyring::Open({.path = data_ / "keys" / "keyring"},
                                         keyring::NewPassphraseAnchor(kPassphrase), clock_);
      const std::string image = *ReadFile(data_ / "keys" / "keyring", 1 << 20);
      ASSERT_TRUE(keyring_->CreateKeys("retrieval", storage::KeyKind::kDocument, 1).ok());
      EXPECT_TRUE(Open().ok());
      keyring_.reset();
      ASSERT_TRUE(WriteFileAtomic(data_ / "keys" / "keyring", image, 0600).ok());
      keyring_ = *keyring::Keyring::Open({.path = data_ / "keys" / "keyring"},
                                         keyring::NewPassphraseAnchor(kPassphrase), clock_);
    }
    const auto opened = Open();
    EXPECT_EQ(opened.status().code(), StatusCode::kFailedPrecondition);
    EXPECT_NE(MessageOf(opened.status()).find("older"), std::string::npos) << opened.status();
  }
}

TEST_F(FreshnessKeeperTest, AStatementPutBackIsSeenByTheEscrowedCopy) {
  with_escrow_ = true;
  auto keeper = *Open();
  const std::string older = TakeStatement();
  ASSERT_TRUE(keeper->Note("retrieval", {{"db", StoreAt(7)}}, std::nullopt).ok());
  EXPECT_TRUE(keeper->state().escrowed);
  keeper.reset();  // The end of a run copies, as each minute does.
  PutBack(older);
  ExpectOlder(Open().status(), "escrowed");
  // Without the folder nothing tells; that is what status says.
  with_escrow_ = false;
  EXPECT_TRUE(Open().ok());
}

TEST_F(FreshnessKeeperTest, AFolderThatIsAwayStopsNothing) {
  with_escrow_ = true;
  fs::remove_all(escrow_);
  auto keeper = Open();
  ASSERT_TRUE(keeper.ok()) << keeper.status();
  EXPECT_FALSE((*keeper)->state().escrowed);
  EXPECT_FALSE(fs::exists(escrow_));
  ASSERT_TRUE(MakePrivateDirectory(escrow_).ok());
  (*keeper)->Tick();
  EXPECT_TRUE((*keeper)->state().escrowed);
}

TEST_F(FreshnessKeeperTest, AnImageFromBeforeACountIsRefused) {
  with_counter_ = true;
  auto keeper = *Open();
  const uint64_t first = keeper->state().statement.count;
  EXPECT_GT(first, 0u);
  const std::string image = TakeStatement();
  keeper.reset();
  // A start counts; so does a change of epoch; so does a day.
  keeper = *Open();
  EXPECT_EQ(keeper->state().statement.count, first + 1);
  keeper->AfterChangeOfEpoch();
  EXPECT_EQ(keeper->state().statement.count, first + 2);
  keeper->Tick();
  EXPECT_EQ(keeper->state().statement.count, first + 2);
  clock_.Advance(std::chrono::hours(25));
  keeper->Tick();
  EXPECT_EQ(keeper->state().statement.count, first + 3);
  EXPECT_EQ(device_->counts.at(keeper->state().statement.counter), first + 3);
  keeper.reset();
  const std::string newest = TakeStatement();
  PutBack(image);
  ExpectOlder(Open().status(), "the device counted");
  PutBack(newest);
  EXPECT_TRUE(Open().ok());
}

TEST_F(FreshnessKeeperTest, AStopBetweenStatementAndDeviceIsNoRollback) {
  with_counter_ = true;
  Open().value().reset();
  // Stated, not counted.
  device_->failure = Unavailable("gone");
  EXPECT_EQ(Open().status().code(), StatusCode::kUnavailable);
  device_->failure = absl::OkStatus();
  auto keeper = *Open();
  const auto stop = [&](Status failure, bool after) {
    device_->fail_after_counting = after;
    device_->failure = failure;
    keeper->AfterChangeOfEpoch();
    device_->failure = absl::OkStatus();
    keeper.reset();
    auto again = Open();
    ASSERT_TRUE(again.ok()) << again.status();
    keeper = *std::move(again);
  };
  stop(Unavailable("gone"), false);
  stop(absl::OkStatus(), true);
}

TEST_F(FreshnessKeeperTest, ADeviceThatIsGoneExchangedOrForgottenInTheConfigurationIsRefused) {
  with_counter_ = true;
  Open().value().reset();
  Open().value().reset();
  with_counter_ = false;
  ExpectOlder(Open().status(), "keys.rollback_counter names none");
  with_counter_ = true;
  const auto counts = device_->counts;
  device_->counts.clear();
  ExpectOlder(Open().status(), "is gone");
  device_->counts = counts;
  device_->counts.begin()->second -= 2;
  ExpectOlder(Open().status(), "another device");
  device_->counts = counts;
  EXPECT_TRUE(Open().ok());
}

TEST_F(FreshnessKeeperTest, MovesToAnotherDeviceAndToNone) {
  auto keeper = *Open();
  EXPECT_TRUE(keeper->state().statement.counter.empty());
  ASSERT_TRUE(keeper->UseCounter(std::make_unique<keyring::MemoryCounter>(device_)).ok());
  EXPECT_FALSE(keeper->state().statement.counter.empty());
  keeper.reset();
  with_counter_ = true;
  keeper = *Open();
  ASSERT_TRUE(keeper->UseCounter(nullptr).ok());
  keeper.reset();
  with_counter_ = false;
  EXPECT_TRUE(Open().ok());
}

TEST_F(FreshnessKeeperTest, ARestatementGoesOnFromTheNewestThatIsAuthentic) {
  with_escrow_ = true;
  {
    auto keeper = *Open();
    ASSERT_TRUE(keeper->Note("retrieval", {{"db", StoreAt(7)}}, LogAt(4)).ok());
    keeper->Tick();
  }
  const uint64_t number = ReadFreshness(FreshnessPath(data_), *keyring_)->value().number;
  PutBack("nonsense");  // The copy is what is left.
  ASSERT_TRUE(
      RestateFreshness(FreshnessPath(data_), escrow_, *keyring_, clock_, [](FreshnessStatement& next) {
        EXPECT_EQ(next.stores.size(), 1u);
        next.stores.clear();
      }).ok());
  const FreshnessStatement next = ReadFreshness(FreshnessPath(data_), *keyring_)->value();
  EXPECT_EQ(next.number, number + 1);
  EXPECT_TRUE(next.stores.empty());
  EXPECT_EQ(next.log, LogAt(4));
  EXPECT_TRUE(Open().ok());
  fs::remove(FreshnessPath(data_));
  fs::remove_all(escrow_);
  ASSERT_TRUE(RestateFreshness(FreshnessPath(data_), "", *keyring_, clock_, [](FreshnessStatement&) {}).ok());
  EXPECT_EQ(ReadFreshness(FreshnessPath(data_), *keyring_)->value().number, 1u);
}

// In a process of its own, which has a small disk: 0 when it started, 2 when the kernel allows no such disk.
int OpenOnAFullDisk(const fs::path& disk) {
  if (!storage::MountSmallDisk(disk)) return 2;
  const SystemClock clock;
  if (!MakePrivateDirectory(disk / "keys").ok()) return 3;
  const auto keyring = keyring::Keyring::Create({.path = disk / "keys" / "keyring"},
                                                keyring::NewPassphraseAnchor(kPassphrase, kCheap), clock);
  const auto open = [&] {
    FreshnessOptions options;
    options.file = FreshnessPath(disk);
    return FreshnessKeeper::Open(std::move(options), **keyring, clock);
  };
  if (!open().ok()) return 4;
  storage::TakeTheRest(disk / "rest");
  const auto again = open();
  if (!again.ok()) return 5;
  if ((*again)->Note("audit", {{"sections", StoreAt(1)}}, std::nullopt).code() !=
      StatusCode::kResourceExhausted)
    return 6;
  fs::remove(disk / "rest");
  return (*again)->Note("audit", {{"sections", StoreAt(1)}}, std::nullopt).ok() ? 0 : 7;
}

TEST(FreshnessKeeperDiskTest, AFullDiskStopsNoStart) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const TestDirectory directory;
  EXPECT_EXIT(
      std::_Exit(OpenOnAFullDisk(directory.path())),
      [](int status) { return WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 2); },
      "");
}

}  // namespace
}  // namespace cloister::services
