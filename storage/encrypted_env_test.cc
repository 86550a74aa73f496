// SPDX-License-Identifier: Apache-2.0
#include "storage/encrypted_env.h"

#include <gtest/gtest.h>

#include <fstream>

#include "common/file.h"
#include "storage/file_cipher.h"
#include "storage/memory_key_source.h"
#include "storage/rocksdb_store.h"
#include "storage/temporary_directory.h"

namespace cloister::storage {
namespace {

constexpr size_t kFileBytesMax = 16 * 1024 * 1024;

class EncryptedEnvTest : public testing::Test {
 protected:
  StatusOr<std::unique_ptr<RocksDbStore>> OpenStore(KeySource& keys) {
    return RocksDbStore::Open({.directory = directory_, .column_families = {"a"}, .keys = &keys});
  }
  StatusOr<std::unique_ptr<RocksDbStore>> OpenStore() { return OpenStore(keys_); }
  static Status Put(RocksDbStore& store, std::string_view key, std::string value) {
    WriteBatch batch;
    batch.Put("a", key, std::move(value));
    return store.Write(batch);
  }
  // A database with a table and a log.
  void Fill() {
    auto store = OpenStore();
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_TRUE(Put(**store, "in a table", "value").ok());
    ASSERT_TRUE((*store)->Flush().ok());
    ASSERT_TRUE(Put(**store, "in a log", "value").ok());
  }
  void ExpectFilled() {
    auto store = OpenStore();
    ASSERT_TRUE(store.ok()) << store.status();
    EXPECT_EQ(*(*store)->Get("a", "in a table"), "value");
    EXPECT_EQ(*(*store)->Get("a", "in a log"), "value");
  }
  std::vector<std::filesystem::path> Files() const {
    std::vector<std::filesystem::path> out;
    for (const auto& entry : std::filesystem::directory_iterator(database_)) out.push_back(entry.path());
    std::sort(out.begin(), out.end());
    return out;
  }
  void Overwrite(const std::filesystem::path& path, std::string_view bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  }

  MemoryKeySource keys_{"seed"};
  TemporaryDirectory temporary_;
  const std::filesystem::path directory_ = temporary_.path() / "db";
  const std::filesystem::path database_ = directory_ / "rocksdb";
};

TEST_F(EncryptedEnvTest, EveryFileHasAPrefixAndASaltOfItsOwn) {
  Fill();
  std::set<std::string> salts;
  int files = 0;
  for (const auto& path : Files()) {
    const std::string bytes = *ReadFile(path, kFileBytesMax);
    if (bytes.empty()) continue;  // LOCK.
    ++files;
    EXPECT_TRUE(FilePrefixKeyId(bytes.substr(0, kFilePrefixBytes)).ok()) << path.filename();
    salts.insert(bytes.substr(24, 32));
  }
  EXPECT_GE(files, 6);  // CURRENT, IDENTITY, MANIFEST, OPTIONS, tables, logs.
  EXPECT_EQ(salts.size(), static_cast<size_t>(files));
}

TEST_F(EncryptedEnvTest, AnotherKeyringIsToldApartFromDamage) {
  Fill();
  const auto before = Files();
  MemoryKeySource other("other seed");
  const Status status = OpenStore(other).status();
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_NE(MessageOf(status).find("not in this service's keyring"), std::string::npos) << status;
  EXPECT_EQ(Files(), before);
  ExpectFilled();
}

// The same id with another key: no keyring does that, and it is refused before a byte is decrypted.
class LyingKeySource final : public KeySource {
 public:
  explicit LyingKeySource(KeySource& keys) : keys_(keys) {}
  StatusOr<std::vector<DataKey>> CreateKeys(KeyKind kind, uint32_t count) override {
    return keys_.CreateKeys(kind, count);
  }
  StatusOr<DataKey> GetKey(const KeyId& id) override {
    return DataKey{id, std::make_shared<const crypto::Secret>(std::string(32, 'w'))};
  }
  StatusOr<DataKey> GetNamedKey(KeyKind kind, std::string_view name) override {
    return keys_.GetNamedKey(kind, name);
  }
  StatusOr<Destruction> DestroyKeys(const std::vector<KeyId>& ids, DestroyFor why) override {
    return keys_.DestroyKeys(ids, why);
  }
  Status NoteRenewed() override { return keys_.NoteRenewed(); }
  StatusOr<Destruction> DestroyFormerKeys() override { return keys_.DestroyFormerKeys(); }
  StatusOr<std::vector<KeyId>> ReplaceKeys(const std::vector<KeyId>& ids) override { return keys_.ReplaceKeys(ids); }
  StatusOr<std::vector<KeyId>> CurrentKeys(const std::vector<KeyId>& ids) override { return keys_.CurrentKeys(ids); }
  Status ChangeMarks(const std::vector<std::string>& add, const std::vector<std::string>& remove) override {
    return keys_.ChangeMarks(add, remove);
  }
  StatusOr<std::vector<std::string>> Marks() override { return keys_.Marks(); }

 private:
  KeySource& keys_;
};

TEST_F(EncryptedEnvTest, AWrongKeyIsRefusedByTheCommitment) {
  Fill();
  LyingKeySource lying(keys_);
  const Status status = OpenStore(lying).status();
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_NE(MessageOf(status).find("does not belong to this key"), std::string::npos) << status;
  ExpectFilled();
}

TEST_F(EncryptedEnvTest, AnUnreachableKeySourceIsNotDataLoss) {
  Fill();
  keys_.failure = Unavailable("no answer");
  EXPECT_EQ(OpenStore().status().code(), StatusCode::kUnavailable);
  keys_.failure = absl::OkStatus();
  ExpectFilled();
}

TEST_F(EncryptedEnvTest, OlderFilesOpenUnderOlderKeysUntilTheseAreGone) {
  Fill();
  const auto saved = temporary_.path() / "saved";
  std::filesystem::copy(directory_, saved, std::filesystem::copy_options::recursive);
  const KeyId first = keys_.GetNamedKey(KeyKind::kStore, kVolumeKeyName)->id;
  keys_.RotateNames();
  {
    auto store = OpenStore();
    ASSERT_TRUE(store.ok()) << store.status();
    EXPECT_EQ(*(*store)->Get("a", "in a table"), "value");
    ASSERT_TRUE(Put(**store, "new", "value").ok());
  }
  const KeyId second = keys_.GetNamedKey(KeyKind::kStore, kVolumeKeyName)->id;
  std::set<KeyId> used;
  for (const auto& path : Files()) {
    const std::string bytes = *ReadFile(path, kFileBytesMax);
    if (!bytes.empty()) used.insert(*FilePrefixKeyId(bytes.substr(0, kFilePrefixBytes)));
  }
  EXPECT_EQ(used, (std::set<KeyId>{first, second}));
  // As it was before: by now a compaction may have written every table anew, under the second.
  std::filesystem::remove_all(directory_);
  std::filesystem::rename(saved, directory_);
  keys_.Lose(first);
  const Status status = OpenStore().status();
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_NE(MessageOf(status).find("not in this service's keyring"), std::string::npos) << status;
}

TEST_F(EncryptedEnvTest, AnUnencryptedDatabaseIsRefusedWithWhatToDo) {
  Fill();
  Overwrite(database_ / "CURRENT", "MANIFEST-000005\n");
  const Status status = OpenStore().status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(MessageOf(status).find("without file encryption"), std::string::npos) << status;
  EXPECT_NE(MessageOf(status).find("ingest again"), std::string::npos) << status;
}

TEST_F(EncryptedEnvTest, NamesAFormatItDoesNotKnowInAnyFile) {
  Fill();
  for (const auto& path : Files()) {
    std::string bytes = *ReadFile(path, kFileBytesMax);
    const std::string name = path.filename().string();
    if (bytes.empty() || name.starts_with("OPTIONS") || name == "IDENTITY") continue;  // Not read to open.
    const std::string good = bytes;
    bytes[4] = 7;
    Overwrite(path, bytes);
    const Status status = OpenStore().status();
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition) << name;
    EXPECT_NE(MessageOf(status).find("format 7,"), std::string::npos) << name << status;
    Overwrite(path, good);
  }
  ExpectFilled();
}

// RocksDB's own encrypted file system ends the process on some of them: it asserts.
TEST_F(EncryptedEnvTest, TornFilesOfEveryKindEndInNoCrash) {
  Fill();
  const auto saved = temporary_.path() / "saved";
  std::filesystem::copy(directory_, saved, std::filesystem::copy_options::recursive);
  for (const char* name : {"000900.log", "000902.sst", "000903.dbtmp", "MANIFEST-000904", "OPTIONS-000905",
                           "000906.blob", "IDENTITY"}) {
    for (const size_t size : {size_t{0}, size_t{1}, size_t{100}, kFilePrefixBytes - 1, kFilePrefixBytes}) {
      SCOPED_TRACE(std::string(name) + " " + std::to_string(size));
      std::filesystem::remove_all(directory_);
      std::filesystem::copy(saved, directory_, std::filesystem::copy_options::recursive);
      Overwrite(database_ / name, std::string(size, 'x'));
      // A log that is not torn but foreign may hold what was acknowledged, so it is not passed over.
      if (std::string_view(name).ends_with(".log") && size == kFilePrefixBytes) {
        EXPECT_EQ(OpenStore().status().code(), StatusCode::kDataLoss);
      } else {
        ExpectFilled();
      }
    }
  }
}

TEST_F(EncryptedEnvTest, ATornFileThatIsNeededIsDataLoss) {
  Fill();
  const auto saved = temporary_.path() / "saved";
  std::filesystem::copy(directory_, saved, std::filesystem::copy_options::recursive);
  for (const auto& path : Files()) {
    const std::string name = path.filename().string();
    if (name == "LOCK" || name == "IDENTITY" || name.starts_with("OPTIONS")) continue;
    for (const size_t size : {size_t{0}, size_t{1}, size_t{100}, kFilePrefixBytes - 1, kFilePrefixBytes}) {
      SCOPED_TRACE(name + " " + std::to_string(size));
      std::filesystem::remove_all(directory_);
      std::filesystem::copy(saved, directory_, std::filesystem::copy_options::recursive);
      if (std::filesystem::file_size(path) <= size) continue;
      std::filesystem::resize_file(path, size);
      auto store = OpenStore();
      if (!store.ok()) {
        EXPECT_EQ(store.status().code(), StatusCode::kDataLoss) << store.status();
        continue;
      }
      for (const char* row : {"in a table", "in a log"}) {
        const auto value = (*store)->Get("a", row);
        if (value.ok()) {
          EXPECT_EQ(*value, "value");
        } else {
          EXPECT_EQ(value.status().code(), StatusCode::kDataLoss) << row;
        }
      }
    }
  }
}

TEST_F(EncryptedEnvTest, FilesAreWrittenOnceAndNeverInPlaintext) {
  std::filesystem::create_directory(directory_);
  const auto env = EncryptedEnv::Open({directory_, temporary_.path() / "manifest"}, keys_);
  ASSERT_TRUE(env.ok());
  const std::string path = (directory_ / "000001.log").string();
  const rocksdb::EnvOptions options;
  const auto file_system = (*env)->env()->GetFileSystem();
  std::unique_ptr<rocksdb::FSWritableFile> file;
  ASSERT_TRUE(file_system->NewWritableFile(path, rocksdb::FileOptions(), &file, nullptr).ok());
  ASSERT_TRUE(file->Append("plaintext", rocksdb::IOOptions(), nullptr).ok());
  ASSERT_TRUE(file->Close(rocksdb::IOOptions(), nullptr).ok());
  uint64_t size = 0;
  ASSERT_TRUE((*env)->env()->GetFileSize(path, &size).ok());
  EXPECT_EQ(size, 9u);
  EXPECT_EQ(ReadFile(path, kFileBytesMax)->find("plaintext"), std::string::npos);
  EXPECT_TRUE(file_system->ReopenWritableFile(path, rocksdb::FileOptions(), &file, nullptr).IsNotSupported());
  EXPECT_TRUE(file_system->ReuseWritableFile(path + "2", path, rocksdb::FileOptions(), &file, nullptr)
                  .IsNotSupported());
  std::unique_ptr<rocksdb::FSRandomRWFile> both;
  EXPECT_TRUE(file_system->NewRandomRWFile(path, rocksdb::FileOptions(), &both, nullptr).IsNotSupported());
  // What somebody appends to a file that was empty when it was opened is not read either.
  const std::string empty = (directory_ / "000002.log").string();
  Overwrite(empty, "");
  std::unique_ptr<rocksdb::SequentialFile> sequential;
  ASSERT_TRUE((*env)->env()->NewSequentialFile(empty, &sequential, options).ok());
  Overwrite(empty, "injected");
  char scratch[16];
  rocksdb::Slice read;
  ASSERT_TRUE(sequential->Read(sizeof scratch, &read, scratch).ok());
  EXPECT_TRUE(read.empty());
  // Plaintext in a file is refused by every way of reading.
  EXPECT_FALSE((*env)->env()->NewSequentialFile(empty, &sequential, options).ok());
  std::unique_ptr<rocksdb::RandomAccessFile> random;
  EXPECT_FALSE((*env)->env()->NewRandomAccessFile(empty, &random, options).ok());
  EXPECT_FALSE((*env)->env()->GetFileSize(empty, &size).ok());
  EXPECT_EQ((*env)->Refusal().code(), StatusCode::kDataLoss);
}

}  // namespace
}  // namespace cloister::storage
