// SPDX-License-Identifier: Apache-2.0
#include "ingest/manifest.h"

#include <gtest/gtest.h>

#include "ingest/manifest_parser.h"

namespace cloister::ingest {
namespace {

constexpr char kExample[] =
    "[\"a/b.pdf\"]\ntitle = \"T\"\nsubjects = [\"p-1\", \"p-2\"]\neffective_from = "
    "2026-01-31\n[other]\nowner = \"x\"\n";

TEST(ManifestTest, AppliesOverTheDocumentsOwn) {
  const ManifestResult result = ParseManifest(kExample);
  ASSERT_EQ(result.problem, "");
  Metadata m;
  m.title = "old";
  m.owner = "kept";
  result.manifest.Apply("a/b.pdf", m);
  EXPECT_EQ(m.title, "T");
  EXPECT_EQ(m.owner, "kept");
  EXPECT_EQ(m.effective_from, "2026-01-31");
  EXPECT_EQ(m.subjects, (std::vector<std::string>{"p-1", "p-2"}));
  Metadata untouched;
  result.manifest.Apply("none", untouched);
  EXPECT_EQ(untouched, Metadata());
  EXPECT_EQ(result.manifest.Find("none"), nullptr);
}

TEST(ManifestTest, SaysWhatIsWrongAndWhere) {
  const auto problem = [](const char* toml) { return ParseManifest(toml).problem; };
  EXPECT_EQ(problem("[a]\ntitel = \"x\"\n"), "line 2: there is no such key; the nearest known one is title");
  EXPECT_EQ(problem("[a]\n\neffective_to = \"soon\"\n"), "line 3: the value of effective_to is not valid");
  EXPECT_NE(problem("title = \"x\"\n").find("expected a table"), std::string::npos);
  EXPECT_NE(problem("[a]\ntitle = 5\n").find("must be text"), std::string::npos);
  EXPECT_NE(problem("[a\n").find("not valid TOML"), std::string::npos);
  EXPECT_EQ(problem(("[\"" + std::string(kManifestSourceBytesMax + 1, 'x') + "\"]\n").c_str()),
            "line 1: the name of a file is too long");
}

TEST(ManifestTest, CrossesTheProcessBorderWhole) {
  const ManifestResult before = ParseManifest(kExample);
  const auto after = DecodeManifestResult(EncodeManifestResult(before));
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(after->manifest.entries(), before.manifest.entries());
  const auto problem = DecodeManifestResult(EncodeManifestResult({"line 1: no", {}}));
  ASSERT_TRUE(problem.ok());
  EXPECT_EQ(problem->problem, "line 1: no");
}

TEST(ManifestTest, RefusesWhatTheParseProcessCannotHaveMeant) {
  const std::string good = EncodeManifestResult(ParseManifest(kExample));
  for (size_t length = 0; length < good.size(); ++length) {
    EXPECT_EQ(DecodeManifestResult(good.substr(0, length)).status().code(), StatusCode::kDataLoss) << length;
  }
  EXPECT_EQ(DecodeManifestResult(good + "x").status().code(), StatusCode::kDataLoss);
  std::string newer = good;
  newer[4] = 2;
  EXPECT_EQ(DecodeManifestResult(newer).status().code(), StatusCode::kFailedPrecondition);
  // A terminal must not be steered from inside the sandbox.
  EXPECT_EQ(DecodeManifestResult(EncodeManifestResult({"line 1: \x1b[2J", {}})).status().code(),
            StatusCode::kDataLoss);
  EXPECT_EQ(DecodeManifestResult(EncodeManifestResult({std::string(kManifestProblemBytesMax + 1, 'x'), {}}))
                .status()
                .code(),
            StatusCode::kDataLoss);
  // Entries beside a problem, a date that is none, a source twice.
  ManifestResult both = ParseManifest(kExample);
  both.problem = "line 1: no";
  EXPECT_EQ(DecodeManifestResult(EncodeManifestResult(both)).status().code(), StatusCode::kDataLoss);
  Metadata undated;
  undated.effective_to = "soon";
  EXPECT_EQ(DecodeManifestResult(EncodeManifestResult({"", Manifest({{"a", undated}})})).status().code(),
            StatusCode::kDataLoss);
  std::string twice = EncodeManifestResult({"", Manifest({{"a", {}}, {"b", {}}})});
  const size_t second = twice.rfind("b");
  ASSERT_NE(second, std::string::npos);
  twice[second] = 'a';
  EXPECT_EQ(DecodeManifestResult(twice).status().code(), StatusCode::kDataLoss);
}

// Every bit of it flipped: refused or another manifest, never a crash.
TEST(ManifestTest, SurvivesEveryFlippedBit) {
  const std::string good = EncodeManifestResult(ParseManifest(kExample));
  size_t refused = 0;
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string flipped = good;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    refused += DecodeManifestResult(flipped).ok() ? 0 : 1;
  }
  EXPECT_GT(refused, good.size());
}

}  // namespace
}  // namespace cloister::ingest
