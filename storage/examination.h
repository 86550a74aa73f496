// SPDX-License-Identifier: Apache-2.0
// Reads everything that a database holds, authenticates every sealed record, and says what is damaged and
// where, never what it says. One damaged row or table does not end it: it goes on behind. Mends nothing, save
// for tables that it is told to write anew; what a damaged row means is for its owner to say. Blocks on the
// disk and takes no lock for long.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/id.h"
#include "common/status.h"
#include "storage/key_source.h"
#include "storage/kv_store.h"

namespace cloister::storage {

class RocksDbStore;

constexpr size_t kFindingsMax = 1000;  // More are counted, not listed.

struct ExaminedPart {
  std::string name;                 // "rows", "tables", "segments"
  uint64_t checked = 0, bytes = 0;  // What was read and is right.
};
struct Finding {
  std::string part;     // As above.
  std::string where;    // Table and row in hexadecimal, or file, or as the appliance names it. Never content.
  std::string problem;  // In words.
  std::string remedy;   // What to do about it; empty when it is done.
  std::string done;     // What was done about it; empty: nothing.
};

// What an examination found so far. Not thread-safe.
class Examination {
 public:
  void Checked(std::string_view part, uint64_t count, uint64_t bytes = 0) {
    for (ExaminedPart& known : parts_) {
      if (known.name != part) continue;
      known.checked += count;
      known.bytes += bytes;
      return;
    }
    parts_.push_back({std::string(part), count, bytes});
  }
  void Add(Finding finding) {
    if (++total_ <= kFindingsMax) findings_.push_back(std::move(finding));
  }
  const std::vector<ExaminedPart>& parts() const { return parts_; }
  const std::vector<Finding>& findings() const { return findings_; }
  uint64_t findings_total() const { return total_; }

 private:
  std::vector<ExaminedPart> parts_;
  std::vector<Finding> findings_;
  uint64_t total_ = 0;
};

struct ExaminationOptions {
  bool repair = false;
  std::function<bool()> cancelled;  // Asked now and then; may be empty.
  // Errors: kCancelled.
  Status CheckCancelled() const {
    return cancelled && cancelled() ? Error(StatusCode::kCancelled, "the examination was stopped")
                                    : absl::OkStatus();
  }
};

// As Snapshot::Scan over all of `column_family`, but goes on behind what cannot be read; adds beginnings of
// row keys under which there may be more to `unreadable`. Errors: kUnavailable.
Status ScanReadable(const Snapshot& snapshot, std::string_view column_family,
                    const std::function<bool(std::string_view row_key, std::string_view value)>& visit,
                    std::vector<std::string>& unreadable);

enum class RowProblem { kDamaged, kMoved, kKeyGone, kUnknownFormat, kForeignKey };
struct BadRow {
  std::string column_family, row_key;
  RowProblem problem = RowProblem::kDamaged;
  std::string moved_from;  // "text 0a1b", of kMoved.
};
// "text 0a1b2c"
std::string Describe(std::string_view column_family, std::string_view row_key);
// A sentence about what it is and where it can come from.
std::string Explain(const BadRow& row);

struct RowsToExamine {
  std::vector<std::string> column_families;
  // About a row that holds something else than a record under a key of the key source: OK when it is right,
  // kDataLoss when it is not, kNotFound when its key is destroyed. Nothing: it holds such a record. May be
  // empty.
  std::function<std::optional<Status>(const Snapshot& snapshot, std::string_view column_family,
                                      std::string_view row_key, std::string_view value)>
      judge;
  // Each row that is right. May be empty.
  std::function<void(std::string_view column_family, std::string_view row_key)> on_right;
};
struct ExaminedRows {
  std::vector<BadRow> bad;
  std::map<std::string, std::vector<std::string>> unreadable;  // Column family to beginnings of row keys.
};
// Counts the part "rows"; adds no finding. Errors: kCancelled, kUnavailable.
StatusOr<ExaminedRows> ExamineRows(const Snapshot& snapshot, const DatabaseId& database, KeySource& keys,
                                   const RowsToExamine& rows, const ExaminationOptions& options,
                                   Examination& out);

// A table file of RocksDB that fails its own checksums.
struct DamagedTable {
  std::string file;  // "000123.sst"
  std::string column_family;
  uint64_t rows = 0;        // It was written with.
  uint64_t unreadable = 0;  // At most so many of these cannot be told.
};
struct VerifiedTables {
  uint64_t tables = 0, bytes = 0;  // That are right.
  std::vector<DamagedTable> damaged;
};
// `name`: of the database, "db". Without remedy and what was done.
Finding FindingAbout(std::string_view name, const DamagedTable& table);

// Tables and rows of a database whose rows stand for themselves, with a finding for each that is damaged;
// counts the parts "tables" and "rows". With `repair`, tables of the column families in `expendable` are
// written anew without what cannot be read, and bad rows of them are removed. `remedy`: what to do about what
// is lost.
struct StoreToExamine {
  std::string name;  // "jobs", its folder.
  RowsToExamine rows;
  std::set<std::string> expendable;
  std::string remedy;
};
// Errors: kCancelled, kResourceExhausted, kUnavailable.
Status ExamineStore(RocksDbStore& store, KeySource& keys, const StoreToExamine& what,
                    const ExaminationOptions& options, Examination& out);

}  // namespace cloister::storage
