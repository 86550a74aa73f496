// SPDX-License-Identifier: Apache-2.0
// The truth about documents: sealed rows under each document's own key, written whole or not at all. Does not
// search and does not decide who may read; see index.h and releaser.h. SPEC: docs/formats/documents.md
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/id.h"
#include "common/status.h"
#include "retrieval/directory.h"
#include "retrieval/records.h"
#include "retrieval/retired_keys.h"
#include "retrieval/rows.h"
#include "retrieval/suppressions.h"

namespace cloister::retrieval {

constexpr size_t kTextBytesMax = 32 * 1024 * 1024;
constexpr size_t kOriginalBytesMax = 32 * 1024 * 1024;
constexpr size_t kSourceBytesMax = 4096;
constexpr size_t kMetadataBytesMax = 1024;  // Of a title, owner, media type or language.
constexpr size_t kSubjectsMax = 256;        // What one audit record can name.
constexpr size_t kChunksPerDocumentMax = 65'536;
constexpr size_t kSentencesPerChunkMax = 4'096;
constexpr size_t kBoxesPerSentenceMax = 1'024;
constexpr size_t kSectionDepthMax = 32;
constexpr uint32_t kDimensionMax = 4'096;
// Beyond either, what would supersede or delete one more version is refused.
constexpr size_t kKeptVersionsPerDocumentMax = 10'000;
constexpr size_t kKeptVersionsMax = 1'000'000;
// Keys made durable at once, so that most documents need no call: the first time the one, then twice as many each time.
constexpr uint32_t kDocumentKeysAheadMin = 64, kDocumentKeysAheadMax = 1'024;

struct NewChunk {
  Chunk chunk;                          // Its id is chosen by Put.
  std::vector<float> vector;            // Empty in all chunks of a document, or in none.
  std::vector<float> sentence_vectors;  // Sentences x 2 x dimension, or empty.
};

struct NewDocument {
  std::string collection, origin, source, media_type, original, title, owner, language;
  std::string effective_from, effective_to, superseded_by, classification, embedder_sha256, input_sha256, text;
  std::vector<std::string> subjects;
  std::vector<NewChunk> chunks;
  // The version that it is to replace, empty: none, so that what waited behind a newer version never replaces it.
  // Nothing: replaces whatever is there.
  std::optional<VersionId> replaces;
};

// What of a chunk leaves the store for the index: the terms' source and its vector.
struct ChunkForIndex {
  std::string text;  // Title, section headings and the chunk's own text.
  uint32_t sentences = 0;
};

// Everything about one chunk that a release may show.
struct ChunkContent {
  Chunk chunk;
  std::string text;
  std::vector<float> sentence_vectors;  // Sentences x 2 x dimension, or empty.
};

// A former version that the retention class of its collection keeps: text, original and chunk table, no vectors. Never in
// the index, never released.
struct KeptVersion {
  std::shared_ptr<const DocumentInfo> info;
  int64_t superseded_at_ns = 0;  // Unix time.
  bool deleted = false;          // The document was deleted, not replaced.
};

// What is here of one document.
struct DocumentHistory {
  DocumentId document;
  std::shared_ptr<const DocumentInfo> current;  // Null: it was deleted, or cannot be read.
  std::vector<KeptVersion> kept;                // Newest first.
  std::vector<std::shared_ptr<const DocumentInfo>> Versions() const;  // All of them, newest first.
};

// What erasing a document takes away.
struct ErasedRows {
  uint64_t rows = 0;
  std::vector<KeyId> keys;  // Of all its versions; unique.
};

// Thread-safe. All references must outlive it.
class DocumentStore {
 public:
  // Opens every document row. One that does not open is logged, counted and left out; it is never served.
  // Errors: kUnavailable (keys or disk).
  static StatusOr<std::unique_ptr<DocumentStore>> Open(Rows& rows, Directory& directory, RetiredKeys& retired,
                                                       Suppressions& suppressions, const Clock& clock);

  struct PutResult {
    std::shared_ptr<const DocumentInfo> info;
    std::optional<DocumentId> replaced;  // The document it is a new version of.
    bool unchanged = false;              // Nothing was written: the same content was there.
  };
  // Durable when it returns, under a key of its own. Replaces the current version of the same collection, origin and
  // source in the same batch; that one is kept, or its rows are deleted and its key is retired, as the collection's
  // retention class says. A document that was deleted and has kept versions goes on under its id. Errors:
  // kInvalidArgument (a limit, a range, a name, a date), kNotFound (no such collection), kFailedPrecondition (vectors of
  // another embedder than the documents that are there), kAborted (another version than `replaces` is there),
  // kPermissionDenied (it was erased on request and may not come back),
  // kResourceExhausted (disk full, too many kept versions), kUnavailable.
  StatusOr<PutResult> Put(const NewDocument& document, std::string_view actor);
  // The document that was deleted, or nothing; its version is kept or given up as above. With `version`, only
  // that one. Errors: kAborted (another version is there), kUnavailable, kResourceExhausted.
  StatusOr<std::optional<DocumentId>> Delete(const SourceName& name, std::string_view actor,
                                             const std::optional<VersionId>& version);

  // Former versions. Those of one document, those of a collection (empty: of all), and one version, current or kept.
  std::optional<DocumentHistory> HistoryOf(const DocumentId& document) const;
  std::vector<DocumentHistory> Histories(std::string_view collection) const;
  struct FoundVersion {
    std::shared_ptr<const DocumentInfo> info;
    bool current = false;
  };
  std::optional<FoundVersion> FindVersion(const DocumentId& document, const VersionId& version) const;
  // When nothing keeps a version any more, as its collection's class says now; nothing: it is kept for good, or damage
  // hides which class counts.
  std::optional<int64_t> EndOfVersion(const KeptVersion& version) const;
  // Deletes the rows and retires the keys of kept versions for which `over` says so, at most `versions_max` of them, in
  // one batch; returns how many. Takes rows.write_mutex(), which `over` runs under. Errors: kUnavailable,
  // kResourceExhausted.
  StatusOr<size_t> EndKept(const std::function<bool(const KeptVersion&)>& over, size_t versions_max,
                           std::string_view actor);
  // After keys were replaced: keys that were made ahead are left unused. Takes rows.write_mutex().
  void ForgetKeysAhead();
  // Counts a document with a former version that turned out damaged.
  void MarkFormerUnreadable(const DocumentId& document) const;

  // Erasing, in two halves. The first adds the removal of every row of any version of `document` to `batch` and says
  // which keys seal them, also when the document cannot be read; the caller holds rows.write_mutex(). The second
  // follows once that is durable. Errors: kUnavailable.
  StatusOr<ErasedRows> AddErasure(const storage::Snapshot& snapshot, const DocumentId& document,
                                  storage::WriteBatch& batch) const;
  void Erased(const DocumentId& document);
  // Rows of any version of it.
  StatusOr<uint64_t> CountRows(const storage::Snapshot& snapshot, const DocumentId& document) const;

  std::shared_ptr<const DocumentInfo> Find(const DocumentId& document) const;  // Null when absent.
  std::shared_ptr<const DocumentInfo> FindSource(const SourceName& name) const;
  std::vector<std::shared_ptr<const DocumentInfo>> List(std::string_view collection) const;  // Empty: all.
  size_t Count() const;
  size_t UnreadableDocuments() const;
  // Counts a document whose rows turned out damaged after it was loaded; once for each.
  void MarkUnreadable(const DocumentId& document) const;

  // From the rows of one snapshot. Errors: kNotFound (no such version any more, or one that is only kept), kDataLoss,
  // kUnavailable.
  StatusOr<DocumentInfo> InfoAt(const storage::Snapshot& snapshot, const DocumentId& document,
                                const VersionId& version) const;
  // The same for a version that is current or kept.
  StatusOr<DocumentInfo> AnyInfoAt(const storage::Snapshot& snapshot, const DocumentId& document,
                                   const VersionId& version) const;
  StatusOr<ChunkContent> ChunkAt(const storage::Snapshot& snapshot, const DocumentInfo& info,
                                 uint32_t chunk) const;
  StatusOr<std::string> TextAt(const storage::Snapshot& snapshot, const DocumentInfo& info, uint64_t start,
                               uint64_t end) const;
  StatusOr<std::string> OriginalAt(const storage::Snapshot& snapshot, const DocumentInfo& info) const;
  // All chunks of a document for the index, with their vectors one after the other (empty: it has none).
  struct ForIndex {
    std::vector<ChunkForIndex> chunks;
    std::vector<float> vectors;
  };
  StatusOr<ForIndex> ReadForIndex(const storage::Snapshot& snapshot, const DocumentInfo& info) const;

 private:
  DocumentStore(Rows& rows, Directory& directory, RetiredKeys& retired, Suppressions& suppressions, const Clock& clock)
      : rows_(rows), directory_(directory), retired_(retired), suppressions_(suppressions), clock_(clock) {}
  Status Load();
  StatusOr<storage::DataKey> TakeKey();
  Status CheckNotSuppressed(const DocumentInfo& info) const;
  // The key of this version, by the first of its rows that tells; nothing when none does.
  StatusOr<std::optional<KeyId>> KeyOf(const DocumentInfo& info) const;
  // What becomes of a version that is superseded or deleted now.
  struct GivenUp {
    std::optional<KeyId> key;         // Of the version.
    std::vector<KeyId> retired;       // That key, when it is.
    std::optional<KeptVersion> kept;  // Otherwise.
    std::string_view Name() const { return kept ? "kept" : "given-up"; }
  };
  // Adds it to `batch`. Errors: kResourceExhausted (kKeptVersionsMax and the like), kUnavailable.
  StatusOr<GivenUp> GiveUp(const DocumentInfo& info, bool deleted, storage::WriteBatch& batch);
  Status CheckMayKeep(const DocumentId& document) const;
  // One row of the documents or of the kept versions into memory. Errors: those of reading it.
  Status LoadRow(std::string_view family, std::string_view bytes);
  void SortKept();
  void RememberKept(KeptVersion version);
  void ForgetKept(const DocumentInfo& info);  // Every version of its document.
  std::optional<DocumentId> FormerIdOf(const SourceName& name) const;
  // Every row whose key begins with `prefix`, and the keys that seal them.
  StatusOr<ErasedRows> AddRemoval(const storage::Snapshot& snapshot, std::string_view prefix,
                                  storage::WriteBatch& batch) const;
  Status CheckEmbedder(const DocumentInfo& info, const DocumentInfo* replaced) const;
  static Status CheckVersion(const DocumentInfo* present, const VersionId& expected);
  Status WriteContent(storage::WriteBatch& batch, const storage::DataKey& key, const DocumentInfo& info,
                      const NewDocument& document, const std::vector<Chunk>& chunks);
  void DeleteRows(storage::WriteBatch& batch, const DocumentInfo& info) const;
  void DeleteVectors(storage::WriteBatch& batch, const DocumentInfo& info) const;
  void Forget(const DocumentInfo& info);
  void Remember(std::shared_ptr<const DocumentInfo> info);

  Rows& rows_;
  Directory& directory_;
  RetiredKeys& retired_;
  Suppressions& suppressions_;
  const Clock& clock_;
  std::vector<storage::DataKey> keys_ahead_;  // Guarded by rows_.write_mutex(), as the next is.
  uint32_t next_keys_ahead_ = kDocumentKeysAheadMin;
  mutable std::shared_mutex mutex_;
  std::unordered_map<DocumentId, std::shared_ptr<const DocumentInfo>> documents_;
  std::unordered_map<std::string, DocumentId> sources_;  // By SourceKey().
  mutable std::unordered_set<DocumentId> unreadable_;
  std::unordered_map<DocumentId, std::vector<KeptVersion>> kept_;   // Oldest first.
  std::unordered_map<std::string, DocumentId> kept_sources_;        // By SourceKey(): whose versions kept_ has.
  size_t kept_total_ = 0;
  mutable std::unordered_set<DocumentId> unreadable_former_;        // With a damaged former version.
  size_t embedded_ = 0;          // Documents with vectors.
  std::string embedder_sha256_;  // Of those.
  uint32_t dimension_ = 0;
};

// Unique for a name.
std::string SourceKey(const SourceName& name);
SourceName NameOf(const DocumentInfo& info);
// Checks everything that needs no store. Errors: kInvalidArgument.
Status Validate(const NewDocument& document);
// "2026-11-22", a day that exists. Errors: kInvalidArgument.
Status CheckDate(std::string_view date);
// What the index takes of a chunk.
std::string IndexedText(std::string_view title, const Chunk& chunk, std::string_view text);

}  // namespace cloister::retrieval
