// SPDX-License-Identifier: Apache-2.0
// Destroying keys and changing epochs: what goes, what stays, and what a stop at any step leaves.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <set>
#include <thread>

#include "common/file.h"
#include "keyring/folder_anchor.h"
#include "keyring/keyring.h"
#include "keyring/passphrase_anchor.h"
#include "storage/temporary_directory.h"

namespace cloister::keyring {
namespace {

using storage::DataKey;
using storage::KeyKind;

constexpr crypto::Argon2Cost kCheap{.memory_kib = 64, .passes = 1, .lanes = 1};
constexpr std::string_view kPassphrase = "correct horse battery staple";
constexpr int kSteps = 5;

class EpochChangeTest : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directory(device_); }
  std::unique_ptr<EpochAnchor> Device() { return std::make_unique<FolderAnchor>(device_); }
  std::unique_ptr<Keyring> CreateInDevice() { return *Keyring::Create({.path = path_}, Device(), clock_); }
  StatusOr<std::unique_ptr<Keyring>> OpenInDevice() { return Keyring::Open({.path = path_}, Device(), clock_); }
  std::set<std::string> InDevice() const {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(device_)) names.insert(entry.path().filename());
    return names;
  }

  storage::TemporaryDirectory directory_;
  const std::filesystem::path path_ = directory_.path() / "keyring";
  const std::filesystem::path device_ = directory_.path() / "device";
  FakeClock clock_{WallTime(std::chrono::seconds(1'700'000'000))};
};

TEST_F(EpochChangeTest, DestroyedKeysAreGoneAndTheDeviceHoldsTheNewEpochAlone) {
  auto keyring = CreateInDevice();
  const auto keys = *keyring->CreateKeys("test", KeyKind::kDocument, 10);
  const auto before = InDevice();
  ASSERT_EQ(before.size(), 1u);
  const auto change = keyring->DestroyKeys("test", {keys[0].id, keys[5].id, KeyId()}, storage::DestroyFor::kErasure);
  ASSERT_TRUE(change.ok()) << change.status();
  EXPECT_EQ(change->destroyed.size(), 2u);
  EXPECT_EQ(change->epoch, 2u);
  const auto after = InDevice();
  ASSERT_EQ(after.size(), 1u);
  EXPECT_NE(after, before);
  EXPECT_EQ(keyring->GetStatus().doomed, 0u);
  keyring.reset();
  keyring = *OpenInDevice();
  EXPECT_EQ(keyring->size(), 8u);
  for (size_t i = 0; i < keys.size(); ++i) {
    const auto key = keyring->GetKey("test", keys[i].id);
    if (i == 0 || i == 5) {
      EXPECT_EQ(key.status().code(), StatusCode::kNotFound);
    } else {
      EXPECT_EQ(key->key->view(), keys[i].key->view());
    }
  }
}

// The point of an anchor, and its limit: an old copy of the keyring is worth nothing without its epoch key.
TEST_F(EpochChangeTest, AnOldKeyringOpensWithAPassphraseAndNotWithADevice) {
  for (const bool in_device : {true, false}) {
    std::filesystem::remove(path_);
    const auto anchor = [&] { return in_device ? Device() : NewPassphraseAnchor(kPassphrase, kCheap); };
    auto keyring = *Keyring::Create({.path = path_}, anchor(), clock_);
    EXPECT_EQ(keyring->GetStatus().destroys_for_good, in_device);
    const DataKey key = keyring->CreateKeys("test", KeyKind::kDocument, 1)->front();
    const auto old_path = directory_.path() / "old" / "keyring";
    std::filesystem::create_directories(old_path.parent_path());
    std::filesystem::copy_file(path_, old_path, std::filesystem::copy_options::overwrite_existing);
    ASSERT_TRUE(keyring->DestroyKeys("test", {key.id}, storage::DestroyFor::kErasure).ok());
    const auto old = Keyring::Open({.path = old_path}, anchor(), clock_);
    if (in_device) {
      EXPECT_EQ(old.status().code(), StatusCode::kNotFound) << old.status();
    } else {
      ASSERT_TRUE(old.ok()) << old.status();
      EXPECT_EQ((*old)->GetKey("test", key.id)->key->view(), key.key->view());
    }
  }
}

TEST_F(EpochChangeTest, NoBytesOfAWrappedKeySurviveAChange) {
  auto keyring = CreateInDevice();
  ASSERT_TRUE(keyring->CreateKeys("test", KeyKind::kDocument, 3).ok());
  const std::string before = *ReadFile(path_, kKeyringFileBytesMax);
  const int held = ::open(path_.c_str(), O_RDONLY);  // As a disk's blocks outlive the name of a file.
  ASSERT_TRUE(keyring->RotateEpoch().ok());
  const std::string old_blocks = *ReadAll(held, kKeyringFileBytesMax);
  EXPECT_EQ(old_blocks, std::string(before.size(), '\0'));
  ::close(held);
}

TEST_F(EpochChangeTest, LeftOverCopiesGoAtOpening) {
  { CreateInDevice(); }
  const auto left = directory_.path() / "keyring.tmp.abcdef";
  std::filesystem::copy_file(path_, left);
  ASSERT_TRUE(OpenInDevice().ok());
  EXPECT_FALSE(std::filesystem::exists(left));
}

// A real kill at each step, then a restart: the key is whole or gone, and repeating the call finishes it.
TEST_F(EpochChangeTest, AKillAtAnyStepIsFinishedByTheNextCall) {
  for (int step = 0; step < kSteps; ++step) {
    std::filesystem::remove_all(device_);
    std::filesystem::create_directory(device_);
    std::filesystem::remove(path_);
    std::vector<DataKey> keys;
    {
      auto keyring = CreateInDevice();
      keys = *keyring->CreateKeys("test", KeyKind::kDocument, 3);
    }
    const std::string command = std::string(CLOISTER_KEYRING_TEST_CHILD) + " destroy " + directory_.path().string() +
                                " " + keys[1].id.hex() + " " + std::to_string(step) + " 2>/dev/null";
    const int status = std::system(command.c_str());
    ASSERT_EQ(WEXITSTATUS(status), 128 + SIGKILL) << step;  // As the shell tells it.
    auto keyring = OpenInDevice();
    ASSERT_TRUE(keyring.ok()) << step << " " << keyring.status();
    EXPECT_EQ(InDevice().size(), 1u) << step;
    const bool written = step >= static_cast<int>(EpochStep::kWritten);
    EXPECT_EQ((*keyring)->GetKey("test", keys[1].id).ok(), !written) << step;
    const auto again = (*keyring)->DestroyKeys("test", {keys[1].id}, storage::DestroyFor::kErasure);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ((*keyring)->GetKey("test", keys[1].id).status().code(), StatusCode::kNotFound);
    for (const size_t i : {0, 2}) {
      EXPECT_EQ((*keyring)->GetKey("test", keys[i].id)->key->view(), keys[i].key->view()) << step;
    }
    EXPECT_EQ(InDevice().size(), 1u) << step;
    EXPECT_EQ((*keyring)->GetStatus().doomed, 0u);
  }
}

TEST_F(EpochChangeTest, ADeviceThatIsGoneChangesNothing) {
  auto keyring = CreateInDevice();
  const auto keys = *keyring->CreateKeys("test", KeyKind::kDocument, 2);
  const std::string before = *ReadFile(path_, kKeyringFileBytesMax);
  std::filesystem::rename(device_, directory_.path() / "pulled");
  EXPECT_EQ(keyring->DestroyKeys("test", {keys[0].id}, storage::DestroyFor::kErasure).status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(keyring->GetStatus().epoch, 1u);
  EXPECT_TRUE(keyring->GetKey("test", keys[0].id).ok());
  // Keys are made and read on: the working copy of the epoch key is in memory.
  EXPECT_TRUE(keyring->CreateKeys("test", KeyKind::kDocument, 1).ok());
  std::filesystem::rename(directory_.path() / "pulled", device_);
  EXPECT_TRUE(keyring->DestroyKeys("test", {keys[0].id}, storage::DestroyFor::kErasure).ok());
  EXPECT_EQ(keyring->GetStatus().epoch, 2u);
  EXPECT_NE(before, *ReadFile(path_, kKeyringFileBytesMax));
}

TEST_F(EpochChangeTest, ADeviceThatGoesBeforeTheOldEpochIsDestroyedIsAskedAgain) {
  KeyringOptions options{.path = path_};
  bool pull = false;
  options.on_step = [&](EpochStep step) {
    if (pull && step == EpochStep::kWritten) std::filesystem::rename(device_, directory_.path() / "pulled");
  };
  auto keyring = *Keyring::Create(options, Device(), clock_);
  const auto keys = *keyring->CreateKeys("test", KeyKind::kDocument, 2);
  pull = true;
  const auto change = keyring->DestroyKeys("test", {keys[0].id}, storage::DestroyFor::kErasure);
  EXPECT_EQ(change.status().code(), StatusCode::kUnavailable);
  EXPECT_NE(MessageOf(change.status()).find("try again"), std::string::npos);
  EXPECT_EQ(keyring->GetStatus().doomed, 1u);
  pull = false;
  std::filesystem::rename(directory_.path() / "pulled", device_);
  EXPECT_EQ(InDevice().size(), 2u);
  const auto again = keyring->DestroyKeys("test", {keys[0].id}, storage::DestroyFor::kErasure);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->destroyed.size(), 0u);
  EXPECT_EQ(InDevice().size(), 1u);
  EXPECT_EQ(keyring->GetStatus().doomed, 0u);
}

TEST_F(EpochChangeTest, MovesBetweenAnchorsAndBetweenPassphrases) {
  auto keyring = *Keyring::Create({.path = path_}, NewPassphraseAnchor(kPassphrase, kCheap), clock_);
  const DataKey key = keyring->CreateKeys("test", KeyKind::kDocument, 1)->front();
  ASSERT_TRUE(keyring->ChangeAnchor(NewPassphraseAnchor("another passphrase", kCheap)).ok());
  keyring.reset();
  EXPECT_EQ(Keyring::Open({.path = path_}, NewPassphraseAnchor(kPassphrase), clock_).status().code(),
            StatusCode::kUnauthenticated);
  keyring = *Keyring::Open({.path = path_}, NewPassphraseAnchor("another passphrase"), clock_);
  ASSERT_TRUE(keyring->ChangeAnchor(Device()).ok());
  EXPECT_EQ(InDevice().size(), 1u);
  keyring.reset();
  EXPECT_EQ(*Keyring::AnchorOf(path_), AnchorKind::kPkcs11);
  EXPECT_EQ(Keyring::Open({.path = path_}, NewPassphraseAnchor("another passphrase"), clock_).status().code(),
            StatusCode::kFailedPrecondition);
  keyring = *OpenInDevice();
  EXPECT_EQ(keyring->GetKey("test", key.id)->key->view(), key.key->view());
  ASSERT_TRUE(keyring->ChangeAnchor(NewPassphraseAnchor(kPassphrase, kCheap)).ok());
  EXPECT_TRUE(InDevice().empty());
  EXPECT_EQ(keyring->GetStatus().epoch, 4u);
  EXPECT_EQ(keyring->GetKey("test", key.id)->key->view(), key.key->view());
}

TEST_F(EpochChangeTest, FormerKeysSurviveChangesOfEpochUntilTheyAreDestroyed) {
  auto keyring = CreateInDevice();
  const DataKey former = *keyring->GetNamedKey("test", KeyKind::kStore, "rows");
  const auto next = keyring->ReplaceKeys("test", {former.id});
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_EQ(keyring->GetStatus().epoch, 1u);
  ASSERT_TRUE(keyring->RotateEpoch().ok());
  keyring.reset();
  keyring = *OpenInDevice();
  EXPECT_EQ(keyring->GetNamedKey("test", KeyKind::kStore, "rows")->id, next->front());
  EXPECT_EQ(keyring->GetKey("test", former.id)->key->view(), former.key->view());
  EXPECT_EQ(keyring->ReplaceKeys("test", {former.id})->front(), next->front());
  EXPECT_EQ(keyring->GetStatus().former, 1u);
  EXPECT_EQ(keyring->GetStatus().former_since_ns, clock_.Now().time_since_epoch().count());
  ASSERT_TRUE(keyring->NoteRenewed("test").ok());
  const uint32_t renewed = keyring->GetStatus().epoch;
  ASSERT_TRUE(keyring->RotateEpoch().ok());
  const auto change = keyring->DestroyFormerKeys("test");
  ASSERT_TRUE(change.ok()) << change.status();
  EXPECT_EQ(change->destroyed, std::vector<KeyId>{former.id});
  EXPECT_EQ(keyring->GetStatus().former, 0u);
  EXPECT_EQ(keyring->GetNamedKey("test", KeyKind::kStore, "rows")->id, next->front());
  // Backups of before that cannot be opened any more; one that was made since can.
  EXPECT_EQ(keyring->GetStatus().erasure_epoch, renewed);
  ASSERT_TRUE(keyring->DestroyKeys("test", {next->front()}, storage::DestroyFor::kErasure).ok());
  const uint32_t erased = keyring->GetStatus().erasure_epoch;
  EXPECT_GT(erased, renewed);
  ASSERT_TRUE(keyring->DestroyFormerKeys("test").ok());
  EXPECT_EQ(keyring->GetStatus().erasure_epoch, erased);
}

TEST_F(EpochChangeTest, AReplacementThatCannotBeWrittenChangesNothing) {
  auto keyring = CreateInDevice();
  const auto keys = *keyring->CreateKeys("test", KeyKind::kDocument, 3);
  keyring.reset();
  auto full = Keyring::Open({.path = path_, .keys_max = 4}, Device(), clock_);
  ASSERT_TRUE(full.ok()) << full.status();
  EXPECT_EQ((*full)->ReplaceKeys("test", {keys[0].id, keys[1].id}).status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(*(*full)->CurrentKeys("test", {keys[0].id, keys[1].id}), (std::vector<KeyId>{keys[0].id, keys[1].id}));
  EXPECT_EQ((*full)->GetStatus().former, 0u);
  EXPECT_TRUE((*full)->ReplaceKeys("test", {keys[0].id}).ok());
}

TEST_F(EpochChangeTest, ReadersAndCreatorsGoOnDuringRotations) {
  auto keyring = CreateInDevice();
  const auto keys = *keyring->CreateKeys("test", KeyKind::kDocument, 200);
  std::atomic<bool> stop = false;
  std::atomic<int> read = 0, made = 0, wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = static_cast<size_t>(t); !stop; i = (i + 7) % keys.size()) {
        const auto key = keyring->GetKey("test", keys[i].id);
        if (!key.ok() || key->key->view() != keys[i].key->view()) ++wrong;
        ++read;
      }
    });
  }
  threads.emplace_back([&] {
    while (!stop) {
      const auto key = keyring->CreateKeys("test", KeyKind::kDocument, 1);
      if (!key.ok() || keyring->GetKey("test", key->front().id)->key->view() != key->front().key->view()) ++wrong;
      ++made;
    }
  });
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(keyring->RotateEpoch().ok());
  while (read == 0 || made == 0) std::this_thread::yield();
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(keyring->GetStatus().epoch, 11u);
  EXPECT_EQ(keyring->size(), keys.size() + static_cast<size_t>(made));
}

TEST_F(EpochChangeTest, AFullDiskIsRefusedAndNothingChanges) {
  const auto mount = directory_.path() / "mount";
  std::filesystem::create_directory(mount);
  const std::string command = std::string(CLOISTER_KEYRING_TEST_CHILD) + " fill-disk " + mount.string();
  const int status = WEXITSTATUS(std::system(command.c_str()));
  if (status == 77) GTEST_SKIP() << "this kernel does not let us mount a small disk";
  EXPECT_EQ(status, 0);
}

TEST_F(EpochChangeTest, CountsEveryUseOfAnEpochKey) {
  auto keyring = CreateInDevice();
  keyring->TakeUse();
  const auto keys = *keyring->CreateKeys("test", KeyKind::kDocument, 5);
  ASSERT_TRUE(keyring->GetKey("test", keys[0].id).ok());
  EpochKeyUse use = keyring->TakeUse();
  EXPECT_EQ(use.wrapped, 5u);
  EXPECT_EQ(use.unwrapped, 1u);
  EXPECT_EQ(use.sealed, 1u);
  ASSERT_TRUE(keyring->RotateEpoch().ok());
  use = keyring->TakeUse();
  EXPECT_EQ(use.wrapped, 5u);
  EXPECT_EQ(use.unwrapped, 5u);
  EXPECT_EQ(keyring->TakeUse().wrapped, 0u);
}

// What somebody did to the file must not take the place of a good escrowed copy.
TEST_F(EpochChangeTest, ASnapshotIsTheFileAsItWasWrittenWhateverBecameOfIt) {
  auto keyring = CreateInDevice();
  ASSERT_TRUE(keyring->CreateKeys("test", KeyKind::kDocument, 2).ok());
  ASSERT_TRUE(keyring->RotateEpoch().ok());
  ASSERT_TRUE(keyring->CreateKeys("test", KeyKind::kDocument, 1).ok());
  const std::string written = *ReadFile(path_, 1024 * 1024);
  EXPECT_EQ(keyring->TakeSnapshot()->file, written);
  std::ofstream(path_, std::ios::binary) << "no keyring";
  EXPECT_EQ(keyring->TakeSnapshot()->file, written);
}

TEST_F(EpochChangeTest, RestoresUnderAnotherAnchor) {
  auto keyring = CreateInDevice();
  const DataKey key = keyring->CreateKeys("test", KeyKind::kDocument, 1)->front();
  const auto snapshot = keyring->TakeSnapshot();
  ASSERT_TRUE(snapshot.ok());
  const auto elsewhere = directory_.path() / "elsewhere";
  std::filesystem::create_directory(elsewhere);
  const auto restored = Keyring::Restore({.path = elsewhere / "keyring"}, snapshot->file, snapshot->epoch_key,
                                         NewPassphraseAnchor(kPassphrase, kCheap), clock_);
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ((*restored)->GetKey("test", key.id)->key->view(), key.key->view());
  EXPECT_EQ((*restored)->appliance_id(), keyring->appliance_id());
  EXPECT_GT((*restored)->generation(), keyring->generation());
  EXPECT_EQ(Keyring::Restore({.path = elsewhere / "other"}, snapshot->file, crypto::Secret(32),
                             NewPassphraseAnchor(kPassphrase, kCheap), clock_)
                .status()
                .code(),
            StatusCode::kDataLoss);
}

}  // namespace
}  // namespace cloister::keyring
