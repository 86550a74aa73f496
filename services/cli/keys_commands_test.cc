// SPDX-License-Identifier: Apache-2.0
// `cloister keys` on a stopped appliance: changing the passphrase, and recovering from an escrowed copy.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "common/clock.h"
#include "common/file.h"
#include "keyring/escrow.h"
#include "keyring/passphrase_anchor.h"
#include "keyring/recovery.h"
#include "services/cli/commands.h"
#include "services/keys/key_records.h"
#include "services/keys/keys_service.h"
#include "services/server/test_authority.h"

namespace cloister::services {
namespace {

constexpr size_t kAll = 1 << 24;
constexpr crypto::Argon2Cost kCheap{8, 1, 1};
constexpr const char* kFormer = "correct horse battery";
constexpr const char* kNext = "five random words are better";

struct Result {
  int exit = -1;
  std::string out;
  std::string error;
};

class KeysCommandsTest : public ::testing::Test {
 protected:
  KeysCommandsTest() {
    EXPECT_TRUE(MakePrivateDirectory(data_ / "keys").ok());
    EXPECT_TRUE(MakePrivateDirectory(directory_.path() / "escrow").ok());
    const auto keyring = *keyring::Keyring::Create({.path = KeyringPath(data_)},
                                                   keyring::NewPassphraseAnchor(kFormer, kCheap), clock_);
    kept_ = (*keyring->CreateKeys("retrieval", storage::KeyKind::kDocument, 1))[0].id;
    const auto gone = (*keyring->CreateKeys("retrieval", storage::KeyKind::kDocument, 1))[0].id;
    set_ = *keyring::MakeRecovery(2, 3, clock_);
    EXPECT_TRUE(keyring->SetRecovery(set_.key).ok());
    EXPECT_TRUE(keyring->DestroyKeys("retrieval", {gone}, storage::DestroyFor::kErasure).ok());
    gone_ = gone;
    appliance_ = keyring->appliance_id();
    EXPECT_TRUE(
        keyring::WriteEscrow(escrow_, appliance_, keyring::SealEscrow(*keyring->TakeSnapshot(), clock_))
            .ok());
    former_ = Write("former", kFormer);
    next_ = Write("next", kNext);
    for (size_t i = 0; i < 3; ++i) {
      shares_.push_back(Write("share-" + std::to_string(i + 1), std::string(set_.shares[i].view())));
    }
  }
  std::string Write(const std::string& name, const std::string& text) {
    const auto path = directory_.path() / name;
    std::ofstream(path) << text << "\n";
    EXPECT_EQ(::chmod(path.c_str(), 0600), 0);
    return path.string();
  }
  Result Run(std::vector<std::string> arguments, const std::filesystem::path& data) {
    std::ostringstream out;
    std::ostringstream error;
    CLI::App app;
    app.fallthrough();
    CliContext context(out, error);
    app.add_option("--data", context.data_flag);
    AddKeyringCommands(app, context);
    arguments.insert(arguments.begin(), "keys");
    arguments.insert(arguments.end(), {"--data", data.string()});
    std::reverse(arguments.begin(), arguments.end());
    app.parse(arguments);
    const int exit = context.command();
    EXPECT_EQ((out.str() + error.str()).find(kFormer), std::string::npos);
    EXPECT_EQ((out.str() + error.str()).find(kNext), std::string::npos);
    return {exit, out.str(), error.str()};
  }
  Result Recover(std::vector<std::string> more) {
    more.insert(more.begin(), {"recover", "--escrow", keyring::EscrowPath(escrow_, appliance_).string(),
                               "--passphrase-file", next_});
    return Run(more, restored_);
  }
  StatusOr<std::unique_ptr<keyring::Keyring>> Open(const std::filesystem::path& data,
                                                   const char* passphrase) {
    return keyring::Keyring::Open({.path = KeyringPath(data)}, keyring::NewPassphraseAnchor(passphrase),
                                  clock_);
  }

  TestDirectory directory_;
  const std::filesystem::path data_ = directory_.path() / "data";
  const std::filesystem::path restored_ = directory_.path() / "restored";
  const std::filesystem::path escrow_ = directory_.path() / "escrow";
  SystemClock clock_;
  KeyId kept_, gone_;
  DatabaseId appliance_;
  keyring::RecoverySet set_;
  std::string former_, next_;
  std::vector<std::string> shares_;
};

TEST_F(KeysCommandsTest, RotatesThePassphraseOfAStoppedApplianceAndTheCopyWithIt) {
  std::ofstream(data_ / "cloister.toml") << "[keys]\nescrow_directory = \"" << escrow_.string() << "\"\n";
  const uint32_t epoch = keyring::ReadEscrowHeader(escrow_, appliance_)->epoch;
  Result result =
      Run({"rotate", "passphrase", "--passphrase-file", next_, "--new-passphrase-file", next_}, data_);
  EXPECT_EQ(result.exit, kExitWrongPassphrase);
  EXPECT_NE(result.error.find("wrong passphrase"), std::string::npos);
  result = Run({"rotate", "passphrase", "--passphrase-file", former_, "--new-passphrase-file", next_}, data_);
  ASSERT_EQ(result.exit, kExitOk) << result.error;
  EXPECT_EQ(Open(data_, kFormer).status().code(), StatusCode::kUnauthenticated);
  EXPECT_TRUE(Open(data_, kNext).ok());
  EXPECT_EQ(keyring::ReadEscrowHeader(escrow_, appliance_)->epoch, epoch + 1);
  // For the log, once the appliance runs again.
  EXPECT_NE(ReadFile(UnrecordedPath(data_), kAll)->find("key.rotated"), std::string::npos);
}

TEST_F(KeysCommandsTest, SaysThatTheCopyCouldNotBeReplaced) {
  std::ofstream(data_ / "cloister.toml")
      << "[keys]\nescrow_directory = \"" << (escrow_ / "absent").string() << "\"\n";
  const Result result =
      Run({"rotate", "passphrase", "--passphrase-file", former_, "--new-passphrase-file", next_}, data_);
  EXPECT_EQ(result.exit, kExitFailed);
  EXPECT_NE(result.out.find("mount the folder"), std::string::npos) << result.out << result.error;
  EXPECT_TRUE(Open(data_, kNext).ok());
}

TEST_F(KeysCommandsTest, RefusesToMoveToADeviceThatIsNotThereAndChangesNothing) {
  const std::string before = *ReadFile(KeyringPath(data_), kAll);
  std::ofstream(data_ / "cloister.toml")
      << "[keys]\ntpm_tcti = \"device:" << (directory_.path() / "no-tpm").string() << "\"\n";
  Result result =
      Run({"rotate", "anchor", "--to", "tpm", "--passphrase-file", former_, "--new-passphrase-file", next_},
          data_);
  EXPECT_EQ(result.exit, kExitFailed);
  EXPECT_FALSE(result.error.empty());
  result = Run(
      {"rotate", "anchor", "--to", "pkcs11", "--passphrase-file", former_, "--new-passphrase-file", next_},
      data_);
  EXPECT_EQ(result.exit, kExitFailed);
  EXPECT_NE(result.error.find("keys.pkcs11_module"), std::string::npos);
  EXPECT_EQ(*ReadFile(KeyringPath(data_), kAll), before);
}

TEST_F(KeysCommandsTest, SharesRecoverWhatIsThereAndNotWhatWasDestroyed) {
  const Result result = Recover({"--share-file", shares_[2], "--share-file", shares_[0]});
  ASSERT_EQ(result.exit, kExitOk) << result.error;
  EXPECT_NE(result.out.find("Recovered 2 keys"), std::string::npos) << result.out;
  const auto keyring = Open(restored_, kNext);
  ASSERT_TRUE(keyring.ok()) << keyring.status();
  EXPECT_TRUE((*keyring)->GetKey("retrieval", kept_).ok());
  EXPECT_EQ((*keyring)->GetKey("retrieval", gone_).status().code(), StatusCode::kNotFound);
  // Once there is a keyring, it is left alone.
  const std::string before = *ReadFile(KeyringPath(restored_), kAll);
  const Result again = Recover({"--share-file", shares_[1], "--share-file", shares_[0]});
  EXPECT_EQ(again.exit, kExitFailed);
  EXPECT_NE(again.error.find("already"), std::string::npos);
  EXPECT_EQ(*ReadFile(KeyringPath(restored_), kAll), before);
}

TEST_F(KeysCommandsTest, SaysWhatIsWrongWithSharesAndMakesNothing) {
  std::string text(set_.shares[1].view());
  std::swap(text[text.size() - 1], text[text.size() - 2]);
  text[text.size() - 12] = text[text.size() - 12] == '0' ? '1' : '0';
  const std::string typo = Write("typo", text);
  const std::string other =
      Write("other", std::string((*keyring::MakeRecovery(2, 3, clock_)).shares[1].view()));
  for (const auto& [files, words] : std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{shares_[0]}, "takes 2 different shares"},
           {{shares_[0], shares_[0]}, "given twice"},
           {{shares_[0], typo}, "typing error"},
           {{shares_[0], other}, "is of set"},
           {{shares_[0], former_}, "this is no share"}}) {
    std::vector<std::string> arguments;
    for (const std::string& file : files) arguments.insert(arguments.end(), {"--share-file", file});
    const Result result = Recover(arguments);
    EXPECT_EQ(result.exit, kExitFailed);
    EXPECT_NE(result.error.find(words), std::string::npos) << result.error;
    EXPECT_FALSE(std::filesystem::exists(KeyringPath(restored_)));
  }
}

TEST_F(KeysCommandsTest, TheFormerPassphraseRecoversToo) {
  EXPECT_EQ(Recover({"--with-passphrase", "--former-passphrase-file", next_}).exit, kExitWrongPassphrase);
  const Result result = Recover({"--with-passphrase", "--former-passphrase-file", former_});
  ASSERT_EQ(result.exit, kExitOk) << result.error;
  EXPECT_TRUE(Open(restored_, kNext).ok());
}

TEST_F(KeysCommandsTest, RefusesDamagedCopiesAndOlderOnesUnlessToldTo) {
  const auto file = keyring::EscrowPath(escrow_, appliance_);
  const std::string whole = *ReadFile(file, kAll);
  ASSERT_TRUE(WriteFileAtomic(file, whole.substr(0, whole.size() / 2), 0600).ok());
  EXPECT_NE(Recover({"--share-file", shares_[0], "--share-file", shares_[1]}).error.find("truncated"),
            std::string::npos);
  ASSERT_TRUE(WriteFileAtomic(file, whole, 0600).ok());
  ASSERT_TRUE(MakePrivateDirectory(restored_ / "keys").ok());
  ASSERT_TRUE(WriteFileAtomic(UnrecordedPath(restored_), R"({"format":1,"generation":1000})", 0600).ok());
  Result result = Recover({"--share-file", shares_[0], "--share-file", shares_[1]});
  EXPECT_EQ(result.exit, kExitFailed);
  EXPECT_NE(result.error.find("--accept-older"), std::string::npos) << result.error;
  result = Recover({"--share-file", shares_[0], "--share-file", shares_[1], "--accept-older"});
  EXPECT_EQ(result.exit, kExitOk) << result.error;
  EXPECT_LT(LastGeneration(UnrecordedPath(restored_)), 1000u);
}

TEST_F(KeysCommandsTest, StatusOfAStoppedApplianceAndAnOlderKeyringAreSaidPlainly) {
  Result result = Run({"status"}, data_);
  EXPECT_EQ(result.exit, kExitOk);
  EXPECT_NE(result.out.find("passphrase"), std::string::npos);
  EXPECT_NE(result.out.find("stopped"), std::string::npos);
  const std::string older = *ReadFile(KeyringPath(data_), kAll);
  ASSERT_EQ(
      Run({"rotate", "passphrase", "--passphrase-file", former_, "--new-passphrase-file", next_}, data_).exit,
      kExitOk);
  ASSERT_TRUE(WriteFileAtomic(KeyringPath(data_), older, 0600).ok());
  result = Run({"rotate", "passphrase", "--passphrase-file", former_, "--new-passphrase-file", next_}, data_);
  EXPECT_EQ(result.exit, kExitFailed);
  EXPECT_NE(result.error.find("older file was put in its place"), std::string::npos) << result.error;
}

}  // namespace
}  // namespace cloister::services
