// SPDX-License-Identifier: Apache-2.0
#include "retrieval/corpus.h"

#include <algorithm>

#include "common/log.h"

namespace cloister::retrieval {
namespace {

size_t BytesOf(const IndexSlice& slice) {
  size_t bytes = slice.vectors.size() * sizeof(float) + slice.lengths.size() * 8;
  for (const auto& [term, list] : slice.postings) bytes += term.size() + 8 + list.size() * 8;
  return bytes;
}

}  // namespace

bool IsInForce(const DocumentInfo& info, std::string_view today) {
  // ISO dates sort as text.
  return (info.effective_from.empty() || info.effective_from <= today) &&
         (info.effective_to.empty() || today <= info.effective_to);
}

bool Corpus::IsConditional(const DocumentInfo& info) const {
  return !info.effective_from.empty() || !info.effective_to.empty() || !info.superseded_by.empty();
}

StatusOr<std::unique_ptr<Corpus>> Corpus::Open(storage::KvStore& store, const DatabaseId& database,
                                               storage::KeySource& keys, const Clock& clock,
                                               CorpusOptions options) {
  std::unique_ptr<Corpus> corpus(new Corpus(std::move(options)));
  CLOISTER_ASSIGN_OR_RETURN(corpus->analyzer_, Analyzer::New());
  CLOISTER_ASSIGN_OR_RETURN(corpus->rows_, Rows::Open(store, database, keys));
  CLOISTER_ASSIGN_OR_RETURN(corpus->directory_, Directory::Open(*corpus->rows_));
  CLOISTER_ASSIGN_OR_RETURN(corpus->retired_, RetiredKeys::Open(*corpus->rows_, clock));
  CLOISTER_ASSIGN_OR_RETURN(corpus->suppressions_, Suppressions::Open(*corpus->rows_));
  CLOISTER_ASSIGN_OR_RETURN(corpus->set_aside_, SetAside::Open(*corpus->rows_));
  CLOISTER_ASSIGN_OR_RETURN(corpus->documents_,
                            DocumentStore::Open(*corpus->rows_, *corpus->directory_, *corpus->retired_,
                                                *corpus->suppressions_, clock));
  CLOISTER_ASSIGN_OR_RETURN(corpus->segments_,
                            SegmentStore::Open(corpus->options_.segment_directory, database, keys));
  CLOISTER_RETURN_IF_ERROR(corpus->LoadSegments());
  CLOISTER_RETURN_IF_ERROR(corpus->LoadFresh());
  CLOISTER_RETURN_IF_ERROR(corpus->LeaveOutSetAside());
  CLOISTER_RETURN_IF_ERROR(corpus->RetireSegmentKeys(corpus->segments_->dropped_keys()));
  // A segment that was set aside is replaced now, so that the next start does not find it missing again.
  // Failing to write one costs time at the next start and nothing else.
  const Status status =
      corpus->segments_->quarantined() > 0 ? corpus->PublishFresh() : corpus->PublishIfDue();
  if (!status.ok()) LogStatus(LogLevel::kWarning, "retrieval.segment_not_written", status);
  return corpus;
}

Status Corpus::LoadSegments() {
  return segments_->Load([&](const SegmentInfo& info, IndexSlice slice) {
    std::vector<ClassId> classes;
    std::vector<DocumentId> stale;
    Published published{info, {}};
    for (const SliceDocument& document : slice.documents) {
      const auto current = documents_->Find(document.document);
      const bool live = current && current->version == document.version;
      classes.push_back(live ? current->access_class : ClassId());
      if (!live) stale.push_back(document.document);
      published.documents.emplace_back(document.document, document.version);
    }
    // Documents that changed since are taken out at once: they are in a later segment or come from the truth.
    if (const Status status = index_.Append(slice, classes); !status.ok()) {
      LogStatus(LogLevel::kError, "retrieval.segment_skipped", status);
      return;
    }
    for (const DocumentId& document : stale) index_.Remove(document);
    published_.push_back(std::move(published));
  });
}

Status Corpus::LoadFresh() {
  const auto snapshot = rows_->GetSnapshot();
  for (const auto& info : documents_->List("")) {
    if (IsConditional(*info)) conditional_.insert(info->document);
    if (index_.VersionOf(info->document) == info->version) continue;
    auto content = documents_->ReadForIndex(*snapshot, *info);
    if (!content.ok() && !IsUnreadable(content.status())) return content.status();
    if (!content.ok()) {
      LogStatus(LogLevel::kError, "retrieval.document_unreadable", content.status());
      documents_->MarkUnreadable(info->document);
      continue;
    }
    const Status status = AddToIndex(*info, SliceOf(*info, *std::move(content), *analyzer_));
    if (status.ok()) continue;
    // Vectors of another dimension than the rest: it can be listed and deleted, and is not searchable.
    LogStatus(LogLevel::kError, "retrieval.document_not_indexed", status);
    documents_->MarkUnreadable(info->document);
  }
  return absl::OkStatus();
}

Status Corpus::AddToIndex(const DocumentInfo& info, const IndexSlice& slice) {
  std::unique_lock lock(index_mutex_);
  // Two changes of one document may arrive here in either order; only the current one counts.
  const auto current = documents_->Find(info.document);
  if (!current || current->version != info.version) return absl::OkStatus();
  CLOISTER_RETURN_IF_ERROR(index_.Append(slice, {info.access_class}));
  fresh_.insert(info.document);
  fresh_bytes_ += BytesOf(slice);
  if (IsConditional(info)) {
    conditional_.insert(info.document);
  } else {
    conditional_.erase(info.document);
  }
  return index_.WantsCompaction() ? index_.Compact() : absl::OkStatus();
}

StatusOr<DocumentStore::PutResult> Corpus::Put(const NewDocument& document, std::string_view actor) {
  CLOISTER_ASSIGN_OR_RETURN(auto result, documents_->Put(document, actor));
  if (result.unchanged) return result;
  DocumentStore::ForIndex content;
  for (const NewChunk& added : document.chunks) {
    const auto own =
        std::string_view(document.text).substr(added.chunk.start, added.chunk.end - added.chunk.start);
    content.chunks.push_back(
        {IndexedText(document.title, added.chunk, own), static_cast<uint32_t>(added.chunk.sentences.size())});
    content.vectors.insert(content.vectors.end(), added.vector.begin(), added.vector.end());
  }
  CLOISTER_RETURN_IF_ERROR(AddToIndex(*result.info, SliceOf(*result.info, std::move(content), *analyzer_)));
  // The document is durable and searchable; a segment that cannot be written now is tried again with the
  // next.
  if (const Status status = PublishIfDue(); !status.ok()) {
    LogStatus(LogLevel::kWarning, "retrieval.segment_not_written", status);
  }
  return result;
}

StatusOr<bool> Corpus::Delete(const SourceName& name, std::string_view actor,
                              const std::optional<VersionId>& version) {
  CLOISTER_ASSIGN_OR_RETURN(const auto deleted, documents_->Delete(name, actor, version));
  if (!deleted) return false;
  std::unique_lock lock(index_mutex_);
  if (documents_->Find(*deleted)) return true;  // It was put again meanwhile under the same id.
  index_.Remove(*deleted);
  fresh_.erase(*deleted);
  conditional_.erase(*deleted);
  return true;
}

void Corpus::Withdraw(const DocumentId& document) {
  documents_->MarkUnreadable(document);
  std::unique_lock lock(index_mutex_);
  index_.Remove(document);
  fresh_.erase(document);
}

CorpusStatus Corpus::GetStatus() const {
  CorpusStatus status;
  status.documents = documents_->Count();
  status.classes = directory_->ClassCount();
  status.commit_sequence = rows_->CommitSequence();
  status.unreadable_documents = static_cast<uint32_t>(documents_->UnreadableDocuments());
  std::lock_guard publishing(publish_mutex_);
  status.segments = static_cast<uint32_t>(segments_->segments().size());
  status.quarantined = segments_->quarantined();
  std::shared_lock lock(index_mutex_);
  status.chunks = index_.chunks();
  return status;
}

Status Corpus::PublishIfDue() {
  {
    std::shared_lock lock(index_mutex_);
    if (fresh_.size() < options_.segment_documents && fresh_bytes_ < options_.segment_bytes)
      return absl::OkStatus();
  }
  std::unique_lock publishing(publish_mutex_, std::try_to_lock);
  if (!publishing.owns_lock()) return absl::OkStatus();  // Another call is at it.
  return PublishFresh();
}

Status Corpus::PublishFresh() {
  uint32_t rewritten = 0;
  return Publish(false, rewritten);
}

// Before the manifest stops naming them, so that no crash makes them forgotten; Shred() leaves what is still named.
Status Corpus::RetireSegmentKeys(const std::vector<KeyId>& keys) {
  if (keys.empty()) return absl::OkStatus();
  {
    std::lock_guard writing(rows_->write_mutex());
    storage::WriteBatch batch;
    CLOISTER_RETURN_IF_ERROR(retired_->Retire(batch, keys));
    CLOISTER_RETURN_IF_ERROR(rows_->Commit(std::move(batch)));
  }
  retired_->Committed(keys);
  return absl::OkStatus();
}

Status Corpus::Publish(bool any_dead, uint32_t& rewritten) {
  std::vector<DocumentId> wanted;
  std::vector<Published> kept;
  std::vector<KeyId> replaced;
  std::vector<IndexSlice> slices;
  {
    std::shared_lock lock(index_mutex_);
    if (!any_dead) wanted.assign(fresh_.begin(), fresh_.end());
    for (Published& published : published_) {
      std::vector<DocumentId> live;
      for (const auto& entry : published.documents) {
        if (IsLive(entry)) live.push_back(entry.first);
      }
      const bool keep = any_dead ? live.size() == published.documents.size()
                                 : live.size() * 2 >= published.documents.size();
      if (keep) {
        kept.push_back(published);
      } else {
        wanted.insert(wanted.end(), live.begin(), live.end());
        replaced.push_back(published.info.key);
      }
    }
    if (any_dead && replaced.empty()) return absl::OkStatus();
    const size_t chunk_bytes =
        size_t{index_.dimension()} * sizeof(float) + 2048;  // About; a segment may be twice it.
    std::vector<DocumentId> group;
    size_t bytes = 0;
    for (const DocumentId& document : wanted) {
      group.push_back(document);
      bytes += index_.ChunksOfDocument(document).cardinality() * chunk_bytes;
      if (bytes < options_.segment_bytes && document != wanted.back()) continue;
      slices.push_back(index_.Extract(group));
      group.clear();
      bytes = 0;
    }
  }
  std::vector<SegmentInfo> infos;
  for (const Published& published : kept) infos.push_back(published.info);
  for (const IndexSlice& slice : slices) {
    CLOISTER_ASSIGN_OR_RETURN(SegmentInfo info, segments_->Write(slice));
    infos.push_back(info);
    Published published{std::move(info), {}};
    for (const SliceDocument& document : slice.documents)
      published.documents.emplace_back(document.document, document.version);
    kept.push_back(std::move(published));
  }
  CLOISTER_RETURN_IF_ERROR(RetireSegmentKeys(replaced));
  CLOISTER_RETURN_IF_ERROR(segments_->Publish(std::move(infos)));
  rewritten = static_cast<uint32_t>(replaced.size());
  std::unique_lock lock(index_mutex_);
  published_ = std::move(kept);
  for (const IndexSlice& slice : slices) {
    for (const SliceDocument& document : slice.documents) {
      // One that changed while the files were written stays fresh.
      if (index_.VersionOf(document.document) == document.version) fresh_.erase(document.document);
    }
  }
  if (!any_dead) fresh_bytes_ = 0;
  return absl::OkStatus();
}

ChunkSet Corpus::Reading::NotInForce(const std::string& today) const {
  const Corpus& corpus = corpus_;
  std::lock_guard lock(corpus.in_force_.mutex);
  if (corpus.in_force_.generation == index().generation() && corpus.in_force_.today == today)
    return corpus.in_force_.chunks;
  ChunkSet chunks;
  for (const DocumentId& document : corpus.conditional_) {
    const auto info = corpus.documents_->Find(document);
    if (!info) continue;
    bool in_force = IsInForce(*info, today);
    if (in_force && !info->superseded_by.empty()) {
      const auto successor = corpus.documents_->FindSource({info->collection, info->origin, info->superseded_by});
      in_force = !successor || successor->document == document || !IsInForce(*successor, today);
    }
    if (!in_force) chunks |= index().ChunksOfDocument(document);
  }
  corpus.in_force_.generation = index().generation();
  corpus.in_force_.today = today;
  corpus.in_force_.chunks = chunks;
  return chunks;
}

}  // namespace cloister::retrieval
