// SPDX-License-Identifier: Apache-2.0
// Append-only audit log in a directory: journal first, tiles, entry bundles and a signed checkpoint after.
// Does not decide what is auditable, seal sections or choose pseudonyms; see services/audit. Cannot notice
// that the whole directory was put back to an older state; only a witness can. SPEC: docs/formats/audit.md
// "On disk"; c2sp.org/tlog-tiles
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "audit/checkpoint.h"
#include "audit/envelope.h"
#include "audit/note.h"
#include "audit/receipt.h"
#include "common/clock.h"
#include "common/status.h"

namespace cloister::audit {

// The places where a test may make the disk fail.
enum class DiskStep { kJournalWrite, kJournalSync, kTileWrite };

struct LogWriterOptions {
  std::filesystem::path directory;  // Must exist, mode 0700.
  std::string tenant;               // Satisfies CheckKeyName.
  // Checkpoints are at least this far apart, and none is made while there is nothing new.
  std::chrono::milliseconds checkpoint_interval{1000};
  // Records that wait to be written; one more gets kResourceExhausted.
  size_t queue_records_max = 1024;
  // Bytes of records and sections that no checkpoint covers yet; more get kResourceExhausted.
  size_t pending_bytes_max = 64 * 1024 * 1024;
  // Above this the journal is exchanged for a new one as soon as a checkpoint covers it.
  size_t journal_rotate_bytes = 4 * 1024 * 1024;
  // Set aside on disk and given up when the disk is full, for records that IsEmergency() names.
  size_t reserve_bytes = 4 * 1024 * 1024;
  // Receives the sections of records that are durable in the journal, before a checkpoint covers them. Called
  // from one thread at a time; again with the same sections after a crash or an error. Must be durable when
  // it returns OK.
  std::function<Status(const std::vector<const SealedSection*>& sections)> section_sink;
  // Called once, from a thread of the writer, when it has failed for good and the waiting calls have been
  // answered.
  std::function<void()> on_failure;
  // Returns an errno value to fail a step with, or 0. For tests; empty otherwise.
  std::function<int(DiskStep)> fault;
};

struct LogState {
  uint64_t size = 0;             // Durable entries.
  uint64_t checkpoint_size = 0;  // Entries that the checkpoint covers.
  std::string checkpoint;        // The signed note.
  bool disk_full = false;        // Only emergency records are accepted.
  size_t torn_bytes = 0;         // Cut off the journal at opening; never acknowledged to anybody.
};

// A checkpoint, and what shows somebody who saw an earlier one that it goes on from that. Copyable; thread-safe.
struct HeldCheckpoint {
  Checkpoint checkpoint;
  std::string note;  // The checkpoint, signed.
  // The consistency proof from `size`; of size 0 there is nothing to prove. Errors: kFailedPrecondition (the log is
  // shorter), kDataLoss (a tile is damaged).
  std::function<StatusOr<std::vector<Hash>>(uint64_t size)> proof_from;
};

// Thread-safe. Append() blocks on fsync. One writer per directory. Memory does not grow with the log.
class LogWriter {
 public:
  // Makes the log when the directory is empty. `signer` and `clock` must outlive the writer.
  // Errors: kFailedPrecondition (locked by another process; a format of a later version), kInvalidArgument
  // (tenant), kDataLoss (checkpoint, tiles or journal damaged or missing; the message says which and what to
  // do), kResourceExhausted, kUnavailable (disk), those of the section sink.
  static StatusOr<std::unique_ptr<LogWriter>> Open(LogWriterOptions options, const NoteSigner& signer,
                                                   const Clock& clock);
  ~LogWriter();  // As Close().

  // The index of the record's first entry, once all of it is durable. Concurrent calls share an fsync; none
  // waits for company. After an error nothing of the record is in the log, except after kUnavailable, when it
  // may be. Errors: kInvalidArgument (PreparedRecord::New; larger than pending_bytes_max), kResourceExhausted
  // (queue or pending bytes at their maximum, or disk full), kUnavailable (closed, or a write or fsync
  // failed: the writer stays failed until it is opened again).
  StatusOr<uint64_t> Append(const Event& event);

  LogState State() const;
  std::string verifier_key() const;  // Of its signer.
  bool failed() const;
  // Waits until a checkpoint covers `size` entries.
  // Errors: kInvalidArgument (above the durable size), kUnavailable (closed or failed), kDeadlineExceeded.
  Status WaitForCheckpoint(uint64_t size, std::chrono::milliseconds timeout);

  // Durable entries from `first`, at most `count` and at most kReadBytesMax bytes (but one entry at least
  // when there is one). Errors: kDataLoss (a bundle is damaged), kUnavailable.
  StatusOr<std::vector<std::string>> Read(uint64_t first, uint32_t count) const;
  // The last checkpoint that was written.
  Checkpoint LastCheckpoint() const;
  // Whether this log, as of its last checkpoint, begins with the log of `size` entries that had this root.
  // Errors: kFailedPrecondition (it is shorter, or another log), kDataLoss (a tile is damaged).
  Status CheckExtends(uint64_t size, const Hash& root) const;
  // The last checkpoint, held still: what is appended later does not change it. Must not outlive the writer.
  HeldCheckpoint Hold() const;
  // The receipt of one entry under the last checkpoint, with the entry in its `extra`. Errors: kNotFound (no
  // such entry), kUnavailable (the next checkpoint will cover it), kDataLoss.
  StatusOr<Receipt> Prove(uint64_t index) const;
  // Gives out a log directory as of the last checkpoint, file by file in pieces of at most kExportPieceBytes:
  // tiles, bundles, "log.vkey", and "checkpoint" last. An error of `sink` ends it.
  using FileSink = std::function<Status(const std::string& path, uint64_t offset, std::string_view piece)>;
  Status Export(const FileSink& sink) const;

  // Refuses new records, writes what waits, makes a last checkpoint. Safe to call twice.
  void Close();

 private:
  class Impl;
  explicit LogWriter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

constexpr size_t kReadBytesMax = 8 * 1024 * 1024;
constexpr size_t kExportPieceBytes = 1024 * 1024;
inline constexpr std::string_view kCheckpointFile = "checkpoint";
inline constexpr std::string_view kVerifierKeyFile = "log.vkey";

}  // namespace cloister::audit
