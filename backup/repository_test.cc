// SPDX-License-Identifier: Apache-2.0
#include "backup/repository.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <utime.h>

#include <fstream>

#include "crypto/hash.h"
#include "crypto/random.h"
#include "storage/temporary_directory.h"

namespace cloister::backup {
namespace {

class RepositoryTest : public testing::Test {
 protected:
  StatusOr<StoredFile> Put(Repository& repository, const std::string& content) {
    const auto source = temporary_.path() / "source";
    std::ofstream(source, std::ios::binary) << content;
    return repository.PutFile(source);
  }
  static FileEntry EntryOf(const std::string& content) {
    return {"audit/x/y", crypto::Sha256(content), content.size()};
  }
  static size_t CountFiles(const std::filesystem::path& folder) {
    size_t count = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
      count += entry.is_regular_file();
    return count;
  }
  static void MakeOld(const std::filesystem::path& file) {
    const utimbuf times{1'000'000'000, 1'000'000'000};
    ASSERT_EQ(::utime(file.c_str(), &times), 0);
  }
  const WallTime now_ = SystemClock().Now();
  storage::TemporaryDirectory temporary_;
  const std::filesystem::path folder_ = temporary_.path() / "backups";
};

TEST_F(RepositoryTest, KeepsAFileOnceAndGivesItBack) {
  auto repository = Repository::OpenForWriting(folder_);
  ASSERT_TRUE(repository.ok()) << repository.status();
  const std::string content(3'000'000, 'c');
  const auto first = Put(*repository, content);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_TRUE(first->is_new);
  EXPECT_EQ(first->sha256, crypto::Sha256(content));
  EXPECT_EQ(first->bytes, content.size());
  const auto second = Put(*repository, content);
  ASSERT_TRUE(second.ok());
  EXPECT_FALSE(second->is_new);
  EXPECT_EQ(CountFiles(folder_ / "objects"), 1u);
  EXPECT_TRUE(repository->CheckObject(EntryOf(content)).ok());
  const auto target = temporary_.path() / "target";
  ASSERT_TRUE(repository->CopyObject(EntryOf(content), target).ok());
  EXPECT_EQ(*ReadFile(target, content.size()), content);
  struct stat info {};
  ASSERT_EQ(::stat(target.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(RepositoryTest, TellsMissingFromShortFromDamaged) {
  auto repository = Repository::OpenForWriting(folder_);
  ASSERT_TRUE(repository.ok());
  const std::string content = "some ciphertext";
  ASSERT_TRUE(Put(*repository, content).ok());
  const auto object = repository->ObjectPath(crypto::Sha256(content));
  const auto says = [&](const char* word) {
    const auto target = temporary_.path() / "target";
    const Status copied = repository->CopyObject(EntryOf(content), target);
    EXPECT_FALSE(std::filesystem::exists(target)) << "a target that did not come out right stays";
    EXPECT_EQ(copied.code(), repository->CheckObject(EntryOf(content)).code());
    EXPECT_NE(MessageOf(copied).find(word), std::string::npos) << copied;
    return copied.code();
  };
  std::ofstream(object, std::ios::binary) << "some ciphertexT";
  EXPECT_EQ(says("damaged"), StatusCode::kDataLoss);
  std::ofstream(object, std::ios::binary) << "some";
  EXPECT_EQ(says("cut short"), StatusCode::kDataLoss);
  std::ofstream(object, std::ios::binary) << content << content;
  EXPECT_EQ(says("longer"), StatusCode::kDataLoss);
  std::filesystem::remove(object);
  EXPECT_EQ(says("missing"), StatusCode::kNotFound);
  // The next backup mends what is missing or has the wrong size.
  ASSERT_TRUE(Put(*repository, content)->is_new);
  EXPECT_TRUE(repository->CheckObject(EntryOf(content)).ok());
}

TEST_F(RepositoryTest, ListsManifestsByTimeAndNothingElse) {
  auto repository = Repository::OpenForWriting(folder_);
  ASSERT_TRUE(repository.ok());
  const auto later = crypto::RandomId<BackupId>(), earlier = crypto::RandomId<BackupId>();
  const WallTime time(std::chrono::seconds(1'800'000'000));
  ASSERT_TRUE(repository->PutManifest(later, time + std::chrono::hours(1), "later").ok());
  ASSERT_TRUE(repository->PutManifest(earlier, time, "earlier").ok());
  EXPECT_EQ(repository->PutManifest(earlier, time, "again").code(), StatusCode::kAlreadyExists);
  for (const char* other :
       {"x.backup", "20270115T080000Z-zz.backup", "20270115T080000Z.backup", "note.txt"}) {
    std::ofstream(folder_ / "manifests" / other) << "other";
  }
  const auto listed = repository->ListManifests();
  ASSERT_TRUE(listed.ok()) << listed.status();
  ASSERT_EQ(listed->size(), 2u);
  EXPECT_EQ(listed->at(0).id, earlier);
  EXPECT_EQ(listed->at(0).time, "20270115T080000Z");
  EXPECT_EQ(*ReadFile(listed->at(0).path, 100), "earlier");
  EXPECT_EQ(listed->at(1).id, later);
  ASSERT_TRUE(repository->RemoveManifest(listed->at(0)).ok());
  EXPECT_EQ(repository->ListManifests()->size(), 1u);
}

TEST_F(RepositoryTest, RemovesOnlyWhatIsOldAndNamedByNobody) {
  auto repository = Repository::OpenForWriting(folder_);
  ASSERT_TRUE(repository.ok());
  for (const char* content : {"named", "unnamed and old", "unnamed and new"})
    ASSERT_TRUE(Put(*repository, content).ok());
  MakeOld(repository->ObjectPath(crypto::Sha256("named")));
  MakeOld(repository->ObjectPath(crypto::Sha256("unnamed and old")));
  for (const char* name : {"tmp.old", "foreign"}) {
    std::ofstream(folder_ / "objects" / name) << "x";
    MakeOld(folder_ / "objects" / name);
  }
  const auto removed = repository->RemoveUnnamed({crypto::Sha256("named")}, now_, kGarbageAge);
  ASSERT_TRUE(removed.ok()) << removed.status();
  EXPECT_EQ(removed->files, 2u);
  EXPECT_TRUE(std::filesystem::exists(repository->ObjectPath(crypto::Sha256("named"))));
  EXPECT_FALSE(std::filesystem::exists(repository->ObjectPath(crypto::Sha256("unnamed and old"))));
  EXPECT_TRUE(std::filesystem::exists(repository->ObjectPath(crypto::Sha256("unnamed and new"))));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "objects" / "tmp.old"));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "objects" / "foreign"));
}

TEST_F(RepositoryTest, HasOneWriterAndNeedsTheFolderAbove) {
  {
    const auto one = Repository::OpenForWriting(folder_);
    ASSERT_TRUE(one.ok());
    EXPECT_EQ(Repository::OpenForWriting(folder_).status().code(), StatusCode::kFailedPrecondition);
    EXPECT_TRUE(Repository::OpenForReading(folder_).ok());
  }
  EXPECT_TRUE(Repository::OpenForWriting(folder_ / "").ok());
  EXPECT_EQ(Repository::OpenForWriting(temporary_.path() / "not-mounted" / "b").status().code(),
            StatusCode::kNotFound);
  EXPECT_EQ(Repository::OpenForReading(temporary_.path()).status().code(), StatusCode::kNotFound);
  auto repository = Repository::OpenForWriting(folder_);
  ASSERT_TRUE(repository.ok());
  EXPECT_EQ(repository->PutFile(temporary_.path() / "absent").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(CountFiles(folder_ / "objects"), 0u);
}

}  // namespace
}  // namespace cloister::backup
