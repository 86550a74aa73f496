// SPDX-License-Identifier: Apache-2.0
// A log that nobody writes any more, such as one of a former generation: its entries and their receipts. What
// it gives was checked against the signed checkpoint by way of tiles and tiles of tiles, so damage in one
// place does not hide the rest. Does not look at what nobody asked for (audit/verifier.h does) and opens no
// sections. Reads only. SPEC: docs/formats/audit.md "On disk"
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "audit/checkpoint.h"
#include "audit/log_directory.h"
#include "audit/note.h"
#include "audit/receipt.h"
#include "common/status.h"

namespace cloister::audit {

// Not thread-safe. Blocks on the disk. Holds the right edge, what journals hold and a tile a level: memory
// does not grow with the log.
class ClosedLog {
 public:
  // `folder` is an export, or the directory of a log whose writer is gone. Errors: kDataLoss (checkpoint,
  // right edge or journal is missing or damaged, or another key signed it), kFailedPrecondition (a later
  // journal format), kUnavailable.
  static StatusOr<ClosedLog> Open(const std::filesystem::path& folder, NoteVerifier verifier);

  const Checkpoint& checkpoint() const { return published_.checkpoint; }
  // Entries: those that the checkpoint covers, and after them what was durable in a journal when the writer
  // ended.
  uint64_t size() const { return published_.checkpoint.size + journalled_.size(); }

  // As LogWriter::Read. What no checkpoint covers is as the journal has it. Errors: kDataLoss (an entry at or
  // after `first` is missing or not what was signed; those of the next bundle may read), kUnavailable.
  StatusOr<std::vector<std::string>> Read(uint64_t first, uint32_t count);
  // As LogWriter::Prove. Errors: kNotFound (no such entry), kFailedPrecondition (no checkpoint covers it, and
  // none will), kDataLoss, kUnavailable.
  StatusOr<Receipt> Prove(uint64_t index);

 private:
  ClosedLog(const std::filesystem::path& folder, NoteVerifier verifier)
      : directory_(folder), verifier_(std::move(verifier)) {}
  // The tile as the checkpoint's root implies it. Errors: kDataLoss, kUnavailable.
  StatusOr<std::string> SignedTile(const TileId& tile);
  StatusOr<std::vector<std::string>> ReadBundle(uint64_t index);

  LogDirectory directory_;
  NoteVerifier verifier_;
  PublishedLog published_;
  std::vector<std::string> journalled_;
  std::map<uint32_t, std::pair<TileId, std::string>> checked_;  // The last full tile of each level.
};

}  // namespace cloister::audit
