// SPDX-License-Identifier: Apache-2.0
#include "ingest/folder.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "ingest/media_type.h"

namespace cloister::ingest {
namespace {

class FolderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/cloister-folder-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    root_ = std::filesystem::canonical(name);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  void Write(const std::string& path, const std::string& bytes) {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << bytes;
  }
  std::vector<std::string> Sources(const FolderScan& scan) {
    std::vector<std::string> out;
    for (const FoundFile& file : scan.files) out.push_back(file.source);
    return out;
  }
  std::filesystem::path root_;
};

TEST_F(FolderTest, ScansInOrderWithoutHiddenFilesAndLinks) {
  Write("b.md", "1");
  Write("a/z.txt", "22");
  Write("a/b/c.pdf", "333");
  Write(".hidden/x.md", "x");
  Write("a/.hidden.md", "x");
  std::filesystem::create_symlink("/etc/passwd", root_ / "link.txt");
  std::filesystem::create_directory_symlink("/etc", root_ / "linked");
  ASSERT_EQ(mkfifo((root_ / "pipe.txt").c_str(), 0600), 0);
  const auto folder = Folder::Open(root_, "");
  ASSERT_TRUE(folder.ok());
  const auto scan = folder->Scan();
  ASSERT_TRUE(scan.ok());
  EXPECT_EQ(Sources(*scan), (std::vector<std::string>{"a/b/c.pdf", "a/z.txt", "b.md"}));
  EXPECT_EQ(scan->files[1].bytes, 2u);
  EXPECT_EQ(scan->skipped.size(), 2u);
  EXPECT_FALSE(scan->unreadable);
}

TEST_F(FolderTest, NeverReadsOutsideOrThroughLinks) {
  Write("in/a.txt", "inside");
  std::filesystem::create_symlink("/etc/passwd", root_ / "in/link.txt");
  std::filesystem::create_directory_symlink("/etc", root_ / "in/etc");
  const auto folder = Folder::Open(root_ / "in", "");
  ASSERT_TRUE(folder.ok());
  EXPECT_EQ(*folder->Read("a.txt", 100), "inside");
  EXPECT_EQ(folder->Read("link.txt", 100).status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(folder->Read("etc/passwd", 1 << 20).status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(folder->Read("../in/a.txt", 100).status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(folder->Read("/etc/passwd", 1 << 20).status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(folder->Read("none.txt", 100).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(folder->Read("a.txt", 3).status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(folder->Read(".", 100).status().code(), StatusCode::kFailedPrecondition);
}

TEST_F(FolderTest, RefusesWrongFolders) {
  Write("file", "x");
  Write("data/x/y", "x");
  EXPECT_EQ(Folder::Open("relative", "").status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Folder::Open(root_ / "none", "").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Folder::Open(root_ / "file", "").status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(Folder::Open(root_ / "data", root_ / "data").status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Folder::Open(root_ / "data/x", root_ / "data").status().code(), StatusCode::kInvalidArgument);
  std::filesystem::create_directory_symlink(root_ / "data", root_ / "alias");
  EXPECT_EQ(Folder::Open(root_ / "alias/x", root_ / "data").status().code(), StatusCode::kInvalidArgument);
}

TEST_F(FolderTest, PassesOverTheDataDirectoryInside) {
  Write("a.md", "x");
  Write("data/secret.md", "x");
  Write("data2/b.md", "x");
  const auto folder = Folder::Open(root_, root_ / "data");
  ASSERT_TRUE(folder.ok());
  EXPECT_EQ(Sources(*folder->Scan()), (std::vector<std::string>{"a.md", "data2/b.md"}));
}

TEST_F(FolderTest, NamesThatAreNotUtf8ArePassedOver) {
  std::ofstream(root_ / "bad\xFF.md") << "x";
  const auto scan = Folder::Open(root_, "")->Scan();
  ASSERT_TRUE(scan.ok());
  EXPECT_TRUE(scan->files.empty());
  ASSERT_EQ(scan->skipped.size(), 1u);
  EXPECT_EQ(scan->skipped[0], "bad\xEF\xBF\xBD.md");
}

TEST(MediaTypeTest, ContentWinsOverTheName) {
  EXPECT_EQ(DetectMediaType("a.txt", "%PDF-1.4"), MediaType::kPdf);
  EXPECT_EQ(DetectMediaType("a.pdf", "junk %PDF-1.4"), MediaType::kPdf);
  EXPECT_EQ(DetectMediaType("a.md", "about %PDF- files"), MediaType::kMarkdown);
  EXPECT_EQ(DetectMediaType("a.txt", "PK\x03\x04zip"), MediaType::kUnsupported);
  EXPECT_EQ(DetectMediaType("a.HTML", "text"), MediaType::kHtml);
  EXPECT_EQ(DetectMediaType("dir.md/a", "text"), MediaType::kUnsupported);
  EXPECT_EQ(DetectMediaType(".md", "text"), MediaType::kUnsupported);
  EXPECT_TRUE(MayBeSupported("x/y.Md"));
  EXPECT_FALSE(MayBeSupported("x.docx"));
  for (const MediaType type : {MediaType::kText, MediaType::kMarkdown, MediaType::kHtml, MediaType::kPdf}) {
    EXPECT_EQ(MediaTypeFromName(MediaTypeName(type)), type);
  }
  EXPECT_EQ(MediaTypeFromName("application/octet-stream"), MediaType::kUnsupported);
}

}  // namespace
}  // namespace cloister::ingest
