// SPDX-License-Identifier: Apache-2.0
#include "audit/verifier.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "audit/envelope.h"
#include "audit/tiles.h"
#include "common/file.h"

namespace cloister::audit {
namespace {

namespace fs = std::filesystem;

class FolderVerifier {
 public:
  FolderVerifier(fs::path folder, const NoteVerifier& verifier, std::vector<Checkpoint> kept)
      : folder_(std::move(folder)), verifier_(verifier), kept_(std::move(kept)) {
    std::sort(kept_.begin(), kept_.end(), [](const Checkpoint& a, const Checkpoint& b) { return a.size < b.size; });
  }

  FolderReport Run() {
    if (!ReadCheckpoint()) return std::move(report_);
    CheckKept();
    CheckForeignFiles();
    if (CheckBundles()) CheckRightEdge();
    return std::move(report_);
  }

 private:
  void Problem(std::string sentence) {
    if (++report_.problem_count <= kProblemsMax) report_.problems.push_back(std::move(sentence));
  }

  std::optional<std::string> Read(const std::string& path, size_t bytes_max) {
    std::error_code error;
    // A link or a device could make this read what is not part of the export.
    if (!fs::is_regular_file(fs::symlink_status(folder_ / path, error))) {
      Problem(path + " is missing or not a plain file.");
      return std::nullopt;
    }
    auto bytes = ReadFile(folder_ / path, bytes_max);
    if (!bytes.ok()) {
      const bool long_file = bytes.status().code() == StatusCode::kResourceExhausted;
      Problem(path + (long_file ? " is longer than it may be."
                                : " cannot be read: " + MessageOf(bytes.status()) + "."));
      return std::nullopt;
    }
    ++report_.files;
    return *std::move(bytes);
  }

  bool ReadCheckpoint() {
    const auto note = Read("checkpoint", kNoteBytesMax);
    if (!note) return false;
    auto checkpoint = OpenCheckpoint(*note, verifier_);
    if (!checkpoint.ok()) {
      Problem("The checkpoint cannot be trusted: " + MessageOf(checkpoint.status()) + ".");
      return false;
    }
    report_.checkpoint = *std::move(checkpoint);
    report_.signature_holds = true;
    return true;
  }

  // A file that the signed size does not call for proves nothing and could mislead whoever reads it.
  void CheckForeignFiles() {
    std::error_code error;
    if (!fs::exists(folder_ / "tile", error)) return;
    fs::recursive_directory_iterator walk(folder_ / "tile", error), end;
    for (; !error && walk != end; walk.increment(error)) {
      if (walk->is_directory(error) && !walk->is_symlink(error)) continue;
      const std::string path = walk->path().lexically_relative(folder_).generic_string();
      const auto parts = ParseTilePath(path);
      const uint32_t level = parts ? parts->tile.level : 0;
      if (!parts || parts->tile.width != TileWidthAt(report_.checkpoint.size, level, parts->tile.index)) {
        Problem(path + " does not belong to a log of " + std::to_string(report_.checkpoint.size) +
                " entries.");
      }
    }
    if (error) Problem("The folder cannot be listed completely.");
  }

  // Hashes all entries upwards. Tiles are compared as they become full.
  bool CheckBundles() {
    const uint64_t size = report_.checkpoint.size;
    const TileSink compare = [this](const TileId& tile, std::string_view hashes) {
      CompareTile(tile, hashes);
      return absl::OkStatus();
    };
    for (uint64_t index = 0; TileWidthAt(size, 0, index) > 0; ++index) {
      const uint32_t width = TileWidthAt(size, 0, index);
      const std::string path = BundlePath(index, width);
      const auto bundle = Read(path, kBundleBytesMax);
      if (!bundle) return GiveUp();
      const auto entries = SplitBundle(*bundle, width);
      if (!entries.ok()) {
        Problem(path + ": " + MessageOf(entries.status()) + ".");
        return GiveUp();
      }
      for (const std::string_view entry : *entries) {
        CheckEntry(entry);
        (void)builder_.Append(LeafHash(entry), compare);
        ++report_.entries;
        CheckKept();
      }
    }
    if (parts_left_ > 0) Problem("The log ends inside a record that continues over several entries.");
    return true;
  }

  // Those of the size that was hashed so far, and once the whole log was, those above it.
  void CheckKept() {
    const bool whole = builder_.size() == report_.checkpoint.size;
    for (; next_kept_ < kept_.size(); ++next_kept_) {
      const Checkpoint& kept = kept_[next_kept_];
      if (kept.size > builder_.size() && !whole) return;
      const std::string which = "the checkpoint of " + std::to_string(kept.size) + " entries that was kept";
      if (kept.size > builder_.size()) {
        Problem("The log is shorter than " + which + ": it was cut back, or this export is older.");
      } else if (kept.root != builder_.Root()) {
        Problem("The log does not begin with " + which + ": both are signed by this key, so the log was forked.");
      }
    }
  }

  // Without all entries no further hash can be computed, and the root stays unproven.
  bool GiveUp() {
    Problem("Entries from " + std::to_string(report_.entries) + " on, and the root, could not be checked.");
    return false;
  }

  void CompareTile(const TileId& tile, std::string_view hashes) {
    const std::string path = TilePath(tile);
    const auto file = Read(path, kTileWidth * kHashBytes);
    if (!file || *file == hashes) return;
    std::string where;
    if (file->size() == hashes.size()) {
      const auto differs = std::mismatch(file->begin(), file->end(), hashes.begin()).first - file->begin();
      const uint64_t position = tile.index * kTileWidth + static_cast<uint64_t>(differs) / kHashBytes;
      where =
          tile.level == 0 ? " at entry " + std::to_string(position) : " at hash " + std::to_string(position);
    }
    Problem(path + " does not match the entries" + where + ": an entry or the tile was altered.");
  }

  void CheckRightEdge() {
    for (const TileId& tile : builder_.PartialTiles()) CompareTile(tile, builder_.Partial(tile.level));
    if (builder_.Root() != report_.checkpoint.root) {
      Problem(
          "The entries do not have the root hash that the checkpoint signs: entries were altered, added or "
          "removed.");
    }
  }

  void CheckEntry(std::string_view entry) {
    const uint64_t index = report_.entries;
    const std::string name = "Entry " + std::to_string(index);
    const auto envelope = ParseEnvelope(entry);
    if (!envelope.ok()) return Problem(name + ": " + MessageOf(envelope.status()) + ".");
    if (envelope->seq != index)
      Problem(name + " says that it is number " + std::to_string(envelope->seq) + ".");
    if (index == 0) {
      tenant_ = envelope->tenant;
      report_.first_time = envelope->time;
    }
    report_.last_time = envelope->time;
    if (envelope->tenant != tenant_) Problem(name + " belongs to another tenant than the first entry.");
    CheckParts(*envelope, name);
  }

  void CheckParts(const Envelope& envelope, const std::string& name) {
    const uint32_t number = envelope.part ? envelope.part->number : 1;
    const bool continues = number > 1;
    const bool fits = continues && parts_left_ > 0 && envelope.part->first == part_first_ &&
                      envelope.part->of - number + 1 == parts_left_ && envelope.event == part_event_;
    if (parts_left_ > 0 ? !fits : continues) {
      Problem(name + " breaks a record that continues over several entries.");
    }
    parts_left_ = envelope.part ? envelope.part->of - number : 0;
    part_first_ = envelope.part ? envelope.part->first : 0;
    part_event_ = envelope.event;
  }

  const fs::path folder_;
  const NoteVerifier& verifier_;
  std::vector<Checkpoint> kept_;  // By size.
  size_t next_kept_ = 0;          // Of those that were not compared yet.
  FolderReport report_;
  TileBuilder builder_;
  std::string tenant_, part_event_;
  uint32_t parts_left_ = 0;  // Entries that the record under way still needs.
  uint64_t part_first_ = 0;
};

}  // namespace

FolderReport VerifyFolder(const fs::path& folder, const NoteVerifier& verifier, std::vector<Checkpoint> kept) {
  return FolderVerifier(folder, verifier, std::move(kept)).Run();
}

}  // namespace cloister::audit
