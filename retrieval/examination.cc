// SPDX-License-Identifier: Apache-2.0
#include "retrieval/examination.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace cloister::retrieval {
namespace {

using storage::BadRow;
using storage::Describe;
using storage::Finding;

constexpr size_t kFirstVectors = 4;  // In kVersionFamilies; from here on what only a current version has.
// Right rows of one version, by family; what stands for the first is counted there.
using RowCounts = std::array<uint32_t, kVersionFamilies.size() - 1>;

// Which of the counts a row of `family` belongs to; nothing: it is not a document's. A version that is kept
// has its row in a family of its own.
std::optional<size_t> ContentIndex(std::string_view family, std::string_view row_key) {
  if (row_key.size() < 2 * kIdBytes) return std::nullopt;
  if (family == kKeptVersionsFamily) return 0;
  const auto found = std::find(kVersionFamilies.begin(), kVersionFamilies.end(), family);
  if (found == kVersionFamilies.end()) return std::nullopt;
  return static_cast<size_t>(found - kVersionFamilies.begin());
}

// Rows that stand for themselves and can be made again by a person. What must not get lost unseen is not
// among them: suppressions, holds, erasures, keys to be destroyed, events for audit.
const std::set<std::string>& Expendable() {
  static const std::set<std::string> families = [] {
    std::set<std::string> out(kVersionFamilies.begin(), kVersionFamilies.end());
    for (const std::string_view family :
         {kClassesFamily, kCollectionsFamily, kUsersFamily, kSetAsideFamily}) {
      out.emplace(family);
    }
    return out;
  }();
  return families;
}

constexpr const char* kRestore =
    "restore a backup: `cloister backup restore FOLDER` into a new data directory";

std::string IngestAgain(const DocumentInfo* info) {
  return "bring it again: `cloister ingest FOLDER --collection " +
         (info == nullptr ? "COLLECTION" : info->collection) + "`";
}

// About a row that is not a document's.
std::string RemedyOf(std::string_view family) {
  if (family == kUsersFamily)
    return "the user sees nothing meanwhile; add the user again: `cloister user add`";
  if (family == kCollectionsFamily || family == kClassesFamily) {
    return "nobody reads what it permitted; put the collection again: `cloister collection put`, and ingest "
           "its folder";
  }
  if (family == kSetAsideFamily) return "run `cloister doctor --repair` again";
  if (family == kOutboxFamily)
    return "the audit log lacks one event of a change; " + std::string(kRestore) + " if that matters";
  if (family == kRetiredKeysFamily)
    return "nothing is lost: the key it names is destroyed with the next shredding";
  return kRestore;
}

class CorpusExaminer {
 public:
  CorpusExaminer(Corpus& corpus, storage::RocksDbStore* tables, const storage::ExaminationOptions& options,
                 storage::Examination& out)
      : corpus_(corpus), tables_(tables), options_(options), out_(out) {}

  Status Run() {
    if (tables_ != nullptr) {
      CLOISTER_RETURN_IF_ERROR(tables_->Flush());
      CLOISTER_ASSIGN_OR_RETURN(verified_,
                                tables_->VerifyTables([this] { return options_.CheckCancelled(); }));
      out_.Checked("tables", verified_.tables, verified_.bytes);
    }
    CLOISTER_RETURN_IF_ERROR(ReadRows());
    CLOISTER_RETURN_IF_ERROR(JudgeDocuments());
    CLOISTER_RETURN_IF_ERROR(TellDocuments());
    CLOISTER_RETURN_IF_ERROR(TellOthers());
    CLOISTER_RETURN_IF_ERROR(TellTables());
    CLOISTER_RETURN_IF_ERROR(corpus_.ExamineSegments(options_, out_));
    std::set<DocumentId> damaged;
    for (const auto& [document, damage] : damage_) damaged.insert(document);
    return corpus_.ExamineIndex(options_, damaged, out_);
  }

 private:
  struct Damage {
    std::vector<std::string> problems;
    VersionId version;
    bool former = false;  // Of a version that is not the current one, or of no known document.
  };

  Status ReadRows() {
    // Taken first: what is there now is in the snapshot, or was changed since.
    for (const DocumentHistory& history : corpus_.documents().Histories("")) {
      for (const auto& info : history.Versions()) infos_.push_back(info);
    }
    storage::RowsToExamine rows{ColumnFamilies(), {}, {}};
    rows.on_right = [this](std::string_view family, std::string_view row_key) {
      if (const auto index = ContentIndex(family, row_key))
        ++counts_[std::string(row_key.substr(0, 2 * kIdBytes))][*index];
    };
    Rows& store = corpus_.rows();
    const auto snapshot = store.GetSnapshot();
    CLOISTER_ASSIGN_OR_RETURN(
        rows_, storage::ExamineRows(*snapshot, store.database(), store.keys(), rows, options_, out_));
    return absl::OkStatus();
  }

  static RowCounts ExpectedOf(const DocumentInfo& info) {
    const uint32_t chunk_rows = RowsFor(info.chunks, kChunksPerRow);
    return {1,
            1,
            RowsFor(info.text_bytes, kTextRowBytes),
            chunk_rows,
            info.dimension != 0 ? chunk_rows : 0,
            info.sentence_vectors ? RowsFor(info.chunks, kChunksPerSentenceRow) : 0};
  }

  bool IsCurrent(const DocumentInfo& info) const {
    const auto now = corpus_.documents().Find(info.document);
    return now && now->version == info.version;
  }
  bool IsThere(const DocumentInfo& info) const {
    const auto history = corpus_.documents().HistoryOf(info.document);
    if (!history) return false;
    const auto versions = history->Versions();
    return std::any_of(versions.begin(), versions.end(),
                       [&](const auto& other) { return other->version == info.version; });
  }

  Status JudgeDocuments() {
    for (const BadRow& bad : rows_.bad) {
      if (!ContentIndex(bad.column_family, bad.row_key)) continue;
      Add(*DocumentId::FromBytes(std::string_view(bad.row_key).substr(0, kIdBytes)),
          *VersionId::FromBytes(std::string_view(bad.row_key).substr(kIdBytes, kIdBytes)),
          Describe(bad.column_family, bad.row_key) + " " + Explain(bad));
    }
    uint64_t whole = 0, whole_former = 0;
    for (const auto& info : infos_) {
      const std::string version = VersionKey(info->document, info->version);
      const auto found = counts_.find(version);
      const RowCounts counts = found == counts_.end() ? RowCounts{} : found->second;
      RowCounts expected = ExpectedOf(*info);
      // A kept version has lost its vectors, which nobody searches; one that became a former one just now may
      // have lost them already.
      if (!IsCurrent(*info))
        std::copy(counts.begin() + kFirstVectors, counts.end(), expected.begin() + kFirstVectors);
      if (counts == expected) {
        ++(IsCurrent(*info) ? whole : whole_former);
        continue;
      }
      if (!IsThere(*info)) continue;  // Changed or erased meanwhile.
      for (size_t i = 0; i < counts.size(); ++i) {
        if (counts[i] >= expected[i]) continue;
        Add(info->document, info->version,
            std::to_string(expected[i] - counts[i]) + " of its " + std::to_string(expected[i]) + " rows in " +
                std::string(kVersionFamilies[i]) + " cannot be read");
      }
    }
    out_.Checked("documents", whole);
    if (whole_former > 0) out_.Checked("former versions", whole_former);
    for (const auto& [version, counts] : counts_) {
      if (counts.front() == 0) AddLost(version);
    }
    return absl::OkStatus();
  }

  void Add(const DocumentId& document, const VersionId& version, std::string problem) {
    const auto info = corpus_.documents().Find(document);
    Damage& damage = damage_[document];
    const bool former = !info || info->version != version;
    if (damage.problems.empty() || (damage.former && !former))
      damage.version = version, damage.former = former;
    damage.problems.push_back(std::move(problem));
  }

  // Rows without the one that says whose they are.
  void AddLost(const std::string& version) {
    const auto document = *DocumentId::FromBytes(std::string_view(version).substr(0, kIdBytes));
    if (!damage_.contains(document)) {
      Add(document, *VersionId::FromBytes(std::string_view(version).substr(kIdBytes)),
          "the row that says what it is cannot be read; others of it are there");
    }
  }

  static std::string Joined(const std::vector<std::string>& problems) {
    constexpr size_t kToldMax = 3;
    std::string out;
    for (size_t i = 0; i < std::min(kToldMax, problems.size()); ++i)
      out += (i == 0 ? "" : "; ") + problems[i];
    if (problems.size() > kToldMax) out += "; and " + std::to_string(problems.size() - kToldMax) + " more";
    return out;
  }

  Status TellDocuments() {
    for (const auto& [document, damage] : damage_) {
      const auto info = corpus_.documents().Find(document);
      Finding finding{"documents", "document " + document.hex(), Joined(damage.problems), "", ""};
      if (info)
        finding.where = info->collection + " / " + info->source + " (document " + document.hex() + ")";
      if (!info) {
        finding.remedy = IngestAgain(nullptr) + ", then remove what is left: `cloister erase document --id " +
                         document.hex() + " --basis retention --reason 'damaged rows'`";
      } else if (damage.former) {
        finding.problem = "a former version: " + finding.problem;
        finding.remedy =
            "the current version is whole; " + std::string(kRestore) + " if the former one must be read";
      } else {
        finding.remedy = IngestAgain(info.get());
        if (corpus_.set_aside().Contains(document, info->version)) finding.done = "set aside before";
        if (options_.repair && finding.done.empty()) {
          CLOISTER_RETURN_IF_ERROR(corpus_.SetAsideDocument(*info));
          finding.done = "set aside";
        } else if (finding.done.empty()) {
          finding.remedy = "`cloister doctor --repair` sets it aside; then " + finding.remedy;
        }
      }
      out_.Add(std::move(finding));
    }
    return absl::OkStatus();
  }

  Status TellOthers() {
    for (const BadRow& bad : rows_.bad) {
      if (ContentIndex(bad.column_family, bad.row_key)) continue;
      out_.Add({"rows", "db: " + Describe(bad.column_family, bad.row_key), Explain(bad),
                RemedyOf(bad.column_family), ""});
    }
    return absl::OkStatus();
  }

  Status TellTables() {
    std::map<std::string, bool> rewritten;
    for (const storage::DamagedTable& table : verified_.damaged) {
      const std::string& family = table.column_family;
      const bool may = Expendable().contains(family);
      if (options_.repair && may && !rewritten.contains(family)) {
        // Between reading what it said and dropping it, the index may still rest on it; that is compared
        // afterwards.
        CLOISTER_RETURN_IF_ERROR(tables_->RewriteFamily(family).status());
        rewritten[family] = true;
      }
      Finding finding = storage::FindingAbout("db", table);
      finding.done = rewritten.contains(family) ? "what can be read of it was written anew" : "";
      if (!may) finding.remedy = kRestore;
      if (may && finding.done.empty())
        finding.remedy = "`cloister doctor --repair` writes what can be read of it anew";
      out_.Add(std::move(finding));
    }
    return absl::OkStatus();
  }

  Corpus& corpus_;
  storage::RocksDbStore* const tables_;
  const storage::ExaminationOptions& options_;
  storage::Examination& out_;
  storage::VerifiedTables verified_;
  storage::ExaminedRows rows_;
  std::vector<std::shared_ptr<const DocumentInfo>> infos_;
  std::unordered_map<std::string, RowCounts> counts_;  // By the key of the version.
  std::map<DocumentId, Damage> damage_;
};

}  // namespace

Status ExamineCorpus(Corpus& corpus, storage::RocksDbStore* tables,
                     const storage::ExaminationOptions& options, storage::Examination& out) {
  return CorpusExaminer(corpus, tables, options, out).Run();
}

Status ExamineClosed(storage::RocksDbStore& store, storage::KeySource& keys,
                     const std::filesystem::path& segments, const storage::ExaminationOptions& options,
                     storage::Examination& out) {
  const storage::StoreToExamine what{
      "db",
      {ColumnFamilies(), {}, {}},
      {},
      "start the appliance and run `cloister doctor --repair`; if it does not start, " +
          std::string(kRestore)};
  CLOISTER_RETURN_IF_ERROR(storage::ExamineStore(store, keys, what, options, out));
  uint64_t right = 0;
  CLOISTER_ASSIGN_OR_RETURN(
      const auto bad, SegmentStore::Inspect(segments, store.database_id(), keys, options.repair, right));
  out.Checked("segments", right);
  for (const std::string& file : bad) {
    out.Add({"segments", "segments/" + file, "does not authenticate",
             "nothing is lost: the next start makes it anew from the documents",
             options.repair ? "removed" : ""});
  }
  return absl::OkStatus();
}

}  // namespace cloister::retrieval
