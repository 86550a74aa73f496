// SPDX-License-Identifier: Apache-2.0
#include "keyring/escrow.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "common/document_example.h"
#include "common/file.h"
#include "crypto/hash.h"
#include "crypto/hpke.h"
#include "keyring/folder_anchor.h"
#include "keyring/passphrase_anchor.h"
#include "keyring/recovery.h"
#include "storage/temporary_directory.h"

namespace cloister::keyring {
namespace {

using storage::KeyKind;
using storage::TemporaryDirectory;

constexpr crypto::Argon2Cost kCheap{.memory_kib = 64, .passes = 1, .lanes = 1};
constexpr std::string_view kPassphrase = "correct horse battery staple";
constexpr size_t kAll = 16 * 1024 * 1024;

class EscrowTest : public testing::Test {
 protected:
  EscrowTest() {
    std::filesystem::create_directory(folder_);
    keyring_ = *Keyring::Create({.path = path_}, NewPassphraseAnchor(kPassphrase, kCheap), clock_);
    set_ = *MakeRecovery(2, 3, clock_);
    std::vector<RecoveryShare> shares;
    for (const size_t i : {0, 2}) shares.push_back(*ParseShare(set_.shares[i].view()));
    private_key_ = *CombineShares(shares, set_.key);
  }
  std::string Seal() { return SealEscrow(*keyring_->TakeSnapshot(), clock_); }
  Status Write() { return WriteEscrow(folder_, keyring_->appliance_id(), Seal()); }
  std::filesystem::path File() const { return EscrowPath(folder_, keyring_->appliance_id()); }
  StatusOr<std::unique_ptr<Keyring>> Recover(const std::string& bytes, const std::string& name) {
    CLOISTER_ASSIGN_OR_RETURN(const Escrow escrow, ParseEscrow(bytes));
    CLOISTER_ASSIGN_OR_RETURN(const crypto::Secret epoch_key, OpenEscrow(escrow, private_key_));
    return Keyring::Restore({.path = directory_.path() / name}, escrow.keyring_file, epoch_key,
                            NewPassphraseAnchor("another horse battery", kCheap), clock_);
  }
  static std::string WithDigest(std::string bytes) {
    bytes.resize(bytes.size() - crypto::kSha256Bytes);
    return bytes + crypto::Sha256(bytes);
  }

  TemporaryDirectory directory_;
  const std::filesystem::path path_ = directory_.path() / "keyring";
  const std::filesystem::path folder_ = directory_.path() / "escrow";
  FakeClock clock_{WallTime(std::chrono::seconds(1'700'000'000))};
  std::unique_ptr<Keyring> keyring_;
  RecoverySet set_;
  crypto::Secret private_key_;
};

TEST_F(EscrowTest, SharesMakeAKeyringWithTheSameKeysElsewhere) {
  ASSERT_TRUE(keyring_->SetRecovery(set_.key).ok());
  const auto keys = *keyring_->CreateKeys("retrieval", KeyKind::kDocument, 3);
  ASSERT_TRUE(Write().ok());
  const auto restored = Recover(*ReadFile(File(), kAll), "restored");
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ((*restored)->appliance_id(), keyring_->appliance_id());
  EXPECT_GT((*restored)->generation(), keyring_->generation());
  EXPECT_EQ((*restored)->GetStatus().recovery, set_.key);
  for (const auto& key : keys)
    EXPECT_EQ((*restored)->GetKey("retrieval", key.id)->key->view(), key.key->view());
}

TEST_F(EscrowTest, WhatWasDestroyedBeforeTheCopyWasReplacedDoesNotComeBack) {
  ASSERT_TRUE(keyring_->SetRecovery(set_.key).ok());
  const auto keys = *keyring_->CreateKeys("retrieval", KeyKind::kDocument, 2);
  ASSERT_TRUE(Write().ok());
  const std::string older = *ReadFile(File(), kAll);
  ASSERT_TRUE(keyring_->DestroyKeys("retrieval", {keys[0].id}, storage::DestroyFor::kErasure).ok());
  ASSERT_TRUE(Write().ok());
  const auto restored = Recover(*ReadFile(File(), kAll), "restored");
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ((*restored)->GetKey("retrieval", keys[0].id).status().code(), StatusCode::kNotFound);
  EXPECT_TRUE((*restored)->GetKey("retrieval", keys[1].id).ok());
  // This is why copies are replaced: who kept an older one and gathers the shares has it back.
  EXPECT_TRUE((*Recover(older, "older"))->GetKey("retrieval", keys[0].id).ok());
}

TEST_F(EscrowTest, TheFormerAnchorOpensACopyWithoutShares) {
  ASSERT_TRUE(keyring_->GetNamedKey("gateway", KeyKind::kStore, "rows").ok());
  const Escrow escrow = *ParseEscrow(Seal());
  EXPECT_FALSE(escrow.header.recovery);
  EXPECT_EQ(OpenEscrow(escrow, private_key_).status().code(), StatusCode::kFailedPrecondition);
  PassphraseAnchor wrong(crypto::Secret("wrong horse battery"));
  EXPECT_EQ(OpenEscrow(escrow, wrong).status().code(), StatusCode::kUnauthenticated);
  FolderAnchor other(folder_);
  EXPECT_EQ(OpenEscrow(escrow, other).status().code(), StatusCode::kFailedPrecondition);
  PassphraseAnchor right{crypto::Secret(kPassphrase)};
  const auto key = OpenEscrow(escrow, right);
  ASSERT_TRUE(key.ok()) << key.status();
  EXPECT_TRUE(OpenKeyringTable(*key, escrow.keyring_file).ok());
}

TEST_F(EscrowTest, EveryFlippedBitAndEveryTruncationIsFound) {
  ASSERT_TRUE(keyring_->SetRecovery(set_.key).ok());
  const std::string bytes = Seal();
  for (size_t i = 0; i < bytes.size(); ++i) {
    EXPECT_FALSE(ParseEscrow(std::string_view(bytes).substr(0, i)).ok()) << i;
    for (int bit = 0; bit < 8; ++bit) {
      std::string altered = bytes;
      altered[i] = static_cast<char>(altered[i] ^ (1 << bit));
      EXPECT_FALSE(ParseEscrow(altered).ok()) << i;
      if (i + crypto::kSha256Bytes >= bytes.size()) continue;
      // By somebody who knows to mend the digest; the keyring inside has a digest of its own.
      const auto mended = ParseEscrow(WithDigest(altered));
      if (mended.ok()) {
        EXPECT_EQ(OpenEscrow(*mended, private_key_).status().code(), StatusCode::kDataLoss) << i;
      }
    }
  }
}

TEST_F(EscrowTest, PartsOfTwoCopiesDoNotMix) {
  ASSERT_TRUE(keyring_->SetRecovery(set_.key).ok());
  const Escrow before = *ParseEscrow(Seal());
  ASSERT_TRUE(keyring_->RotateEpoch().ok());
  const Escrow after = *ParseEscrow(Seal());
  EXPECT_EQ(
      ParseEscrow(JoinEscrow(after.header, after.sealed_epoch_key, before.keyring_file)).status().code(),
      StatusCode::kDataLoss);
  const auto mixed = ParseEscrow(JoinEscrow(after.header, before.sealed_epoch_key, after.keyring_file));
  ASSERT_TRUE(mixed.ok());
  EXPECT_EQ(OpenEscrow(*mixed, private_key_).status().code(), StatusCode::kDataLoss);
  // Another public key in the header, the epoch key sealed to it by whoever has one: the table knows better.
  EscrowHeader header = after.header;
  const auto own = crypto::HpkeGenerate();
  header.recovery->public_key = own.public_key;
  const auto epoch_key = *OpenEscrow(after, private_key_);
  const auto sealed =
      *crypto::HpkeSeal(own.public_key, "cloister/v1/escrow", EscrowHeaderBytes(header), epoch_key.view());
  const auto foreign = ParseEscrow(JoinEscrow(header, sealed, after.keyring_file));
  ASSERT_TRUE(foreign.ok());
  EXPECT_EQ(OpenEscrow(*foreign, own.private_key).status().code(), StatusCode::kDataLoss);
}

TEST_F(EscrowTest, TheHeaderSaysWhatTheKeyringInsideSays) {
  // Without a recovery key nothing is bound to the header, so each field is compared.
  const Escrow escrow = *ParseEscrow(Seal());
  EscrowHeader generation = escrow.header, epoch = escrow.header, appliance = escrow.header;
  generation.generation += 1;
  epoch.epoch += 1;
  appliance.appliance = DatabaseId();
  for (const EscrowHeader& header : {generation, epoch, appliance}) {
    EXPECT_EQ(ParseEscrow(JoinEscrow(header, "", escrow.keyring_file)).status().code(),
              StatusCode::kDataLoss);
  }
  EXPECT_TRUE(ParseEscrow(JoinEscrow(escrow.header, "", escrow.keyring_file)).ok());
}

TEST_F(EscrowTest, ReplacingOverwritesTheFormerCopyAndSweepsWhatAKillLeft) {
  ASSERT_TRUE(Write().ok());
  const std::string former = *ReadFile(File(), kAll);
  const std::filesystem::path linked = directory_.path() / "former";
  std::filesystem::create_hard_link(File(), linked);
  std::ofstream(File().string() + ".tmp.abcdef") << former;
  ASSERT_TRUE(keyring_->RotateEpoch().ok());
  ASSERT_TRUE(Write().ok());
  EXPECT_EQ(*ReadFile(linked, kAll), std::string(former.size(), '\0'));
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) files += entry.is_regular_file();
  EXPECT_EQ(files, 1u);
  EXPECT_EQ(ReadEscrowHeader(folder_, keyring_->appliance_id())->generation, keyring_->generation());
  struct stat info;
  ASSERT_EQ(::stat(File().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0600u);
}

TEST_F(EscrowTest, AnotherCopyInTheFolderIsAnErrorUntilItIsGone) {
  ASSERT_TRUE(Write().ok());
  const auto kept = folder_ / "kept just in case";
  std::filesystem::copy_file(File(), kept);
  const Status status = Write();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(MessageOf(status).find("kept just in case"), std::string::npos);
  std::filesystem::remove(kept);
  EXPECT_TRUE(Write().ok());
}

TEST_F(EscrowTest, LeavesTheCopyOfAnotherApplianceAndAFolderThatIsNotThereAlone) {
  const auto other = *Keyring::Create({.path = directory_.path() / "other"},
                                      NewPassphraseAnchor(kPassphrase, kCheap), clock_);
  const std::string theirs = SealEscrow(*other->TakeSnapshot(), clock_);
  ASSERT_TRUE(WriteFileAtomic(File(), theirs, 0600).ok());
  EXPECT_EQ(Write().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReadEscrowHeader(folder_, keyring_->appliance_id()).status().code(),
            StatusCode::kFailedPrecondition);
  EXPECT_EQ(*ReadFile(File(), kAll), theirs);
  std::filesystem::remove_all(folder_);
  EXPECT_EQ(Write().code(), StatusCode::kUnavailable);
  EXPECT_FALSE(std::filesystem::exists(folder_));
  EXPECT_EQ(ReadEscrowHeader(folder_, keyring_->appliance_id()).status().code(), StatusCode::kNotFound);
}

TEST_F(EscrowTest, SaysThatACopyIsOlderOrOfAnotherAppliance) {
  const EscrowHeader header = ParseEscrow(Seal())->header;
  EXPECT_TRUE(CheckEscrowNotOlder(header, header.appliance, header.generation).ok());
  const Status older = CheckEscrowNotOlder(header, header.appliance, header.generation + 4);
  EXPECT_EQ(older.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(MessageOf(older).find("older"), std::string::npos);
  EXPECT_EQ(CheckEscrowNotOlder(header, DatabaseId(), 1).code(), StatusCode::kFailedPrecondition);
  std::string newer = Seal();
  newer[4] = 2;
  EXPECT_EQ(ParseEscrow(newer).status().code(), StatusCode::kFailedPrecondition);
}

TEST_F(EscrowTest, OpensTheWorkedExampleOfItsSpecification) {
  const auto example = DocumentExample(CLOISTER_SOURCE_DIR "/docs/formats/escrow.md", "escrow");
  ASSERT_FALSE(example.empty());
  const std::string bytes = ExampleBytes(example, "file");
  const auto escrow = ParseEscrow(bytes);
  ASSERT_TRUE(escrow.ok()) << escrow.status();
  EXPECT_EQ(escrow->header_bytes, ExampleBytes(example, "header"));
  EXPECT_EQ(escrow->sealed_epoch_key, ExampleBytes(example, "sealed_epoch_key"));
  EXPECT_EQ(JoinEscrow(escrow->header, escrow->sealed_epoch_key, escrow->keyring_file), bytes);
  std::vector<RecoveryShare> shares;
  for (const char* name : {"share_1", "share_2"}) {
    const auto share = ParseShare(example.at(name));
    ASSERT_TRUE(share.ok()) << share.status();
    shares.push_back(*ParseShare(example.at(name)));
  }
  const auto key = CombineShares(shares, *escrow->header.recovery);
  ASSERT_TRUE(key.ok()) << key.status();
  EXPECT_EQ(key->view(), ExampleBytes(example, "recovery_private_key"));
  const auto epoch_key = OpenEscrow(*escrow, *key);
  ASSERT_TRUE(epoch_key.ok()) << epoch_key.status();
  EXPECT_EQ(epoch_key->view(), ExampleBytes(example, "epoch_key"));
  EXPECT_EQ(OpenKeyringTable(*epoch_key, escrow->keyring_file)->entries.size(), 1u);
}

}  // namespace
}  // namespace cloister::keyring
