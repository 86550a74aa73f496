// SPDX-License-Identifier: Apache-2.0
#include "services/audit/releases.h"

#include <gtest/gtest.h>

#include "common/bytes.h"

namespace cloister::services {
namespace {

const std::string kOne(16, '\x11'), kTwo(16, '\x22'), kVersion(16, '\x33');

class ReleasesTest : public ::testing::Test {
 protected:
  static ReleaseFinder Finder(const std::vector<std::string>& documents,
                              const std::vector<std::string>& versions = {}, uint32_t releases_max = 0) {
    v1::FindReleasesRequest request;
    for (const std::string& id : documents) request.add_documents(id);
    for (const std::string& id : versions) request.add_versions(id);
    request.set_releases_max(releases_max);
    return *ReleaseFinder::New(request);
  }
  static std::string Passage(const std::string& document, const std::string& version) {
    return "{\"document\":\"" + HexEncode(document) + "\",\"version\":\"" + HexEncode(version) + "\"}";
  }
  std::vector<std::string> Entries(const std::string& event, const std::string& body_json, char who = 'a') {
    audit::Event made;
    made.name = event;
    made.body_json = body_json;
    made.who = {audit::Actor::Kind::kUser, std::string(32, who)};
    audit::Stamp stamp;
    stamp.boot = std::string(32, 'b');
    auto entries = audit::PreparedRecord::New(made, "main")->Entries(next_, stamp);
    next_ += entries.size();
    return entries;
  }
  uint64_t next_ = 0;
};

TEST_F(ReleasesTest, FindsReleasesOfTheDocumentsAndNothingElse) {
  ReleaseFinder finder = Finder({kOne});
  const std::string one = "{\"passages\":[" + Passage(kOne, kVersion) + "," + Passage(kTwo, kVersion) + "]}";
  const std::string two = "{\"passages\":[" + Passage(kTwo, kVersion) + "]}";
  for (const auto& [event, body] : {std::pair{"ask.release", one}, std::pair{"ask.release", two},
                                    std::pair{"search.release", one}, std::pair{"document.updated", one}}) {
    for (const std::string& entry : Entries(event, body)) ASSERT_TRUE(finder.Take(entry).ok());
  }
  const auto result = finder.Result();
  EXPECT_EQ(result.total(), 2u);
  EXPECT_EQ(result.recipients(), 1u);
  ASSERT_EQ(result.releases_size(), 2);
  EXPECT_EQ(result.releases(0).index(), 2u);  // Newest first.
  EXPECT_EQ(result.releases(1).index(), 0u);
  ASSERT_EQ(result.releases(0).documents_size(), 1);
  EXPECT_EQ(result.releases(0).documents(0), kOne);
}

// Who read a former version saw the document, too; and each release says which version it handed out.
TEST_F(ReleasesTest, CountsReadingsOfVersionsAndNamesTheVersions) {
  const std::string other(16, '\x44');
  ReleaseFinder finder = Finder({kOne});
  const std::string released = "{\"passages\":[" + Passage(kOne, other) + "," + Passage(kOne, kVersion) + "," +
                               Passage(kOne, kVersion) + "," + Passage(kTwo, other) + "]}";
  const std::string read = "{\"passages\":[" + Passage(kOne, kVersion) + "]}";
  ASSERT_TRUE(finder.Take(Entries("ask.release", released)[0]).ok());
  ASSERT_TRUE(finder.Take(Entries("version.read", read, 'c')[0]).ok());
  ASSERT_TRUE(finder.Take(Entries("version.ended", read, 'd')[0]).ok());
  const auto result = finder.Result();
  EXPECT_EQ(result.total(), 2u);
  EXPECT_EQ(result.recipients(), 2u);
  ASSERT_EQ(result.releases(1).versions_size(), 2);
  EXPECT_EQ(result.releases(1).versions(0).document(), kOne);
  EXPECT_EQ(result.releases(1).versions(0).version(), kVersion);
  EXPECT_EQ(result.releases(1).versions(1).version(), other);
  ASSERT_EQ(result.releases(0).versions_size(), 1);
}

TEST_F(ReleasesTest, VersionsNarrowItToPassagesOfThose) {
  const std::string other(16, '\x44');
  const std::string body = "{\"passages\":[" + Passage(kOne, kVersion) + "," + Passage(kTwo, other) + "]}";
  ReleaseFinder wanted = Finder({kOne}, {kVersion}), unwanted = Finder({kOne}, {other});
  const auto entries = Entries("ask.release", body);
  ASSERT_TRUE(wanted.Take(entries[0]).ok());
  ASSERT_TRUE(unwanted.Take(entries[0]).ok());
  EXPECT_EQ(wanted.Result().total(), 1u);
  EXPECT_EQ(unwanted.Result().total(), 0u);
}

TEST_F(ReleasesTest, KeepsTheNewestAndCountsAll) {
  ReleaseFinder finder = Finder({kOne}, {}, 2);
  const std::string body = "{\"passages\":[" + Passage(kOne, kVersion) + "]}";
  for (const char who : {'a', 'b', 'a', 'c', 'c'}) {
    ASSERT_TRUE(finder.Take(Entries("ask.release", body, who)[0]).ok());
  }
  const auto result = finder.Result();
  EXPECT_EQ(result.total(), 5u);
  EXPECT_EQ(result.recipients(), 3u);
  ASSERT_EQ(result.releases_size(), 2);
  EXPECT_EQ(result.releases(0).index(), 4u);
  EXPECT_EQ(result.releases(1).index(), 3u);
}

// The id itself is cut by the border of two parts.
TEST_F(ReleasesTest, AssemblesARecordOfSeveralEntries) {
  const size_t before_id = std::string("{\"a\":\"\",\"passages\":[{\"document\":\"").size();
  const std::string padding(5 * audit::kBodyPartBytesMax - before_id - 16, 'x');
  const auto entries =
      Entries("ask.release", "{\"a\":\"" + padding + "\",\"passages\":[" + Passage(kOne, kVersion) + "]}");
  ASSERT_GE(entries.size(), 6u);
  for (const std::string& entry : entries) ASSERT_EQ(entry.find(HexEncode(kOne)), std::string::npos);
  ReleaseFinder finder = Finder({kOne}), other = Finder({kTwo});
  for (const std::string& entry : entries) {
    ASSERT_TRUE(finder.Take(entry).ok());
    ASSERT_TRUE(other.Take(entry).ok());
  }
  EXPECT_EQ(finder.Result().total(), 1u);
  EXPECT_EQ(finder.Result().releases(0).index(), 0u);
  EXPECT_EQ(other.Result().total(), 0u);
  ReleaseFinder lacking = Finder({kOne});
  EXPECT_EQ(lacking.Take(entries[1]).code(), StatusCode::kDataLoss);
}

TEST_F(ReleasesTest, NamesTheGenerationAndPutsNoRecordTogetherAcrossLogsOrGaps) {
  const auto parts = Entries("ask.release", "{\"a\":\"" + std::string(5 * audit::kBodyPartBytesMax, 'x') +
                                                "\",\"passages\":[" + Passage(kOne, kVersion) + "]}");
  ASSERT_GE(parts.size(), 3u);
  ReleaseFinder finder = Finder({kOne});
  finder.Begin(1);
  for (const std::string& part : parts) ASSERT_TRUE(finder.Take(part).ok());
  ASSERT_TRUE(finder.Take(parts[0]).ok());
  finder.Begin(2);
  EXPECT_EQ(finder.Take(parts[1]).code(), StatusCode::kDataLoss) << "its beginning is in another log";
  const auto release = Entries("search.release", "{\"passages\":[" + Passage(kOne, kVersion) + "]}");
  ASSERT_TRUE(finder.Take(release[0]).ok());
  const auto result = finder.Result();
  ASSERT_EQ(result.releases_size(), 2);
  EXPECT_EQ(result.releases(0).generation(), 2u);
  EXPECT_EQ(result.releases(1).generation(), 1u);
}

TEST_F(ReleasesTest, ParsesOnlyWhatCanMatch) {
  ReleaseFinder finder = Finder({kOne});
  EXPECT_TRUE(finder.Take("no envelope at all").ok());
  const std::string release = R"(,"event":"ask.release","mono":"1")";
  EXPECT_TRUE(finder.Take("no envelope" + release + Passage(kTwo, kVersion)).ok());
  EXPECT_EQ(finder.Take("no envelope" + release + Passage(kOne, kVersion)).code(), StatusCode::kDataLoss);
}

TEST_F(ReleasesTest, RefusesWhatIsOutOfBounds) {
  v1::FindReleasesRequest request;
  EXPECT_EQ(ReleaseFinder::New(request).status().code(), StatusCode::kInvalidArgument);
  request.add_documents("short");
  EXPECT_EQ(ReleaseFinder::New(request).status().code(), StatusCode::kInvalidArgument);
  request.set_documents(0, kOne);
  EXPECT_TRUE(ReleaseFinder::New(request).ok());
  request.set_releases_max(kFoundReleasesMax + 1);
  EXPECT_EQ(ReleaseFinder::New(request).status().code(), StatusCode::kInvalidArgument);
  request.set_releases_max(0);
  request.add_versions("short");
  EXPECT_EQ(ReleaseFinder::New(request).status().code(), StatusCode::kInvalidArgument);
  request.clear_versions();
  for (int i = 0; i < kReleasedDocumentsMax; ++i) request.add_documents(kOne);
  EXPECT_EQ(ReleaseFinder::New(request).status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace cloister::services
