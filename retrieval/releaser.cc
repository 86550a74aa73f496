// SPDX-License-Identifier: Apache-2.0
#include "retrieval/releaser.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "common/log.h"
#include "retrieval/dot_product.h"

namespace cloister::retrieval {
namespace {

void Tighten(policy::Obligations& all, const policy::Obligations& one) {
  all.redact.insert(all.redact.end(), one.redact.begin(), one.redact.end());
  std::sort(all.redact.begin(), all.redact.end());
  all.redact.erase(std::unique(all.redact.begin(), all.redact.end()), all.redact.end());
  if (one.passages_max)
    all.passages_max = std::min(all.passages_max.value_or(*one.passages_max), *one.passages_max);
  all.watermark = all.watermark || one.watermark;
}

}  // namespace

// One release under way: everything is read at `snapshot`.
struct Releaser::Work {
  std::unique_ptr<storage::Snapshot> snapshot;
  std::shared_ptr<const SearchContext> context;
  std::optional<policy::Principal> principal;  // Empty: not in the directory.
  std::map<ClassId, policy::Decision> decisions;
  std::set<Handle> seen;
  std::set<std::string> subjects;
  ReleaseRecord record;
  ReleaseResult result;
};

StatusOr<policy::Decision> Releaser::DecideAt(const storage::Snapshot& snapshot,
                                              const policy::Principal& principal,
                                              const ClassId& access_class) const {
  auto row = corpus_.directory().ClassAt(snapshot, access_class);
  std::map<ClassId, policy::AccessClass> classes;
  if (row.ok()) {
    classes.emplace(access_class, *std::move(row));
  } else if (!IsUnreadable(row.status())) {
    return row.status();
  }
  const int64_t now_ns = clock_.Now().time_since_epoch().count();
  return policy::Decide(principal, classes, {.now_ns = now_ns, .node_region = node_region_});
}

StatusOr<ReleasedText> Releaser::ReadPassage(const storage::Snapshot& snapshot, const SearchContext& context,
                                             const DocumentInfo& info, const Handle& handle,
                                             const ContextHit& hit) const {
  CLOISTER_ASSIGN_OR_RETURN(ChunkContent content,
                            corpus_.documents().ChunkAt(snapshot, info, hit.chunk.number));
  ReleasedText passage;
  passage.handle = handle;
  passage.info = info;
  passage.rank = hit.rank;
  passage.score = hit.score, passage.dense = hit.dense, passage.lexical = hit.lexical;
  passage.signals.resize(content.chunk.sentences.size());
  const size_t dimension = info.dimension;
  const bool dense = !content.sentence_vectors.empty() && context.question_vector.size() == dimension;
  const auto reading = corpus_.Read();
  for (size_t i = 0; i < passage.signals.size(); ++i) {
    const Sentence& sentence = content.chunk.sentences[i];
    if (sentence.start < content.chunk.start || sentence.end > content.chunk.end ||
        sentence.start > sentence.end) {
      return DataLoss("a sentence lies outside its chunk");
    }
    const auto text = std::string_view(content.text)
                          .substr(sentence.start - content.chunk.start, sentence.end - sentence.start);
    passage.signals[i].lexical =
        reading.index().lexical().ScoreSentence(context.question, corpus_.analyzer().Terms(text));
    if (!dense) continue;
    const float* vectors = content.sentence_vectors.data() + 2 * i * dimension;
    passage.signals[i].dense_context = DotProduct(context.question_vector.data(), vectors, dimension);
    passage.signals[i].dense_alone =
        DotProduct(context.question_vector.data(), vectors + dimension, dimension);
  }
  passage.chunk = std::move(content.chunk);
  passage.text = std::move(content.text);
  return passage;
}

// Adds what `handle` gives to the work. Nothing, when it gives nothing; an error only when the whole release
// fails.
Status Releaser::AddPassage(Work& work, const Handle& handle) {
  if (!work.context || !work.principal || !work.seen.insert(handle).second) return absl::OkStatus();
  const auto hit = work.context->hits.find(handle);
  if (hit == work.context->hits.end()) return absl::OkStatus();
  const ChunkRef& chunk = hit->second.chunk;
  // The snapshot may be older than an erasure that has begun.
  if (!corpus_.documents().Find(chunk.document)) return absl::OkStatus();
  const auto info = corpus_.documents().InfoAt(*work.snapshot, chunk.document, chunk.version);
  if (info.status().code() == StatusCode::kNotFound) return absl::OkStatus();  // Replaced or deleted since.
  if (!info.ok()) return Damaged(info.status(), chunk);

  auto decided = work.decisions.find(info->access_class);
  if (decided == work.decisions.end()) {
    CLOISTER_ASSIGN_OR_RETURN(auto decision, DecideAt(*work.snapshot, *work.principal, info->access_class));
    decided = work.decisions.emplace(info->access_class, std::move(decision)).first;
  }
  const auto permit = decided->second.permitted.find(info->access_class);
  if (permit == decided->second.permitted.end()) return absl::OkStatus();
  policy::Obligations obligations = work.record.obligations;
  Tighten(obligations, permit->second.obligations);
  if (work.result.passages.size() >= obligations.passages_max.value_or(kHandlesMax)) return absl::OkStatus();
  std::set<std::string> subjects = work.subjects;
  subjects.insert(info->subjects.begin(), info->subjects.end());
  if (subjects.size() > kSubjectsPerReleaseMax) return absl::OkStatus();

  auto passage = ReadPassage(*work.snapshot, *work.context, *info, handle, hit->second);
  if (!passage.ok()) return Damaged(passage.status(), chunk);
  work.record.obligations = std::move(obligations);
  work.record.policy_version = decided->second.policy_version;
  work.record.passages.push_back(
      {handle, passage->chunk.id, info->document, info->version, info->access_class, permit->second.policy});
  work.subjects = std::move(subjects);
  work.result.passages.push_back(*std::move(passage));
  return absl::OkStatus();
}

// A document that cannot be read gives nothing from now on; a key service that is down fails the release. A version that
// was replaced or erased meanwhile may have lost its key on purpose.
Status Releaser::Damaged(const Status& status, const ChunkRef& chunk) {
  if (!IsUnreadable(status)) return status;
  const auto current = corpus_.documents().Find(chunk.document);
  if (!current || current->version != chunk.version) return absl::OkStatus();
  LogStatus(LogLevel::kError, "retrieval.document_unreadable", status);
  corpus_.Withdraw(chunk.document);
  return absl::OkStatus();
}

StatusOr<ReleaseResult> Releaser::Release(const ReleaseRequest& request) {
  if (request.handles.size() > kHandlesMax) {
    return InvalidArgument("a release has at most " + std::to_string(kHandlesMax) + " handles");
  }
  if (clock_.Now().time_since_epoch().count() >= request.principal.not_after_ns) {
    return Unauthenticated("the assertion has ended");
  }
  const auto releasing = corpus_.Releasing();
  Work work;
  work.context = contexts_.Find(request.search, request.principal.tenant, request.principal.user);
  // The sequence is read first, so that the snapshot is at least as new as the record says.
  work.record.commit_sequence = corpus_.rows().CommitSequence();
  work.snapshot = corpus_.rows().GetSnapshot();
  auto principal = corpus_.directory().ResolveAt(*work.snapshot, request.principal);
  if (principal.ok()) {
    work.principal = *std::move(principal);
  } else if (!IsUnreadable(principal.status())) {
    return principal.status();
  }
  for (const Handle& handle : request.handles) CLOISTER_RETURN_IF_ERROR(AddPassage(work, handle));
  work.result.withheld = static_cast<uint32_t>(request.handles.size() - work.result.passages.size());

  work.record.principal = work.principal.value_or(request.principal);
  if (!work.principal) work.record.principal.groups.clear();
  work.record.ask_id = request.ask_id;
  work.record.search = request.search;
  work.record.subjects.assign(work.subjects.begin(), work.subjects.end());
  work.record.node_region = node_region_;
  work.record.withheld = work.result.withheld;
  CLOISTER_ASSIGN_OR_RETURN(work.result.audit_index, recorder_.Record(work.record));
  return std::move(work.result);
}

}  // namespace cloister::retrieval
