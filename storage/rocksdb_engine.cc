// SPDX-License-Identifier: Apache-2.0
// RocksDB as this folder wants it: quiet, synced, checked, and read at one moment.
#include <rocksdb/cache.h>
#include <rocksdb/table.h>

#include <charconv>

#include "storage/rocksdb_store_internal.h"

namespace cloister::storage {
namespace {

constexpr char kRewrittenMark = '~';

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

// The least key greater than every key that starts with `prefix`; empty when there is none.
std::string AfterPrefix(std::string_view prefix) {
  std::string out(prefix);
  while (!out.empty() && out.back() == '\xff') out.pop_back();
  if (!out.empty()) ++out.back();
  return out;
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

Status FromRocksDb(const rocksdb::Status& status) {
  if (status.ok()) return absl::OkStatus();
  if (status.IsNotFound()) return NotFound("no such row");
  if (status.IsCorruption()) {
    return DataLoss("the database's own checksum or structure check failed; restore it from a backup");
  }
  if (status.IsPathNotFound()) return DataLoss("a file of the database is missing; restore it from a backup");
  if (status.IsNoSpace())
    return ResourceExhausted("the disk is full; free space, and writes go on by themselves");
  return Unavailable(
      "the database reported an input or output error and is opened anew; check the disk when this goes on");
}

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
  options.max_manifest_file_size = kManifestBytesMax;
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

rocksdb::ColumnFamilyHandle* HandleOf(const Handles& handles, std::string_view column_family) {
  const auto it = handles.find(column_family);
  CLOISTER_CHECK(it != handles.end());
  return it->second.get();
}

std::pair<std::string, uint64_t> RewritingOf(const std::string& name) {
  const size_t mark = name.rfind(kRewrittenMark);
  if (mark == std::string::npos) return {name, 0};
  uint64_t number = 0;
  const char* end = name.data() + name.size();
  const auto parsed = std::from_chars(name.data() + mark + 1, end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end || number == 0) return {name, 0};
  return {name.substr(0, mark), number};
}

std::string NameOfRewriting(std::string_view column_family, uint64_t number) {
  return std::string(column_family) + kRewrittenMark + std::to_string(number);
}

std::string LongNameOfRewriting(std::string_view column_family, size_t bytes) {
  std::string name = std::string(column_family) + kRewrittenMark;
  name.resize(std::max(bytes, name.size()), '0');
  return name + '1';
}

std::unique_ptr<Snapshot> NewRocksDbSnapshot(rocksdb::DB& db, std::shared_ptr<const Handles> handles) {
  return std::make_unique<RocksDbSnapshot>(db, std::move(handles));
}

}  // namespace cloister::storage
