// SPDX-License-Identifier: Apache-2.0
// The examining part of the corpus: what is derived, compared with what it was derived from, and made anew.
#include <chrono>
#include <set>
#include <system_error>
#include <thread>

#include "retrieval/corpus.h"

namespace cloister::retrieval {
namespace {

// A change reaches the store first and the index a moment later; what differs is looked at so often before it
// counts.
constexpr int kLooks = 20;
constexpr std::chrono::milliseconds kBetweenLooks{100};
constexpr size_t kDocumentsPerLook = 1'000;  // While the index is held.
constexpr const char* kDocumentsHold =
    "nothing is lost: the documents hold it. `cloister doctor --repair` makes it anew";

}  // namespace

Status Corpus::LeaveOutSetAside() {
  std::vector<DocumentId> past;
  for (const auto& [document, version] : set_aside_->List()) {
    const auto info = documents_->Find(document);
    if (info && info->version == version) {
      Withdraw(document);
    } else {
      past.push_back(document);
    }
  }
  return set_aside_->Remove(past);
}

Status Corpus::SetAsideDocument(const DocumentInfo& info) {
  CLOISTER_RETURN_IF_ERROR(set_aside_->Add(info.document, info.version));
  Withdraw(info.document);
  // Whoever saw it before has recorded what he handed out when this returns.
  const std::unique_lock barrier(releasing_);
  return absl::OkStatus();
}

std::string Corpus::IndexProblem(const DocumentId& document) const {
  const auto info = documents_->Find(document);
  const auto version = index_.VersionOf(document);
  if (!info) return version ? "the index holds it, and the documents do not" : "";
  if (set_aside_->Contains(document, info->version))
    return version ? "the index holds it, and it is set aside" : "";
  if (!version) return "the index lacks it";
  if (*version != info->version) return "the index holds another version of it";
  if (index_.ChunksOfDocument(document).cardinality() != info->chunks)
    return "the index holds another number of its parts";
  return "";
}

StatusOr<std::map<DocumentId, std::string>> Corpus::CompareIndex(const storage::ExaminationOptions& options,
                                                                 uint64_t& right) const {
  std::set<DocumentId> suspects;
  for (const auto& info : documents_->List("")) {
    if (!set_aside_->Contains(info->document, info->version)) suspects.insert(info->document);
  }
  {
    const Reading reading = Read();
    for (const DocumentId& document : reading.index().DocumentIds()) suspects.insert(document);
  }
  const size_t all = suspects.size();
  std::map<DocumentId, std::string> problems;
  for (int look = 0; look < kLooks && !suspects.empty(); ++look) {
    if (look > 0) std::this_thread::sleep_for(kBetweenLooks);
    problems.clear();
    for (auto next = suspects.begin(); next != suspects.end();) {
      CLOISTER_RETURN_IF_ERROR(options.CheckCancelled());
      std::shared_lock lock(index_mutex_);
      for (size_t i = 0; i < kDocumentsPerLook && next != suspects.end(); ++i, ++next) {
        if (std::string problem = IndexProblem(*next); !problem.empty())
          problems.emplace(*next, std::move(problem));
      }
    }
    suspects.clear();
    for (const auto& [document, problem] : problems) suspects.insert(document);
  }
  right = all - problems.size();
  return problems;
}

Status Corpus::Reindex(const DocumentId& document) {
  const auto info = documents_->Find(document);
  if (!info || set_aside_->Contains(document, info->version)) {
    std::unique_lock lock(index_mutex_);
    index_.Remove(document);
    fresh_.erase(document);
    return absl::OkStatus();
  }
  CLOISTER_ASSIGN_OR_RETURN(auto content, documents_->ReadForIndex(*rows_->GetSnapshot(), *info));
  return AddToIndex(*info, SliceOf(*info, std::move(content), *analyzer_));
}

Status Corpus::ExamineIndex(const storage::ExaminationOptions& options, const std::set<DocumentId>& damaged,
                            storage::Examination& out) {
  uint64_t right = 0;
  CLOISTER_ASSIGN_OR_RETURN(const auto problems, CompareIndex(options, right));
  out.Checked("index", right);
  for (const auto& [document, problem] : problems) {
    // That it is not in the index is what became of its damage.
    if (damaged.contains(document)) continue;
    storage::Finding finding{"index", "document " + document.hex(), problem, kDocumentsHold, ""};
    if (options.repair) {
      const Status made = Reindex(document);
      finding.done = made.ok() ? "made anew" : "";
      finding.remedy = made.ok() ? ""
                                 : "it cannot be indexed with the others (" + MessageOf(made) +
                                       "); bring it again: `cloister ingest FOLDER --collection COLLECTION`";
    }
    out.Add(std::move(finding));
  }
  return absl::OkStatus();
}

// The caller holds publish_mutex_.
Status Corpus::RewriteSegments(const std::set<SegmentId>& damaged) {
  {
    std::unique_lock lock(index_mutex_);
    for (const Published& published : published_) {
      if (!damaged.contains(published.info.id)) continue;
      for (const auto& [document, version] : published.documents) {
        if (index_.VersionOf(document) == version) fresh_.insert(document);
      }
    }
  }
  return PublishFresh();  // What is fresh goes into new files, and those that hold nothing else are given up.
}

// Files are read without a lock: one that is replaced meanwhile is no damage.
Status Corpus::ExamineSegments(const storage::ExaminationOptions& options, storage::Examination& out) {
  out.Checked("segments", 0);
  std::vector<SegmentInfo> infos;
  {
    std::lock_guard publishing(publish_mutex_);
    infos = segments_->segments();
  }
  std::set<SegmentId> suspects, damaged;
  for (const SegmentInfo& info : infos) {
    CLOISTER_RETURN_IF_ERROR(options.CheckCancelled());
    const auto bytes = segments_->Check(info);
    if (bytes.status().code() == StatusCode::kUnavailable) return bytes.status();
    if (bytes.ok()) {
      out.Checked("segments", 1, *bytes);
    } else {
      suspects.insert(info.id);
    }
  }
  std::lock_guard publishing(publish_mutex_);
  for (const SegmentInfo& info : segments_->segments()) {
    if (suspects.contains(info.id)) damaged.insert(info.id);
  }
  const Status manifest = segments_->CheckManifest();
  if (manifest.code() == StatusCode::kUnavailable) return manifest;
  const bool rewrite = options.repair && (!damaged.empty() || !manifest.ok());
  if (rewrite) CLOISTER_RETURN_IF_ERROR(RewriteSegments(damaged));
  const auto tell = [&](const std::string& file) {
    out.Add({"segments", "segments/" + file, "does not authenticate", rewrite ? "" : kDocumentsHold,
             rewrite ? "made anew" : ""});
  };
  for (const SegmentId& id : damaged) tell(SegmentStore::FileNameOf(id));
  if (!manifest.ok()) tell("MANIFEST");
  for (const std::string& file : segments_->QuarantinedFiles(options.repair)) {
    out.Add({"segments", "segments/" + file,
             "did not authenticate when the service started, and was made anew then",
             options.repair ? "" : "nothing is lost; `cloister doctor --repair` removes the file",
             options.repair ? "removed" : ""});
  }
  return absl::OkStatus();
}

}  // namespace cloister::retrieval
