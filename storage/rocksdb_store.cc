// SPDX-License-Identifier: Apache-2.0
#include "storage/rocksdb_store.h"

#include <rocksdb/cache.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <utility>

#include "common/bytes.h"
#include "crypto/random.h"
#include "storage/rocksdb_store_internal.h"
#include "storage/torn_logs.h"

namespace cloister::storage {
namespace {

constexpr std::string_view kFormatRow = "format";
constexpr std::string_view kDatabaseIdRow = "database-id";
constexpr std::string_view kSequenceRow = "sequence";
constexpr uint32_t kFormat = 1;

std::string U64Bytes(uint64_t value) {
  ByteWriter out;
  out.U64(value);
  return out.Take();
}

}  // namespace

RocksDbStore::Impl::~Impl() {
  if (db_ == nullptr) return;
  handles_.reset();
  db_->Close();
  if (acknowledged_.IsOpen()) acknowledged_.Sync().IgnoreError();  // Only the check would know less.
}

Status RocksDbStore::Impl::OpenDatabase(const RocksDbStoreOptions& options, bool create) {
  const std::string path = (options.directory / "rocksdb").string();
  CLOISTER_ASSIGN_OR_RETURN(
      env_, EncryptedEnv::Open(
                {.database = path, .manifest_seal = options.directory / "manifest", .sealed = !create},
                *options.keys));
  rocksdb::DBOptions db_options = DatabaseOptions();
  db_options.listeners.push_back(listener_);
  db_options.env = env_->env();
  db_options.create_if_missing = create;
  std::vector<std::string> names;
  if (std::error_code error; std::filesystem::exists(options.directory / "rocksdb" / "CURRENT", error)) {
    // All of them must be named at open, those of a newer or older version, too.
    CLOISTER_RETURN_IF_ERROR(OpenError(rocksdb::DB::ListColumnFamilies(db_options, path, &names)));
  }
  std::vector<std::string> wanted = options.column_families;
  wanted.emplace_back(rocksdb::kDefaultColumnFamilyName);
  wanted.emplace_back(kMeta);
  for (const std::string& name : wanted) {
    const bool there =
        std::any_of(names.begin(), names.end(), [&](const auto& n) { return RewritingOf(n).first == name; });
    if (!there) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());

  const auto cache = rocksdb::NewLRUCache(options.block_cache_bytes);
  family_options_ = FamilyOptions(options, cache);
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  families.reserve(names.size());
  for (const std::string& name : names) families.emplace_back(name, family_options_);
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  CLOISTER_RETURN_IF_ERROR(OpenError(rocksdb::DB::Open(db_options, path, families, &handles, &db)));
  db_.reset(db);
  return TakeHandles(names, handles);
}

// Dropping the former column family is what makes a rewriting count, so while both are there the former
// holds.
Status RocksDbStore::Impl::TakeHandles(const std::vector<std::string>& names,
                                       const std::vector<rocksdb::ColumnFamilyHandle*>& handles) {
  std::vector<std::shared_ptr<rocksdb::ColumnFamilyHandle>> owned;
  for (rocksdb::ColumnFamilyHandle* handle : handles) owned.push_back(Owned(handle));
  std::map<std::string, std::pair<uint64_t, size_t>> first;  // By the name everybody uses.
  for (size_t i = 0; i < names.size(); ++i) {
    const auto [name, number] = RewritingOf(names[i]);
    const auto [known, added] = first.try_emplace(name, number, i);
    if (!added && number < known->second.first) known->second = {number, i};
  }
  auto taken = std::make_shared<Handles>();
  for (size_t i = 0; i < names.size(); ++i) {
    const std::string name = RewritingOf(names[i]).first;
    if (first.at(name).second == i) {
      taken->emplace(name, owned[i]);
    } else {
      CLOISTER_RETURN_IF_ERROR(FromRocksDb(db_->DropColumnFamily(owned[i].get())));
    }
  }
  std::lock_guard lock(handles_mutex_);
  handles_ = std::move(taken);
  return absl::OkStatus();
}

Status RocksDbStore::Impl::MakeMeta() {
  database_ = crypto::RandomId<DatabaseId>();
  rocksdb::WriteOptions options;
  options.sync = true;
  ByteWriter format;
  format.U32(kFormat);
  rocksdb::WriteBatch batch;
  rocksdb::ColumnFamilyHandle* meta = HandleOf(*handles_, kMeta);
  for (const auto& [row, value] :
       {std::pair(kFormatRow, format.bytes()), std::pair(kDatabaseIdRow, std::string(database_.bytes())),
        std::pair(kSequenceRow, U64Bytes(0))}) {
    CLOISTER_RETURN_IF_ERROR(FromRocksDb(batch.Put(meta, ToSlice(row), ToSlice(value))));
  }
  return FromRocksDb(db_->Write(options, &batch));
}

Status RocksDbStore::Impl::ReadMeta(const Snapshot& snapshot) {
  const auto format = snapshot.Get(kMeta, kFormatRow);
  const auto id = snapshot.Get(kMeta, kDatabaseIdRow);
  const auto sequence = snapshot.Get(kMeta, kSequenceRow);
  if (!format.ok() || !id.ok() || !sequence.ok()) {
    return DataLoss("the database has lost its description; restore it from a backup");
  }
  ByteReader format_reader(*format);
  const uint32_t version = format_reader.U32();
  if (version != kFormat) {
    return FailedPrecondition("the database has format " + std::to_string(version) +
                              ", which this version does not know; use a newer one");
  }
  ByteReader sequence_reader(*sequence);
  sequence_ = sequence_reader.U64();
  CLOISTER_RETURN_IF_ERROR(sequence_reader.Finish("the database's sequence"));
  const auto parsed = DatabaseId::FromBytes(*id);
  if (!parsed.ok()) return DataLoss("the database has a malformed id; restore it from a backup");
  database_ = *parsed;
  return absl::OkStatus();
}

Status RocksDbStore::Impl::Check(const std::filesystem::path& acknowledged_path,
                                 const std::optional<Acknowledged>& acknowledged) {
  const auto snapshot = GetSnapshot();
  const auto format = snapshot->Get(kMeta, kFormatRow);
  if (format.status().code() == StatusCode::kNotFound && !acknowledged) {
    // A crash may have come between the first open and this batch, so the row decides, not the folder.
    CLOISTER_RETURN_IF_ERROR(MakeMeta());
  } else {
    CLOISTER_RETURN_IF_ERROR(ReadMeta(*snapshot));
    if (!acknowledged) Log(LogLevel::kWarning, "storage.opened_without_sequence_check");
  }
  if (acknowledged && acknowledged->database != database_) {
    return DataLoss(
        "the file 'acknowledged' belongs to another database; put back the database it stood beside, or "
        "remove the file when the exchange was meant");
  }
  if (acknowledged && acknowledged->sequence > sequence_) {
    return DataLoss(
        "the database ends at write " + std::to_string(sequence_) + ", but write " +
        std::to_string(acknowledged->sequence) +
        " was acknowledged; restore a newer copy, or remove the file 'acknowledged' to go on without "
        "the missing writes");
  }
  CLOISTER_ASSIGN_OR_RETURN(acknowledged_,
                            AcknowledgedFile::Start(acknowledged_path, {database_, sequence_}));
  return absl::OkStatus();
}

// Writers queue up; the first takes as many as fit, writes them as one synced batch, and answers for all.
Status RocksDbStore::Impl::Write(const WriteBatch& batch) {
  for (const WriteBatch::Operation& operation : batch.operations()) {
    CLOISTER_CHECK(operation.column_family != kMeta);
    HandleOf(*CurrentHandles(), operation.column_family);
  }
  Waiting own;
  own.batch = &batch;
  std::unique_lock lock(mutex_);
  queue_.push_back(&own);
  changed_.wait(lock, [&] { return own.done || (!writing_ && queue_.front() == &own); });
  if (own.done) return own.status;

  std::vector<Waiting*> group;
  size_t bytes = 0;
  while (!queue_.empty() && group.size() < kGroupCommitBatchesMax &&
         (group.empty() || bytes + queue_.front()->batch->bytes() <= kGroupCommitBytesMax)) {
    bytes += queue_.front()->batch->bytes();
    group.push_back(queue_.front());
    queue_.pop_front();
  }
  writing_ = true;
  const bool stopped = stopped_;
  const uint64_t sequence = sequence_ + group.size();
  lock.unlock();
  Status status =
      stopped ? Unavailable(
                    "the database takes no write since an earlier error, until it is opened anew; try again")
              : WriteTogether(group, sequence);
  lock.lock();
  writing_ = false;
  const bool stops = !status.ok() && !stopped_;
  if (status.ok()) {
    sequence_ = sequence;
  } else if (stops) {
    stopped_ = true;
    LogStatus(LogLevel::kError, "storage.write_failed", status);
  }
  for (Waiting* waiting : group) {
    waiting->status = status;
    waiting->done = true;
  }
  changed_.notify_all();
  lock.unlock();
  if (stops && on_stopped_) on_stopped_(status);
  return status;
}

Status RocksDbStore::Impl::WriteTogether(const std::vector<Waiting*>& group, uint64_t sequence) {
  RestDamaged();
  const auto handles = CurrentHandles();
  rocksdb::WriteBatch together;
  rocksdb::Status status = together.Put(HandleOf(*handles, kMeta), ToSlice(kSequenceRow), U64Bytes(sequence));
  for (const Waiting* waiting : group) {
    for (const WriteBatch::Operation& operation : waiting->batch->operations()) {
      if (!status.ok()) return FromRocksDb(status);
      rocksdb::ColumnFamilyHandle* handle = HandleOf(*handles, operation.column_family);
      status = operation.value ? together.Put(handle, operation.key, *operation.value)
                               : together.Delete(handle, operation.key);
    }
  }
  if (!status.ok()) return FromRocksDb(status);
  rocksdb::WriteOptions options;
  options.sync = true;
  options.protection_bytes_per_key = 8;
  CLOISTER_RETURN_IF_ERROR(FromRocksDb(db_->Write(options, &together)));
  // The batch is durable and must be acknowledged whatever becomes of this: only the check would know less.
  const Status noted = acknowledged_.Set(sequence);
  if (!noted.ok()) LogStatus(LogLevel::kWarning, "storage.acknowledged_not_noted", noted);
  return absl::OkStatus();
}

Status RocksDbStore::Impl::Flush() {
  const auto handles = CurrentHandles();
  std::vector<rocksdb::ColumnFamilyHandle*> all;
  for (const auto& [name, handle] : *handles) all.push_back(handle.get());
  return FromRocksDb(db_->Flush(rocksdb::FlushOptions(), all));
}

RocksDbStore::RocksDbStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RocksDbStore::~RocksDbStore() = default;

StatusOr<std::unique_ptr<RocksDbStore>> RocksDbStore::Open(const RocksDbStoreOptions& options) {
  for (const std::string& name : options.column_families) {
    CLOISTER_CHECK(!name.empty() && name != kMeta && name != rocksdb::kDefaultColumnFamilyName);
  }
  CLOISTER_CHECK(options.keys != nullptr);
  CLOISTER_RETURN_IF_ERROR(Annotate(MakePrivateDirectory(options.directory / "rocksdb"), "database folder"));
  auto lock = LockFile(options.directory / "lock");
  if (lock.status().code() == StatusCode::kFailedPrecondition) {
    return FailedPrecondition("another process has the database open; stop it first");
  }
  if (!lock.ok()) return lock.status();
  const std::filesystem::path acknowledged_path = options.directory / "acknowledged";
  CLOISTER_ASSIGN_OR_RETURN(const std::optional<Acknowledged> acknowledged,
                            AcknowledgedFile::Read(acknowledged_path));
  // Where a database was acknowledged once, a new empty one in its place would be a loss passed over.
  std::error_code error;
  if (acknowledged && !std::filesystem::exists(options.directory / "rocksdb" / "CURRENT", error)) {
    return DataLoss(
        "the database is missing from its folder; restore it from a backup, or remove the file "
        "'acknowledged' to begin an empty one");
  }
  auto impl = std::make_unique<Impl>(*std::move(lock), options.on_stopped);
  CLOISTER_RETURN_IF_ERROR(impl->OpenDatabase(options, !acknowledged.has_value()));
  CLOISTER_RETURN_IF_ERROR(impl->Check(acknowledged_path, acknowledged));
  if (acknowledged) {
    RemoveOldTornCopies(options.directory / "rocksdb", std::filesystem::file_time_type::clock::now());
  }
  return std::unique_ptr<RocksDbStore>(new RocksDbStore(std::move(impl)));
}

Status RocksDbStore::Write(const WriteBatch& batch) { return impl_->Write(batch); }
std::unique_ptr<Snapshot> RocksDbStore::GetSnapshot() const { return impl_->GetSnapshot(); }
uint64_t RocksDbStore::CommitSequence() const { return impl_->CommitSequence(); }
const DatabaseId& RocksDbStore::database_id() const { return impl_->database_id(); }
Status RocksDbStore::Flush() { return impl_->Flush(); }
StatusOr<uint64_t> RocksDbStore::Checkpoint(const std::filesystem::path& folder) {
  return impl_->Checkpoint(folder);
}
StatusOr<VerifiedTables> RocksDbStore::VerifyTables(const std::function<Status()>& go_on) const {
  return impl_->VerifyTables(go_on);
}
StatusOr<uint64_t> RocksDbStore::RewriteFamily(std::string_view column_family) {
  return impl_->RewriteFamily(column_family);
}

KeyId RocksDbStore::volume_key() const { return impl_->volume_key(); }
StatusOr<uint64_t> RocksDbStore::RewriteFiles(const std::function<Status()>& go_on) {
  return impl_->RewriteFiles(go_on);
}

}  // namespace cloister::storage
