// SPDX-License-Identifier: Apache-2.0
// Tiles, roots and proofs against a straightforward computation that shares nothing with the code under test
// but SHA-256: it keeps all hashes and follows the definitions of RFC 6962 word by word.
#include "audit/tiles.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <unordered_map>

#include "crypto/hash.h"

namespace cloister::audit {
namespace {

std::string NaiveLeaf(uint64_t i) {
  const std::string entry = "entry " + std::to_string(i);
  return crypto::Sha256(std::string(1, '\0') + entry);
}

class NaiveTree {
 public:
  explicit NaiveTree(uint64_t size) {
    for (uint64_t i = 0; i < size; ++i) leaves_.push_back(NaiveLeaf(i));
  }
  // MTH(D[begin:end])
  std::string Mth(uint64_t begin, uint64_t end) {
    if (begin == end) return crypto::Sha256("");
    if (end - begin == 1) return leaves_[begin];
    const auto known = known_.find({begin, end});
    if (known != known_.end()) return known->second;
    const uint64_t k = Split(end - begin);
    std::string hash = crypto::Sha256('\x01' + Mth(begin, begin + k) + Mth(begin + k, end));
    if (end - begin >= 64) known_[{begin, end}] = hash;
    return hash;
  }
  // PATH(m, D[begin:end])
  std::vector<std::string> Path(uint64_t m, uint64_t begin, uint64_t end) {
    if (end - begin == 1) return {};
    const uint64_t k = Split(end - begin);
    auto path = m < k ? Path(m, begin, begin + k) : Path(m - k, begin + k, end);
    path.push_back(m < k ? Mth(begin + k, end) : Mth(begin, begin + k));
    return path;
  }
  // SUBPROOF(m, D[begin:end], b)
  std::vector<std::string> Subproof(uint64_t m, uint64_t begin, uint64_t end, bool b) {
    const uint64_t n = end - begin;
    if (m == n) return b ? std::vector<std::string>{} : std::vector<std::string>{Mth(begin, end)};
    const uint64_t k = Split(n);
    auto proof = m <= k ? Subproof(m, begin, begin + k, b) : Subproof(m - k, begin + k, end, false);
    proof.push_back(m <= k ? Mth(begin + k, end) : Mth(begin, begin + k));
    return proof;
  }

 private:
  static uint64_t Split(uint64_t n) {
    uint64_t k = 1;
    while (k * 2 < n) k *= 2;
    return k;
  }
  std::vector<std::string> leaves_;
  std::map<std::pair<uint64_t, uint64_t>, std::string> known_;
};

// All tiles of a log in memory, as the builder gave them out.
struct TestLog {
  TileBuilder builder;
  std::map<TileId, std::string> tiles;
  explicit TestLog(uint64_t size) {
    const TileSink keep = [this](const TileId& tile, std::string_view hashes) {
      EXPECT_EQ(tiles.count(tile), 0u);
      tiles[tile] = std::string(hashes);
      return absl::OkStatus();
    };
    for (uint64_t i = 0; i < size; ++i)
      EXPECT_TRUE(builder.Append(*Hash::FromBytes(NaiveLeaf(i)), keep).ok());
    for (const TileId& tile : builder.PartialTiles()) tiles[tile] = std::string(builder.Partial(tile.level));
  }
  TileReader Reader() {
    return [this](const TileId& tile) -> StatusOr<std::string> {
      const auto found = tiles.find(tile);
      if (found == tiles.end()) return NotFound(TilePath(tile));
      return found->second;
    };
  }
};

std::vector<std::string> Bytes(const std::vector<Hash>& hashes) {
  std::vector<std::string> out;
  for (const Hash& hash : hashes) out.emplace_back(hash.bytes());
  return out;
}

class TilesOfSizeTest : public ::testing::TestWithParam<uint64_t> {};

TEST_P(TilesOfSizeTest, AgreeWithTheDefinition) {
  const uint64_t size = GetParam();
  NaiveTree naive(size);
  TestLog log(size);
  EXPECT_EQ(log.builder.Root().bytes(), naive.Mth(0, size));
  // Exactly the tiles that the specification calls for, each hash as it defines it.
  size_t expected_tiles = 0;
  uint64_t span = 1;
  for (uint32_t level = 0; size / span > 0; ++level, span *= 256) {
    const uint64_t hashes = size / span;
    for (uint64_t n = 0; n * 256 < hashes; ++n) {
      ++expected_tiles;
      const auto width = static_cast<uint32_t>(std::min<uint64_t>(256, hashes - n * 256));
      const auto found = log.tiles.find(TileId{level, n, width});
      ASSERT_NE(found, log.tiles.end()) << level << " " << n;
      EXPECT_EQ(TileWidthAt(size, level, n), width);
      for (uint64_t i = 0; i < width; ++i) {
        const uint64_t begin = (n * 256 + i) * span;
        ASSERT_EQ(found->second.substr(i * 32, 32), naive.Mth(begin, begin + span))
            << level << " " << n << " " << i;
      }
    }
  }
  EXPECT_EQ(log.tiles.size(), expected_tiles);
}

TEST_P(TilesOfSizeTest, ProveWhatTheDefinitionProves) {
  const uint64_t size = GetParam();
  NaiveTree naive(size);
  TestLog log(size);
  ProofBuilder proofs(size, log.Reader());
  std::mt19937_64 random(size);
  std::vector<uint64_t> at = {0, 1, size / 2, size - 1};
  for (int i = 0; i < 40; ++i) at.push_back(random() % size);
  for (const uint64_t index : at) {
    if (index >= size) continue;
    const auto inclusion = proofs.Inclusion(index);
    ASSERT_TRUE(inclusion.ok()) << inclusion.status();
    EXPECT_EQ(Bytes(*inclusion), naive.Path(index, 0, size));
    EXPECT_TRUE(
        VerifyInclusion(index, size, *Hash::FromBytes(NaiveLeaf(index)), *inclusion, log.builder.Root())
            .ok());
    const uint64_t first = index + 1;
    const auto consistency = proofs.Consistency(first);
    ASSERT_TRUE(consistency.ok()) << consistency.status();
    EXPECT_EQ(Bytes(*consistency), naive.Subproof(first, 0, size, true));
    EXPECT_TRUE(VerifyConsistency(first, size, *consistency, *Hash::FromBytes(naive.Mth(0, first)),
                                  log.builder.Root())
                    .ok());
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, TilesOfSizeTest,
                         ::testing::Values(1, 2, 3, 5, 8, 100, 255, 256, 257, 511, 512, 65'536, 65'537,
                                           70'000));

TEST(TilesTest, TheExampleOfTheSpecification) {
  // "A tree of size 70,000: 273 full level 0 tiles, one partial level 0 tile of width 112, one full level 1
  // tile, one partial level 1 tile of width 17, and one partial level 2 tile of width 1."
  TestLog log(70'000);
  std::map<std::pair<uint32_t, uint32_t>, int> count;
  for (const auto& [tile, hashes] : log.tiles) ++count[{tile.level, tile.width}];
  const std::map<std::pair<uint32_t, uint32_t>, int> expected = {
      {{0, 256}, 273}, {{0, 112}, 1}, {{1, 256}, 1}, {{1, 17}, 1}, {{2, 1}, 1}};
  EXPECT_EQ(count, expected);
}

TEST(TilesTest, LoadsTheRightEdgeAndGoesOn) {
  for (const uint64_t size : {0u, 1u, 255u, 256u, 257u, 65'537u}) {
    TestLog log(size);
    auto loaded = TileBuilder::Load(size, log.Reader());
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    EXPECT_EQ(loaded->Root(), log.builder.Root());
    const TileSink ignore = [](const TileId&, std::string_view) { return absl::OkStatus(); };
    for (uint64_t i = size; i < size + 300; ++i) {
      ASSERT_TRUE(loaded->Append(*Hash::FromBytes(NaiveLeaf(i)), ignore).ok());
    }
    EXPECT_EQ(loaded->Root(), TestLog(size + 300).builder.Root());
  }
}

TEST(TilesTest, ATileOfTheWrongLengthIsDamage) {
  const TileReader read_short = [](const TileId& tile) -> StatusOr<std::string> {
    return std::string(tile.width * 32 - 1, 'x');
  };
  EXPECT_EQ(TileBuilder::Load(5, read_short).status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(ProofBuilder(5, read_short).Inclusion(0).status().code(), StatusCode::kDataLoss);
}

TEST(TilesTest, RefusesProofsThatDoNotExist) {
  TestLog log(5);
  ProofBuilder proofs(5, log.Reader());
  EXPECT_EQ(proofs.Inclusion(5).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(proofs.Consistency(0).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(proofs.Consistency(6).status().code(), StatusCode::kInvalidArgument);
}

TEST(TilesTest, PathsAreThoseOfTheSpecification) {
  EXPECT_EQ(TilePath({0, 1234067, 256}), "tile/0/x001/x234/067");
  EXPECT_EQ(TilePath({3, 0, 256}), "tile/3/000");
  EXPECT_EQ(TilePath({1, 1000, 8}), "tile/1/x001/000.p/8");
  EXPECT_EQ(BundlePath(5, 255), "tile/entries/005.p/255");
  EXPECT_EQ(BundlePath(999'999'999, 256), "tile/entries/x999/x999/999");
}

TEST(TilesTest, PathsParseBackAndNothingElseDoes) {
  for (const TileId tile :
       {TileId{0, 0, 256}, TileId{7, 1234067, 255}, TileId{2, 999, 1}, TileId{0, 1000, 256}}) {
    const auto parsed = ParseTilePath(TilePath(tile));
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->tile, tile);
    EXPECT_FALSE(parsed->is_bundle);
  }
  const auto bundle = ParseTilePath("tile/entries/x001/000.p/7");
  ASSERT_TRUE(bundle);
  EXPECT_TRUE(bundle->is_bundle);
  EXPECT_EQ(bundle->tile.index, 1000u);
  for (const char* path : {"",
                           "tile",
                           "tile/",
                           "tile/0",
                           "tile/0/",
                           "tile/0/00",
                           "tile/0/0000",
                           "tile/0/x000/000",
                           "tile/00/000",
                           "tile/8/000",
                           "tile/64/000",
                           "tile/0/000.p/0",
                           "tile/0/000.p/256",
                           "tile/0/000.p/01",
                           "tile/0/000.p/",
                           "tile/0/001/000",
                           "tile/0/x001/x000",
                           "tile/entries/abc",
                           "tile/Entries/000",
                           "tile/0/000.p/1/x",
                           "tile/0/-01",
                           "other/0/000",
                           "tile/0/x999/x999/x999/x999/x999/x999/x999/999"}) {
    EXPECT_FALSE(ParseTilePath(path)) << path;
  }
}

TEST(TilesTest, BundlesComeApartAsTheyWerePutTogether) {
  std::string bundle;
  const std::vector<std::string> entries = {"", "a", std::string(kEntryBytesMax, 'x'), "last"};
  for (const std::string& entry : entries) AppendToBundle(entry, bundle);
  const auto split = SplitBundle(bundle, 4);
  ASSERT_TRUE(split.ok());
  EXPECT_EQ(std::vector<std::string>(split->begin(), split->end()), entries);
  EXPECT_EQ(SplitBundle(bundle, 3).status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(SplitBundle(bundle, 5).status().code(), StatusCode::kDataLoss);
}

TEST(TilesTest, ABundleCutAtAnyLengthIsDamage) {
  std::string bundle;
  for (const char* entry : {"one", "", "three"}) AppendToBundle(entry, bundle);
  for (size_t length = 0; length < bundle.size(); ++length) {
    EXPECT_EQ(SplitBundle(bundle.substr(0, length), 3).status().code(), StatusCode::kDataLoss) << length;
  }
}

}  // namespace
}  // namespace cloister::audit
