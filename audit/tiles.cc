// SPDX-License-Identifier: Apache-2.0
#include "audit/tiles.h"

#include <bit>
#include <charconv>
#include <cstdio>
#include <utility>

namespace cloister::audit {
namespace {

constexpr uint32_t kTileHeight = 8;

std::string IndexPath(uint64_t index, uint32_t width) {
  char group[8];
  std::snprintf(group, sizeof group, "%03u", static_cast<unsigned>(index % 1000));
  std::string path = group;
  for (index /= 1000; index > 0; index /= 1000) {
    std::snprintf(group, sizeof group, "x%03u/", static_cast<unsigned>(index % 1000));
    path.insert(0, group);
  }
  if (width < kTileWidth) path += ".p/" + std::to_string(width);
  return path;
}

// Digits without a leading zero and at most `maximum`.
std::optional<uint32_t> ParseSmall(std::string_view text, uint32_t maximum) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > maximum) return std::nullopt;
  if (text.size() > 1 && text.front() == '0') return std::nullopt;
  return value;
}

Hash HashAt(std::string_view hashes, size_t position) {
  return *Hash::FromBytes(hashes.substr(position * kHashBytes, kHashBytes));
}

}  // namespace

std::string TilePath(const TileId& tile) {
  return "tile/" + std::to_string(tile.level) + "/" + IndexPath(tile.index, tile.width);
}

std::string BundlePath(uint64_t index, uint32_t width) { return "tile/entries/" + IndexPath(index, width); }

std::optional<TilePathParts> ParseTilePath(std::string_view path) {
  const std::string whole(path);
  TilePathParts parts;
  parts.tile.width = kTileWidth;
  if (path.substr(0, 5) != "tile/") return std::nullopt;
  path.remove_prefix(5);
  const size_t slash = path.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  if (path.substr(0, slash) == "entries") {
    parts.is_bundle = true;
  } else if (const auto level = ParseSmall(path.substr(0, slash), kTileLevelMax)) {
    parts.tile.level = *level;
  } else {
    return std::nullopt;
  }
  path.remove_prefix(slash + 1);
  if (const size_t dot = path.find(".p/"); dot != std::string_view::npos) {
    const auto width = ParseSmall(path.substr(dot + 3), kTileWidth - 1);
    if (!width || *width == 0) return std::nullopt;
    parts.tile.width = *width;
    path = path.substr(0, dot);
  }
  for (const char c : path) {
    if (c == 'x' || c == '/') continue;
    if (c < '0' || c > '9' || parts.tile.index > UINT64_MAX / 10 - 1) return std::nullopt;
    parts.tile.index = parts.tile.index * 10 + static_cast<uint64_t>(c - '0');
  }
  // Written again it must be the same: that refuses every second spelling at once.
  const std::string again =
      parts.is_bundle ? BundlePath(parts.tile.index, parts.tile.width) : TilePath(parts.tile);
  if (again != whole) return std::nullopt;
  return parts;
}

uint32_t TileWidthAt(uint64_t size, uint32_t level, uint64_t index) {
  if (level > kTileLevelMax) return 0;
  const uint64_t hashes = size >> (kTileHeight * level);
  if (index < hashes / kTileWidth) return kTileWidth;
  return index == hashes / kTileWidth ? static_cast<uint32_t>(hashes % kTileWidth) : 0;
}

void AppendToBundle(std::string_view entry, std::string& bundle) {
  CLOISTER_CHECK(entry.size() <= kEntryBytesMax);
  bundle.push_back(static_cast<char>(entry.size() >> 8));
  bundle.push_back(static_cast<char>(entry.size() & 0xff));
  bundle += entry;
}

StatusOr<std::vector<std::string_view>> SplitBundle(std::string_view bundle, uint32_t width) {
  std::vector<std::string_view> entries;
  while (!bundle.empty()) {
    if (bundle.size() < 2) return DataLoss("an entry bundle ends inside a length");
    const size_t length = static_cast<size_t>(static_cast<unsigned char>(bundle[0])) << 8 |
                          static_cast<unsigned char>(bundle[1]);
    if (bundle.size() - 2 < length) return DataLoss("an entry bundle ends inside an entry");
    if (entries.size() == width) return DataLoss("an entry bundle holds more entries than its name says");
    entries.push_back(bundle.substr(2, length));
    bundle.remove_prefix(2 + length);
  }
  if (entries.size() != width) return DataLoss("an entry bundle holds fewer entries than its name says");
  return entries;
}

Hash PerfectRoot(std::string_view hashes) {
  std::vector<Hash> row;
  for (size_t i = 0; i < hashes.size() / kHashBytes; ++i) row.push_back(HashAt(hashes, i));
  CLOISTER_CHECK(std::has_single_bit(row.size()));
  while (row.size() > 1) {
    for (size_t i = 0; i < row.size() / 2; ++i) row[i] = NodeHash(row[2 * i], row[2 * i + 1]);
    row.resize(row.size() / 2);
  }
  return row.front();
}

StatusOr<TileBuilder> TileBuilder::Load(uint64_t size, const TileReader& read) {
  TileBuilder builder;
  builder.size_ = size;
  for (uint32_t level = 0; level <= kTileLevelMax && (size >> (kTileHeight * level)) > 0; ++level) {
    builder.right_.emplace_back();
    const uint64_t hashes = size >> (kTileHeight * level);
    const TileId tile{level, hashes / kTileWidth, static_cast<uint32_t>(hashes % kTileWidth)};
    if (tile.width == 0) continue;
    CLOISTER_ASSIGN_OR_RETURN(builder.right_.back(), read(tile));
    if (builder.right_.back().size() != tile.width * kHashBytes)
      return DataLoss("a tile has the wrong length");
  }
  return builder;
}

Status TileBuilder::Append(const Hash& leaf, const TileSink& full) {
  ++size_;
  Hash hash = leaf;
  for (uint32_t level = 0;; ++level) {
    if (right_.size() == level) right_.emplace_back();
    std::string& row = right_[level];
    row += hash.bytes();
    if (row.size() < kTileWidth * kHashBytes) return absl::OkStatus();
    const uint64_t index = (size_ >> (kTileHeight * (level + 1))) - 1;
    CLOISTER_RETURN_IF_ERROR(full(TileId{level, index, kTileWidth}, row));
    hash = PerfectRoot(row);
    row.clear();
  }
}

std::vector<TileId> TileBuilder::PartialTiles() const {
  std::vector<TileId> tiles;
  for (uint32_t level = 0; level < right_.size(); ++level) {
    const auto width = static_cast<uint32_t>(right_[level].size() / kHashBytes);
    if (width > 0) tiles.push_back(TileId{level, size_ >> (kTileHeight * (level + 1)), width});
  }
  return tiles;
}

std::string_view TileBuilder::Partial(uint32_t level) const {
  return level < right_.size() ? std::string_view(right_[level]) : std::string_view();
}

Hash TileBuilder::Root() const {
  if (size_ == 0) return EmptyRoot();
  // Perfect subtrees from left to right, each higher than the next; equal heights merge.
  std::vector<std::pair<uint32_t, Hash>> stack;
  for (uint32_t level = static_cast<uint32_t>(right_.size()); level-- > 0;) {
    for (size_t i = 0; i < right_[level].size() / kHashBytes; ++i) {
      std::pair<uint32_t, Hash> node{level * kTileHeight, HashAt(right_[level], i)};
      while (!stack.empty() && stack.back().first == node.first) {
        node = {node.first + 1, NodeHash(stack.back().second, node.second)};
        stack.pop_back();
      }
      stack.push_back(node);
    }
  }
  Hash root = stack.back().second;
  for (size_t i = stack.size() - 1; i-- > 0;) root = NodeHash(stack[i].second, root);
  return root;
}

StatusOr<std::vector<Hash>> ProofBuilder::Inclusion(uint64_t index) {
  if (index >= size_) return InvalidArgument("the index is not below the tree's size");
  std::vector<Hash> out;
  CLOISTER_RETURN_IF_ERROR(InclusionPath(index, 0, size_, out));
  return out;
}

StatusOr<std::vector<Hash>> ProofBuilder::Consistency(uint64_t first_size) {
  if (first_size == 0 || first_size > size_)
    return InvalidArgument("the first size must be 1 to the tree's size");
  std::vector<Hash> out;
  CLOISTER_RETURN_IF_ERROR(ConsistencyPath(first_size, 0, size_, true, out));
  return out;
}

// RFC 6962 section 2.1.1 over absolute positions.
Status ProofBuilder::InclusionPath(uint64_t index, uint64_t begin, uint64_t end, std::vector<Hash>& out) {
  if (end - begin == 1) return absl::OkStatus();
  const uint64_t middle = begin + SplitPoint(end - begin);
  const bool is_left = index < middle;
  CLOISTER_RETURN_IF_ERROR(is_left ? InclusionPath(index, begin, middle, out)
                                   : InclusionPath(index, middle, end, out));
  CLOISTER_ASSIGN_OR_RETURN(const Hash sibling, is_left ? RangeHash(middle, end) : RangeHash(begin, middle));
  out.push_back(sibling);
  return absl::OkStatus();
}

// RFC 6962 section 2.1.2 over absolute positions; `first` is the absolute end of the first tree.
Status ProofBuilder::ConsistencyPath(uint64_t first, uint64_t begin, uint64_t end, bool whole,
                                     std::vector<Hash>& out) {
  if (first == end) {
    if (whole) return absl::OkStatus();
    CLOISTER_ASSIGN_OR_RETURN(const Hash own, RangeHash(begin, end));
    out.push_back(own);
    return absl::OkStatus();
  }
  const uint64_t middle = begin + SplitPoint(end - begin);
  const bool is_left = first <= middle;
  CLOISTER_RETURN_IF_ERROR(is_left ? ConsistencyPath(first, begin, middle, whole, out)
                                   : ConsistencyPath(first, middle, end, false, out));
  CLOISTER_ASSIGN_OR_RETURN(const Hash sibling, is_left ? RangeHash(middle, end) : RangeHash(begin, middle));
  out.push_back(sibling);
  return absl::OkStatus();
}

StatusOr<Hash> ProofBuilder::RangeHash(uint64_t begin, uint64_t end) {
  const uint64_t width = end - begin;
  if (std::has_single_bit(width)) {
    const auto height = static_cast<uint32_t>(std::countr_zero(width));
    return PerfectHash(height, begin >> height);
  }
  const uint64_t middle = begin + SplitPoint(width);
  CLOISTER_ASSIGN_OR_RETURN(const Hash left, RangeHash(begin, middle));
  CLOISTER_ASSIGN_OR_RETURN(const Hash right, RangeHash(middle, end));
  return NodeHash(left, right);
}

StatusOr<Hash> ProofBuilder::PerfectHash(uint32_t height, uint64_t index) {
  const uint32_t inner = height % kTileHeight;
  const uint64_t first = index << inner;  // Position of the left-most hash among those of the tile's level.
  TileId tile{height / kTileHeight, first / kTileWidth, 0};
  tile.width = TileWidthAt(size_, tile.level, tile.index);
  auto found = tiles_.find(tile);
  if (found == tiles_.end()) {
    CLOISTER_ASSIGN_OR_RETURN(std::string hashes, read_(tile));
    if (hashes.size() != tile.width * kHashBytes) return DataLoss("a tile has the wrong length");
    found = tiles_.emplace(tile, std::move(hashes)).first;
  }
  const size_t offset = (first % kTileWidth) * kHashBytes, length = (size_t{1} << inner) * kHashBytes;
  if (offset + length > found->second.size()) return DataLoss("a tile is narrower than the proof needs");
  return PerfectRoot(std::string_view(found->second).substr(offset, length));
}

}  // namespace cloister::audit
