// SPDX-License-Identifier: Apache-2.0
#include "audit/closed_log.h"

#include <utility>

#include "audit/log_writer.h"

namespace cloister::audit {
namespace {

Status Altered(const std::string& what) {
  return DataLoss(what + " of this log is damaged or was altered: it is not what the checkpoint signs");
}

}  // namespace

StatusOr<ClosedLog> ClosedLog::Open(const std::filesystem::path& folder, NoteVerifier verifier) {
  ClosedLog log(folder, std::move(verifier));
  CLOISTER_ASSIGN_OR_RETURN(Recovered recovered, log.directory_.ReadClosed(log.verifier_));
  log.published_ = std::move(recovered.published);
  for (JournalRecord& record : recovered.records) {
    for (std::string& entry : record.entries) log.journalled_.push_back(std::move(entry));
  }
  return log;
}

// The right edge has the signed root; from there each full tile is what the hash above it says.
StatusOr<std::string> ClosedLog::SignedTile(const TileId& tile) {
  if (tile.width < kTileWidth) return directory_.ReadTile(published_, tile);
  if (const auto last = checked_.find(tile.level); last != checked_.end() && last->second.first == tile) {
    return last->second.second;
  }
  CLOISTER_ASSIGN_OR_RETURN(std::string hashes, directory_.ReadTile(published_, tile));
  const TileId above{tile.level + 1, tile.index / kTileWidth,
                     TileWidthAt(published_.checkpoint.size, tile.level + 1, tile.index / kTileWidth)};
  CLOISTER_ASSIGN_OR_RETURN(const std::string parent, SignedTile(above));
  const size_t at = (tile.index % kTileWidth) * kHashBytes;
  if (hashes.size() != kTileWidth * kHashBytes ||
      PerfectRoot(hashes).bytes() != std::string_view(parent).substr(at, kHashBytes)) {
    return Altered(TilePath(tile));
  }
  checked_[tile.level] = {tile, hashes};
  return hashes;
}

StatusOr<std::vector<std::string>> ClosedLog::ReadBundle(uint64_t index) {
  const TileId leaves{0, index, TileWidthAt(published_.checkpoint.size, 0, index)};
  CLOISTER_ASSIGN_OR_RETURN(const std::string hashes, SignedTile(leaves));
  CLOISTER_ASSIGN_OR_RETURN(const std::string bundle, directory_.ReadBundle(published_, index));
  CLOISTER_ASSIGN_OR_RETURN(const auto entries, SplitBundle(bundle, leaves.width));
  for (size_t i = 0; i < entries.size(); ++i) {
    if (LeafHash(entries[i]).bytes() != std::string_view(hashes).substr(i * kHashBytes, kHashBytes)) {
      return Altered("entry " + std::to_string(index * kTileWidth + i));
    }
  }
  return std::vector<std::string>(entries.begin(), entries.end());
}

StatusOr<std::vector<std::string>> ClosedLog::Read(uint64_t first, uint32_t count) {
  const uint64_t covered = published_.checkpoint.size;
  std::vector<std::string> out;
  size_t bytes = 0;
  const auto take = [&](std::string entry) {
    if (out.size() == count || (!out.empty() && bytes + entry.size() > kReadBytesMax)) return false;
    bytes += entry.size();
    out.push_back(std::move(entry));
    return true;
  };
  for (uint64_t at = first; at < size() && out.size() < count;) {
    if (at >= covered) {
      if (!take(journalled_[at - covered])) return out;
      ++at;
      continue;
    }
    auto entries = ReadBundle(at / kTileWidth);
    // What reads before the damage is given first; the next call meets the damage.
    if (!entries.ok() && !out.empty()) return out;
    if (!entries.ok()) return entries.status();
    for (size_t i = at % kTileWidth; i < entries->size(); ++i, ++at) {
      if (!take(std::move((*entries)[i]))) return out;
    }
  }
  return out;
}

StatusOr<Receipt> ClosedLog::Prove(uint64_t index) {
  if (index >= size()) return NotFound("the log has no entry of that index");
  if (index >= published_.checkpoint.size) {
    return FailedPrecondition("no checkpoint covers this entry: the log ended before one was made");
  }
  ProofBuilder builder(published_.checkpoint.size, [this](const TileId& tile) { return SignedTile(tile); });
  Receipt receipt;
  receipt.index = index;
  receipt.checkpoint = published_.note;
  CLOISTER_ASSIGN_OR_RETURN(receipt.proof, builder.Inclusion(index));
  CLOISTER_ASSIGN_OR_RETURN(auto entries, Read(index, 1));
  receipt.extra = std::move(entries.front());
  CLOISTER_RETURN_IF_ERROR(VerifyReceipt(receipt, std::nullopt, verifier_).status());
  return receipt;
}

}  // namespace cloister::audit
