// SPDX-License-Identifier: Apache-2.0
// Bringing every file of a database under its present volume key, while reads and writes go on. What RocksDB replaces in
// the course of things is made to be replaced now: logs by a flush, tables by a compaction, the manifest by its size.
#include <chrono>
#include <thread>

#include "storage/rocksdb_store_internal.h"

namespace cloister::storage {
namespace {

// RocksDB deletes what it has replaced a moment later, and what is being read after that.
constexpr int kDeletionLooksMax = 100;
constexpr std::chrono::milliseconds kDeletionLook{50};
// Left free beside what is written anew, so that others can go on writing.
constexpr uint64_t kSpareBytes = 64 * 1024 * 1024;

}  // namespace

StatusOr<uint64_t> RocksDbStore::Impl::RewriteFiles(const std::function<Status()>& go_on) {
  std::lock_guard lock(rewriting_files_);
  CLOISTER_RETURN_IF_ERROR(env_->UseCurrentKey());
  CLOISTER_ASSIGN_OR_RETURN(const uint64_t former, env_->CountUnderFormerKeys());
  if (former == 0) return former;
  CLOISTER_RETURN_IF_ERROR(go_on());
  // A batch that says nothing but its number: a log in which nothing stands would not be followed by another.
  CLOISTER_RETURN_IF_ERROR(Write(WriteBatch()));
  CLOISTER_RETURN_IF_ERROR(Flush());
  rocksdb::CompactRangeOptions options;
  options.exclusive_manual_compaction = false;
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
  const auto handles = CurrentHandles();
  for (const auto& [name, handle] : *handles) {
    CLOISTER_RETURN_IF_ERROR(go_on());
    CLOISTER_RETURN_IF_ERROR(CheckRoom(handle.get()));
    const rocksdb::Status compacted = db_->CompactRange(options, handle.get(), nullptr, nullptr);
    if (compacted.IsCorruption())
      return DataLoss("a damaged table cannot be written anew; run `cloister doctor --repair` first");
    CLOISTER_RETURN_IF_ERROR(FromRocksDb(compacted));
  }
  CLOISTER_RETURN_IF_ERROR(BeginManifest());
  CLOISTER_RETURN_IF_ERROR(env_->RewriteIdentity());
  for (int look = 0; look < kDeletionLooksMax; ++look) {
    // In a pair, so that a copy under way keeps its files. Deletes at once what nobody needs any more.
    CLOISTER_RETURN_IF_ERROR(FromRocksDb(db_->DisableFileDeletions()));
    CLOISTER_RETURN_IF_ERROR(FromRocksDb(db_->EnableFileDeletions(false)));
    CLOISTER_ASSIGN_OR_RETURN(const uint64_t left, env_->CountUnderFormerKeys());
    if (left == 0) {
      env_->ForgetFormerKeys();
      return former;
    }
    CLOISTER_RETURN_IF_ERROR(go_on());
    std::this_thread::sleep_for(kDeletionLook);
  }
  return Unavailable("files of the database are still in use under their former key; try again");
}

// A compaction that fills the disk would end all writes to the database.
Status RocksDbStore::Impl::CheckRoom(rocksdb::ColumnFamilyHandle* family) const {
  rocksdb::ColumnFamilyMetaData tables;
  db_->GetColumnFamilyMetaData(family, &tables);
  std::error_code error;
  const auto space = std::filesystem::space(db_->GetName(), error);
  const uint64_t needed = tables.size + kSpareBytes;
  if (error || space.available >= needed) return absl::OkStatus();
  return ResourceExhausted("the disk has no room for the database's tables to be written anew: " +
                           std::to_string((needed - space.available) / (1024 * 1024) + 1) +
                           " MiB more are needed; free space and try again");
}

// A new manifest begins with the first change after the present one is over its size, and nothing but its content makes
// it grow. So a column family with a name of that size is made, and dropped: the drop begins a manifest, which lists
// the name once more, and the next change begins another without it. A crash in between leaves what looks like an
// unfinished rewriting, which the next open drops.
Status RocksDbStore::Impl::BeginManifest() {
  for (const std::string& name : {LongNameOfRewriting(kMeta, kManifestBytesMax), NameOfRewriting(kMeta, 1)}) {
    rocksdb::ColumnFamilyHandle* made = nullptr;
    CLOISTER_RETURN_IF_ERROR(FromRocksDb(db_->CreateColumnFamily(family_options_, name, &made)));
    const auto owned = Owned(made);
    CLOISTER_RETURN_IF_ERROR(FromRocksDb(db_->DropColumnFamily(made)));
  }
  return absl::OkStatus();
}

}  // namespace cloister::storage
