// SPDX-License-Identifier: Apache-2.0
#include "keyring/keyring.h"

#include <gtest/gtest.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>
#include <thread>

#include "common/document_example.h"
#include "common/file.h"
#include "crypto/hash.h"
#include "crypto/signer.h"
#include "keyring/keyring_format.h"
#include "keyring/keyring_key_source.h"
#include "keyring/passphrase_anchor.h"
#include "storage/key_source_contract.h"
#include "storage/temporary_directory.h"

namespace cloister::keyring {
namespace {

using storage::DataKey;
using storage::KeyKind;
using storage::KeySource;
using storage::KeySourceHarness;
using storage::TemporaryDirectory;

// Cheap on purpose: these tests are about meaning, not about strength.
constexpr crypto::Argon2Cost kCheap{.memory_kib = 64, .passes = 1, .lanes = 1};
constexpr std::string_view kPassphrase = "correct horse battery staple";
constexpr size_t kFileBytesMax = 16 * 1024 * 1024;

class KeyringTest : public testing::Test {
 protected:
  StatusOr<std::unique_ptr<Keyring>> Create() { return CreateWith(kPassphrase); }
  StatusOr<std::unique_ptr<Keyring>> CreateWith(std::string_view passphrase, crypto::Argon2Cost cost = kCheap) {
    return Keyring::Create({.path = path_}, NewPassphraseAnchor(passphrase, cost), clock_);
  }
  StatusOr<std::unique_ptr<Keyring>> Open(std::string_view passphrase = kPassphrase) {
    return Keyring::Open({.path = path_}, NewPassphraseAnchor(passphrase), clock_);
  }
  std::string Bytes() const { return *ReadFile(path_, kFileBytesMax); }
  void Replace(std::string_view bytes) { ASSERT_TRUE(WriteFileAtomic(path_, bytes, 0600).ok()); }
  // As somebody would who knows the format.
  static std::string WithDigest(std::string file) {
    file.resize(file.size() - crypto::kSha256Bytes);
    return file + crypto::Sha256(file);
  }

  TemporaryDirectory directory_;
  const std::filesystem::path path_ = directory_.path() / "keyring";
  FakeClock clock_{WallTime(std::chrono::seconds(1'700'000'000))};
};

TEST_F(KeyringTest, KeepsKeysOverACloseAndOpen) {
  std::vector<DataKey> keys;
  DataKey named;
  DatabaseId appliance;
  {
    auto keyring = Create();
    ASSERT_TRUE(keyring.ok()) << keyring.status();
    EXPECT_EQ((*keyring)->generation(), 1u);
    EXPECT_EQ((*keyring)->size(), 0u);
    keys = *(*keyring)->CreateKeys("retrieval", KeyKind::kDocument, 100);
    named = *(*keyring)->GetNamedKey("gateway", KeyKind::kStore, "rows");
    EXPECT_EQ((*keyring)->generation(), 3u);
    EXPECT_EQ((*keyring)->size(), 101u);
    appliance = (*keyring)->appliance_id();
  }
  auto keyring = Open();
  ASSERT_TRUE(keyring.ok()) << keyring.status();
  EXPECT_EQ((*keyring)->generation(), 3u);
  EXPECT_EQ((*keyring)->size(), 101u);
  EXPECT_EQ((*keyring)->appliance_id(), appliance);
  for (const DataKey& key : keys) {
    const auto again = (*keyring)->GetKey("retrieval", key.id);
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(again->key->view(), key.key->view());
  }
  EXPECT_EQ((*keyring)->GetNamedKey("gateway", KeyKind::kStore, "rows")->id, named.id);
  EXPECT_EQ((*keyring)->generation(), 3u);  // Nothing was made.
}

TEST_F(KeyringTest, ReadingChangesNothingOnDisk) {
  { ASSERT_TRUE(Create().ok()); }
  const std::string before = Bytes();
  {
    auto keyring = Open();
    ASSERT_TRUE(keyring.ok());
    EXPECT_EQ((*keyring)->GetKey("a", KeyId()).status().code(), StatusCode::kNotFound);
  }
  EXPECT_EQ(Bytes(), before);
}

TEST_F(KeyringTest, TheFileHoldsNeitherKeysNorOwnersNorNames) {
  auto keyring = Create();
  ASSERT_TRUE(keyring.ok());
  const auto key = (*keyring)->GetNamedKey("retrieval", KeyKind::kStore, "some-name");
  ASSERT_TRUE(key.ok());
  const std::string file = Bytes();
  EXPECT_EQ(file.find(key->key->view()), std::string::npos);
  EXPECT_EQ(file.find(key->id.bytes()), std::string::npos);
  EXPECT_EQ(file.find("retrieval"), std::string::npos);
  EXPECT_EQ(file.find("some-name"), std::string::npos);
}

TEST_F(KeyringTest, TheFileIsForItsOwnerOnly) {
  ASSERT_TRUE(Create().ok());
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(KeyringTest, CreateRefusesAnExistingFile) {
  { ASSERT_TRUE(Create().ok()); }
  const std::string before = Bytes();
  EXPECT_EQ(Create().status().code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(Bytes(), before);
}

TEST_F(KeyringTest, CreateRefusesWeakPassphrasesAndCostsOutOfBounds) {
  EXPECT_EQ(CreateWith("elevenbytes").status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(CreateWith(std::string(crypto::kPassphraseBytesMax + 1, 'p'))
                .status()
                .code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(CreateWith(kPassphrase, {.memory_kib = 64, .passes = 0}).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(KeyringTest, OpenWithoutAFileIsNotFound) { EXPECT_EQ(Open().status().code(), StatusCode::kNotFound); }

TEST_F(KeyringTest, OneProcessAtATime) {
  auto keyring = Create();
  ASSERT_TRUE(keyring.ok());
  EXPECT_EQ(Open().status().code(), StatusCode::kFailedPrecondition);
  keyring->reset();
  EXPECT_TRUE(Open().ok());
}

TEST_F(KeyringTest, AWrongPassphraseIsToldApartFromDamageAndTouchesNothing) {
  { ASSERT_TRUE(Create().ok()); }
  const std::string before = Bytes();
  for (const std::string& wrong :
       {std::string(), std::string("correct horse battery stapl"),
        std::string("correct horse battery staple\n"), std::string(crypto::kPassphraseBytesMax + 1, 'p')}) {
    EXPECT_EQ(Open(wrong).status().code(), StatusCode::kUnauthenticated);
  }
  EXPECT_EQ(Bytes(), before);
  EXPECT_TRUE(Open().ok());
}

TEST_F(KeyringTest, EveryFlippedBitIsDamageEvenWithAWrongPassphrase) {
  {
    auto keyring = Create();
    ASSERT_TRUE(keyring.ok());
    ASSERT_TRUE((*keyring)->CreateKeys("retrieval", KeyKind::kDocument, 1).ok());
  }
  const std::string file = Bytes();
  for (size_t bit = 0; bit < file.size() * 8; ++bit) {
    std::string flipped = file;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    const StatusCode code = ParseKeyringHeader(flipped).status().code();
    EXPECT_EQ(code, bit / 8 == 4 ? StatusCode::kFailedPrecondition : StatusCode::kDataLoss) << bit;
    if (bit % 997 == 0) {
      Replace(flipped);
      EXPECT_EQ(Open("a wrong passphrase").status().code(), StatusCode::kDataLoss) << bit;
    }
  }
}

TEST_F(KeyringTest, EveryTruncationAndExtensionIsDamage) {
  { ASSERT_TRUE(Create().ok()); }
  const std::string file = Bytes();
  for (size_t length = 0; length < file.size(); ++length) {
    EXPECT_EQ(ParseKeyringHeader(file.substr(0, length)).status().code(), StatusCode::kDataLoss) << length;
    if (length % 61 == 0) {
      Replace(file.substr(0, length));
      EXPECT_EQ(Open().status().code(), StatusCode::kDataLoss) << length;
    }
  }
  Replace(file + "x");
  EXPECT_EQ(Open().status().code(), StatusCode::kDataLoss);
  Replace("");
  EXPECT_EQ(Open().status().code(), StatusCode::kDataLoss);
}

// Every byte changed by somebody who mends the digest: nothing opens, save that who changes what the root is
// made from only makes the passphrase wrong.
TEST_F(KeyringTest, ADoctoredFileDoesNotOpen) {
  {
    auto keyring = Create();
    ASSERT_TRUE(keyring.ok());
    ASSERT_TRUE((*keyring)->CreateKeys("retrieval", KeyKind::kDocument, 1).ok());
  }
  const std::string file = Bytes();
  for (size_t at = 0; at < file.size() - crypto::kSha256Bytes; ++at) {
    const bool cost = at >= 44 && at < 56;
    if (cost && at % 4 != 3) continue;  // Costs that are in bounds and large would take long.
    std::string doctored = file;
    doctored[at] = static_cast<char>(doctored[at] ^ 1);
    Replace(WithDigest(doctored));
    const StatusCode code = Open().status().code();
    const bool root = at >= 44 && at < 120;
    const bool version = at >= 4 && at < 8;
    if (version) {
      EXPECT_EQ(code, StatusCode::kFailedPrecondition) << at;
    } else if (root) {
      EXPECT_TRUE(code == StatusCode::kUnauthenticated || code == StatusCode::kDataLoss) << at << " " << code;
    } else {
      EXPECT_EQ(code, StatusCode::kDataLoss) << at;
    }
  }
}

TEST_F(KeyringTest, DoctoredCostsAreRefusedBeforeTheyAreSpent) {
  { ASSERT_TRUE(Create().ok()); }
  for (const size_t at : {44, 48, 52}) {  // Memory, passes, lanes.
    std::string doctored = Bytes();
    doctored[at] = '\x7f';
    Replace(WithDigest(doctored));
    EXPECT_EQ(Open().status().code(), StatusCode::kDataLoss) << at;
    doctored[at] = 0;
    Replace(WithDigest(doctored));
  }
  EXPECT_TRUE(Open().ok());
}

TEST_F(KeyringTest, NamesFormatsAnchorsAndFlagsItDoesNotKnow) {
  { ASSERT_TRUE(Create().ok()); }
  const std::string file = Bytes();
  const auto refusal = [&](size_t at, char value) {
    std::string changed = file;
    changed[at] = value;
    Replace(WithDigest(changed));
    const Status status = Open().status();
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
    return MessageOf(status);
  };
  EXPECT_NE(refusal(4, 9).find("format 9,"), std::string::npos);
  EXPECT_NE(refusal(5, 7).find("anchor 7,"), std::string::npos);
  EXPECT_NE(refusal(7, 1).find("flags 1,"), std::string::npos);
}

TEST_F(KeyringTest, RefusesOwnersKindsAndNamesOutOfBounds) {
  auto keyring = Create();
  ASSERT_TRUE(keyring.ok());
  for (const std::string& owner :
       {std::string(), std::string("Upper"), std::string("a b"), std::string(65, 'a')}) {
    EXPECT_EQ((*keyring)->CreateKeys(owner, KeyKind::kStore, 1).status().code(),
              StatusCode::kInvalidArgument);
    EXPECT_EQ((*keyring)->GetNamedKey(owner, KeyKind::kStore, "rows").status().code(),
              StatusCode::kInvalidArgument);
  }
  for (const int kind : {0, 6, 255}) {
    EXPECT_EQ((*keyring)->CreateKeys("a", static_cast<KeyKind>(kind), 1).status().code(),
              StatusCode::kInvalidArgument);
  }
  for (const std::string& name :
       {std::string(), std::string("Rows"), std::string("a/b"), std::string(65, 'a')}) {
    EXPECT_EQ((*keyring)->GetNamedKey("a", KeyKind::kStore, name).status().code(),
              StatusCode::kInvalidArgument);
  }
  EXPECT_EQ((*keyring)->generation(), 1u);
}

TEST_F(KeyringTest, RefusesMoreKeysThanItsLimit) {
  { ASSERT_TRUE(Create().ok()); }
  auto keyring = Keyring::Open({.path = path_, .keys_max = 10}, NewPassphraseAnchor(kPassphrase), clock_);
  ASSERT_TRUE(keyring.ok());
  EXPECT_EQ((*keyring)->CreateKeys("a", KeyKind::kDocument, 11).status().code(),
            StatusCode::kResourceExhausted);
  EXPECT_EQ((*keyring)->size(), 0u);
  ASSERT_TRUE((*keyring)->CreateKeys("a", KeyKind::kDocument, 10).ok());
  EXPECT_EQ((*keyring)->GetNamedKey("a", KeyKind::kStore, "rows").status().code(),
            StatusCode::kResourceExhausted);
  EXPECT_EQ((*keyring)->size(), 10u);
}

TEST_F(KeyringTest, AFailedWriteLeavesMemoryAndFileAsTheyWere) {
  auto keyring = Create();
  ASSERT_TRUE(keyring.ok());
  const auto kept = (*keyring)->GetNamedKey("a", KeyKind::kStore, "rows");
  ASSERT_TRUE(kept.ok());
  const std::string before = Bytes();
  // The folder gives way to a file, so that no temporary file can be made in it; for root, too.
  const auto moved = directory_.path() / "moved";
  const auto inner = directory_.path() / "inner";
  keyring->reset();
  std::filesystem::create_directory(inner);
  std::filesystem::rename(path_, inner / "keyring");
  auto reopened = Keyring::Open({.path = inner / "keyring"}, NewPassphraseAnchor(kPassphrase), clock_);
  ASSERT_TRUE(reopened.ok());
  std::filesystem::rename(inner, moved);
  ASSERT_TRUE(WriteFileAtomic(inner, "in the way", 0600).ok());
  EXPECT_FALSE((*reopened)->CreateKeys("a", KeyKind::kDocument, 5).ok());
  EXPECT_FALSE((*reopened)->GetNamedKey("a", KeyKind::kStore, "index").ok());
  EXPECT_EQ((*reopened)->size(), 1u);
  EXPECT_EQ((*reopened)->generation(), 2u);
  EXPECT_EQ((*reopened)->GetNamedKey("a", KeyKind::kStore, "rows")->id, kept->id);
  EXPECT_EQ(*ReadFile(moved / "keyring", kFileBytesMax), before);
  // And it works again once the reason is gone.
  std::filesystem::remove(inner);
  std::filesystem::rename(moved, inner);
  EXPECT_TRUE((*reopened)->CreateKeys("a", KeyKind::kDocument, 5).ok());
  EXPECT_EQ((*reopened)->size(), 6u);
  EXPECT_EQ((*reopened)->generation(), 3u);
}

// While it stands, files of the folder can be made and renamed by this thread, and the folder itself cannot be opened: what
// a failed fsync of the folder after a rename does.
class UnreadableFolder {
 public:
  explicit UnreadableFolder(const std::filesystem::path& folder) : folder_(folder) {
    ::chmod(folder_.c_str(), 0300);
    if (::geteuid() != 0) return;
    // Root may read everything, so this thread is somebody else for the disk.
    EXPECT_EQ(::chown(folder_.c_str(), kNobody, kNobody), 0);
    ::setfsuid(kNobody);
  }
  ~UnreadableFolder() {
    ::setfsuid(::geteuid());
    ::chmod(folder_.c_str(), 0700);
  }

 private:
  static constexpr uid_t kNobody = 65534;
  const std::filesystem::path folder_;
};

TEST_F(KeyringTest, AChangeThatWasWrittenHalfWayIsNeitherDeniedNorContinued) {
  ASSERT_TRUE(Create().ok());
  int told = 0;
  KeyringOptions options{.path = path_};
  options.on_unsound = [&] { ++told; };
  auto opened = Keyring::Open(options, NewPassphraseAnchor(kPassphrase), clock_);
  ASSERT_TRUE(opened.ok()) << opened.status();
  Keyring& keyring = **opened;
  EXPECT_TRUE(keyring.GetStatus().sound);
  {
    const UnreadableFolder unreadable(directory_.path());
    EXPECT_FALSE(keyring.ChangeAnchor(NewPassphraseAnchor("another passphrase", kCheap)).ok());
  }
  EXPECT_EQ(told, 1);
  EXPECT_FALSE(keyring.GetStatus().sound);
  EXPECT_EQ(keyring.GetStatus().epoch, 1u);
  // Memory has the former epoch and the file the next, so nobody is told that the former passphrase holds.
  EXPECT_EQ(keyring.CheckOpens(*NewPassphraseAnchor(kPassphrase)).code(), StatusCode::kUnavailable);
  EXPECT_EQ(keyring.CreateKeys("a", KeyKind::kDocument, 1).status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(keyring.RotateEpoch().status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(told, 1);
  opened->reset();
  EXPECT_EQ(Open().status().code(), StatusCode::kUnauthenticated);
  const auto found = Open("another passphrase");
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ((*found)->GetStatus().epoch, 2u);
}

TEST_F(KeyringTest, GivesThePublicHalfOfSigningKeysToAnybody) {
  auto keyring = Create();
  ASSERT_TRUE(keyring.ok());
  EXPECT_EQ((*keyring)->PublicKeyOf("gateway", "assertion").status().code(), StatusCode::kNotFound);
  const auto key = (*keyring)->GetNamedKey("gateway", KeyKind::kSigning, "assertion");
  ASSERT_TRUE(key.ok());
  EXPECT_EQ(*(*keyring)->PublicKeyOf("gateway", "assertion"),
            crypto::Ed25519Signer::FromSeed(key->key->view())->public_key());
  // A key of the same name that is no signing key has no public half.
  ASSERT_TRUE((*keyring)->GetNamedKey("gateway", KeyKind::kStore, "rows").ok());
  EXPECT_EQ((*keyring)->PublicKeyOf("gateway", "rows").status().code(), StatusCode::kNotFound);
}

TEST_F(KeyringTest, ConcurrentCallersEachGetTheirKeys) {
  auto keyring = Create();
  ASSERT_TRUE(keyring.ok());
  constexpr int kThreads = 4, kCalls = 10, kKeys = 5;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      const std::string owner = "owner-" + std::to_string(t);
      for (int i = 0; i < kCalls; ++i) {
        const auto keys = (*keyring)->CreateKeys(owner, KeyKind::kDocument, kKeys);
        ASSERT_TRUE(keys.ok());
        for (const DataKey& key : *keys) {
          EXPECT_EQ((*keyring)->GetKey(owner, key.id)->key->view(), key.key->view());
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ((*keyring)->size(), size_t{kThreads * kCalls * kKeys});
  EXPECT_EQ((*keyring)->generation(), uint64_t{1 + kThreads * kCalls});
}

TEST(KeyringFormatTest, EntriesAreBoundToEveryField) {
  const crypto::Secret entries_key = EntriesKey(crypto::Secret(32));
  KeyringHeader header;
  header.epoch = 1;
  const KeyId id = *KeyId::FromBytes(std::string(16, 'i'));
  KeyringEntry entry{KeyKind::kDocument, 5, "retrieval", "name", "", {}};
  entry.wrapped_key = WrapKey(entries_key, header, id, entry, std::string(32, 'k'));
  EXPECT_EQ(UnwrapKey(entries_key, header, id, entry)->view(), std::string(32, 'k'));
  const auto refused = [&](const KeyringHeader& h, const KeyId& i, const KeyringEntry& e) {
    return UnwrapKey(entries_key, h, i, e).status().code() == StatusCode::kDataLoss;
  };
  KeyringEntry other = entry;
  other.kind = KeyKind::kSubject;
  EXPECT_TRUE(refused(header, id, other));
  other = entry;
  other.created_ns = 6;
  EXPECT_TRUE(refused(header, id, other));
  other = entry;
  other.owner = "gateway";
  EXPECT_TRUE(refused(header, id, other));
  other = entry;
  other.name = "";
  EXPECT_TRUE(refused(header, id, other));
  EXPECT_TRUE(refused(header, *KeyId::FromBytes(std::string(16, 'j')), entry));
  KeyringHeader elsewhere = header;
  elsewhere.epoch = 2;
  EXPECT_TRUE(refused(elsewhere, id, entry));
  elsewhere = header;
  elsewhere.appliance = *DatabaseId::FromBytes(std::string(16, 'a'));
  EXPECT_TRUE(refused(elsewhere, id, entry));
}

struct Example {
  std::map<std::string, std::string> values =
      DocumentExample(CLOISTER_SOURCE_DIR "/docs/formats/keyring.md", "keyring");
  std::string Hex(const std::string& name) const { return ExampleBytes(values, name); }
};

TEST(KeyringFormatTest, TheDocumentsExampleOpensWithItsPassphrase) {
  const Example example;
  ASSERT_FALSE(example.values.empty());
  const TemporaryDirectory directory;
  const auto path = directory.path() / "keyring";
  ASSERT_TRUE(WriteFileAtomic(path, example.Hex("file"), 0600).ok());
  const SystemClock clock;
  auto keyring = Keyring::Open({.path = path}, NewPassphraseAnchor(example.values.at("passphrase")), clock);
  ASSERT_TRUE(keyring.ok()) << keyring.status();
  EXPECT_EQ((*keyring)->size(), 3u);
  EXPECT_EQ(std::to_string((*keyring)->generation()), example.values.at("generation"));
  EXPECT_EQ((*keyring)->Marks(), (std::set<std::string>{example.Hex("mark_1"), example.Hex("mark_2")}));
  EXPECT_EQ(std::to_string((*keyring)->GetStatus().erasure_epoch), example.values.at("erasure_epoch"));
  const auto first = (*keyring)->GetKey(example.values.at("owner_1"), *KeyId::FromBytes(example.Hex("id_1")));
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->key->view(), example.Hex("key_1"));
  const auto successor = (*keyring)->CurrentKeys(example.values.at("owner_1"), {first->id});
  ASSERT_TRUE(successor.ok());
  EXPECT_EQ(successor->front().bytes(), example.Hex("successor_1"));
  EXPECT_EQ((*keyring)->GetKey(example.values.at("owner_3"), successor->front())->key->view(), example.Hex("key_3"));
  const auto second =
      (*keyring)->GetNamedKey(example.values.at("owner_2"), KeyKind::kSigning, example.values.at("name_2"));
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->id.bytes(), example.Hex("id_2"));
  EXPECT_EQ(second->key->view(), example.Hex("key_2"));
}

TEST(KeyringFormatTest, TheDocumentsExampleIsReproduced) {
  const Example example;
  ASSERT_FALSE(example.values.empty());
  const std::string file = example.Hex("file");
  const KeyringHeader header = *ParseKeyringHeader(file);
  const PassphraseBlob blob = *ParsePassphraseBlob(header.location.blob);
  const crypto::Secret root_key =
      *crypto::KeyFromPassphrase(example.values.at("passphrase"), blob.root_salt, blob.cost);
  EXPECT_EQ(root_key.view(), example.Hex("root_key"));
  const crypto::Secret epoch_key{std::string_view(example.Hex("epoch_key"))};
  EXPECT_EQ(RootCheck(root_key, blob.root_salt), blob.root_check);
  EXPECT_EQ(WrapEpochKey(root_key, blob.epoch_salt, EpochContext(header.appliance, header.epoch), epoch_key),
            blob.wrapped_epoch_key);
  const crypto::Secret entries_key = EntriesKey(epoch_key);
  EXPECT_EQ(entries_key.view(), example.Hex("entries_key"));
  KeyringTable table;
  for (const std::string n : {"1", "2", "3"}) {
    const KeyId id = *KeyId::FromBytes(example.Hex("id_" + n));
    KeyringEntry entry;
    entry.kind = static_cast<KeyKind>(std::stoi(example.values.at("kind_" + n)));
    entry.created_ns = std::stoll(example.values.at("created_ns_" + n));
    entry.owner = example.values.at("owner_" + n);
    entry.name = example.values.at("name_" + n) == "(none)" ? "" : example.values.at("name_" + n);
    entry.wrapped_key = WrapKey(entries_key, header, id, entry, example.Hex("key_" + n));
    if (n == "1") entry.successor = *KeyId::FromBytes(example.Hex("successor_1"));
    table.entries.emplace(id, entry);
  }
  table.recovery = RecoveryKey{example.Hex("recovery_set"), example.Hex("recovery_public_key"), 3, 5,
                               std::stoll(example.values.at("recovery_created_ns"))};
  table.erasure_epoch = static_cast<uint32_t>(std::stoul(example.values.at("erasure_epoch")));
  table.marks = {example.Hex("mark_1"), example.Hex("mark_2")};
  table.renewed = {{example.values.at("renewed_owner"), std::stoul(example.values.at("renewed_epoch"))}};
  EXPECT_EQ(HexEncode(SealKeyring(epoch_key, header, table, {})), HexEncode(file));
  // Order in the file does not depend on which were there before.
  std::map<KeyId, KeyringEntry> added;
  added.insert(table.entries.extract(table.entries.begin()));
  EXPECT_EQ(HexEncode(SealKeyring(epoch_key, header, table, added)), HexEncode(file));
}

class KeyringHarness final : public KeySourceHarness {
 public:
  KeyringHarness() : keyring_(*Keyring::Create({.path = directory_.path() / "keyring"}, NewPassphraseAnchor(kPassphrase, kCheap), clock_)) {}
  KeySource& Own() override { return own_; }
  KeySource& Other() override { return other_; }

 private:
  TemporaryDirectory directory_;
  SystemClock clock_;
  std::unique_ptr<Keyring> keyring_;
  KeyringKeySource own_{*keyring_, "retrieval"};
  KeyringKeySource other_{*keyring_, "gateway"};
};

std::unique_ptr<KeySourceHarness> MakeKeyringHarness() { return std::make_unique<KeyringHarness>(); }

}  // namespace
}  // namespace cloister::keyring

namespace cloister::storage {
INSTANTIATE_TEST_SUITE_P(Keyring, KeySourceContract, testing::Values(&keyring::MakeKeyringHarness));
}  // namespace cloister::storage
