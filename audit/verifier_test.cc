// SPDX-License-Identifier: Apache-2.0
#include "audit/verifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "audit/test_support.h"
#include "audit/tiles.h"

namespace cloister::audit {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// An export built here from entries, so that entries can be wrong on purpose and correctly signed all the
// same.
class VerifierTest : public ::testing::Test {
 protected:
  void Build(const std::vector<std::string>& entries) {
    fs::remove_all(folder());
    TileBuilder builder;
    const TileSink write = [this](const TileId& tile, std::string_view hashes) {
      Write(TilePath(tile), hashes);
      return absl::OkStatus();
    };
    for (uint64_t n = 0; n * kTileWidth < entries.size(); ++n) {
      std::string bundle;
      for (uint64_t i = n * kTileWidth; i < std::min<uint64_t>(entries.size(), (n + 1) * kTileWidth); ++i) {
        AppendToBundle(entries[i], bundle);
        ASSERT_TRUE(builder.Append(LeafHash(entries[i]), write).ok());
      }
      Write(BundlePath(n, TileWidthAt(entries.size(), 0, n)), bundle);
    }
    for (const TileId& tile : builder.PartialTiles()) Write(TilePath(tile), builder.Partial(tile.level));
    const auto signer = TestSigner();
    Write("checkpoint", signer.Sign(CheckpointText({signer.name(), entries.size(), builder.Root()})));
  }
  void Write(const std::string& path, std::string_view bytes) {
    ASSERT_TRUE(MakePrivateDirectory((folder() / path).parent_path()).ok());
    // Not durable: there are thousands of these.
    FILE* file = std::fopen((folder() / path).c_str(), "wb");
    ASSERT_NE(file, nullptr);
    std::fwrite(bytes.data(), 1, bytes.size(), file);
    std::fclose(file);
  }
  static std::vector<std::string> Numbered(uint64_t count) {
    std::vector<std::string> entries;
    for (uint64_t i = 0; i < count; ++i) Append(entries, NumberedEvent(i));
    return entries;
  }
  static void Append(std::vector<std::string>& entries, const Event& event,
                     std::string_view tenant = "main") {
    const auto record = PreparedRecord::New(event, tenant);
    for (std::string& entry : record->Entries(entries.size(), Stamp{{}, {}, std::string(32, '0')})) {
      entries.push_back(std::move(entry));
    }
  }
  FolderReport Verify() const { return VerifyFolder(folder(), TestVerifier()); }
  std::string Problems() const { return ::testing::PrintToString(Verify().problems); }
  std::vector<std::string> Files() const {
    std::vector<std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder())) {
      if (entry.is_regular_file()) files.push_back(entry.path().lexically_relative(folder()).string());
    }
    return files;
  }
  // Flips `bits` bits of each file, all of them when there are fewer, and expects each to be noticed.
  void ExpectFlipsNoticed(size_t bits) {
    std::mt19937_64 random(1);
    size_t missed = 0, flips = 0;
    for (const std::string& path : Files()) {
      const std::string bytes = *ReadFile(folder() / path, size_t{1} << 30);
      const size_t all = bytes.size() * 8;
      for (size_t i = 0; i < std::min(bits, all); ++i, ++flips) {
        const size_t bit = all <= bits ? i : random() % all;
        std::string altered = bytes;
        altered[bit / 8] = static_cast<char>(altered[bit / 8] ^ (1 << bit % 8));
        Write(path, altered);
        if (Verify().verified()) ++missed;
      }
      Write(path, bytes);
    }
    EXPECT_EQ(missed, 0u) << "of " << flips;
    EXPECT_TRUE(Verify().verified());
  }
  fs::path folder() const { return directory_.path() / "log"; }
  TemporaryDirectory directory_;
};

TEST_F(VerifierTest, AcceptsLogsOfEverySize) {
  for (const uint64_t size : {0u, 1u, 2u, 255u, 256u, 257u, 700u}) {
    Build(Numbered(size));
    const FolderReport report = Verify();
    EXPECT_TRUE(report.verified()) << size << " " << ::testing::PrintToString(report.problems);
    EXPECT_EQ(report.entries, size);
    EXPECT_EQ(report.checkpoint.size, size);
    EXPECT_EQ(report.files, Files().size());
  }
}

TEST_F(VerifierTest, NoticesEveryFlippedBitOfASmallLog) {
  Build(Numbered(2));
  ExpectFlipsNoticed(SIZE_MAX);
}

TEST_F(VerifierTest, NoticesFlippedBitsOfALargerLog) {
  Build(Numbered(600));
  ExpectFlipsNoticed(40);
}

TEST_F(VerifierTest, NoticesEveryMissingFile) {
  Build(Numbered(600));
  for (const std::string& path : Files()) {
    const std::string bytes = *ReadFile(folder() / path, size_t{1} << 30);
    fs::remove(folder() / path);
    const FolderReport report = Verify();
    EXPECT_FALSE(report.verified()) << path;
    EXPECT_THAT(::testing::PrintToString(report.problems), HasSubstr(path + " is missing"));
    Write(path, bytes);
  }
}

TEST_F(VerifierTest, NoticesFilesThatDoNotBelong) {
  Build(Numbered(300));
  for (const std::string path : {"tile/0/000.p/200", "tile/0/001.p/43", "tile/0/002", "tile/2/000.p/1",
                                 "tile/entries/001", "tile/notes.txt", "tile/0/0000"}) {
    Write(path, "anything");
    EXPECT_THAT(Problems(), HasSubstr(path + " does not belong")) << path;
    fs::remove(folder() / path);
  }
  EXPECT_TRUE(Verify().verified());
}

TEST_F(VerifierTest, FollowsNoLinks) {
  Build(Numbered(3));
  fs::rename(folder() / "tile/0/000.p/3", directory_.path() / "elsewhere");
  fs::create_symlink(directory_.path() / "elsewhere", folder() / "tile/0/000.p/3");
  EXPECT_THAT(Problems(), HasSubstr("not a plain file"));
}

TEST_F(VerifierTest, NamesTheEntryThatWasAltered) {
  Build(Numbered(600));
  std::string bundle = *ReadFile(folder() / "tile/entries/001", 1 << 24);
  const size_t at = bundle.find("{\"number\":300}");
  ASSERT_NE(at, std::string::npos);
  bundle[at + 10] = '4';
  Write("tile/entries/001", bundle);
  EXPECT_THAT(Problems(), HasSubstr("at entry 300"));
}

TEST_F(VerifierTest, NoticesEntriesOutOfNumber) {
  auto entries = Numbered(5);
  std::swap(entries[1], entries[2]);
  Build(entries);
  EXPECT_THAT(Problems(), HasSubstr("Entry 1 says that it is number 2"));
}

TEST_F(VerifierTest, NoticesAnotherTenantAndWhatIsNoEnvelope) {
  auto entries = Numbered(3);
  Append(entries, NumberedEvent(3), "other");
  entries.push_back("free text");
  Build(entries);
  EXPECT_THAT(Problems(), HasSubstr("Entry 3 belongs to another tenant"));
  EXPECT_THAT(Problems(), HasSubstr("Entry 4: an entry is not an envelope"));
}

TEST_F(VerifierTest, ChecksThatARecordInPartsIsComplete) {
  Event large = NumberedEvent(0);
  large.body_json = "{\"text\":\"" + std::string(100'000, 'x') + "\"}";
  std::vector<std::string> entries;
  Append(entries, large);
  const size_t parts = entries.size();
  ASSERT_GT(parts, 2u);
  Append(entries, NumberedEvent(1));
  Append(entries, large);
  Build(entries);
  EXPECT_TRUE(Verify().verified()) << Problems();
  entries.pop_back();
  Build(entries);
  EXPECT_THAT(Problems(), HasSubstr("ends inside a record"));
  entries.resize(parts - 1);
  Append(entries, NumberedEvent(1));
  Build(entries);
  EXPECT_THAT(Problems(), HasSubstr("breaks a record"));
}

TEST_F(VerifierTest, NoticesAForgedOrForeignCheckpoint) {
  Build(Numbered(3));
  const NoteSigner forger = *NoteSigner::New("test/main/1", std::string(32, 'f'));
  const auto signed_by_us = *ReadFile(folder() / "checkpoint", 10'000);
  const auto checkpoint = *OpenCheckpoint(signed_by_us, TestVerifier());
  Write("checkpoint", forger.Sign(CheckpointText(checkpoint)));
  EXPECT_THAT(Problems(), HasSubstr("cannot be trusted"));
  EXPECT_FALSE(Verify().signature_holds);
  const NoteSigner ours = TestSigner();
  Write("checkpoint", ours.Sign(CheckpointText({"test/other/1", 3, checkpoint.root})));
  EXPECT_THAT(Problems(), HasSubstr("another log"));
}

// What a log cut back looks like: an older checkpoint with its own tiles verifies. The tool says so in its
// help.
TEST_F(VerifierTest, CannotSeeByItselfThatALogWasCutBack) {
  Build(Numbered(10));
  EXPECT_TRUE(Verify().verified());
  Build(Numbered(9));
  EXPECT_TRUE(Verify().verified());
}

TEST_F(VerifierTest, TellsByKeptCheckpointsThatALogWasCutBackOrForked) {
  const auto kept = [&](const std::vector<uint64_t>& sizes) {
    std::vector<Checkpoint> out;
    for (const uint64_t size : sizes) {
      Build(Numbered(size));
      out.push_back(Verify().checkpoint);
    }
    return out;
  };
  const auto all = kept({0, 1, 255, 256, 257, 300, 300});
  Build(Numbered(300));
  EXPECT_TRUE(VerifyFolder(folder(), TestVerifier(), all).verified());
  Build(Numbered(299));
  FolderReport report = VerifyFolder(folder(), TestVerifier(), all);
  EXPECT_EQ(report.problem_count, 2u);
  EXPECT_THAT(report.problems.at(0), HasSubstr("shorter than the checkpoint of 300"));
  auto other = Numbered(300);
  other[256] = Numbered(400)[300];
  Build(other);
  report = VerifyFolder(folder(), TestVerifier(), {all[3]});
  for (const std::string& problem : report.problems) EXPECT_EQ(problem.find("forked"), std::string::npos) << problem;
  report = VerifyFolder(folder(), TestVerifier(), {all[4]});
  EXPECT_THAT(report.problems, testing::Contains(HasSubstr("does not begin with the checkpoint of 257")));
}

TEST_F(VerifierTest, CountsMoreProblemsThanItLists) {
  auto entries = Numbered(60);
  for (size_t i = 0; i < entries.size(); ++i) entries[i] = "free text " + std::to_string(i);
  Build(entries);
  const FolderReport report = Verify();
  EXPECT_EQ(report.problem_count, 60u);
  EXPECT_EQ(report.problems.size(), kProblemsMax);
}

}  // namespace
}  // namespace cloister::audit
