// SPDX-License-Identifier: Apache-2.0
// The one door that text leaves by. Decides again, at one snapshot of the truth; has the release recorded
// durably; only then returns passages, with the signals that choosing an answer needs. Does not search. Beside that, for
// who accounts for the past: one version of a document, current or kept, by role and with a reason.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/id.h"
#include "common/status.h"
#include "policy/decision.h"
#include "policy/principal.h"
#include "retrieval/corpus.h"
#include "retrieval/search_contexts.h"

namespace cloister::retrieval {

constexpr size_t kHandlesMax = 64;
// What one audit record can name; a passage whose subjects would exceed it is withheld.
constexpr size_t kSubjectsPerReleaseMax = 256;

struct ReleaseRequest {
  policy::Principal principal;  // As asserted; its groups are ignored, the directory's count.
  SearchId search;
  std::vector<Handle> handles;  // At most kHandlesMax.
  std::string ask_id;           // 16 bytes, or empty for a release outside an ask.
};

// What audit is told, before anything is handed out. No content.
struct ReleasedPassage {
  Handle handle;
  ChunkId chunk;
  DocumentId document;
  VersionId version;
  ClassId access_class;
  std::string policy;  // The rule that permitted it.
};
struct ReleaseRecord {
  policy::Principal principal;  // With the groups the decision used.
  std::string ask_id;
  SearchId search;
  std::vector<ReleasedPassage> passages;
  std::vector<std::string> subjects;  // Of the documents, sorted, unique.
  policy::Obligations obligations;    // Applied.
  std::string policy_version;
  uint64_t commit_sequence = 0;  // Of the snapshot that decided, at least.
  std::string node_region;
  uint32_t withheld = 0;
};

// One version that is about to be shown as a whole. No text.
struct VersionReading {
  policy::Principal principal;
  std::string reason;
  DocumentInfo info;
  bool current = false;
  uint64_t commit_sequence = 0;  // Of the snapshot it was read at, at least.
  std::string node_region;
};

// Thread-safe.
class ReleaseRecorder {
 public:
  virtual ~ReleaseRecorder() = default;
  // The index of the record, once it is durable.
  virtual StatusOr<uint64_t> Record(const ReleaseRecord& record) = 0;
  virtual StatusOr<uint64_t> RecordReading(const VersionReading& reading) = 0;
};

struct SentenceSignals {
  float dense_context =
      0;  // Cosine of the question with the sentence after title and predecessor; 0: no vectors.
  float dense_alone = 0;  // With the sentence alone.
  float lexical = 0;      // BM25 of the sentence as its own document.
};

struct ReleasedText {
  Handle handle;
  DocumentInfo info;
  Chunk chunk;
  std::string text;
  uint32_t rank = 0;
  float score = 0, dense = 0, lexical = 0;  // Of the chunk, as the search had them.
  std::vector<SentenceSignals> signals;     // One for each sentence of the chunk.
};

struct ReleaseResult {
  std::vector<ReleasedText> passages;  // In the order of the request.
  uint32_t withheld = 0;               // Handles that gave nothing; why is not told.
  uint64_t audit_index = 0;
};

// Who may see that former versions exist, and who may read them. Administration alone shows no document.
inline constexpr const char* kVersionReaderRole = "compliance";
inline constexpr const char* kVersionListerRole = "auditor";

struct VersionQuery {
  SourceName name;                      // An empty origin means the only one that fits.
  std::optional<DocumentId> document;   // Instead of the name.
};
struct ListedVersion {
  std::shared_ptr<const DocumentInfo> info;
  bool current = false, deleted = false;
  int64_t superseded_at_ns = 0;          // Unix time; 0: current.
  std::optional<int64_t> kept_until_ns;  // Nothing: current, or kept for good.
};
struct ReadVersion {
  std::string title, text;
  uint64_t audit_index = 0;
};

// Thread-safe. All references must outlive it.
class Releaser {
 public:
  Releaser(Corpus& corpus, SearchContexts& contexts, ReleaseRecorder& recorder, const Clock& clock,
           std::string node_region)
      : corpus_(corpus),
        contexts_(contexts),
        recorder_(recorder),
        clock_(clock),
        node_region_(std::move(node_region)) {}

  // A document whose rows are damaged gives nothing, is logged, counted and taken out of the index.
  // Errors: kInvalidArgument (too many handles), kUnauthenticated (the assertion has ended), kUnavailable
  // (keys); whatever the recorder answers, and then nothing is returned.
  StatusOr<ReleaseResult> Release(const ReleaseRequest& request);

  // The versions that are here of one document, newest first; no text. Errors: kPermissionDenied (neither role in the
  // directory), kUnauthenticated (the assertion has ended), kNotFound, kInvalidArgument (several origins have this name),
  // kUnavailable.
  StatusOr<std::vector<ListedVersion>> ListVersions(const policy::Principal& principal,
                                                    const VersionQuery& query) const;
  // The text of one version. Errors: kPermissionDenied (the role), kUnauthenticated, kInvalidArgument (the reason),
  // kNotFound, kDataLoss (its rows are damaged), kUnavailable; whatever the recorder answers, and then nothing is
  // returned.
  StatusOr<ReadVersion> ReadText(const policy::Principal& principal, const DocumentId& document,
                                 const VersionId& version, std::string_view reason);

 private:
  // The roles are those of the sealed directory; asserted ones are not believed.
  Status CheckRole(const storage::Snapshot& snapshot, const policy::Principal& principal,
                   std::initializer_list<std::string_view> roles) const;
  struct Work;
  Status AddPassage(Work& work, const Handle& handle);
  Status Damaged(const Status& status, const ChunkRef& chunk);
  StatusOr<policy::Decision> DecideAt(const storage::Snapshot& snapshot, const policy::Principal& principal,
                                      const ClassId& access_class) const;
  StatusOr<ReleasedText> ReadPassage(const storage::Snapshot& snapshot, const SearchContext& context,
                                     const DocumentInfo& info, const Handle& handle,
                                     const ContextHit& hit) const;

  Corpus& corpus_;
  SearchContexts& contexts_;
  ReleaseRecorder& recorder_;
  const Clock& clock_;
  const std::string node_region_;
};

}  // namespace cloister::retrieval
