// SPDX-License-Identifier: Apache-2.0
#include "audit/log_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "audit/log_writer.h"
#include "crypto/random.h"

namespace cloister::audit {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kJournalPrefix = "journal.";
constexpr std::string_view kReserveFile = "reserve";
constexpr std::string_view kLockFile = "lock";
constexpr size_t kJournalBytesMax = size_t{1} << 30;

constexpr std::string_view kRestoreAdvice =
    ". Nothing was changed. Keep this folder as evidence and restore the audit log from a backup";

std::string JournalName(uint64_t first_index) {
  char name[40];
  std::snprintf(name, sizeof name, "journal.%020llu", static_cast<unsigned long long>(first_index));
  return name;
}

bool StartsWith(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

Status Damaged(std::string_view what) {
  return DataLoss("audit log: " + std::string(what) + std::string(kRestoreAdvice));
}

// A missing file of a log is damage, not absence.
StatusOr<std::string> ReadPart(const fs::path& path, size_t bytes_max, std::string_view what) {
  auto bytes = ReadFile(path, bytes_max);
  if (bytes.ok()) return bytes;
  if (bytes.status().code() == StatusCode::kNotFound) return Damaged(std::string(what) + " is missing");
  if (bytes.status().code() == StatusCode::kResourceExhausted)
    return Damaged(std::string(what) + " is too long");
  return Annotate(bytes.status(), "audit log");
}

}  // namespace

bool LogDirectory::IsEmpty() const {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root_, error)) {
    const std::string name = entry.path().filename().string();
    if (name == kLockFile || name == kReserveFile || name.find(".tmp.") != std::string::npos) continue;
    return false;
  }
  return !error;
}

Status LogDirectory::Create(const NoteSigner& signer) const {
  return WriteCheckpoint(signer.Sign(CheckpointText(Checkpoint{signer.name(), 0, EmptyRoot()})));
}

StatusOr<Recovered> LogDirectory::Recover(const NoteVerifier& verifier) const {
  Recovered recovered;
  CLOISTER_RETURN_IF_ERROR(ReadPublished(verifier, recovered.published));
  CLOISTER_RETURN_IF_ERROR(ReadJournals(true, recovered));
  return recovered;
}

StatusOr<Recovered> LogDirectory::ReadClosed(const NoteVerifier& verifier) const {
  Recovered recovered;
  CLOISTER_RETURN_IF_ERROR(ReadPublished(verifier, recovered.published));
  CLOISTER_RETURN_IF_ERROR(ReadJournals(false, recovered));
  return recovered;
}

Status LogDirectory::ReadPublished(const NoteVerifier& verifier, PublishedLog& published) const {
  CLOISTER_ASSIGN_OR_RETURN(published.note,
                            ReadPart(root_ / kCheckpointFile, kNoteBytesMax, "the checkpoint"));
  auto checkpoint = OpenCheckpoint(published.note, verifier);
  if (!checkpoint.ok()) return Damaged(MessageOf(checkpoint.status()));
  published.checkpoint = *std::move(checkpoint);
  const uint64_t size = published.checkpoint.size;
  auto tiles = TileBuilder::Load(size, [this](const TileId& tile) -> StatusOr<std::string> {
    auto hashes = ReadPart(root_ / TilePath(tile), kTileWidth * kHashBytes, TilePath(tile));
    if (hashes.ok() && hashes->size() != tile.width * kHashBytes)
      return Damaged(TilePath(tile) + " is cut short");
    return hashes;
  });
  if (!tiles.ok()) return tiles.status();
  published.tiles = *std::move(tiles);
  if (published.tiles.Root() != published.checkpoint.root) {
    return Damaged("the tiles at the log's right edge do not have the root that the checkpoint signs");
  }
  const auto width = static_cast<uint32_t>(size % kTileWidth);
  if (width > 0) {
    const std::string path = BundlePath(size / kTileWidth, width);
    CLOISTER_ASSIGN_OR_RETURN(published.tail_bundle, ReadPart(root_ / path, kBundleBytesMax, path));
    const auto entries = SplitBundle(published.tail_bundle, width);
    if (!entries.ok()) return Damaged(path + ": " + MessageOf(entries.status()));
    std::string hashes;
    for (const std::string_view entry : *entries) hashes += LeafHash(entry).bytes();
    if (hashes != published.tiles.Partial(0)) return Damaged(path + " does not match its tile");
  }
  return absl::OkStatus();
}

Status LogDirectory::ReadJournals(bool needed, Recovered& recovered) const {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root_, error)) {
    const std::string name = entry.path().filename().string();
    if (StartsWith(name, kJournalPrefix) && name.find(".tmp.") == std::string::npos) {
      recovered.journals.push_back(entry.path());
    }
  }
  if (error) return Unavailable("audit log: its folder cannot be read");
  std::sort(recovered.journals.begin(), recovered.journals.end());
  const uint64_t size = recovered.published.checkpoint.size;
  // Creation writes the checkpoint first, so only a log that never took a record may be without a journal.
  if (recovered.journals.empty()) {
    return size == 0 || !needed ? absl::OkStatus() : Damaged("the journal is missing");
  }
  uint64_t next = 0;
  for (size_t i = 0; i < recovered.journals.size(); ++i) {
    CLOISTER_ASSIGN_OR_RETURN(const std::string file,
                              ReadPart(recovered.journals[i], kJournalBytesMax, "the journal"));
    auto contents = DecodeJournal(file);
    if (contents.status().code() == StatusCode::kDataLoss) return Damaged(MessageOf(contents.status()));
    if (!contents.ok()) return contents.status();
    if (recovered.journals[i].filename() != JournalName(contents->first_index)) {
      return Damaged("a journal does not begin with the entry its name says");
    }
    if (i > 0 && contents->first_index != next) return Damaged("there is a gap between two journals");
    if (i == 0 && contents->first_index > size)
      return Damaged("there is a gap between checkpoint and journal");
    recovered.torn_bytes = contents->torn_bytes;
    next = contents->first_index;
    for (JournalRecord& record : contents->records) {
      next += record.entries.size();
      if (record.first_index < size && next > size) return Damaged("the checkpoint covers half a record");
      if (record.first_index >= size) recovered.records.push_back(std::move(record));
    }
  }
  return absl::OkStatus();
}

Status LogDirectory::WriteAt(const std::string& path, std::string_view bytes) const {
  const fs::path full = root_ / path;
  CLOISTER_RETURN_IF_ERROR(MakePrivateDirectory(full.parent_path()));
  return WriteFileAtomic(full, bytes, 0600);
}

Status LogDirectory::WriteTile(const TileId& tile, std::string_view hashes) const {
  return WriteAt(TilePath(tile), hashes);
}

Status LogDirectory::WriteBundle(uint64_t index, uint32_t width, std::string_view bundle) const {
  return WriteAt(BundlePath(index, width), bundle);
}

Status LogDirectory::WriteCheckpoint(std::string_view note) const {
  return WriteFileAtomic(root_ / kCheckpointFile, note, 0600);
}

StatusOr<std::string> LogDirectory::ReadTile(const PublishedLog& published, const TileId& tile) const {
  if (tile.width < kTileWidth) return std::string(published.tiles.Partial(tile.level));
  return ReadPart(root_ / TilePath(tile), kTileWidth * kHashBytes, TilePath(tile));
}

StatusOr<std::string> LogDirectory::ReadBundle(const PublishedLog& published, uint64_t index) const {
  if (index == published.checkpoint.size / kTileWidth) return published.tail_bundle;
  const std::string path = BundlePath(index, kTileWidth);
  return ReadPart(root_ / path, kBundleBytesMax, path);
}

void LogDirectory::RemoveTemporaries(const PublishedLog& published) const {
  const uint64_t size = published.checkpoint.size;
  std::vector<fs::path> folders = {root_, (root_ / BundlePath(size / kTileWidth, kTileWidth)).parent_path()};
  for (uint32_t level = 0; level <= kTileLevelMax && (size >> (8 * level)) > 0; ++level) {
    folders.push_back((root_ / TilePath(TileId{level, size >> (8 * (level + 1)), kTileWidth})).parent_path());
  }
  for (const fs::path& folder : folders) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      std::error_code ignored;
      if (entry.path().filename().string().find(".tmp.") != std::string::npos)
        fs::remove(entry.path(), ignored);
    }
  }
}

Status LogDirectory::CheckExtends(const PublishedLog& published, uint64_t size, const Hash& root) const {
  const Checkpoint& now = published.checkpoint;
  if (size > now.size) {
    return FailedPrecondition("the audit log is shorter than it was: " + std::to_string(now.size) + " entries of " +
                              std::to_string(size));
  }
  if (size == 0) return absl::OkStatus();
  std::vector<Hash> proof;
  if (size < now.size) {
    ProofBuilder builder(now.size, [&](const TileId& tile) { return ReadTile(published, tile); });
    CLOISTER_ASSIGN_OR_RETURN(proof, builder.Consistency(size));
  }
  if (VerifyConsistency(size, now.size, proof, root, now.root).ok()) return absl::OkStatus();
  return FailedPrecondition("the audit log is another one than was there before: its first " + std::to_string(size) +
                            " entries are not the same");
}

void LogDirectory::RemoveStalePartials(const PublishedLog& published) const {
  const uint64_t size = published.checkpoint.size;
  for (uint32_t level = 0; level <= kTileLevelMax && (size >> (8 * level)) > 0; ++level) {
    const uint64_t edge = size >> (8 * (level + 1));
    for (uint64_t index = edge == 0 ? 0 : edge - 1; index <= edge; ++index) {
      const uint32_t width = TileWidthAt(size, level, index);
      std::vector<std::string> folders = {TilePath(TileId{level, index, kTileWidth}) + ".p"};
      if (level == 0) folders.push_back(BundlePath(index, kTileWidth) + ".p");
      for (const std::string& folder : folders) {
        std::error_code error;
        for (const auto& entry : fs::directory_iterator(root_ / folder, error)) {
          std::error_code ignored;
          if (entry.path().filename() != std::to_string(width)) fs::remove(entry.path(), ignored);
        }
        if (width == kTileWidth) fs::remove(root_ / folder, error);
      }
    }
  }
}

StatusOr<LogDirectory::OpenJournal> LogDirectory::NewJournal(uint64_t first_index) const {
  OpenJournal journal;
  journal.path = root_ / JournalName(first_index);
  journal.nonce = crypto::RandomBytes(kJournalNonceBytes);
  CLOISTER_RETURN_IF_ERROR(
      WriteFileAtomic(journal.path, EncodeJournalHeader(first_index, journal.nonce), 0600));
  journal.file = FileDescriptor(::open(journal.path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  if (!journal.file.valid()) return ErrnoStatus(errno, "open journal");
  journal.bytes = kJournalHeaderBytes;
  return journal;
}

Status LogDirectory::MakeReserve(size_t bytes) const {
  const fs::path path = root_ / kReserveFile;
  std::error_code error;
  if (fs::file_size(path, error) == bytes && !error) return absl::OkStatus();
  FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file.valid()) return ErrnoStatus(errno, "create reserve");
  const int failure = bytes == 0 ? 0 : ::posix_fallocate(file.get(), 0, static_cast<off_t>(bytes));
  if (failure == 0) return absl::OkStatus();
  ReleaseReserve();  // A part of it would pass for the whole next time.
  return ErrnoStatus(failure, "preallocate reserve");
}

void LogDirectory::ReleaseReserve() const {
  std::error_code ignored;
  fs::remove(root_ / kReserveFile, ignored);
}

}  // namespace cloister::audit
