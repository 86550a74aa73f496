// SPDX-License-Identifier: Apache-2.0
#include "storage/rocksdb_store.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <rocksdb/slice.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "common/bytes.h"
#include "common/file.h"
#include "common/log.h"
#include "crypto/random.h"
#include "storage/acknowledged_file.h"
#include "storage/encrypted_env.h"

namespace cloister::storage {
namespace {

constexpr std::string_view kMeta = "meta";
constexpr std::string_view kFormatRow = "format";
constexpr std::string_view kDatabaseIdRow = "database-id";
constexpr std::string_view kSequenceRow = "sequence";
constexpr uint32_t kFormat = 1;
// A column family that was written anew is "text~1", then "text~2" to RocksDB, and "text" to everybody else.
constexpr char kRewrittenMark = '~';
constexpr size_t kRewriteBatchBytes = 4 * 1024 * 1024;

rocksdb::Slice ToSlice(std::string_view s) { return {s.data(), s.size()}; }
std::string_view ToView(const rocksdb::Slice& s) { return {s.data(), s.size()}; }

// RocksDB's messages name keys, files and column families, so none is passed on.
Status FromRocksDb(const rocksdb::Status& status) {
  if (status.ok()) return absl::OkStatus();
  if (status.IsNotFound()) return NotFound("no such row");
  if (status.IsCorruption()) {
    return DataLoss("the database's own checksum or structure check failed; restore it from a backup");
  }
  if (status.IsPathNotFound()) return DataLoss("a file of the database is missing; restore it from a backup");
  if (status.IsNoSpace())
    return ResourceExhausted("the disk is full; free space and start the service again");
  return Unavailable(
      "the database reported an input or output error; check the disk and start the service again");
}

// RocksDB's own log would be a file that quotes column families, keys and paths. What matters to an operator
// is that it complained; the Status of the call that failed says the rest.
class QuietLogger final : public rocksdb::Logger {
 public:
  QuietLogger() : rocksdb::Logger(rocksdb::InfoLogLevel::WARN_LEVEL) {}
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {}
  void Logv(const rocksdb::InfoLogLevel level, const char*, va_list) override {
    if (level == rocksdb::InfoLogLevel::WARN_LEVEL) Log(LogLevel::kWarning, "storage.rocksdb_warning");
    if (level == rocksdb::InfoLogLevel::ERROR_LEVEL || level == rocksdb::InfoLogLevel::FATAL_LEVEL) {
      Log(LogLevel::kError, "storage.rocksdb_error");
    }
  }
  void LogHeader(const char*, va_list) override {}
};

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

rocksdb::DBOptions DatabaseOptions() {
  rocksdb::DBOptions options;
  options.create_missing_column_families = true;
  options.info_log = std::make_shared<QuietLogger>();
  options.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  options.stats_dump_period_sec = 0;
  options.track_and_verify_wals_in_manifest = true;
  // A torn tail is normal after kill -9, and kAbsoluteConsistency refuses it. kPointInTimeRecovery would drop
  // all that follows a flipped byte in silence. What this mode may drop, the sequence check finds.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  options.paranoid_checks = true;
  options.verify_sst_unique_id_in_manifest = true;
  options.recycle_log_file_num = 0;  // A log written over itself would use its key stream twice.
  options.max_open_files = 512;
  options.max_background_jobs = 2;
  options.max_total_wal_size = 128 * 1024 * 1024;
  return options;
}

rocksdb::ColumnFamilyOptions FamilyOptions(const RocksDbStoreOptions& store,
                                           const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.cache_index_and_filter_blocks = true;
  rocksdb::ColumnFamilyOptions options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.write_buffer_size = store.write_buffer_bytes;
  options.compression = rocksdb::kNoCompression;  // Sealed values do not compress.
  options.memtable_protection_bytes_per_key = 8;
  return options;
}

// The least key greater than every key that starts with `prefix`; empty when there is none.
std::string AfterPrefix(std::string_view prefix) {
  std::string out(prefix);
  while (!out.empty() && out.back() == '\xff') out.pop_back();
  if (!out.empty()) ++out.back();
  return out;
}

std::string U64Bytes(uint64_t value) {
  ByteWriter out;
  out.U64(value);
  return out.Take();
}

// By the name that everybody uses. A handle keeps its column family readable, also after that was dropped.
using Handles = std::map<std::string, std::shared_ptr<rocksdb::ColumnFamilyHandle>, std::less<>>;

rocksdb::ColumnFamilyHandle* HandleOf(const Handles& handles, std::string_view column_family) {
  const auto it = handles.find(column_family);
  CLOISTER_CHECK(it != handles.end());
  return it->second.get();
}

// "text~2" is the second rewriting of "text"; a name without a mark is the zeroth of itself.
std::pair<std::string, uint64_t> RewritingOf(const std::string& name) {
  const size_t mark = name.rfind(kRewrittenMark);
  if (mark == std::string::npos) return {name, 0};
  uint64_t number = 0;
  const char* end = name.data() + name.size();
  const auto parsed = std::from_chars(name.data() + mark + 1, end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end || number == 0) return {name, 0};
  return {name.substr(0, mark), number};
}

class RocksDbSnapshot final : public Snapshot {
 public:
  RocksDbSnapshot(rocksdb::DB& db, std::shared_ptr<const Handles> handles)
      : db_(db), handles_(std::move(handles)), snapshot_(db.GetSnapshot()) {}
  ~RocksDbSnapshot() override { db_.ReleaseSnapshot(snapshot_); }

  StatusOr<std::string> Get(std::string_view column_family, std::string_view key) const override {
    std::string value;
    const auto status = db_.Get(Options(), HandleOf(*handles_, column_family), ToSlice(key), &value);
    if (!status.ok()) return FromRocksDb(status);
    return value;
  }

  Status Scan(std::string_view column_family, std::string_view prefix,
              const std::function<bool(std::string_view, std::string_view)>& visit) const override {
    rocksdb::ReadOptions options = Options();
    const std::string end = AfterPrefix(prefix);
    const rocksdb::Slice bound = ToSlice(end);
    if (!end.empty()) options.iterate_upper_bound = &bound;
    const std::unique_ptr<rocksdb::Iterator> it(db_.NewIterator(options, HandleOf(*handles_, column_family)));
    for (it->Seek(ToSlice(prefix)); it->Valid() && it->key().starts_with(ToSlice(prefix)); it->Next()) {
      if (!visit(ToView(it->key()), ToView(it->value()))) break;
    }
    return FromRocksDb(it->status());
  }

 private:
  rocksdb::ReadOptions Options() const {
    rocksdb::ReadOptions options;
    options.verify_checksums = true;
    options.snapshot = snapshot_;
    return options;
  }

  rocksdb::DB& db_;
  const std::shared_ptr<const Handles> handles_;
  const rocksdb::Snapshot* snapshot_;
};

}  // namespace

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
    return std::make_unique<RocksDbSnapshot>(*db_, handles_);
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

 private:
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
  Status status = stopped
                      ? Unavailable("the store took no write since an earlier error; start the service again")
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

namespace {

// How many rows of a damaged table can be read: from the front up to the damage, and from the back.
uint64_t ReadableRows(rocksdb::SstFileReader& table) {
  uint64_t rows = 0;
  const std::unique_ptr<rocksdb::Iterator> it(table.NewIterator(rocksdb::ReadOptions()));
  for (it->SeekToFirst(); it->Valid(); it->Next()) ++rows;
  for (it->SeekToLast(); it->Valid(); it->Prev()) ++rows;
  return rows;
}

}  // namespace

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
      return Unavailable("the store took no write since an earlier error; start the service again");
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
  const std::string name =
      column_family + kRewrittenMark + std::to_string(RewritingOf(former->GetName()).second + 1);
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

}  // namespace cloister::storage
