// SPDX-License-Identifier: Apache-2.0
#include "services/keys/escrow_keeper.h"

#include <gtest/gtest.h>

#include "keyring/passphrase_anchor.h"
#include "services/server/test_authority.h"

namespace cloister::services {
namespace {

constexpr crypto::Argon2Cost kCheap{8, 1, 1};

class EscrowKeeperTest : public ::testing::Test {
 protected:
  EscrowKeeperTest() {
    std::filesystem::create_directory(folder_);
    keyring_ = *keyring::Keyring::Create(
        {.path = path_}, keyring::NewPassphraseAnchor("correct horse battery", kCheap), clock_);
  }
  std::unique_ptr<EscrowKeeper> Keeper() {
    return std::make_unique<EscrowKeeper>(*keyring_, folder_, path_, clock_);
  }

  TestDirectory directory_;
  const std::filesystem::path path_ = directory_.path() / "keyring";
  const std::filesystem::path folder_ = directory_.path() / "escrow";
  SystemClock clock_;
  std::unique_ptr<keyring::Keyring> keyring_;
};

TEST_F(EscrowKeeperTest, RefreshTakesInWhatIsNewAndACopyOfAnOlderEpoch) {
  Keeper()->Refresh();
  EXPECT_TRUE(Keeper()->state().present);
  EXPECT_TRUE(Keeper()->state().same_device);
  ASSERT_TRUE(keyring_->CreateKeys("retrieval", storage::KeyKind::kDocument, 1).ok());
  ASSERT_TRUE(keyring_->RotateEpoch().ok());
  const auto keeper = Keeper();
  EXPECT_EQ(keeper->state().behind, 2u);
  keeper->Refresh();
  EXPECT_EQ(keeper->state().behind, 0u);
  EXPECT_EQ(keyring::ReadEscrowHeader(folder_, keyring_->appliance_id())->epoch, 2u);
}

TEST_F(EscrowKeeperTest, SaysWhatFailedAndRecoversOnceTheFolderIsBack) {
  const auto keeper = Keeper();
  std::filesystem::remove(folder_);
  keeper->Refresh();
  EXPECT_NE(keeper->state().problem.find("not there"), std::string::npos);
  EXPECT_EQ(keeper->AfterChangeOfEpoch().status().code(), StatusCode::kUnavailable);
  std::filesystem::create_directory(folder_);
  EXPECT_EQ(*keeper->AfterChangeOfEpoch(), "replaced in " + folder_.string());
  EXPECT_TRUE(keeper->state().problem.empty());
}

TEST_F(EscrowKeeperTest, WithoutAFolderThereIsNothingToDo) {
  EscrowKeeper keeper(*keyring_, "", path_, clock_);
  keeper.Refresh();
  EXPECT_EQ(*keeper.AfterChangeOfEpoch(), "none is configured");
  EXPECT_EQ(keeper.Replace().status().code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(keeper.state().folder.empty());
}

TEST_F(EscrowKeeperTest, AKeyringOlderThanItsCopyIsFound) {
  Keeper()->Refresh();
  const DatabaseId id = keyring_->appliance_id();
  EXPECT_TRUE(CheckNotOlderThanEscrow(folder_, id, keyring_->generation()).ok());
  EXPECT_TRUE(CheckNotOlderThanEscrow(folder_, id, keyring_->generation() + 1).ok());
  EXPECT_EQ(CheckNotOlderThanEscrow(folder_, id, keyring_->generation() - 1).code(),
            StatusCode::kFailedPrecondition);
  EXPECT_TRUE(CheckNotOlderThanEscrow("", id, 0).ok());
}

}  // namespace
}  // namespace cloister::services
