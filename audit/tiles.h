// SPDX-License-Identifier: Apache-2.0
// A log cut into tiles of 256 hashes: paths, bundles of entries, growth by appending, and proofs from tiles.
// Does no I/O: callers pass functions that read and write tiles. SPEC: c2sp.org/tlog-tiles v0.1.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/merkle.h"
#include "common/status.h"

namespace cloister::audit {

constexpr uint32_t kTileWidth = 256;
constexpr size_t kEntryBytesMax = 65'535;
constexpr size_t kBundleBytesMax = kTileWidth * (2 + kEntryBytesMax);
constexpr uint32_t kTileLevelMax = 7;  // 256^8 entries are all that a 64-bit size can count.

// The tile `index` of `level`, `width` hashes wide: 1 to 255 for a partial tile, 256 for a full one.
struct TileId {
  uint32_t level = 0;
  uint64_t index = 0;
  uint32_t width = 0;
  auto operator<=>(const TileId&) const = default;
};

std::string TilePath(const TileId& tile);                // "tile/1/x001/x234/067.p/8"
std::string BundlePath(uint64_t index, uint32_t width);  // "tile/entries/x001/x234/067"
struct TilePathParts {
  bool is_bundle = false;  // level is 0 then.
  TileId tile;
};
// The inverse; nothing for a path that neither function makes.
std::optional<TilePathParts> ParseTilePath(std::string_view path);

// Hashes that a log of `size` entries has in tile `index` of `level`: 0 when there is no such tile.
uint32_t TileWidthAt(uint64_t size, uint32_t level, uint64_t index);

// Appends one entry, at most kEntryBytesMax long (CHECKed), to a bundle.
void AppendToBundle(std::string_view entry, std::string& bundle);
// The entries of a bundle; views into `bundle`. Errors: kDataLoss (truncated, left-over bytes, not `width`
// entries).
StatusOr<std::vector<std::string_view>> SplitBundle(std::string_view bundle, uint32_t width);

// Receives a finished tile: `hashes` is width * 32 bytes.
using TileSink = std::function<Status(const TileId& tile, std::string_view hashes)>;
// Returns width * 32 bytes; ProofBuilder checks the length.
using TileReader = std::function<StatusOr<std::string>(const TileId& tile)>;

// The right edge of a growing log: at most 255 hashes a level, whatever the log's size. Copyable. Not
// thread-safe.
class TileBuilder {
 public:
  // The builder of a log with `size` entries whose partial tiles `read` returns.
  // Errors: those of `read`; kDataLoss (a tile of the wrong length).
  static StatusOr<TileBuilder> Load(uint64_t size, const TileReader& read);
  // Gives each tile that becomes full to `full`. After an error the builder is spent: work on a copy.
  Status Append(const Hash& leaf, const TileSink& full);
  // The partial tiles of the present size.
  std::vector<TileId> PartialTiles() const;
  // Their hashes; empty for a level without a partial tile.
  std::string_view Partial(uint32_t level) const;
  Hash Root() const;
  uint64_t size() const { return size_; }

 private:
  uint64_t size_ = 0;
  std::vector<std::string> right_;  // By level; less than a full tile each.
};

// Makes proofs for a log of `size` entries, reading each tile it needs once. Not thread-safe.
class ProofBuilder {
 public:
  ProofBuilder(uint64_t size, TileReader read) : size_(size), read_(std::move(read)) {}
  // Errors: kInvalidArgument (index not below the size; first size 0 or above it), those of the reader,
  // kDataLoss.
  StatusOr<std::vector<Hash>> Inclusion(uint64_t index);
  StatusOr<std::vector<Hash>> Consistency(uint64_t first_size);

 private:
  Status InclusionPath(uint64_t index, uint64_t begin, uint64_t end, std::vector<Hash>& out);
  Status ConsistencyPath(uint64_t first, uint64_t begin, uint64_t end, bool whole, std::vector<Hash>& out);
  StatusOr<Hash> RangeHash(uint64_t begin, uint64_t end);
  StatusOr<Hash> PerfectHash(uint32_t height, uint64_t index);
  uint64_t size_;
  TileReader read_;
  std::map<TileId, std::string> tiles_;
};

// The root of a perfect tree over 2^k concatenated hashes.
Hash PerfectRoot(std::string_view hashes);

}  // namespace cloister::audit
