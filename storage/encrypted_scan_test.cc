// SPDX-License-Identifier: Apache-2.0
// Writes rows with recognisable keys, column families and values, flushes, is killed and opened again, and
// searches every byte of every file for them. Built twice: as the product is, where nothing may be found, and
// with the no-op cipher of tests/support/plaintext_file_cipher.cc (CLOISTER_PLAINTEXT), where the same search
// must find all of it.
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>

#include "common/file.h"
#include "storage/memory_key_source.h"
#include "storage/rocksdb_store.h"
#include "storage/temporary_directory.h"

extern char** environ;

namespace cloister::storage {
namespace {

#ifdef CLOISTER_PLAINTEXT
constexpr bool kPlaintext = true;
#else
constexpr bool kPlaintext = false;
#endif
constexpr size_t kFileBytesMax = 64 * 1024 * 1024;
constexpr const char* kWriter = "CLOISTER_SCAN_WRITER";  // Set in the process that is to be killed.
const std::set<std::string> kNeedles = {"quondrethel-family", "row-key-mizzorf", "value-plaxuvin",
                                        "log-key-skolejan", "log-value-warbxith"};

StatusOr<std::unique_ptr<RocksDbStore>> Open(const std::filesystem::path& directory, KeySource& keys) {
  return RocksDbStore::Open(
      {.directory = directory, .column_families = {"quondrethel-family"}, .keys = &keys});
}

Status Put(RocksDbStore& store, const std::string& key, const std::string& value) {
  WriteBatch batch;
  batch.Put("quondrethel-family", key, value);
  return store.Write(batch);
}

// Fills tables and a log, and ends by SIGKILL with the database open.
void WriteAndDie(const std::filesystem::path& directory) {
  MemoryKeySource keys{"seed"};
  auto store = Open(directory, keys);
  CLOISTER_CHECK(store.ok());
  for (int generation = 0; generation < 6; ++generation) {  // As many tables as make RocksDB merge them.
    for (int row = 0; row < 50; ++row) {
      CLOISTER_CHECK(Put(**store, "row-key-mizzorf" + std::to_string(row), "value-plaxuvin").ok());
    }
    CLOISTER_CHECK((*store)->Flush().ok());
  }
  CLOISTER_CHECK(Put(**store, "log-key-skolejan", "log-value-warbxith").ok());
  ::raise(SIGKILL);
}

// What of kNeedles stands in a file below `directory`, or in the name of one.
std::set<std::string> Scan(const std::filesystem::path& directory, int* files, size_t* bytes) {
  std::set<std::string> found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    std::string text = entry.path().string();
    if (entry.is_regular_file()) {
      text += *ReadFile(entry.path(), kFileBytesMax);
      ++*files;
    }
    *bytes += text.size();
    for (const std::string& needle : kNeedles) {
      if (text.find(needle) != std::string::npos) found.insert(needle);
    }
  }
  return found;
}

TEST(EncryptedScanTest, NothingWrittenIsReadableInAnyFile) {
  const TemporaryDirectory temporary;
  const auto directory = temporary.path() / "db";
  ::setenv(kWriter, directory.c_str(), 1);
  std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  char* arguments[] = {self.data(), nullptr};
  pid_t child = 0;
  ASSERT_EQ(::posix_spawn(&child, self.c_str(), nullptr, nullptr, arguments, environ), 0);
  ::unsetenv(kWriter);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "the writer ended by itself";

  const std::set<std::string> expected = kPlaintext ? kNeedles : std::set<std::string>();
  int files = 0;
  size_t bytes = 0;
  EXPECT_EQ(Scan(directory, &files, &bytes), expected) << "after the kill";
  {
    MemoryKeySource keys{"seed"};
    auto store = Open(directory, keys);
    ASSERT_TRUE(store.ok()) << store.status();
    EXPECT_EQ(*(*store)->Get("quondrethel-family", "log-key-skolejan"), "log-value-warbxith");
    EXPECT_EQ(*(*store)->Get("quondrethel-family", "row-key-mizzorf7"), "value-plaxuvin");
    EXPECT_EQ(Scan(directory, &files, &bytes), expected) << "opened again";
  }
  EXPECT_EQ(Scan(directory, &files, &bytes), expected) << "closed";
  std::printf("  %d files, %zu bytes searched, %s\n", files, bytes,
              kPlaintext ? "all found" : "nothing found");
  EXPECT_GT(files, 20);
}

}  // namespace
}  // namespace cloister::storage

int main(int argc, char** argv) {
  if (const char* directory = std::getenv(cloister::storage::kWriter)) {
    cloister::storage::WriteAndDie(directory);
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
