// SPDX-License-Identifier: Apache-2.0
#include "services/keys/keyring_examination.h"

#include <gtest/gtest.h>

#include <fstream>

#include "common/file.h"
#include "keyring/escrow.h"
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

TEST_F(KeyringExaminationTest, AFileThatIsNotTheOneThatIsOpenIsTold) {
  const std::string former = Read(path_);
  ASSERT_TRUE(keyring_->CreateKeys("retrieval", storage::KeyKind::kDocument, 1).ok());
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
