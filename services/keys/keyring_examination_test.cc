// SPDX-License-Identifier: Apache-2.0
#include "services/keys/keyring_examination.h"

#include <gtest/gtest.h>

#include <fstream>

#include "common/file.h"
#include "keyring/escrow.h"
#include "keyring/keyring_format.h"
#include "keyring/passphrase_anchor.h"
#include "services/keys/escrow_keeper.h"
#include "services/server/test_authority.h"

namespace cloister::services {
namespace {

constexpr crypto::Argon2Cost kCheap{8, 1, 1};
constexpr size_t kFileBytesMax = 1024 * 1024;

class KeyringExaminationTest : public ::testing::Test {
 protected:
  KeyringExaminationTest() {
    std::filesystem::create_directory(folder_);
    keyring_ = *keyring::Keyring::Create(
        {.path = path_}, keyring::NewPassphraseAnchor("correct horse battery", kCheap), clock_);
    EXPECT_TRUE(keyring_->CreateKeys("retrieval", storage::KeyKind::kDocument, 5).ok());
    EscrowKeeper(*keyring_, folder_, path_, clock_).Refresh();
  }
  storage::Examination Examine() {
    storage::Examination out;
    const Status status = ExamineKeyring(*keyring_, path_, folder_, {}, out);
    EXPECT_TRUE(status.ok()) << status;
    return out;
  }
  storage::Finding Only() {
    const storage::Examination out = Examine();
    EXPECT_EQ(out.findings_total(), 1u);
    return out.findings().empty() ? storage::Finding() : out.findings().front();
  }
  std::filesystem::path Copy() const { return std::filesystem::directory_iterator(folder_)->path(); }
  static std::string Read(const std::filesystem::path& path) { return *ReadFile(path, kFileBytesMax); }
  static void Write(const std::filesystem::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
  }

  TestDirectory directory_;
  const std::filesystem::path path_ = directory_.path() / "keyring";
  const std::filesystem::path folder_ = directory_.path() / "escrow";
  SystemClock clock_;
  std::unique_ptr<keyring::Keyring> keyring_;
};

TEST_F(KeyringExaminationTest, AHealthyKeyringOpensEveryKeyAndHasItsCopy) {
  const storage::Examination out = Examine();
  EXPECT_EQ(out.findings_total(), 0u);
  ASSERT_EQ(out.parts().size(), 2u);
  EXPECT_EQ(out.parts()[0].checked, 5u);
  EXPECT_EQ(out.parts()[1].name, "escrow");
  EXPECT_EQ(out.parts()[1].checked, 1u);
  const keyring::EpochKeyUse use = keyring_->TakeUse();
  EXPECT_GE(use.unwrapped, 5u) << "every key was unwrapped";
  storage::Examination without;
  ASSERT_TRUE(ExamineKeyring(*keyring_, path_, "", {}, without).ok());
  EXPECT_EQ(without.findings_total(), 0u) << "that there is none is for `status` to say";
}

TEST_F(KeyringExaminationTest, ACopyThatIsMissingDamagedOrOfAFormerEpochIsTold) {
  const std::string before = Read(Copy());
  Write(Copy(), before.substr(0, 20));
  EXPECT_NE(Only().problem.find("cannot be read"), std::string::npos);
  Write(Copy(), before);
  EXPECT_EQ(Examine().findings_total(), 0u);
  ASSERT_TRUE(keyring_->RotateEpoch().ok());
  EXPECT_NE(Only().problem.find("of epoch 1, the keyring of 2"), std::string::npos);
  EXPECT_NE(Only().remedy.find("cloister keys escrow"), std::string::npos);
  std::filesystem::remove(Copy());
  EXPECT_NE(Only().problem.find("no copy"), std::string::npos);
}

TEST_F(KeyringExaminationTest, ACopyThatLacksKeysIsToldWithHowMany) {
  ASSERT_TRUE(keyring_->CreateKeys("retrieval", storage::KeyKind::kDocument, 3).ok());
  EXPECT_NE(Only().problem.find("is behind"), std::string::npos);
  EXPECT_NE(Only().problem.find("lacks 3 keys"), std::string::npos) << Only().problem;
  ASSERT_TRUE(keyring_->ChangeMarks({std::string(storage::kMarkBytes, 'm')}, {}).ok());
  EXPECT_NE(Only().problem.find("lacks 4 keys or marks"), std::string::npos) << Only().problem;
  EscrowKeeper(*keyring_, folder_, path_, clock_).Refresh();
  EXPECT_EQ(Examine().findings_total(), 0u);
}

// Every byte of it counts: header, sealed key, the keyring inside and the digest.
TEST_F(KeyringExaminationTest, EveryChangeOfTheCopyIsTold) {
  const std::string copy = Read(Copy());
  for (size_t i = 0; i < copy.size(); i += 7) {
    std::string altered = copy;
    altered[i] = static_cast<char>(altered[i] ^ 1);
    Write(Copy(), altered);
    EXPECT_EQ(Examine().findings_total(), 1u) << i;
  }
  // One that somebody made with right digests and without the epoch key.
  const auto snapshot = keyring_->TakeSnapshot();
  ASSERT_TRUE(snapshot.ok());
  const std::string forged =
      keyring::SealKeyring(crypto::Secret(std::string(32, 'f')), snapshot->header, {}, {});
  Write(Copy(),
        keyring::SealEscrow({forged, snapshot->header, snapshot->epoch_key.Clone(), std::nullopt}, clock_));
  EXPECT_NE(Only().problem.find("does not open with its epoch key"), std::string::npos) << Only().problem;
}

TEST_F(KeyringExaminationTest, ACopyOfAnotherApplianceIsTold) {
  const auto other =
      *keyring::Keyring::Create({.path = directory_.path() / "other"},
                                keyring::NewPassphraseAnchor("correct horse battery", kCheap), clock_);
  Write(Copy(), keyring::SealEscrow(*other->TakeSnapshot(), clock_));
  EXPECT_NE(Only().problem.find("of another appliance"), std::string::npos) << Only().problem;
  EXPECT_NE(Only().remedy.find("move it away"), std::string::npos);
}

TEST_F(KeyringExaminationTest, ACopyThatIsNewerOrForOtherSharesIsTold) {
  const auto copy = *keyring::ParseEscrow(Read(Copy()));
  const auto snapshot = *keyring_->TakeSnapshot();
  keyring::Keyring::Snapshot newer{snapshot.file, snapshot.header, snapshot.epoch_key.Clone(),
                                   snapshot.recovery};
  newer.header.generation += 5;
  newer.file = keyring::SealKeyring(newer.epoch_key, newer.header, {}, {});
  Write(Copy(), keyring::SealEscrow(newer, clock_));
  EXPECT_NE(Only().problem.find("newer than the keyring"), std::string::npos) << Only().problem;
  EXPECT_NE(Only().remedy.find("cloister keys recover"), std::string::npos);
  Write(Copy(), keyring::SealEscrow(snapshot, clock_));
  EXPECT_EQ(Examine().findings_total(), 0u);
  keyring::RecoveryKey recovery{std::string(16, 's'), std::string(32, 'p'), 2, 3, 0};
  ASSERT_TRUE(keyring_->SetRecovery(recovery).ok());
  EXPECT_NE(Only().problem.find("not for the present recovery key"), std::string::npos) << Only().problem;
}

TEST_F(KeyringExaminationTest, AFileThatIsNotTheOneThatIsOpenIsTold) {
  const std::string former = Read(path_);
  ASSERT_TRUE(keyring_->CreateKeys("retrieval", storage::KeyKind::kDocument, 1).ok());
  EscrowKeeper(*keyring_, folder_, path_, clock_).Refresh();
  const std::string present = Read(path_);
  Write(path_, former);
  EXPECT_NE(Only().problem.find("older than the keyring that is open"), std::string::npos);
  Write(path_, "no keyring");
  EXPECT_NE(Only().problem.find("cannot be read any more"), std::string::npos);
  EXPECT_NE(Only().remedy.find("do not stop the appliance"), std::string::npos);
  Write(path_, present);
  EXPECT_EQ(Examine().findings_total(), 0u);
}

}  // namespace
}  // namespace cloister::services
