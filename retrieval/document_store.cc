// SPDX-License-Identifier: Apache-2.0
#include "retrieval/document_store.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "common/bytes.h"
#include "common/log.h"
#include "crypto/hash.h"
#include "crypto/random.h"

namespace cloister::retrieval {
namespace {

constexpr size_t kLoadThreads = 4;  // Loading waits for keys more than it computes.

// Everything that was put, save the vectors: the same text embedded twice may differ in the last bit.
std::string ContentDigest(const NewDocument& document, const DocumentInfo& info) {
  ByteWriter out;
  for (const std::string* s : {&info.collection, &info.origin, &info.source, &info.media_type, &info.title, &info.owner,
                               &info.language, &info.effective_from, &info.effective_to, &info.superseded_by,
                               &info.embedder_sha256, &info.original_sha256, &info.input_sha256, &document.classification}) {
    out.String(*s);
  }
  out.U32(static_cast<uint32_t>(info.subjects.size()));
  for (const std::string& subject : info.subjects) out.String(subject);
  out.U32(info.dimension);
  out.U8(info.sentence_vectors ? 1 : 0);
  crypto::Sha256Stream digest;
  digest.Update(out.bytes());
  digest.Update(document.text);
  for (const NewChunk& chunk : document.chunks) {
    Chunk anonymous = chunk.chunk;
    anonymous.id = ChunkId();
    digest.Update(SerialiseChunks(&anonymous, 1));
  }
  return digest.Finish();
}

DocumentInfo Describe(const NewDocument& document, bool no_sentence_vectors) {
  DocumentInfo info;
  info.collection = document.collection;
  info.origin = document.origin;
  info.source = document.source;
  info.media_type = document.media_type;
  info.title = document.title;
  info.owner = document.owner;
  info.language = document.language;
  info.effective_from = document.effective_from;
  info.effective_to = document.effective_to;
  info.superseded_by = document.superseded_by;
  info.subjects = document.subjects;
  std::sort(info.subjects.begin(), info.subjects.end());
  info.subjects.erase(std::unique(info.subjects.begin(), info.subjects.end()), info.subjects.end());
  info.dimension = document.chunks.empty() ? 0 : static_cast<uint32_t>(document.chunks.front().vector.size());
  if (info.dimension != 0) info.embedder_sha256 = document.embedder_sha256;
  for (const NewChunk& chunk : document.chunks) {
    if (!no_sentence_vectors && !chunk.sentence_vectors.empty()) info.sentence_vectors = true;
  }
  info.chunks = static_cast<uint32_t>(document.chunks.size());
  info.text_bytes = document.text.size();
  info.original_bytes = document.original.size();
  info.original_sha256 = crypto::Sha256(document.original);
  info.input_sha256 = document.input_sha256;
  info.content_sha256 = ContentDigest(document, info);
  return info;
}

Event DocumentEvent(std::string_view name, std::string_view actor, const DocumentInfo& info) {
  Event event;
  event.name = std::string(name);
  event.actor = std::string(actor);
  event.subjects = info.subjects;
  event.fields = {{"document", info.document.hex()},
                  {"version", info.version.hex()},
                  {"class", info.access_class.hex()},
                  {"chunks", std::to_string(info.chunks)},
                  {"sequence", std::to_string(info.sequence)}};
  return event;
}

}  // namespace

// No part of a name holds a zero byte, so the key is unique.
std::string SourceKey(const SourceName& name) {
  std::string key(name.collection);
  for (const std::string* part : {&name.origin, &name.source}) {
    key.push_back('\0');
    key.append(*part);
  }
  return key;
}

SourceName NameOf(const DocumentInfo& info) { return {info.collection, info.origin, info.source}; }

StatusOr<std::unique_ptr<DocumentStore>> DocumentStore::Open(Rows& rows, Directory& directory, RetiredKeys& retired,
                                                             Suppressions& suppressions, const Clock& clock) {
  std::unique_ptr<DocumentStore> store(new DocumentStore(rows, directory, retired, suppressions, clock));
  CLOISTER_RETURN_IF_ERROR(store->Load());
  return store;
}

Status DocumentStore::Load() {
  const auto snapshot = rows_.GetSnapshot();
  std::vector<std::pair<std::string_view, std::string>> rows;  // Family and key.
  for (const std::string_view family : {kDocumentsFamily, kKeptVersionsFamily}) {
    CLOISTER_ASSIGN_OR_RETURN(const auto keys, rows_.ReadableKeys(*snapshot, family));
    for (const std::string& key : keys) rows.emplace_back(family, key);
  }
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  Status failure;
  const auto work = [&] {
    for (size_t i = next++; i < rows.size(); i = next++) {
      const auto& [family, key] = rows[i];
      const auto bytes = rows_.Get(*snapshot, family, key);
      std::lock_guard lock(mutex);
      const Status status = bytes.ok() ? LoadRow(family, *bytes) : bytes.status();
      if (status.ok()) continue;
      if (!IsUnreadable(status)) {
        failure = status;
        next = rows.size();
        continue;
      }
      LogStatus(LogLevel::kError, "retrieval.document_unreadable", status);
      if (const auto id = DocumentId::FromBytes(std::string_view(key).substr(0, kIdBytes)); id.ok()) {
        (family == kDocumentsFamily ? unreadable_ : unreadable_former_).insert(*id);
      }
    }
  };
  std::vector<std::thread> threads;
  for (size_t i = 1; i < std::min(kLoadThreads, rows.size()); ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  SortKept();
  return failure;
}

// Both of these: the caller holds mutex_ for writing, or is the only user.
void DocumentStore::Remember(std::shared_ptr<const DocumentInfo> info) {
  sources_.insert_or_assign(SourceKey(NameOf(*info)), info->document);
  if (info->dimension != 0) {
    ++embedded_;
    embedder_sha256_ = info->embedder_sha256;
    dimension_ = info->dimension;
  }
  documents_.insert_or_assign(info->document, std::move(info));
}

void DocumentStore::Forget(const DocumentInfo& info) {
  if (info.dimension != 0) --embedded_;
  sources_.erase(SourceKey(NameOf(info)));
  unreadable_.erase(info.document);
  documents_.erase(info.document);
}

StatusOr<storage::DataKey> DocumentStore::TakeKey() {
  if (keys_ahead_.empty()) {
    CLOISTER_ASSIGN_OR_RETURN(keys_ahead_,
                              rows_.keys().CreateKeys(storage::KeyKind::kDocument, next_keys_ahead_));
    if (keys_ahead_.empty()) return Internal("the key source made no keys");
    next_keys_ahead_ = std::min(next_keys_ahead_ * 2, kDocumentKeysAheadMax);
  }
  storage::DataKey key = std::move(keys_ahead_.back());
  keys_ahead_.pop_back();
  return key;
}

void DocumentStore::ForgetKeysAhead() {
  std::lock_guard writing(rows_.write_mutex());
  keys_ahead_.clear();
  next_keys_ahead_ = kDocumentKeysAheadMin;
}

Status DocumentStore::CheckNotSuppressed(const DocumentInfo& info) const {
  // The same bytes under a name that is there already are another document that nobody asked to erase.
  if (suppressions_.CoversName(NameOf(info)) ||
      (!FindSource(NameOf(info)) && suppressions_.CoversContent(info.collection, info.original_sha256))) {
    return PermissionDenied(
        "it was erased on request and may not come back; `cloister erase lift` allows it again, with a reason");
  }
  return absl::OkStatus();
}

Status DocumentStore::CheckEmbedder(const DocumentInfo& info, const DocumentInfo* replaced) const {
  if (info.dimension == 0) return absl::OkStatus();
  std::shared_lock lock(mutex_);
  const size_t others = embedded_ - (replaced != nullptr && replaced->dimension != 0 ? 1 : 0);
  if (others == 0 || (embedder_sha256_ == info.embedder_sha256 && dimension_ == info.dimension))
    return absl::OkStatus();
  return FailedPrecondition(
      "the documents that are there were embedded by another model; vectors do not mix");
}

Status DocumentStore::CheckVersion(const DocumentInfo* present, const VersionId& expected) {
  if (expected == (present == nullptr ? VersionId() : present->version)) return absl::OkStatus();
  return Aborted("another version came in meanwhile; list the sources again");
}

StatusOr<DocumentStore::PutResult> DocumentStore::Put(const NewDocument& document, std::string_view actor) {
  CLOISTER_RETURN_IF_ERROR(Validate(document));
  const auto collection = directory_.FindCollection(document.collection);
  if (!collection) return NotFound("no such collection; make it first");
  DocumentInfo info = Describe(document, collection->no_sentence_vectors);

  std::lock_guard writing(rows_.write_mutex());
  const auto replaced = FindSource(NameOf(info));
  storage::WriteBatch batch;
  CLOISTER_ASSIGN_OR_RETURN(const auto class_of,
                            directory_.FindOrAddClass(document.collection, document.classification, batch));
  info.access_class = class_of.id;
  if (replaced && replaced->content_sha256 == info.content_sha256 &&
      replaced->access_class == info.access_class) {
    std::shared_lock lock(mutex_);
    if (!unreadable_.contains(replaced->document)) return PutResult{replaced, std::nullopt, true};
  }
  if (document.replaces) CLOISTER_RETURN_IF_ERROR(CheckVersion(replaced.get(), *document.replaces));
  CLOISTER_RETURN_IF_ERROR(CheckNotSuppressed(info));
  CLOISTER_RETURN_IF_ERROR(CheckEmbedder(info, replaced.get()));
  CLOISTER_ASSIGN_OR_RETURN(const storage::DataKey key, TakeKey());
  const auto former = replaced ? replaced->document : FormerIdOf(NameOf(info));
  info.document = former ? *former : crypto::RandomId<DocumentId>();
  info.version = crypto::RandomId<VersionId>();
  info.sequence = rows_.NextSequence();
  info.put_at_ns = clock_.Now().time_since_epoch().count();
  std::vector<Chunk> chunks;
  chunks.reserve(document.chunks.size());
  for (const NewChunk& added : document.chunks) {
    chunks.push_back(added.chunk);
    chunks.back().id = crypto::RandomId<ChunkId>();
  }
  CLOISTER_RETURN_IF_ERROR(WriteContent(batch, key, info, document, chunks));
  GivenUp given_up;
  Event event = DocumentEvent(replaced ? "document.updated" : "document.ingested", actor, info);
  if (replaced) {
    CLOISTER_ASSIGN_OR_RETURN(given_up, GiveUp(*replaced, false, batch));
    event.fields.emplace_back("former", given_up.Name());
  }
  CLOISTER_RETURN_IF_ERROR(rows_.Commit(std::move(batch), {event}, &key));

  directory_.ClassCommitted(class_of);
  retired_.Committed(given_up.retired);
  PutResult result{std::make_shared<DocumentInfo>(std::move(info)), std::nullopt, false};
  std::unique_lock lock(mutex_);
  if (replaced) {
    result.replaced = replaced->document;
    Forget(*replaced);
    if (given_up.kept) RememberKept(*std::move(given_up.kept));
  }
  Remember(result.info);
  return result;
}

Status DocumentStore::WriteContent(storage::WriteBatch& batch, const storage::DataKey& key,
                                   const DocumentInfo& info, const NewDocument& document,
                                   const std::vector<Chunk>& chunks) {
  const auto put = [&](std::string_view family, const std::string& row_key, std::string_view plaintext) {
    return rows_.Put(batch, family, row_key, key, plaintext);
  };
  const auto part = [&](uint32_t n) { return PartKey(info.document, info.version, n); };
  const std::string version = VersionKey(info.document, info.version);
  CLOISTER_RETURN_IF_ERROR(put(kDocumentsFamily, version, Serialise(info)));
  CLOISTER_RETURN_IF_ERROR(put(kOriginalsFamily, version, document.original));
  for (uint32_t i = 0; i < RowsFor(document.text.size(), kTextRowBytes); ++i) {
    CLOISTER_RETURN_IF_ERROR(
        put(kTextFamily, part(i), std::string_view(document.text).substr(i * kTextRowBytes, kTextRowBytes)));
  }
  for (uint32_t i = 0; i < RowsFor(chunks.size(), kChunksPerRow); ++i) {
    const size_t first = size_t{i} * kChunksPerRow,
                 count = std::min<size_t>(kChunksPerRow, chunks.size() - first);
    CLOISTER_RETURN_IF_ERROR(put(kChunksFamily, part(i), SerialiseChunks(chunks.data() + first, count)));
    if (info.dimension == 0) continue;
    VectorRow row{info.dimension, std::vector<uint32_t>(count, 1), {}};
    for (size_t c = first; c < first + count; ++c) {
      row.floats.insert(row.floats.end(), document.chunks[c].vector.begin(), document.chunks[c].vector.end());
    }
    CLOISTER_RETURN_IF_ERROR(put(kVectorsFamily, part(i), Serialise(row)));
  }
  if (!info.sentence_vectors) return absl::OkStatus();
  for (uint32_t i = 0; i < RowsFor(chunks.size(), kChunksPerSentenceRow); ++i) {
    const size_t first = size_t{i} * kChunksPerSentenceRow;
    VectorRow row{info.dimension, {}, {}};
    for (size_t c = first; c < std::min<size_t>(first + kChunksPerSentenceRow, chunks.size()); ++c) {
      const std::vector<float>& vectors = document.chunks[c].sentence_vectors;
      row.counts.push_back(static_cast<uint32_t>(vectors.size() / info.dimension));
      row.floats.insert(row.floats.end(), vectors.begin(), vectors.end());
    }
    CLOISTER_RETURN_IF_ERROR(put(kSentenceVectorsFamily, part(i), Serialise(row)));
  }
  return absl::OkStatus();
}

void DocumentStore::DeleteRows(storage::WriteBatch& batch, const DocumentInfo& info) const {
  const std::string version = VersionKey(info.document, info.version);
  batch.Delete(kDocumentsFamily, version);
  batch.Delete(kOriginalsFamily, version);
  const auto parts = [&](std::string_view family, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) batch.Delete(family, PartKey(info.document, info.version, i));
  };
  parts(kTextFamily, RowsFor(info.text_bytes, kTextRowBytes));
  parts(kChunksFamily, RowsFor(info.chunks, kChunksPerRow));
  DeleteVectors(batch, info);
}

void DocumentStore::DeleteVectors(storage::WriteBatch& batch, const DocumentInfo& info) const {
  const auto parts = [&](std::string_view family, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) batch.Delete(family, PartKey(info.document, info.version, i));
  };
  if (info.dimension != 0) parts(kVectorsFamily, RowsFor(info.chunks, kChunksPerRow));
  if (info.sentence_vectors) parts(kSentenceVectorsFamily, RowsFor(info.chunks, kChunksPerSentenceRow));
}

StatusOr<std::optional<DocumentId>> DocumentStore::Delete(const SourceName& name, std::string_view actor,
                                                          const std::optional<VersionId>& version) {
  std::lock_guard writing(rows_.write_mutex());
  const auto info = FindSource(name);
  if (!info) return std::optional<DocumentId>();
  if (version) CLOISTER_RETURN_IF_ERROR(CheckVersion(info.get(), *version));
  storage::WriteBatch batch;
  CLOISTER_ASSIGN_OR_RETURN(GivenUp given_up, GiveUp(*info, true, batch));
  Event event = DocumentEvent("document.deleted", actor, *info);
  event.fields.emplace_back("former", given_up.Name());
  // It names the subjects, so it waits under the key that goes with the document.
  std::optional<storage::DataKey> key;
  if (given_up.key) {
    const auto found = rows_.keys().GetKey(*given_up.key);
    if (found.ok()) key = *found;
  }
  CLOISTER_RETURN_IF_ERROR(rows_.Commit(std::move(batch), {event}, key ? &*key : nullptr));
  retired_.Committed(given_up.retired);
  std::unique_lock lock(mutex_);
  Forget(*info);
  if (given_up.kept) RememberKept(*std::move(given_up.kept));
  return std::optional<DocumentId>(info->document);
}

std::shared_ptr<const DocumentInfo> DocumentStore::Find(const DocumentId& document) const {
  std::shared_lock lock(mutex_);
  const auto found = documents_.find(document);
  return found == documents_.end() ? nullptr : found->second;
}

std::shared_ptr<const DocumentInfo> DocumentStore::FindSource(const SourceName& name) const {
  std::shared_lock lock(mutex_);
  const auto found = sources_.find(SourceKey(name));
  if (found == sources_.end()) return nullptr;
  return documents_.at(found->second);
}

std::vector<std::shared_ptr<const DocumentInfo>> DocumentStore::List(std::string_view collection) const {
  std::vector<std::shared_ptr<const DocumentInfo>> infos;
  std::shared_lock lock(mutex_);
  for (const auto& [id, info] : documents_) {
    if (collection.empty() || info->collection == collection) infos.push_back(info);
  }
  return infos;
}

size_t DocumentStore::Count() const {
  std::shared_lock lock(mutex_);
  return documents_.size();
}

size_t DocumentStore::UnreadableDocuments() const {
  std::shared_lock lock(mutex_);
  size_t count = unreadable_.size();
  for (const DocumentId& document : unreadable_former_) count += unreadable_.contains(document) ? 0 : 1;
  return count;
}

void DocumentStore::MarkUnreadable(const DocumentId& document) const {
  std::unique_lock lock(mutex_);
  unreadable_.insert(document);
}

}  // namespace cloister::retrieval
