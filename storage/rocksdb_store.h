// SPDX-License-Identifier: Apache-2.0
// KvStore on RocksDB: synced batches with a commit sequence of our own, checked at open, in encrypted files
// (see storage/encrypted_env.h, also for what stays visible). Does not seal values: encryption of files hides
// and does not authenticate, which storage/sealed_store.h does. Its log names neither keys nor column
// families.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/id.h"
#include "storage/examination.h"
#include "storage/key_source.h"
#include "storage/kv_store.h"

namespace cloister::storage {

struct RocksDbStoreOptions {
  std::filesystem::path directory;           // Made with mode 0700 when absent. One process at a time.
  std::vector<std::string> column_families;  // Made when absent. "meta" and "default" are taken.
  // Holds the volume key, under which files are encrypted; must outlive the store. Never null (CHECKed):
  // there are no unencrypted databases.
  KeySource* keys = nullptr;
  // Called once with the reason when the store takes no further write, by the thread whose write failed, after all who
  // waited were answered; must not block. What was acknowledged can still be read. May be empty.
  std::function<void(const Status& reason)> on_stopped = {};
  size_t write_buffer_bytes = 16 * 1024 * 1024;
  size_t block_cache_bytes = 32 * 1024 * 1024;
};

// How many waiting batches one synced write may carry, and their bytes.
constexpr size_t kGroupCommitBatchesMax = 256;
constexpr size_t kGroupCommitBytesMax = 32 * 1024 * 1024;

// Thread-safe. Concurrent writes share one fsync. Naming an unknown column family is a programmer error
// (CHECKed).
class RocksDbStore final : public KvStore {
 public:
  // Recovers what a crash left behind; a torn last record that was never acknowledged is dropped.
  // Errors: kFailedPrecondition (another process has it open, or a newer version wrote it, or one before file
  // encryption), kDataLoss (damaged, its volume key is gone, or an acknowledged batch is missing; the message
  // says what to do), kResourceExhausted (disk full), kUnavailable (also: no answer from `keys`).
  static StatusOr<std::unique_ptr<RocksDbStore>> Open(const RocksDbStoreOptions& options);
  ~RocksDbStore() override;
  Status Write(const WriteBatch& batch) override;
  std::unique_ptr<Snapshot> GetSnapshot() const override;
  uint64_t CommitSequence() const override;
  // Random, made with the database; sealed records are bound to it.
  const DatabaseId& database_id() const;
  // Moves what is in memory to table files. For maintenance and tests; a Write is durable without it.
  Status Flush();
  // Makes `folder`, which must not be there, into a database that Open takes as it is: everything
  // acknowledged before the call is in it, of what is written meanwhile a part that belongs together. Writes
  // and reads go on. Tables are hard links, so `folder` must be on the same disk and costs little; they are
  // never changed. Returns the commit sequence that Open will insist on. After an error `folder` is not
  // there. Errors: kAlreadyExists, kDataLoss (the list of tables is damaged), kResourceExhausted,
  // kUnavailable.
  StatusOr<uint64_t> Checkpoint(const std::filesystem::path& folder);
  // Reads every table on the disk, past the caches, against its checksums; Flush first covers every row.
  // `go_on` is asked before each, and an error of it ends this. Writes and reads go on. Errors: kUnavailable.
  StatusOr<VerifiedTables> VerifyTables(const std::function<Status()>& go_on) const;
  // Writes the rows of `column_family` that can be read into new tables, and drops the former ones with what
  // cannot be read: a damaged table would end all writes once it is to be compacted. Writes wait meanwhile;
  // reads and snapshots go on. Atomic: after a crash the column family is the former or the new one. Returns
  // how many rows there are now. Errors: kResourceExhausted (disk full), kUnavailable.
  StatusOr<uint64_t> RewriteFamily(std::string_view column_family);
  // That new files are encrypted under.
  KeyId volume_key() const;
  // After the volume key was replaced (storage/key_source.h): brings every file under the key that holds now, and returns
  // how many were under a former one. Writes and reads go on; needs as much free space as the largest column family.
  // What an interrupted call left undone the next one does: the files say under which key they are. `go_on` is asked
  // between column families, and an error of it ends this. Errors: kDataLoss (a damaged table cannot be written anew; see
  // RewriteFamily), kResourceExhausted (no room; said before anything is written), kUnavailable (also: a former file is still being read; call again).
  StatusOr<uint64_t> RewriteFiles(const std::function<Status()>& go_on);

 private:
  class Impl;
  explicit RocksDbStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace cloister::storage
