// SPDX-License-Identifier: Apache-2.0
#include "common/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <thread>

namespace cloister {
namespace {

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "cloister-test-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  static unsigned ModeOf(const std::filesystem::path& path) {
    struct stat status {};
    EXPECT_EQ(::stat(path.c_str(), &status), 0);
    return status.st_mode & 07777;
  }
  size_t Entries() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(directory_), {}));
  }

  std::filesystem::path directory_;
};

TEST_F(FileTest, ReadsWhatWasWritten) {
  const std::string bytes("binary\0\xff", 8);
  ASSERT_TRUE(WriteFileAtomic(directory_ / "file", bytes, 0600).ok());
  EXPECT_EQ(*ReadFile(directory_ / "file", 100), bytes);
  ASSERT_TRUE(WriteFileAtomic(directory_ / "file", "", 0600).ok());
  EXPECT_EQ(*ReadFile(directory_ / "file", 0), "");
}

TEST_F(FileTest, ReadRefusesMoreThanTheLimit) {
  ASSERT_TRUE(WriteFileAtomic(directory_ / "file", std::string(100'000, 'x'), 0600).ok());
  EXPECT_TRUE(ReadFile(directory_ / "file", 100'000).ok());
  EXPECT_EQ(ReadFile(directory_ / "file", 99'999).status().code(), StatusCode::kResourceExhausted);
}

TEST_F(FileTest, ReadSaysWhatIsWrong) {
  EXPECT_EQ(ReadFile(directory_ / "absent", 10).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(ReadFile(directory_, 10).status().code(), StatusCode::kUnavailable);
}

TEST_F(FileTest, ReadAllTakesAPipeToItsEnd) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  FileDescriptor read_end(ends[0]), write_end(ends[1]);
  const std::string bytes(300'000, 'p');  // More than a pipe holds, so writes are short.
  std::thread writer([&] {
    EXPECT_TRUE(WriteAll(write_end.get(), bytes).ok());
    write_end.Reset();
  });
  EXPECT_EQ(*ReadAll(read_end.get(), bytes.size()), bytes);
  writer.join();
}

TEST_F(FileTest, WriteAllReportsAFullDisk) {
  const FileDescriptor full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  ASSERT_TRUE(full.valid());
  EXPECT_EQ(WriteAll(full.get(), "x").code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(WriteAll(-1, "x").code(), StatusCode::kUnavailable);
}

TEST_F(FileTest, AtomicWriteSetsTheModeAndLeavesNoTemporaryFile) {
  for (const unsigned mode : {0600u, 0640u, 0444u}) {
    ASSERT_TRUE(WriteFileAtomic(directory_ / "file", "x", mode).ok());
    EXPECT_EQ(ModeOf(directory_ / "file"), mode);
  }
  EXPECT_EQ(Entries(), 1u);
}

TEST_F(FileTest, ReadersSeeTheOldOrTheNewContentWhole) {
  const std::string a(50'000, 'a'), b(70'000, 'b');
  ASSERT_TRUE(WriteFileAtomic(directory_ / "file", a, 0600).ok());
  std::atomic<bool> done = false;
  int seen = 0;
  std::thread reader([&] {
    do {
      const auto bytes = ReadFile(directory_ / "file", 100'000);
      ASSERT_TRUE(bytes.ok());
      ASSERT_TRUE(*bytes == a || *bytes == b) << bytes->size();
      ++seen;
    } while (!done);
  });
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(WriteFileAtomic(directory_ / "file", i % 2 ? a : b, 0600).ok());
  done = true;
  reader.join();
  EXPECT_GT(seen, 0);
}

TEST_F(FileTest, AWriteThatFailsLeavesTheOldContentAndNoTemporaryFile) {
  ASSERT_TRUE(WriteFileAtomic(directory_ / "file", "old", 0600).ok());
  // In a child: a limit on file size makes every long write fail.
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1000, 1000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    ::_exit(WriteFileAtomic(directory_ / "file", std::string(10'000, 'n'), 0600).code() ==
                    StatusCode::kUnavailable
                ? 0
                : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_EQ(*ReadFile(directory_ / "file", 100), "old");
  EXPECT_EQ(Entries(), 1u);
}

TEST_F(FileTest, AKilledWriterLeavesTheOldOrTheNewContent) {
  const std::string a(200'000, 'a'), b(300'000, 'b');
  ASSERT_TRUE(WriteFileAtomic(directory_ / "file", a, 0600).ok());
  for (int round = 0; round < 10; ++round) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      for (int i = 0;; ++i) {
        if (!WriteFileAtomic(directory_ / "file", i % 2 ? a : b, 0600).ok()) ::_exit(1);
      }
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(round * 3));
    ::kill(child, SIGKILL);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    const auto bytes = ReadFile(directory_ / "file", 1'000'000);
    ASSERT_TRUE(bytes.ok());
    EXPECT_TRUE(*bytes == a || *bytes == b) << bytes->size();
  }
}

TEST_F(FileTest, AtomicWriteNeedsItsDirectory) {
  EXPECT_EQ(WriteFileAtomic(directory_ / "absent" / "file", "x", 0600).code(), StatusCode::kNotFound);
  EXPECT_EQ(SyncDirectory(directory_ / "absent").code(), StatusCode::kNotFound);
  EXPECT_TRUE(SyncDirectory(directory_).ok());
}

TEST_F(FileTest, MakesPrivateDirectoriesAndLeavesExistingOnes) {
  ASSERT_TRUE(MakePrivateDirectory(directory_ / "a" / "b" / "c").ok());
  EXPECT_EQ(ModeOf(directory_ / "a"), 0700u);
  EXPECT_EQ(ModeOf(directory_ / "a" / "b" / "c"), 0700u);
  ASSERT_EQ(::chmod((directory_ / "a").c_str(), 0755), 0);
  ASSERT_TRUE(MakePrivateDirectory(directory_ / "a").ok());
  EXPECT_EQ(ModeOf(directory_ / "a"), 0755u);
  ASSERT_TRUE(MakePrivateDirectory((directory_ / "d").string() + "/").ok());
  EXPECT_EQ(ModeOf(directory_ / "d"), 0700u);
}

TEST_F(FileTest, AFileInTheWayIsNoDirectory) {
  ASSERT_TRUE(WriteFileAtomic(directory_ / "file", "x", 0600).ok());
  EXPECT_FALSE(MakePrivateDirectory(directory_ / "file").ok());
  EXPECT_FALSE(MakePrivateDirectory(directory_ / "file" / "below").ok());
}

TEST_F(FileTest, OneHolderOfALock) {
  auto first = LockFile(directory_ / "lock");
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(ModeOf(directory_ / "lock"), 0600u);
  EXPECT_EQ(LockFile(directory_ / "lock").status().code(), StatusCode::kFailedPrecondition);
  first->Reset();
  EXPECT_TRUE(LockFile(directory_ / "lock").ok());
  EXPECT_EQ(LockFile(directory_ / "absent" / "lock").status().code(), StatusCode::kNotFound);
}

TEST(FileDescriptorTest, ClosesOnceAndMoves) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const auto is_open = [](int fd) { return ::fcntl(fd, F_GETFD) != -1; };
  FileDescriptor a(ends[0]);
  FileDescriptor b(std::move(a));
  EXPECT_FALSE(a.valid());  // NOLINT(bugprone-use-after-move): the move is what is tested.
  EXPECT_EQ(b.get(), ends[0]);
  b = FileDescriptor(ends[1]);
  EXPECT_FALSE(is_open(ends[0]));
  EXPECT_TRUE(is_open(ends[1]));
  const int released = b.Release();
  b.Reset();
  EXPECT_TRUE(is_open(released));
  { const FileDescriptor c(released); }
  EXPECT_FALSE(is_open(released));
}

TEST(ErrnoStatusTest, MapsErrors) {
  const std::pair<int, StatusCode> cases[] = {
      {ENOSPC, StatusCode::kResourceExhausted}, {EDQUOT, StatusCode::kResourceExhausted},
      {ENOENT, StatusCode::kNotFound},          {EACCES, StatusCode::kPermissionDenied},
      {EPERM, StatusCode::kPermissionDenied},   {EIO, StatusCode::kUnavailable}};
  for (const auto& [error, code] : cases) {
    const Status status = ErrnoStatus(error, "write");
    EXPECT_EQ(status.code(), code);
    EXPECT_EQ(MessageOf(status).find("write: "), 0u);
  }
}

}  // namespace
}  // namespace cloister
