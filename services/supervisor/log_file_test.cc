// SPDX-License-Identifier: Apache-2.0
#include "services/supervisor/log_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "services/server/test_authority.h"

namespace cloister::services {
namespace {

constexpr size_t kAll = 1 << 30;

TEST(LogFileTest, AppendsToWhatIsThereWithPrivateMode) {
  TestDirectory directory;
  const auto path = directory.path() / "x.log";
  for (const char* line : {"one\n", "two\n"}) {
    auto log = LogFile::Open(path);
    ASSERT_TRUE(log.ok()) << log.status();
    ASSERT_TRUE(log->Append(line).ok());
  }
  EXPECT_EQ(*ReadFile(path, kAll), "one\ntwo\n");
  struct stat info;
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0600u);
}

TEST(LogFileTest, RotatesAtTheCapAndKeepsTwoOldOnes) {
  TestDirectory directory;
  const auto path = directory.path() / "x.log";
  auto log = LogFile::Open(path, 10);
  ASSERT_TRUE(log.ok());
  for (const char* block : {"aaaaaaaa", "bbbbbbbb", "cccccccc", "dddddddd", "e"})
    ASSERT_TRUE(log->Append(block).ok());
  EXPECT_EQ(*ReadFile(path, kAll), "dddddddde");
  EXPECT_EQ(*ReadFile(path.string() + ".1", kAll), "cccccccc");
  EXPECT_EQ(*ReadFile(path.string() + ".2", kAll), "bbbbbbbb");
  EXPECT_FALSE(std::filesystem::exists(path.string() + ".3"));
}

TEST(LogFileTest, ABlockOverTheCapStillGetsIn) {
  TestDirectory directory;
  auto log = LogFile::Open(directory.path() / "x.log", 10);
  ASSERT_TRUE(log.ok());
  ASSERT_TRUE(log->Append(std::string(25, 'a')).ok());
  EXPECT_EQ(ReadFile(directory.path() / "x.log", kAll)->size(), 25u);
}

TEST(LogFileTest, ReportsAFolderThatIsNotThere) {
  TestDirectory directory;
  EXPECT_EQ(LogFile::Open(directory.path() / "none" / "x.log").status().code(), StatusCode::kNotFound);
}

TEST(LogCollectorTest, CopiesEverythingBeforeItEnds) {
  TestDirectory directory;
  std::string expected;
  {
    auto logs = LogCollector::Start(directory.path());
    ASSERT_TRUE(logs.ok()) << logs.status();
    auto first = (*logs)->PipeFor("first");
    auto second = (*logs)->PipeFor("second");
    ASSERT_TRUE(first.ok() && second.ok());
    for (int i = 0; i < 20'000; ++i) {
      const std::string line = "line " + std::to_string(i) + "\n";
      expected += line;
      ASSERT_TRUE(WriteAll(first->get(), line).ok());
    }
    ASSERT_TRUE(WriteAll(second->get(), "short\n").ok());
  }
  EXPECT_EQ(*ReadFile(directory.path() / "first.log", kAll), expected);
  EXPECT_EQ(*ReadFile(directory.path() / "second.log", kAll), "short\n");
}

TEST(LastErrorInTest, FindsTheLastError) {
  TestDirectory directory;
  const auto path = directory.path() / "x.log";
  EXPECT_EQ(LastErrorIn(path), "");
  std::ofstream(path)
      << std::string(100'000, '\n')
      << "{\"level\":\"error\",\"message\":\"first\"}\n{\"level\":\"error\",\"message\":\"last\"}\n"
         "{\"level\":\"info\",\"message\":\"later\"}\nnot json\n{\"level\":\"error\"}\n[1]\n";
  EXPECT_EQ(LastErrorIn(path), "last");
}

}  // namespace
}  // namespace cloister::services
