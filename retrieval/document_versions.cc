// SPDX-License-Identifier: Apache-2.0
// The half of the document store that looks after former versions: kept under their keys while the
// collection's retention class says so, then deleted and their keys retired. SPEC: docs/formats/documents.md
// "Kept versions"
#include <algorithm>
#include <mutex>

#include "common/log.h"
#include "retrieval/document_store.h"
#include "storage/sealed_record.h"

namespace cloister::retrieval {
namespace {

// Ids alone: an event that named a subject could outlive that subject's erasure.
Event EndedEvent(const DocumentInfo& info, std::string_view actor) {
  Event event;
  event.name = "version.ended";
  event.actor = std::string(actor);
  event.fields = {{"document", info.document.hex()}, {"version", info.version.hex()}};
  return event;
}

std::vector<KeptVersion> NewestFirst(const std::vector<KeptVersion>& kept) {
  return {kept.rbegin(), kept.rend()};
}

}  // namespace

std::vector<std::shared_ptr<const DocumentInfo>> DocumentHistory::Versions() const {
  std::vector<std::shared_ptr<const DocumentInfo>> versions;
  if (current) versions.push_back(current);
  for (const KeptVersion& version : kept) versions.push_back(version.info);
  return versions;
}

StatusOr<std::optional<KeyId>> DocumentStore::KeyOf(const DocumentInfo& info) const {
  const auto snapshot = rows_.GetSnapshot();
  const std::string key = VersionKey(info.document, info.version);
  for (const std::string_view family : {kDocumentsFamily, kOriginalsFamily}) {
    const auto record = snapshot->Get(family, key);
    const auto id = record.ok() ? storage::RecordKeyId(*record) : StatusOr<KeyId>(record.status());
    if (id.ok()) return std::optional<KeyId>(*id);
    if (!IsUnreadable(id.status())) return id.status();
    LogStatus(LogLevel::kWarning, "retrieval.row_does_not_tell_its_key", id.status());
  }
  return std::optional<KeyId>();
}

Status DocumentStore::CheckMayKeep(const DocumentId& document) const {
  std::shared_lock lock(mutex_);
  const auto found = kept_.find(document);
  if (kept_total_ < kKeptVersionsMax &&
      (found == kept_.end() || found->second.size() < kKeptVersionsPerDocumentMax)) {
    return absl::OkStatus();
  }
  return ResourceExhausted(
      "too many former versions are kept; give the collection a shorter retention class, or erase what is "
      "not needed");
}

StatusOr<DocumentStore::GivenUp> DocumentStore::GiveUp(const DocumentInfo& info, bool deleted,
                                                       storage::WriteBatch& batch) {
  GivenUp given_up;
  CLOISTER_ASSIGN_OR_RETURN(given_up.key, KeyOf(info));
  // A collection whose row cannot be read may have any class; what is kept can still be destroyed later.
  const auto collection = directory_.FindCollection(info.collection);
  const bool shred = collection && collection->retention.kind == Retention::Kind::kShred;
  auto key = StatusOr<storage::DataKey>(NotFound("no row tells the key"));
  if (!shred && given_up.key) key = rows_.keys().GetKey(*given_up.key);
  if (!key.ok() && !IsUnreadable(key.status())) return key.status();
  // Without its key nobody could read what is kept.
  if (!key.ok()) {
    DeleteRows(batch, info);
    if (given_up.key) given_up.retired = {*given_up.key};
    CLOISTER_RETURN_IF_ERROR(retired_.Retire(batch, given_up.retired));
    return given_up;
  }
  CLOISTER_RETURN_IF_ERROR(CheckMayKeep(info.document));
  const KeptRow row{clock_.Now().time_since_epoch().count(), deleted, info};
  const std::string row_key = VersionKey(info.document, info.version);
  batch.Delete(kDocumentsFamily, row_key);
  DeleteVectors(batch, info);
  CLOISTER_RETURN_IF_ERROR(rows_.Put(batch, kKeptVersionsFamily, row_key, *key, Serialise(row)));
  given_up.kept = KeptVersion{std::make_shared<DocumentInfo>(info), row.superseded_at_ns, row.deleted};
  return given_up;
}

Status DocumentStore::LoadRow(std::string_view family, std::string_view bytes) {
  if (family == kDocumentsFamily) {
    CLOISTER_ASSIGN_OR_RETURN(DocumentInfo info, ParseDocumentInfo(bytes));
    Remember(std::make_shared<DocumentInfo>(std::move(info)));
    return absl::OkStatus();
  }
  CLOISTER_ASSIGN_OR_RETURN(KeptRow row, ParseKeptRow(bytes));
  RememberKept({std::make_shared<DocumentInfo>(std::move(row.info)), row.superseded_at_ns, row.deleted});
  return absl::OkStatus();
}

void DocumentStore::SortKept() {
  for (auto& [document, versions] : kept_) {
    std::sort(versions.begin(), versions.end(),
              [](const KeptVersion& a, const KeptVersion& b) { return a.info->sequence < b.info->sequence; });
  }
}

// The caller holds mutex_ for writing, or is the only user.
void DocumentStore::RememberKept(KeptVersion version) {
  const DocumentId document = version.info->document;
  kept_sources_.insert_or_assign(SourceKey(NameOf(*version.info)), document);
  kept_[document].push_back(std::move(version));
  ++kept_total_;
}

// As RememberKept.
void DocumentStore::ForgetKept(const DocumentInfo& info) {
  const auto found = kept_.find(info.document);
  if (found == kept_.end()) return;
  kept_total_ -= found->second.size();
  kept_.erase(found);
  const auto source = kept_sources_.find(SourceKey(NameOf(info)));
  if (source != kept_sources_.end() && source->second == info.document) kept_sources_.erase(source);
}

std::optional<DocumentId> DocumentStore::FormerIdOf(const SourceName& name) const {
  std::shared_lock lock(mutex_);
  const auto found = kept_sources_.find(SourceKey(name));
  // Next to a current version that is damaged, another would not be told from it after a restart.
  if (found == kept_sources_.end() || unreadable_.contains(found->second)) return std::nullopt;
  return found->second;
}

std::optional<DocumentHistory> DocumentStore::HistoryOf(const DocumentId& document) const {
  std::shared_lock lock(mutex_);
  DocumentHistory history{document, nullptr, {}};
  if (const auto found = documents_.find(document); found != documents_.end())
    history.current = found->second;
  if (const auto found = kept_.find(document); found != kept_.end())
    history.kept = NewestFirst(found->second);
  if (!history.current && history.kept.empty()) return std::nullopt;
  return history;
}

std::vector<DocumentHistory> DocumentStore::Histories(std::string_view collection) const {
  std::vector<DocumentHistory> histories;
  const auto wanted = [&](const DocumentInfo& info) {
    return collection.empty() || info.collection == collection;
  };
  std::shared_lock lock(mutex_);
  for (const auto& [document, info] : documents_) {
    if (!wanted(*info)) continue;
    histories.push_back({document, info, {}});
    if (kept_.empty()) continue;
    if (const auto found = kept_.find(document); found != kept_.end()) {
      histories.back().kept = NewestFirst(found->second);
    }
  }
  for (const auto& [document, versions] : kept_) {
    if (documents_.contains(document) || !wanted(*versions.back().info)) continue;
    histories.push_back({document, nullptr, NewestFirst(versions)});
  }
  return histories;
}

std::optional<DocumentStore::FoundVersion> DocumentStore::FindVersion(const DocumentId& document,
                                                                      const VersionId& version) const {
  const auto history = HistoryOf(document);
  if (!history) return std::nullopt;
  for (const auto& info : history->Versions()) {
    if (info->version == version) return FoundVersion{info, info == history->current};
  }
  return std::nullopt;
}

std::optional<int64_t> DocumentStore::EndOfVersion(const KeptVersion& version) const {
  const auto collection = directory_.FindCollection(version.info->collection);
  if (!collection) return std::nullopt;
  return EndOf(collection->retention, version.superseded_at_ns);
}

StatusOr<size_t> DocumentStore::EndKept(const std::function<bool(const KeptVersion&)>& over,
                                        size_t versions_max, std::string_view actor) {
  std::lock_guard writing(rows_.write_mutex());
  std::vector<KeptVersion> ended;
  {
    std::shared_lock lock(mutex_);
    for (const auto& [document, versions] : kept_) {
      for (const KeptVersion& version : versions) {
        if (ended.size() < versions_max && over(version)) ended.push_back(version);
      }
    }
  }
  if (ended.empty()) return size_t{0};
  const auto snapshot = rows_.GetSnapshot();
  storage::WriteBatch batch;
  std::vector<KeyId> retired;
  std::vector<Event> events;
  for (const KeptVersion& version : ended) {
    const std::string key = VersionKey(version.info->document, version.info->version);
    CLOISTER_ASSIGN_OR_RETURN(const ErasedRows rows, AddRemoval(*snapshot, key, batch));
    retired.insert(retired.end(), rows.keys.begin(), rows.keys.end());
    events.push_back(EndedEvent(*version.info, actor));
  }
  CLOISTER_RETURN_IF_ERROR(retired_.Retire(batch, retired));
  CLOISTER_RETURN_IF_ERROR(rows_.Commit(std::move(batch), events));
  retired_.Committed(retired);
  std::unique_lock lock(mutex_);
  for (const KeptVersion& version : ended) {
    const auto found = kept_.find(version.info->document);
    if (found == kept_.end()) continue;
    kept_total_ -= std::erase_if(found->second, [&](const auto& v) { return v.info == version.info; });
    if (found->second.empty()) ForgetKept(*version.info);
  }
  return ended.size();
}

void DocumentStore::MarkFormerUnreadable(const DocumentId& document) const {
  std::unique_lock lock(mutex_);
  unreadable_former_.insert(document);
}

}  // namespace cloister::retrieval
