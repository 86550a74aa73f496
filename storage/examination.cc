// SPDX-License-Identifier: Apache-2.0
#include "storage/examination.h"

#include <algorithm>

#include "common/bytes.h"
#include "storage/rocksdb_store.h"
#include "storage/sealed_record.h"

namespace cloister::storage {
namespace {

// How far ScanReadable closes in on what cannot be read. Row keys begin with random ids, so four bytes tell
// documents apart.
constexpr size_t kPrefixBytesMax = 4;
constexpr int kByteValues = 256;
constexpr uint64_t kRowsBetweenQuestions = 64;
// Where a row that was moved came from is looked for among so many places, for so many rows.
constexpr size_t kPlacesMax = 100'000, kMovedMax = 16;

using Visit = std::function<bool(std::string_view, std::string_view)>;

class ReadableScan {
 public:
  ReadableScan(const Snapshot& snapshot, std::string_view family, const Visit& visit,
               std::vector<std::string>& unreadable)
      : snapshot_(snapshot), family_(family), visit_(visit), unreadable_(unreadable) {}

  Status Below(const std::string& prefix) {
    const Status status = snapshot_.Scan(family_, prefix, [&](std::string_view key, std::string_view value) {
      if (begun_ && key <= last_) return true;  // Read again on the way to what lies behind the damage.
      begun_ = true;
      last_ = key;
      stopped_ = !visit_(key, value);
      return !stopped_;
    });
    if (stopped_) return absl::OkStatus();
    if (status.code() != StatusCode::kDataLoss) return status;
    if (prefix.size() >= kPrefixBytesMax) {
      unreadable_.push_back(prefix);
      return absl::OkStatus();
    }
    bool former_failed = false;
    for (int next = 0; next < kByteValues && !stopped_; ++next) {
      const std::string child = prefix + static_cast<char>(next);
      const bool fails = !Begins(child);
      // What cannot be read lies together: between its two ends nothing is looked for.
      if (fails && former_failed &&
          (next + 1 == kByteValues || !Begins(prefix + static_cast<char>(next + 1)))) {
        unreadable_.push_back(child);
        continue;
      }
      former_failed = fails;
      CLOISTER_RETURN_IF_ERROR(Below(child));
    }
    return absl::OkStatus();
  }

 private:
  // Whether the first row behind `prefix` can be read, or there is none.
  bool Begins(const std::string& prefix) {
    return snapshot_.Scan(family_, prefix, [](auto, auto) { return false; }).ok();
  }
  const Snapshot& snapshot_;
  const std::string family_;
  const Visit& visit_;
  std::vector<std::string>& unreadable_;
  std::string last_;
  bool begun_ = false, stopped_ = false;
};

struct SuspectRecord {
  size_t at = 0;  // Among the bad rows.
  DataKey key;
  std::string record;
};

class RowExaminer {
 public:
  RowExaminer(const Snapshot& snapshot, const DatabaseId& database, KeySource& keys,
              const RowsToExamine& rows, const ExaminationOptions& options, Examination& out)
      : snapshot_(snapshot), database_(database), keys_(keys), rows_(rows), options_(options), out_(out) {}

  StatusOr<ExaminedRows> Run() {
    out_.Checked("rows", 0);
    for (const std::string& family : rows_.column_families) {
      std::vector<std::string> unreadable;
      CLOISTER_RETURN_IF_ERROR(ScanReadable(
          snapshot_, family,
          [&](std::string_view key, std::string_view value) { return Take(family, key, value); },
          unreadable));
      CLOISTER_RETURN_IF_ERROR(failure_);
      if (!unreadable.empty()) found_.unreadable[family] = std::move(unreadable);
    }
    CLOISTER_RETURN_IF_ERROR(FindHomes());
    return std::move(found_);
  }

 private:
  bool Take(const std::string& family, std::string_view row_key, std::string_view value) {
    if (++taken_ % kRowsBetweenQuestions == 0) failure_ = options_.CheckCancelled();
    if (!failure_.ok()) return false;
    const Status judged = Judge(family, row_key, value);
    if (judged.ok()) {
      out_.Checked("rows", 1, row_key.size() + value.size());
      if (rows_.on_right) rows_.on_right(family, row_key);
      return true;
    }
    BadRow bad{family, std::string(row_key), RowProblem::kDamaged, ""};
    if (judged.code() == StatusCode::kNotFound)
      bad.problem = RowProblem::kKeyGone;
    else if (judged.code() == StatusCode::kFailedPrecondition)
      bad.problem = RowProblem::kUnknownFormat;
    else if (judged.code() == StatusCode::kPermissionDenied)
      bad.problem = RowProblem::kForeignKey;
    else if (judged.code() != StatusCode::kDataLoss)
      failure_ = judged;  // Of the key source or the disk, not of the row.
    if (!failure_.ok()) return false;
    if (bad.problem == RowProblem::kDamaged && suspect_ && suspects_.size() < kMovedMax) {
      suspects_.push_back({found_.bad.size(), *suspect_, std::string(value)});
    }
    found_.bad.push_back(std::move(bad));
    return true;
  }

  Status Judge(const std::string& family, std::string_view row_key, std::string_view value) {
    suspect_.reset();
    if (rows_.judge) {
      if (const auto judged = rows_.judge(snapshot_, family, row_key, value)) return *judged;
    }
    CLOISTER_ASSIGN_OR_RETURN(const KeyId id, RecordKeyId(value));
    // Neighbouring rows mostly belong together, so one key serves many.
    if (!key_ || key_->id != id) {
      key_.reset();
      CLOISTER_ASSIGN_OR_RETURN(key_, keys_.GetKey(id));
    }
    const Status opened = OpenRecord(key_->key->view(), {database_, family, row_key}, value).status();
    if (!opened.ok()) suspect_ = key_;
    return opened;
  }

  // A record that opens in another row's place was moved from there; one that opens nowhere is damaged.
  Status FindHomes() {
    if (suspects_.empty()) return absl::OkStatus();
    size_t places = 0;
    for (const std::string& family : rows_.column_families) {
      std::vector<std::string> ignored;
      CLOISTER_RETURN_IF_ERROR(ScanReadable(
          snapshot_, family,
          [&](std::string_view row_key, std::string_view) {
            if (++places % kRowsBetweenQuestions == 0) failure_ = options_.CheckCancelled();
            for (const SuspectRecord& suspect : suspects_) {
              BadRow& bad = found_.bad[suspect.at];
              if (!OpenRecord(suspect.key.key->view(), {database_, family, row_key}, suspect.record).ok())
                continue;
              bad.problem = RowProblem::kMoved;
              bad.moved_from = Describe(family, row_key);
            }
            return failure_.ok() && places < kPlacesMax;
          },
          ignored));
    }
    return failure_;
  }

  const Snapshot& snapshot_;
  const DatabaseId database_;
  KeySource& keys_;
  const RowsToExamine& rows_;
  const ExaminationOptions& options_;
  Examination& out_;
  ExaminedRows found_;
  std::optional<DataKey> key_, suspect_;
  std::vector<SuspectRecord> suspects_;
  Status failure_;
  uint64_t taken_ = 0;
};

// Takes what is damaged out of the way of what is not. Errors: kResourceExhausted, kUnavailable.
Status Clear(RocksDbStore& store, const StoreToExamine& what, const std::vector<DamagedTable>& damaged,
             const ExaminedRows& found) {
  WriteBatch batch;
  for (const BadRow& bad : found.bad) {
    if (what.expendable.contains(bad.column_family)) batch.Delete(bad.column_family, bad.row_key);
  }
  if (!batch.operations().empty()) CLOISTER_RETURN_IF_ERROR(store.Write(batch));
  std::set<std::string> families;
  for (const DamagedTable& table : damaged) families.insert(table.column_family);
  for (const std::string& family : families) {
    if (what.expendable.contains(family)) CLOISTER_RETURN_IF_ERROR(store.RewriteFamily(family).status());
  }
  return absl::OkStatus();
}

}  // namespace

Status ScanReadable(const Snapshot& snapshot, std::string_view column_family, const Visit& visit,
                    std::vector<std::string>& unreadable) {
  return ReadableScan(snapshot, column_family, visit, unreadable).Below("");
}

std::string Describe(std::string_view column_family, std::string_view row_key) {
  return std::string(column_family) + " " + HexEncode(row_key);
}

std::string Explain(const BadRow& row) {
  switch (row.problem) {
    case RowProblem::kDamaged:
      return "does not authenticate: it was altered or damaged, or comes from another database";
    case RowProblem::kMoved:
      return "does not authenticate here: it was moved from " + row.moved_from;
    case RowProblem::kKeyGone:
      return "its key is destroyed: the keyring is another one than the data's, or the data are from before "
             "an erasure";
    case RowProblem::kUnknownFormat:
      return "has a format that this version does not know: a newer version wrote it, or it is damaged";
    case RowProblem::kForeignKey:
      return "names the key of another service: it was moved from another database, or is damaged";
  }
  return "is damaged";
}

StatusOr<ExaminedRows> ExamineRows(const Snapshot& snapshot, const DatabaseId& database, KeySource& keys,
                                   const RowsToExamine& rows, const ExaminationOptions& options,
                                   Examination& out) {
  return RowExaminer(snapshot, database, keys, rows, options, out).Run();
}

Finding FindingAbout(std::string_view name, const DamagedTable& table) {
  return {"tables", std::string(name) + "/rocksdb/" + table.file + " (" + table.column_family + ")",
          "the table's own checksum fails: up to " + std::to_string(table.unreadable) + " of its " +
              std::to_string(table.rows) + " rows cannot be told",
          "", ""};
}

Status ExamineStore(RocksDbStore& store, KeySource& keys, const StoreToExamine& what,
                    const ExaminationOptions& options, Examination& out) {
  CLOISTER_ASSIGN_OR_RETURN(const VerifiedTables tables,
                            store.VerifyTables([&] { return options.CheckCancelled(); }));
  out.Checked("tables", tables.tables, tables.bytes);
  CLOISTER_ASSIGN_OR_RETURN(const ExaminedRows found, ExamineRows(*store.GetSnapshot(), store.database_id(),
                                                                  keys, what.rows, options, out));
  if (options.repair) CLOISTER_RETURN_IF_ERROR(Clear(store, what, tables.damaged, found));
  const auto tell = [&](Finding finding, const std::string& family, const char* done) {
    const bool expendable = what.expendable.contains(family);
    finding.remedy = expendable ? "`cloister doctor --repair` clears it away; " + what.remedy : what.remedy;
    if (options.repair && expendable) {
      finding.done = std::string(done) + "; " + what.remedy;
      finding.remedy.clear();
    }
    out.Add(std::move(finding));
  };
  for (const DamagedTable& table : tables.damaged) {
    tell(FindingAbout(what.name, table), table.column_family, "what can be read of it was written anew");
  }
  for (const BadRow& bad : found.bad) {
    tell({"rows", what.name + ": " + Describe(bad.column_family, bad.row_key), Explain(bad), "", ""},
         bad.column_family, "removed");
  }
  return absl::OkStatus();
}

}  // namespace cloister::storage
