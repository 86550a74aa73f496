// SPDX-License-Identifier: Apache-2.0
#include "backup/restore.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "common/file.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "keyring/passphrase_anchor.h"
#include "storage/file_cipher.h"
#include "storage/temporary_directory.h"

namespace cloister::backup {
namespace {

class RestoreTest : public testing::Test {
 protected:
  void SetUp() override {
    auto repository = Repository::OpenForWriting(temporary_.path() / "backups");
    ASSERT_TRUE(repository.ok()) << repository.status();
    for (const auto& [path, content] : files_) {
      const auto source = temporary_.path() / "source";
      std::ofstream(source, std::ios::binary) << content;
      const auto stored = repository->PutFile(source);
      ASSERT_TRUE(stored.ok()) << stored.status();
      manifest_.files.push_back({path, stored->sha256, stored->bytes});
    }
    manifest_.settings = {{"cloister.toml", "of the backup"}, {"models/manifest", "models of the backup"}};
    manifest_.keyring_generation = 10;
    manifest_.epoch = 3;
    repository_.emplace(*std::move(repository));
    std::filesystem::create_directories(data_ / "keys");
    std::ofstream(data_ / "keys" / "keyring") << "keys";
    std::ofstream(data_ / "cloister.toml") << "set up here";
  }
  // Path -> content of everything in the data directory.
  std::map<std::string, std::string> Tree() const {
    std::map<std::string, std::string> out;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(data_)) {
      out[entry.path().lexically_relative(data_)] =
          entry.is_regular_file() ? *ReadFile(entry.path(), 10'000) : "/";
    }
    return out;
  }
  std::filesystem::path ObjectOf(const std::string& path) const {
    return repository_->ObjectPath(crypto::Sha256(files_.at(path)));
  }

  const std::map<std::string, std::string> files_ = {{"audit/log/checkpoint", "note"},
                                                     {"audit/sections/rocksdb/000001.sst", "table one"},
                                                     {"retrieval/db/rocksdb/000001.sst", "table two"},
                                                     {"gateway/store/acknowledged", "same"},
                                                     {"ingest/jobs/acknowledged", "same"}};
  storage::TemporaryDirectory temporary_;
  const std::filesystem::path data_ = temporary_.path() / "d";
  std::optional<Repository> repository_;
  Manifest manifest_;
};

TEST_F(RestoreTest, PutsFilesWhereTheyBelongAndKeepsWhatWasSetUp) {
  std::filesystem::create_directories(data_ / "restoring" / "audit");  // Of one that was interrupted.
  std::filesystem::create_directories(data_ / "retrieval");            // Empty: as good as none.
  const auto checked = CheckFiles(*repository_, manifest_, {});
  ASSERT_TRUE(checked.ok());
  EXPECT_EQ(checked->files, files_.size());
  EXPECT_EQ(checked->problem_count, 0u);
  const Status restored =
      Restore(*repository_, manifest_,
              {.data = data_,
               .place =
                   [](const std::string& path) {
                     return path == "audit/log/checkpoint" ? "audit/former/1/checkpoint" : path;
                   },
               .more = {{"audit/generation", "two"}}});
  ASSERT_TRUE(restored.ok()) << restored;
  auto tree = Tree();
  for (const auto& [path, content] : files_) {
    EXPECT_EQ(tree[path == "audit/log/checkpoint" ? "audit/former/1/checkpoint" : path], content) << path;
  }
  EXPECT_EQ(tree["audit/generation"], "two");
  EXPECT_EQ(tree["cloister.toml"], "set up here");
  EXPECT_EQ(tree["models/manifest"], "models of the backup");
  EXPECT_FALSE(tree.contains("restoring"));
  EXPECT_FALSE(tree.contains("audit/log"));
}

TEST_F(RestoreTest, NeverOverwrites) {
  for (const char* there : {"audit/x", "retrieval/db/rocksdb/CURRENT"}) {
    std::filesystem::create_directories((data_ / there).parent_path());
    std::ofstream(data_ / there) << "data";
    const auto before = Tree();
    EXPECT_EQ(Restore(*repository_, manifest_, {.data = data_}).code(), StatusCode::kFailedPrecondition)
        << there;
    EXPECT_EQ(Tree(), before);
    std::filesystem::remove_all(data_ / std::filesystem::path(there).begin()->string());
  }
}

TEST_F(RestoreTest, AFileThatIsDamagedIsNamedAndNothingIsLeft) {
  const auto before = Tree();
  std::filesystem::remove(ObjectOf("retrieval/db/rocksdb/000001.sst"));
  std::ofstream(ObjectOf("gateway/store/acknowledged")) << "sAme";
  const auto checked = CheckFiles(*repository_, manifest_, {});
  ASSERT_TRUE(checked.ok());
  EXPECT_EQ(checked->problem_count, 3u);  // One object stands for two files.
  EXPECT_EQ(checked->files, 2u);
  const auto says = [&](const std::string& problem) {
    EXPECT_NE(std::find(checked->problems.begin(), checked->problems.end(), problem), checked->problems.end())
        << problem;
  };
  says("retrieval/db/rocksdb/000001.sst: missing from the repository");
  says("gateway/store/acknowledged: damaged in the repository");
  says("ingest/jobs/acknowledged: damaged in the repository");
  EXPECT_FALSE(Restore(*repository_, manifest_, {.data = data_}).ok());
  EXPECT_EQ(Tree(), before);
}

TEST_F(RestoreTest, APlaceOutsideOfTheServicesIsRefused) {
  const auto before = Tree();
  const Status restored = Restore(
      *repository_, manifest_, {.data = data_, .place = [](const std::string&) { return "keys/keyring"; }});
  EXPECT_EQ(restored.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Tree(), before);
}

// Killed while folders are moved: some are in place, some are not.
TEST_F(RestoreTest, AnInterruptedMoveIsSeenAndFinished) {
  EXPECT_FALSE(InterruptedRestore(data_)->has_value());
  EXPECT_EQ(FinishRestore(data_).code(), StatusCode::kFailedPrecondition);
  manifest_.id = *BackupId::FromBytes(std::string(16, 'b'));
  struct Stopped {};
  const std::vector<std::string> services = BackedUpServices();
  for (size_t moved = 0; moved <= services.size(); ++moved) {
    const auto stop = [&] {
      for (size_t i = 0; i < moved; ++i) {
        const std::string& service = services[services.size() - 1 - i];
        std::filesystem::rename(data_ / kStagingFolder / service, data_ / service);
      }
      throw Stopped();
    };
    EXPECT_THROW(Restore(*repository_, manifest_, {.data = data_, .before_moving = stop}).IgnoreError(), Stopped);
    ASSERT_EQ(*InterruptedRestore(data_), manifest_.id) << moved;
    ASSERT_TRUE(FinishRestore(data_).ok()) << moved;
    auto tree = Tree();
    for (const auto& [path, content] : files_) EXPECT_EQ(tree[path], content) << path << " after " << moved;
    EXPECT_FALSE(tree.contains("restoring"));
    EXPECT_FALSE(InterruptedRestore(data_)->has_value());
    for (const std::string& service : services) std::filesystem::remove_all(data_ / service);
  }
  std::filesystem::create_directories(data_ / kStagingFolder);
  std::ofstream(data_ / kStagingFolder / "complete") << "nonsense";
  EXPECT_EQ(InterruptedRestore(data_).status().code(), StatusCode::kDataLoss);
}

TEST_F(RestoreTest, ComparesWithTheKeyring) {
  EXPECT_EQ(CompareWithKeyring(manifest_, {10, 3, 0}), BackupAge::kCurrent);
  EXPECT_EQ(CompareWithKeyring(manifest_, {11, 3, 3}), BackupAge::kCurrent);
  EXPECT_EQ(CompareWithKeyring(manifest_, {12, 4, 3}), BackupAge::kOlderThanKeys);
  EXPECT_EQ(CompareWithKeyring(manifest_, {12, 5, 4}), BackupAge::kOlderThanErasure);
  EXPECT_EQ(CompareWithKeyring(manifest_, {9, 3, 0}), BackupAge::kNewerThanKeyring);
  EXPECT_TRUE(CheckAge(BackupAge::kCurrent, false).ok());
  EXPECT_TRUE(CheckAge(BackupAge::kOlderThanKeys, false).ok());
  EXPECT_FALSE(Consequences(BackupAge::kOlderThanKeys).empty());
  for (const BackupAge age : {BackupAge::kOlderThanErasure, BackupAge::kNewerThanKeyring}) {
    EXPECT_EQ(CheckAge(age, false).code(), StatusCode::kFailedPrecondition);
    EXPECT_TRUE(CheckAge(age, true).ok());
    EXPECT_FALSE(Consequences(age).empty());
  }
}

TEST_F(RestoreTest, ADatabaseWhoseKeyIsGoneIsRefusedWhateverIsAccepted) {
  const SystemClock clock;
  auto keyring = *keyring::Keyring::Create(
      {.path = temporary_.path() / "keyring"},
      keyring::NewPassphraseAnchor("a passphrase for tests", {.memory_kib = 64, .passes = 1, .lanes = 1}), clock);
  const storage::DataKey volume = *keyring->GetNamedKey("retrieval", storage::KeyKind::kStore, "files");
  const std::string name = "000007.sst";
  const auto source = temporary_.path() / "source";
  std::ofstream(source, std::ios::binary) << storage::MakeFilePrefix(volume.id, volume.key->view(), name) << "content";
  const auto stored = repository_->PutFile(source);
  ASSERT_TRUE(stored.ok()) << stored.status();
  manifest_.files.push_back({"retrieval/db/rocksdb/" + name, stored->sha256, stored->bytes});
  EXPECT_TRUE(CheckDatabaseKeys(*repository_, manifest_, *keyring).ok());
  ASSERT_TRUE(keyring->ReplaceKeys("retrieval", {volume.id}).ok());
  EXPECT_TRUE(CheckDatabaseKeys(*repository_, manifest_, *keyring).ok());  // A former key opens it.
  ASSERT_TRUE(keyring->DestroyFormerKeys("retrieval").ok());
  const Status gone = CheckDatabaseKeys(*repository_, manifest_, *keyring);
  EXPECT_EQ(gone.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(MessageOf(gone).find("Take a newer backup"), std::string::npos) << gone;
  // Another service's key is not the one.
  manifest_.files.back().path = "audit/sections/rocksdb/" + name;
  EXPECT_EQ(CheckDatabaseKeys(*repository_, manifest_, *keyring).code(), StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace cloister::backup
