// SPDX-License-Identifier: Apache-2.0
// The tables of a store as a whole: a copy of them, whether they are right, and writing them anew.
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/utilities/checkpoint.h>

#include <algorithm>

#include "storage/rocksdb_store_internal.h"

namespace cloister::storage {
namespace {

constexpr size_t kRewriteBatchBytes = 4 * 1024 * 1024;

// How many rows of a damaged table can be read: from the front up to the damage, and from the back.
uint64_t ReadableRows(rocksdb::SstFileReader& table) {
  uint64_t rows = 0;
  const std::unique_ptr<rocksdb::Iterator> it(table.NewIterator(rocksdb::ReadOptions()));
  for (it->SeekToFirst(); it->Valid(); it->Next()) ++rows;
  for (it->SeekToLast(); it->Valid(); it->Prev()) ++rows;
  return rows;
}

}  // namespace

void RocksDbStore::Impl::RestDamaged() {
  const std::set<std::string> damaged = listener_->TakeDamaged();
  if (damaged.empty()) return;
  const auto handles = CurrentHandles();
  for (const auto& [name, handle] : *handles) {
    if (!damaged.contains(handle->GetName())) continue;
    db_->SetOptions(handle.get(), {{"disable_auto_compactions", "true"}})
        .PermitUncheckedError();  // It costs time alone.
  }
}

// The sequence and the seal are taken first: what the copy then holds is at least that much.
StatusOr<uint64_t> RocksDbStore::Impl::Checkpoint(const std::filesystem::path& folder) {
  std::error_code error;
  if (std::filesystem::exists(folder, error))
    return AlreadyExists("the folder for the copy is there already");
  const uint64_t sequence = CommitSequence();
  const Status filled = FillCheckpoint(folder, sequence);
  if (filled.ok()) return sequence;
  std::filesystem::remove_all(folder, error);
  return filled;
}

Status RocksDbStore::Impl::FillCheckpoint(const std::filesystem::path& folder, uint64_t sequence) {
  CLOISTER_ASSIGN_OR_RETURN(const ManifestSeal seal, env_->ReadSeal());
  CLOISTER_RETURN_IF_ERROR(Annotate(MakePrivateDirectory(folder), "folder for the copy"));
  const std::filesystem::path copy = folder / "rocksdb";
  rocksdb::Checkpoint* made = nullptr;
  CLOISTER_RETURN_IF_ERROR(FromRocksDb(rocksdb::Checkpoint::Create(db_.get(), &made)));
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
  CLOISTER_RETURN_IF_ERROR(FromRocksDb(checkpoint->CreateCheckpoint(copy.string())));
  std::error_code error;
  std::filesystem::permissions(copy, std::filesystem::perms::owner_all, error);
  if (error) return ErrnoStatus(error.value(), "folder for the copy");
  CLOISTER_RETURN_IF_ERROR(env_->SealCopy(copy, seal, folder / "manifest"));
  // Last: without it the copy does not pass for a database that was acknowledged.
  return AcknowledgedFile::Start(folder / "acknowledged", {database_, sequence}).status();
}

StatusOr<VerifiedTables> RocksDbStore::Impl::VerifyTables(const std::function<Status()>& go_on) const {
  std::vector<rocksdb::LiveFileMetaData> files;
  db_->GetLiveFilesMetaData(&files);
  VerifiedTables out;
  rocksdb::Options options(rocksdb::DBOptions(), family_options_);
  options.env = env_->env();
  for (const rocksdb::LiveFileMetaData& file : files) {
    CLOISTER_RETURN_IF_ERROR(go_on());
    rocksdb::SstFileReader table(options);
    rocksdb::Status status = table.Open(file.db_path + file.name);
    const bool opened = status.ok();
    if (opened) status = table.VerifyChecksum();
    if (status.ok()) {
      ++out.tables;
      out.bytes += file.size;
      continue;
    }
    // A compaction that came first may have left it behind.
    std::vector<rocksdb::LiveFileMetaData> now;
    db_->GetLiveFilesMetaData(&now);
    const bool live =
        std::any_of(now.begin(), now.end(), [&](const auto& other) { return other.name == file.name; });
    if (!live) continue;
    const uint64_t readable = opened ? std::min(file.num_entries, ReadableRows(table)) : 0;
    out.damaged.push_back({file.name.substr(file.name.find_first_not_of('/')),
                           RewritingOf(file.column_family_name).first, file.num_entries,
                           file.num_entries - readable});
  }
  return out;
}

StatusOr<uint64_t> RocksDbStore::Impl::RewriteFamily(std::string_view column_family) {
  CLOISTER_CHECK(column_family != kMeta);
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !writing_; });
    if (stopped_)
      return Unavailable(
          "the database takes no write since an earlier error, until it is opened anew; try again");
    writing_ = true;
  }
  auto rewritten = RewriteAlone(std::string(column_family));
  std::lock_guard lock(mutex_);
  writing_ = false;
  changed_.notify_all();
  return rewritten;
}

StatusOr<uint64_t> RocksDbStore::Impl::RewriteAlone(const std::string& column_family) {
  const auto handles = CurrentHandles();
  rocksdb::ColumnFamilyHandle* former = HandleOf(*handles, column_family);
  const std::string name = NameOfRewriting(column_family, RewritingOf(former->GetName()).second + 1);
  rocksdb::ColumnFamilyHandle* made = nullptr;
  CLOISTER_RETURN_IF_ERROR(FromRocksDb(db_->CreateColumnFamily(family_options_, name, &made)));
  const auto next = Owned(made);
  auto rows = CopyReadable(column_family, made);
  // Without the log, so it must be in tables before it counts.
  Status status = rows.ok() ? FromRocksDb(db_->Flush(rocksdb::FlushOptions(), made)) : rows.status();
  if (status.ok()) status = FromRocksDb(db_->DropColumnFamily(former));
  if (!status.ok()) {
    db_->DropColumnFamily(made).PermitUncheckedError();  // The next open drops it, too.
    return status;
  }
  auto changed = std::make_shared<Handles>(*handles);
  (*changed)[column_family] = next;
  std::lock_guard lock(handles_mutex_);
  handles_ = std::move(changed);
  return rows;
}

StatusOr<uint64_t> RocksDbStore::Impl::CopyReadable(const std::string& column_family,
                                                    rocksdb::ColumnFamilyHandle* to) {
  rocksdb::WriteOptions options;
  options.disableWAL = true;
  rocksdb::WriteBatch batch;
  rocksdb::Status written;
  uint64_t rows = 0;
  std::vector<std::string> lost;
  CLOISTER_RETURN_IF_ERROR(ScanReadable(
      *GetSnapshot(), column_family,
      [&](std::string_view key, std::string_view value) {
        written = batch.Put(to, ToSlice(key), ToSlice(value));
        ++rows;
        if (written.ok() && batch.GetDataSize() >= kRewriteBatchBytes) {
          written = db_->Write(options, &batch);
          batch.Clear();
        }
        return written.ok();
      },
      lost));
  if (written.ok()) written = db_->Write(options, &batch);
  CLOISTER_RETURN_IF_ERROR(FromRocksDb(written));
  return rows;
}

}  // namespace cloister::storage
