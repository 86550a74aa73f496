// SPDX-License-Identifier: Apache-2.0
#include "audit/merkle.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/bytes.h"

namespace cloister::audit {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string Hex(const Hash& hash) { return HexEncode(hash.bytes()); }

TEST(MerkleTest, HashesTheConstantsOfRfc6962) {
  EXPECT_EQ(Hex(EmptyRoot()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Hex(LeafHash("")), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
  EXPECT_EQ(Hex(LeafHash("L123456")), "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56");
  // The root of the first two entries, "" and 00, of the reference tree.
  EXPECT_EQ(Hex(NodeHash(LeafHash(""), LeafHash(std::string(1, '\0')))),
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125");
}

TEST(MerkleTest, SplitsBelowTheSize) {
  EXPECT_EQ(SplitPoint(2), 1u);
  EXPECT_EQ(SplitPoint(3), 2u);
  EXPECT_EQ(SplitPoint(4), 2u);
  EXPECT_EQ(SplitPoint(5), 4u);
  EXPECT_EQ(SplitPoint(UINT64_MAX), uint64_t{1} << 63);
}

TEST(MerkleTest, AHashHas32Bytes) {
  EXPECT_FALSE(Hash::FromBytes(std::string(31, 'x')).ok());
  EXPECT_FALSE(Hash::FromBytes(std::string(33, 'x')).ok());
  EXPECT_TRUE(Hash::FromBytes(std::string(32, 'x')).ok());
}

TEST(MerkleTest, RefusesQuestionsThatMakeNoSense) {
  const Hash h = LeafHash("x");
  EXPECT_EQ(VerifyInclusion(1, 1, h, {}, h).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(VerifyInclusion(0, 0, h, {}, h).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(VerifyInclusion(0, 1, h, {h}, h).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(VerifyInclusion(0, 2, h, {}, h).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(VerifyInclusion(0, 1, h, {}, LeafHash("y")).code(), StatusCode::kDataLoss);
  EXPECT_EQ(VerifyConsistency(0, 1, {}, h, h).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(VerifyConsistency(2, 1, {}, h, h).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(VerifyConsistency(1, 2, {}, h, h).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(VerifyConsistency(1, 1, {h}, h, h).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(VerifyConsistency(1, 1, {}, h, LeafHash("y")).code(), StatusCode::kDataLoss);
  EXPECT_EQ(VerifySubtreeInclusion(5, 2, 5, h, {}, h).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(VerifySubtreeConsistency(1, 3, 8, {}, h, h).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(VerifySubtreeConsistency(3, 3, 8, {}, EmptyRoot(), h).code(), StatusCode::kOk);
  EXPECT_EQ(VerifySubtreeConsistency(3, 3, 8, {}, h, h).code(), StatusCode::kDataLoss);
  EXPECT_EQ(VerifySubtreeConsistency(3, 3, 8, {h}, EmptyRoot(), h).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(VerifySubtreeConsistency(9, 9, 8, {}, EmptyRoot(), h).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(VerifySubtreeConsistency(0, UINT64_MAX, UINT64_MAX, {}, h, h).code(), StatusCode::kOk);
  EXPECT_EQ(VerifySubtreeConsistency(1, UINT64_MAX, UINT64_MAX, {}, h, h).code(),
            StatusCode::kInvalidArgument);
}

// The published vectors. A leaf or proof hash that is not 32 bytes cannot even be expressed here, which
// counts as refusing it.
struct Counts {
  int files = 0, must_fail = 0, wrong = 0;
};

std::optional<Hash> HashOf(const json& value) {
  const auto bytes = Base64Decode(value.get<std::string>());
  if (!bytes.ok()) return std::nullopt;
  const auto hash = Hash::FromBytes(*bytes);
  return hash.ok() ? std::optional(*hash) : std::nullopt;
}

// Some roots of the vectors are words, not hashes, where nothing but their equality counts: their hash stands
// in.
Hash RootOf(const json& value) {
  const auto hash = HashOf(value);
  return hash ? *hash : LeafHash(value.get<std::string>());
}

bool Accepts(const std::string& kind, const json& vector) {
  std::vector<Hash> proof;
  if (!vector["proof"].is_null()) {
    for (const json& item : vector["proof"]) {
      const auto hash = HashOf(item);
      if (!hash) return false;
      proof.push_back(*hash);
    }
  }
  const auto number = [&](const char* name) { return vector[name].get<uint64_t>(); };
  if (kind == "inclusion" || kind == "subtreeinclusion") {
    const auto leaf = HashOf(vector["leafHash"]);
    const Hash root = RootOf(vector["root"]);
    if (!leaf) return false;
    return kind == "inclusion"
               ? VerifyInclusion(number("leafIdx"), number("treeSize"), *leaf, proof, root).ok()
               : VerifySubtreeInclusion(number("leafIdx"), number("start"), number("end"), *leaf, proof, root)
                     .ok();
  }
  const Hash root1 = RootOf(vector["root1"]), root2 = RootOf(vector["root2"]);
  return kind == "consistency"
             ? VerifyConsistency(number("size1"), number("size2"), proof, root1, root2).ok()
             : VerifySubtreeConsistency(number("start"), number("end"), number("size"), proof, root1, root2)
                   .ok();
}

TEST(MerkleConformanceTest, AgreesWithEveryPublishedProof) {
  const fs::path root = fs::path(CLOISTER_EVAL_DIR) / "conformance/merkle/testdata";
  if (!fs::exists(root)) GTEST_SKIP() << "no conformance data at " << root;
  Counts counts;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (entry.path().extension() != ".json") continue;
    const json vector = json::parse(std::ifstream(entry.path()));
    const std::string kind = entry.path().lexically_relative(root).begin()->string();
    const bool want = !vector.value("wantErr", false);
    ++counts.files;
    counts.must_fail += !want;
    if (Accepts(kind, vector) != want) {
      ++counts.wrong;
      ADD_FAILURE() << entry.path() << ": " << vector["desc"];
    }
  }
  EXPECT_EQ(counts.files, 518);
  EXPECT_EQ(counts.must_fail, 482);
  EXPECT_EQ(counts.wrong, 0);
  std::cout << "merkle vectors: " << counts.files << ", must fail: " << counts.must_fail
            << ", wrong: " << counts.wrong << "\n";
}

}  // namespace
}  // namespace cloister::audit
