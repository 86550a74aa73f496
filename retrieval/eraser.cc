// SPDX-License-Identifier: Apache-2.0
#include "retrieval/eraser.h"

#include <algorithm>
#include <set>
#include <utility>

#include "common/log.h"
#include "crypto/random.h"

namespace cloister::retrieval {
namespace {

constexpr std::string_view kActor = "retrieval";
constexpr int kShredAttempts = 3;

std::string Plural(uint64_t count, std::string_view noun) {
  return std::to_string(count) + " " + std::string(noun) + (count == 1 ? "" : "s");
}

bool Declares(const DocumentInfo& info, std::string_view subject) {
  return std::binary_search(info.subjects.begin(), info.subjects.end(), subject);
}

bool AnyDeclares(const std::vector<std::shared_ptr<const DocumentInfo>>& versions, std::string_view subject) {
  return std::any_of(versions.begin(), versions.end(), [&](const auto& info) { return Declares(*info, subject); });
}

// Whether erasing the document, which takes all of its versions, takes something that is not this subject's alone: a
// version that concerns others, or a current one that does not concern the subject.
bool ConcernsOthers(const DocumentHistory& history, std::string_view subject) {
  if (history.current && !Declares(*history.current, subject)) return true;
  const auto versions = history.Versions();
  return std::any_of(versions.begin(), versions.end(), [&](const auto& info) {
    return std::any_of(info->subjects.begin(), info->subjects.end(), [&](const auto& s) { return s != subject; });
  });
}

Status NothingFits() { return NotFound("no document of this name is here; it may be spelt differently or be erased"); }

std::vector<DocumentId> IdsOf(const std::vector<PlannedDocument>& documents) {
  std::vector<DocumentId> ids;
  for (const PlannedDocument& document : documents) ids.push_back(document.document);
  return ids;
}

// What this proof does not reach, in words for the receipt.
std::vector<std::string> Outside(const ErasureRecord& record) {
  std::vector<std::string> outside;
  if (!record.for_good) {
    outside.push_back(
        "Epoch keys are kept in software: who kept an older copy of the keyring and has the passphrase of that time can "
        "open what it held. A TPM or an HSM as anchor closes this.");
  }
  outside.push_back("The files that the documents were made from, and copies that anybody made of them elsewhere.");
  if (record.releases > 0) {
    outside.push_back("What was handed out before: " + Plural(record.releases, "release") + " to " +
                      (record.recipients == 1 ? std::string("1 person") : std::to_string(record.recipients) + " people") +
                      "; who they are is in the log, and telling them is recorded as recipient.notified.");
  }
  outside.push_back(
      "Questions that people typed stay sealed under the asking person's key; they may name what was erased.");
  outside.push_back(
      "Lists of ingest jobs name files that could not come in, and so an erased one whose file is still in its folder when the "
      "next job refuses it.");
  if (record.kept > 0) {
    outside.push_back(Plural(record.kept, "document") +
                      " that concern other subjects, too, or this one in a former version only, were kept by decision of "
                      "who asked.");
  }
  outside.push_back(
      "Ciphertext may stay in database files, older backups and freed blocks of the disk until they are overwritten; no "
      "key that exists opens it.");
  return outside;
}

}  // namespace

const std::vector<std::string_view>& ErasureBases() {
  static const std::vector<std::string_view> bases = {"gdpr-17-1-a", "gdpr-17-1-b", "gdpr-17-1-c",
                                                      "gdpr-17-1-d", "gdpr-17-1-e", "gdpr-17-1-f",
                                                      "contract",    "retention",   "other"};
  return bases;
}

StatusOr<std::unique_ptr<Eraser>> Eraser::Open(Corpus& corpus, ErasureAudit& audit, const Clock& clock) {
  std::unique_ptr<Eraser> eraser(new Eraser(corpus, audit, clock));
  CLOISTER_ASSIGN_OR_RETURN(eraser->holds_, Holds::Open(corpus.rows(), corpus.retired_keys(), clock));
  const auto snapshot = corpus.rows().GetSnapshot();
  CLOISTER_ASSIGN_OR_RETURN(const auto keys, corpus.rows().Keys(*snapshot, kErasuresFamily));
  for (const std::string& key : keys) {
    const auto bytes = corpus.rows().Get(*snapshot, kErasuresFamily, key);
    auto record = bytes.ok() ? ParseErasureRecord(*bytes) : StatusOr<ErasureRecord>(bytes.status());
    if (!record.ok() && !IsUnreadable(record.status())) return record.status();
    if (!record.ok()) {
      LogStatus(LogLevel::kError, "retrieval.erasure_unreadable", record.status());
      continue;
    }
    if (record->step != ErasureStep::kCompleted) corpus.RemoveErased(record->documents);
    eraser->records_.emplace(record->id, *std::move(record));
  }
  return eraser;
}

// The holds that cover any of its versions, each once.
std::vector<Hold> Eraser::HoldsOn(const DocumentHistory& history) const {
  std::vector<Hold> holds;
  for (const auto& info : history.Versions()) {
    for (Hold& hold : holds_->Covering(*info)) {
      const bool known = std::any_of(holds.begin(), holds.end(), [&](const Hold& h) { return h.id == hold.id; });
      if (!known) holds.push_back(std::move(hold));
    }
  }
  return holds;
}

StatusOr<std::vector<PlannedDocument>> Eraser::ResolveDocument(const ErasureTarget& target) const {
  const DocumentStore& documents = corpus_.documents();
  std::vector<PlannedDocument> found;
  const auto add = [&](const DocumentHistory& history) {
    found.push_back({history.Versions().front(), history.document, false, HoldsOn(history)});
  };
  if (target.document_id) {
    if (const auto history = documents.HistoryOf(*target.document_id)) {
      add(*history);
    } else {
      CLOISTER_ASSIGN_OR_RETURN(const uint64_t rows,
                                documents.CountRows(*corpus_.rows().GetSnapshot(), *target.document_id));
      if (rows > 0) found.push_back({nullptr, *target.document_id, false, {}});
    }
  } else {
    for (const auto& history : documents.Histories(target.document.collection)) {
      const auto info = history.Versions().front();
      if (info->source != target.document.source) continue;
      if (target.document.origin.empty() || info->origin == target.document.origin) add(history);
    }
  }
  if (found.empty()) return NothingFits();
  for (const PlannedDocument& document : found) {
    if (!document.info || document.info->origin == found.front().info->origin) continue;
    return InvalidArgument("documents of several origins have this name; say which with --origin");
  }
  return found;
}

StatusOr<std::vector<PlannedDocument>> Eraser::Resolve(const ErasureTarget& target) const {
  const DocumentStore& documents = corpus_.documents();
  std::vector<PlannedDocument> found;
  const auto add = [&](const DocumentHistory& history, bool shared) {
    found.push_back({history.Versions().front(), history.document, shared, HoldsOn(history)});
  };
  switch (target.kind) {
    case TargetKind::kDocument:
      return ResolveDocument(target);
    case TargetKind::kSubject:
      if (target.subject.empty()) return InvalidArgument("the erasure names no subject");
      for (const auto& history : documents.Histories("")) {
        if (AnyDeclares(history.Versions(), target.subject)) add(history, ConcernsOthers(history, target.subject));
      }
      return found;
    case TargetKind::kCollection:
      if (!corpus_.directory().FindCollection(target.collection)) return NotFound("no such collection");
      for (const auto& history : documents.Histories(target.collection)) add(history, false);
      return found;
  }
  return InvalidArgument("the erasure has no target");
}

StatusOr<ErasurePlan> Eraser::Plan(const ErasureTarget& target) const {
  CLOISTER_ASSIGN_OR_RETURN(std::vector<PlannedDocument> found, Resolve(target));
  if (found.size() > kErasedDocumentsMax) return ResourceExhausted("too many documents for one erasure; split it");
  ErasurePlan plan;
  std::set<HoldId> seen;
  const auto stands = [&](const Hold& hold) {
    if (seen.insert(hold.id).second) plan.holds.push_back(hold);
  };
  if (target.kind == TargetKind::kSubject) {
    for (const Hold& hold : holds_->On(TargetKind::kSubject, target.subject)) stands(hold);
  }
  if (target.kind == TargetKind::kCollection) {
    for (const Hold& hold : holds_->On(TargetKind::kCollection, target.collection)) stands(hold);
  }
  const auto snapshot = corpus_.rows().GetSnapshot();
  for (PlannedDocument& document : found) {
    if (document.shared && target.shared == ErasureTarget::Shared::kKeep) {
      plan.kept.push_back(std::move(document));
      continue;
    }
    for (const Hold& hold : document.holds) stands(hold);
    storage::WriteBatch counted;
    CLOISTER_ASSIGN_OR_RETURN(const ErasedRows rows,
                              corpus_.documents().AddErasure(*snapshot, document.document, counted));
    plan.rows += rows.rows;
    plan.keys += rows.keys.size();
    // Only the current version has any in the index.
    if (const auto current = corpus_.documents().Find(document.document)) plan.chunks += current->chunks;
    plan.erased.push_back(std::move(document));
  }
  const std::vector<DocumentId> ids = IdsOf(plan.erased);
  plan.segments = corpus_.SegmentsWith(ids);
  CLOISTER_ASSIGN_OR_RETURN(const ErasureAudit::Releases releases, audit_.CountReleases(ids));
  plan.releases = releases.releases;
  plan.recipients = releases.recipients;
  plan.not_counted = releases.not_counted;
  return plan;
}

Status Eraser::CheckAllowed(const ErasureTarget& target, const ErasurePlan& plan) const {
  if (!plan.holds.empty()) {
    return FailedPrecondition("nothing was erased: a hold stands against it (" + plan.holds.front().id.hex() + ", " +
                              plan.holds.front().basis +
                              "); `cloister hold list` shows it, and whoever may can release it");
  }
  const auto shared = std::count_if(plan.erased.begin(), plan.erased.end(), [](const auto& d) { return d.shared; });
  if (target.kind == TargetKind::kSubject && shared > 0 && target.shared == ErasureTarget::Shared::kUndecided) {
    return FailedPrecondition("nothing was erased: " + Plural(static_cast<uint64_t>(shared), "document") +
                              " concern other subjects, too, or this one in a former version only; say --shared erase or "
                              "--shared keep");
  }
  return absl::OkStatus();
}

StatusOr<ErasureRecord> Eraser::Erase(const ErasureTarget& target, std::string_view reason, std::string_view basis,
                                      std::string_view requested_by) {
  CLOISTER_RETURN_IF_ERROR(CheckReason(reason));
  if (std::find(ErasureBases().begin(), ErasureBases().end(), basis) == ErasureBases().end()) {
    return InvalidArgument("the basis of an erasure is gdpr-17-1-a to gdpr-17-1-f, contract, retention or other");
  }
  std::lock_guard erasing(erasing_);
  CLOISTER_ASSIGN_OR_RETURN(const ErasurePlan plan, Plan(target));
  CLOISTER_RETURN_IF_ERROR(CheckAllowed(target, plan));
  {
    std::lock_guard lock(mutex_);
    if (records_.size() >= kErasuresMax) return ResourceExhausted("too many erasures are remembered");
  }
  ErasureRecord record;
  record.id = crypto::RandomId<ErasureId>();
  record.kind = target.kind;
  if (target.kind == TargetKind::kSubject) record.subject = target.subject;
  if (target.kind == TargetKind::kCollection) record.collection = target.collection;
  record.basis = std::string(basis);
  record.requested_by = std::string(requested_by);
  record.documents = IdsOf(plan.erased);
  record.kept = plan.kept.size();
  record.chunks = plan.chunks;
  if (target.kind == TargetKind::kSubject && plan.erased.empty() && plan.kept.empty()) {
    CLOISTER_RETURN_IF_ERROR(ForgetInLog(record, {}));
    if (record.people == 0) return NotFound("neither a document nor the log knows this subject");
  }
  CLOISTER_RETURN_IF_ERROR(Begin(record, plan, reason));
  CLOISTER_RETURN_IF_ERROR(Finish(record));
  return record;
}

Status Eraser::Begin(ErasureRecord& record, const ErasurePlan& plan, std::string_view reason) {
  record.requested_at_ns = clock_.Now().time_since_epoch().count();
  CLOISTER_ASSIGN_OR_RETURN(record.audit_requested, audit_.RecordRequested(record, reason));
  // A subject's name is never written down here: whatever sealed it would outlive the erasure. So its part of the log
  // goes before anything that a restart must know, and again when no release can name it any more.
  if (!record.subject.empty()) {
    CLOISTER_RETURN_IF_ERROR(audit_.DeliverEvents());
    CLOISTER_RETURN_IF_ERROR(ForgetInLog(record, {}));
  }
  storage::WriteBatch batch;
  // A collection that comes back is somebody's decision; a document that does is the next sync's.
  const bool suppress = record.kind != TargetKind::kCollection;
  for (const PlannedDocument& document : plan.erased) {
    if (suppress && document.info) CLOISTER_RETURN_IF_ERROR(corpus_.suppressions().Add(batch, *document.info));
  }
  CLOISTER_RETURN_IF_ERROR(Store(record, std::move(batch)));
  for (const PlannedDocument& document : plan.erased) {
    if (suppress && document.info) corpus_.suppressions().Committed(*document.info);
  }
  corpus_.RemoveErased(record.documents);
  record.unsearchable_at_ns = clock_.Now().time_since_epoch().count();
  Reached(ErasureStep::kRequested);
  return absl::OkStatus();
}

Status Eraser::DeleteRows(ErasureRecord& record) {
  for (size_t first = 0; first < record.documents.size(); first += kDocumentsPerErasingBatch) {
    std::lock_guard writing(corpus_.rows().write_mutex());
    const auto snapshot = corpus_.rows().GetSnapshot();
    storage::WriteBatch batch;
    std::vector<KeyId> keys;
    for (size_t i = first; i < std::min(first + kDocumentsPerErasingBatch, record.documents.size()); ++i) {
      CLOISTER_ASSIGN_OR_RETURN(const ErasedRows erased,
                                corpus_.documents().AddErasure(*snapshot, record.documents[i], batch));
      record.rows += erased.rows;
      keys.insert(keys.end(), erased.keys.begin(), erased.keys.end());
    }
    record.keys += keys.size();
    record.key_ids.insert(record.key_ids.end(), keys.begin(), keys.end());
    CLOISTER_RETURN_IF_ERROR(corpus_.retired_keys().Retire(batch, keys));
    CLOISTER_RETURN_IF_ERROR(StoreLocked(record, std::move(batch)));
    corpus_.retired_keys().Committed(keys);
  }
  record.step = ErasureStep::kDeleted;
  return Store(record, {});
}

Status Eraser::ForgetInLog(ErasureRecord& record, const std::vector<DocumentId>& documents) {
  CLOISTER_ASSIGN_OR_RETURN(const ErasureAudit::Forgotten forgotten, audit_.Forget(documents, record.subject));
  record.people += forgotten.people;
  record.sections += forgotten.sections;
  return absl::OkStatus();
}

Status Eraser::Forget(ErasureRecord& record) {
  CLOISTER_RETURN_IF_ERROR(ForgetInLog(record, record.documents));
  record.step = ErasureStep::kForgotten;
  return Store(record, {});
}

Status Eraser::Shred(ErasureRecord& record) {
  corpus_.WipeErased();
  // Before the keyring's copy is made that outlives this disk.
  const Status marked = corpus_.suppressions().Mark();
  if (marked.code() == StatusCode::kResourceExhausted) {
    LogStatus(LogLevel::kWarning, "retrieval.suppressions_not_marked", marked);
  } else {
    CLOISTER_RETURN_IF_ERROR(marked);
  }
  // Changes go on meanwhile; one whose event is just under way keeps its key for a moment.
  auto attempt = StatusOr<Corpus::Shredded>(Unavailable("not tried yet"));
  for (int i = 0; i < kShredAttempts && attempt.status().code() == StatusCode::kUnavailable; ++i) {
    CLOISTER_RETURN_IF_ERROR(audit_.DeliverEvents());
    attempt = corpus_.Shred(storage::DestroyFor::kErasure);
  }
  CLOISTER_RETURN_IF_ERROR(attempt.status());
  const Corpus::Shredded& shredded = *attempt;
  record.segments += shredded.segments;
  record.epoch = shredded.destruction.epoch;
  record.keyring_generation = shredded.destruction.generation;
  record.anchor = shredded.destruction.anchor;
  record.escrow = shredded.destruction.escrow;
  record.for_good = shredded.destruction.for_good;
  record.step = ErasureStep::kShredded;
  return Store(record, {});
}

Status Eraser::Verify(ErasureRecord& record) const {
  uint64_t rows = 0;
  const auto snapshot = corpus_.rows().GetSnapshot();
  for (const DocumentId& document : record.documents) {
    CLOISTER_ASSIGN_OR_RETURN(const uint64_t left, corpus_.documents().CountRows(*snapshot, document));
    rows += left;
  }
  const Corpus::Remains remains = corpus_.FindRemains(record.documents);
  if (rows != 0 || remains.indexed != 0 || remains.segments != 0) {
    return Internal("something of the erased documents is still there; the erasure is not complete");
  }
  for (const KeyId& key : record.key_ids) {
    const Status gone = corpus_.rows().keys().GetKey(key).status();
    if (gone.code() == StatusCode::kNotFound) continue;
    return gone.ok() ? Internal("a destroyed key is still handed out; the erasure is not complete") : gone;
  }
  const std::string epoch = std::to_string(record.epoch);
  record.classes = {
      {"sealed records of every version (text, originals, chunks, sentence vectors)", "deleted, and their keys destroyed",
       "no row of these documents is left in any column family, kept versions included", record.rows},
      {"index in memory (FAISS vectors, BM25 postings)", "taken out and overwritten",
       "the index knows none of these documents", record.chunks},
      {"index segments on disk", "rewritten without them, and the keys of the former ones destroyed",
       "no segment that the manifest names holds them", record.segments},
      {"data keys", "left out of the keyring of epoch " + epoch + ", and the former epoch key destroyed",
       "the keys service was asked for each and has none", record.keys},
      {"backups and old database files", "unreadable: their keys are the destroyed ones",
       "by the data keys above; files elsewhere were not visited", 0},
      {"audit sections about them", "closed by destroying their keys; every proof stays valid",
       "the audit service reports them closed", record.sections},
      {"answer and KV caches", "none is kept for later: the generator's cache is overwritten after each request",
       "not looked for by this erasure", 0},
      {"temporary files", "none holds document text outside the sandboxed parser's memory",
       "not looked for by this erasure", 0},
  };
  record.outside = Outside(record);
  return absl::OkStatus();
}

Status Eraser::Complete(ErasureRecord& record) {
  if (record.kind == TargetKind::kCollection && !record.collection.empty()) {
    const Status gone = corpus_.directory().DeleteCollection(record.collection, kActor);
    if (!gone.ok() && gone.code() != StatusCode::kNotFound) return gone;
  }
  CLOISTER_ASSIGN_OR_RETURN(const ErasureAudit::Releases releases, audit_.CountReleases(record.documents));
  record.releases = releases.releases;
  record.recipients = releases.recipients;
  CLOISTER_RETURN_IF_ERROR(Verify(record));
  record.outside.insert(record.outside.end(), releases.not_counted.begin(), releases.not_counted.end());
  record.completed_at_ns = clock_.Now().time_since_epoch().count();
  CLOISTER_ASSIGN_OR_RETURN(record.audit_completed, audit_.RecordCompleted(record));
  record.subject.clear();
  record.collection.clear();
  record.key_ids.clear();
  record.step = ErasureStep::kCompleted;
  return Store(record, {});
}

Status Eraser::Finish(ErasureRecord& record) {
  if (record.step == ErasureStep::kRequested) CLOISTER_RETURN_IF_ERROR(DeleteRows(record));
  if (record.step == ErasureStep::kDeleted) {
    Reached(record.step);
    CLOISTER_RETURN_IF_ERROR(Forget(record));
  }
  if (record.step == ErasureStep::kForgotten) {
    Reached(record.step);
    CLOISTER_RETURN_IF_ERROR(Shred(record));
  }
  if (record.step == ErasureStep::kShredded) {
    Reached(record.step);
    CLOISTER_RETURN_IF_ERROR(Complete(record));
  }
  Reached(record.step);
  return absl::OkStatus();
}

Status Eraser::Resume() {
  std::lock_guard erasing(erasing_);
  std::vector<ErasureRecord> unfinished;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [id, record] : records_) {
      if (record.step != ErasureStep::kCompleted) unfinished.push_back(record);
    }
  }
  for (ErasureRecord& record : unfinished) {
    corpus_.RemoveErased(record.documents);
    if (record.unsearchable_at_ns == 0) record.unsearchable_at_ns = clock_.Now().time_since_epoch().count();
    CLOISTER_RETURN_IF_ERROR(Finish(record));
  }
  return absl::OkStatus();
}

bool Eraser::HasUnfinished() const {
  std::lock_guard lock(mutex_);
  return std::any_of(records_.begin(), records_.end(),
                     [](const auto& entry) { return entry.second.step != ErasureStep::kCompleted; });
}

Status Eraser::Store(const ErasureRecord& record, storage::WriteBatch batch) {
  std::lock_guard writing(corpus_.rows().write_mutex());
  return StoreLocked(record, std::move(batch));
}

Status Eraser::StoreLocked(const ErasureRecord& record, storage::WriteBatch batch) {
  CLOISTER_RETURN_IF_ERROR(
      corpus_.rows().PutOwn(batch, kErasuresFamily, record.id.bytes(), Serialise(record)));
  CLOISTER_RETURN_IF_ERROR(corpus_.rows().Commit(std::move(batch)));
  std::lock_guard lock(mutex_);
  records_.insert_or_assign(record.id, record);
  return absl::OkStatus();
}

StatusOr<ErasureRecord> Eraser::Find(const ErasureId& id) const {
  std::lock_guard lock(mutex_);
  const auto found = records_.find(id);
  if (found == records_.end()) return NotFound("no such erasure; `cloister erase list` shows them");
  return found->second;
}

std::vector<ErasureRecord> Eraser::List() const {
  std::vector<ErasureRecord> records;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [id, record] : records_) records.push_back(record);
  }
  std::sort(records.begin(), records.end(),
            [](const auto& a, const auto& b) { return a.requested_at_ns > b.requested_at_ns; });
  return records;
}

Status Eraser::RecordNotice(const ErasureId& id, std::string_view recipient, std::string_view how,
                            std::string_view by) {
  if (recipient.empty() || recipient.size() > kReasonBytesMax || how.empty() || how.size() > kReasonBytesMax) {
    return InvalidArgument("a notice names who was told and how, each in at most 1000 bytes");
  }
  std::lock_guard erasing(erasing_);
  CLOISTER_ASSIGN_OR_RETURN(ErasureRecord record, Find(id));
  CLOISTER_RETURN_IF_ERROR(audit_.RecordNotice(record, recipient, how, by).status());
  ++record.notified;
  return Store(record, {});
}

}  // namespace cloister::retrieval
