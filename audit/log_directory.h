// SPDX-License-Identifier: Apache-2.0
// The files of a log directory: where they are, how they are written durably, and what is there after a
// crash. Does not decide when to write; see audit/log_writer.h. Not thread-safe for writing; full tiles and
// bundles never change, so reading them is. SPEC: docs/formats/audit.md "On disk"
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "audit/checkpoint.h"
#include "audit/journal.h"
#include "audit/note.h"
#include "audit/tiles.h"
#include "common/file.h"
#include "common/status.h"

namespace cloister::audit {

// A signed state of the log with its right edge in memory. Immutable once shared.
struct PublishedLog {
  Checkpoint checkpoint;
  std::string note;
  TileBuilder tiles;
  std::string tail_bundle;  // The partial bundle; empty when the size is a multiple of kTileWidth.
};

// What the journals hold beyond the checkpoint.
struct Recovered {
  PublishedLog published;
  std::vector<JournalRecord> records;           // Contiguous from the checkpoint's size.
  std::vector<std::filesystem::path> journals;  // All that are there.
  size_t torn_bytes = 0;
};

class LogDirectory {
 public:
  explicit LogDirectory(std::filesystem::path root) : root_(std::move(root)) {}
  // An empty log: a checkpoint of size 0. Errors: kResourceExhausted, kUnavailable.
  Status Create(const NoteSigner& signer) const;
  // Nothing but a lock, a reserve or a temporary file is there.
  bool IsEmpty() const;
  // Reads the checkpoint, checks its signature and that the right edge has the signed root, and reads the
  // journals. Errors: kDataLoss, kFailedPrecondition (a later journal format), kUnavailable.
  StatusOr<Recovered> Recover(const NoteVerifier& verifier) const;
  // As Recover, of a log that nobody writes any more: an export has no journal, and needs none. Errors: likewise.
  StatusOr<Recovered> ReadClosed(const NoteVerifier& verifier) const;

  // Durable when they return. Errors: kResourceExhausted, kUnavailable.
  Status WriteTile(const TileId& tile, std::string_view hashes) const;
  Status WriteBundle(uint64_t index, uint32_t width, std::string_view bundle) const;
  Status WriteCheckpoint(std::string_view note) const;
  // Of `published`: full ones from disk, partial ones from memory.
  StatusOr<std::string> ReadTile(const PublishedLog& published, const TileId& tile) const;
  StatusOr<std::string> ReadBundle(const PublishedLog& published, uint64_t index) const;
  // Whether `published` begins with the log of `size` entries that had this root. Errors: kFailedPrecondition (it is
  // shorter, or another log), kDataLoss (a tile is damaged).
  Status CheckExtends(const PublishedLog& published, uint64_t size, const Hash& root) const;
  // Removes partial tiles and bundles, beside the right edge of `published`, that its size does not have.
  // What cannot be removed stays: it does no harm.
  void RemoveStalePartials(const PublishedLog& published) const;
  // Removes what a kill in the middle of an atomic write left beside the right edge.
  void RemoveTemporaries(const PublishedLog& published) const;

  struct OpenJournal {
    std::filesystem::path path;
    FileDescriptor file;  // Opened for appending.
    std::string nonce;
    uint64_t bytes = 0;  // All of them whole frames.
    uint64_t batch = 0;  // The last one written.
  };
  // A new journal whose first frame will be `first_index`, durable and empty.
  StatusOr<OpenJournal> NewJournal(uint64_t first_index) const;

  // Sets `bytes` aside on the disk, or finds them there. Errors: kResourceExhausted, kUnavailable.
  Status MakeReserve(size_t bytes) const;
  void ReleaseReserve() const;

  const std::filesystem::path& root() const { return root_; }

 private:
  Status ReadPublished(const NoteVerifier& verifier, PublishedLog& published) const;
  // `needed`: a log that took a record and has no journal is damaged.
  Status ReadJournals(bool needed, Recovered& recovered) const;
  Status WriteAt(const std::string& path, std::string_view bytes) const;
  std::filesystem::path root_;
};

}  // namespace cloister::audit
