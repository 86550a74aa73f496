// SPDX-License-Identifier: Apache-2.0
// What the parts of RocksDbStore share: the class behind it, and RocksDB's types in the words of this folder.
// For storage/rocksdb_*.cc alone.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <rocksdb/slice.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/file.h"
#include "common/log.h"
#include "storage/acknowledged_file.h"
#include "storage/encrypted_env.h"
#include "storage/rocksdb_store.h"

namespace cloister::storage {

constexpr std::string_view kMeta = "meta";

inline rocksdb::Slice ToSlice(std::string_view s) { return {s.data(), s.size()}; }
inline std::string_view ToView(const rocksdb::Slice& s) { return {s.data(), s.size()}; }

// RocksDB's messages name keys, files and column families, so none is passed on.
Status FromRocksDb(const rocksdb::Status& status);

rocksdb::DBOptions DatabaseOptions();
rocksdb::ColumnFamilyOptions FamilyOptions(const RocksDbStoreOptions& store,
                                           const std::shared_ptr<rocksdb::Cache>& cache);

// By the name that everybody uses. A handle keeps its column family readable, also after that was dropped.
using Handles = std::map<std::string, std::shared_ptr<rocksdb::ColumnFamilyHandle>, std::less<>>;
// CHECKs that there is one.
rocksdb::ColumnFamilyHandle* HandleOf(const Handles& handles, std::string_view column_family);

// A column family that was written anew is "text~1", then "text~2" to RocksDB, and "text" to everybody else;
// a name without a mark is the zeroth of itself.
std::pair<std::string, uint64_t> RewritingOf(const std::string& name);
std::string NameOfRewriting(std::string_view column_family, uint64_t number);
// The first rewriting, with zeros in front of its number.
std::string LongNameOfRewriting(std::string_view column_family, size_t bytes);

// Beyond that a manifest is followed by a new one.
constexpr size_t kManifestBytesMax = 1024 * 1024;

std::unique_ptr<Snapshot> NewRocksDbSnapshot(rocksdb::DB& db, std::shared_ptr<const Handles> handles);

// A damaged table ends the compactions that need it, and would by RocksDB's own rule end all writes with
// them: one document's damage must not stop the others. Thread-safe.
class DamageListener final : public rocksdb::EventListener {
 public:
  void OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status* error) override {
    if (reason != rocksdb::BackgroundErrorReason::kCompaction || !error->IsCorruption()) return;
    Log(LogLevel::kError, "storage.table_damaged");
    *error = rocksdb::Status::OK();
  }
  void OnCompactionCompleted(rocksdb::DB*, const rocksdb::CompactionJobInfo& job) override {
    if (!job.status.IsCorruption()) return;
    std::lock_guard lock(mutex_);
    damaged_.insert(job.cf_name);
  }
  // By RocksDB's names; those that were not taken yet.
  std::set<std::string> TakeDamaged() {
    std::lock_guard lock(mutex_);
    return std::exchange(damaged_, {});
  }

 private:
  std::mutex mutex_;
  std::set<std::string> damaged_;
};

class RocksDbStore::Impl {
 public:
  Impl(FileDescriptor lock, std::function<void(const Status&)> on_stopped)
      : lock_(std::move(lock)), on_stopped_(std::move(on_stopped)) {}
  ~Impl();

  Status OpenDatabase(const RocksDbStoreOptions& options, bool create);
  // Reads or makes the rows of "meta" and compares them with what was acknowledged.
  Status Check(const std::filesystem::path& acknowledged_path,
               const std::optional<Acknowledged>& acknowledged);

  Status Write(const WriteBatch& batch);
  std::unique_ptr<Snapshot> GetSnapshot() const {
    std::lock_guard lock(
        handles_mutex_);  // So that no write to a column family written anew falls in between.
    return NewRocksDbSnapshot(*db_, handles_);
  }
  uint64_t CommitSequence() const {
    std::lock_guard lock(mutex_);
    return sequence_;
  }
  const DatabaseId& database_id() const { return database_; }
  Status Flush();
  StatusOr<uint64_t> Checkpoint(const std::filesystem::path& folder);
  StatusOr<VerifiedTables> VerifyTables(const std::function<Status()>& go_on) const;
  StatusOr<uint64_t> RewriteFamily(std::string_view column_family);
  KeyId volume_key() const { return env_->CurrentKey(); }
  StatusOr<uint64_t> RewriteFiles(const std::function<Status()>& go_on);

 private:
  // Whether the tables of `family` fit on the disk once more. Errors: kResourceExhausted.
  Status CheckRoom(rocksdb::ColumnFamilyHandle* family) const;
  // Makes RocksDB begin a new manifest, CURRENT and OPTIONS with it.
  Status BeginManifest();
  std::shared_ptr<const Handles> CurrentHandles() const {
    std::lock_guard lock(handles_mutex_);
    return handles_;
  }
  std::shared_ptr<rocksdb::ColumnFamilyHandle> Owned(rocksdb::ColumnFamilyHandle* handle) const {
    return {handle,
            [db = db_.get()](rocksdb::ColumnFamilyHandle* own) { db->DestroyColumnFamilyHandle(own); }};
  }
  // Fills handles_ from what was opened; what a crash left of a rewriting is dropped.
  Status TakeHandles(const std::vector<std::string>& names,
                     const std::vector<rocksdb::ColumnFamilyHandle*>& handles);
  // What failed would be tried again every second. Not from the listener: that runs where a write may wait
  // for it.
  void RestDamaged();
  // Writes wait, and none is under way.
  StatusOr<uint64_t> RewriteAlone(const std::string& column_family);
  StatusOr<uint64_t> CopyReadable(const std::string& column_family, rocksdb::ColumnFamilyHandle* to);
  Status FillCheckpoint(const std::filesystem::path& folder, uint64_t sequence);
  struct Waiting {
    const WriteBatch* batch = nullptr;
    bool done = false;
    Status status;
  };

  // What RocksDB said, or what it was told by the encryption of its files, which says more.
  Status OpenError(const rocksdb::Status& status) const {
    const Status refusal = env_->Refusal();
    return status.ok() || refusal.ok() ? FromRocksDb(status) : refusal;
  }
  Status MakeMeta();
  // Fills database_ and sequence_.
  Status ReadMeta(const Snapshot& snapshot);
  Status WriteTogether(const std::vector<Waiting*>& group, uint64_t sequence);

  const FileDescriptor lock_;
  const std::function<void(const Status&)> on_stopped_;
  const std::shared_ptr<DamageListener> listener_ = std::make_shared<DamageListener>();
  std::unique_ptr<EncryptedEnv> env_;  // Before the database, which uses it to its end.
  std::unique_ptr<rocksdb::DB> db_;
  rocksdb::ColumnFamilyOptions family_options_;
  std::mutex rewriting_files_;
  mutable std::mutex handles_mutex_;
  std::shared_ptr<const Handles> handles_ = std::make_shared<Handles>();  // Guarded by handles_mutex_.
  DatabaseId database_;
  AcknowledgedFile acknowledged_;  // Touched by the writing thread only.

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Waiting*> queue_;
  bool writing_ = false;
  bool stopped_ = false;
  uint64_t sequence_ = 0;
};

}  // namespace cloister::storage
