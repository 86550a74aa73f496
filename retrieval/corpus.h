// SPDX-License-Identifier: Apache-2.0
// The documents and their index kept in step: what Put and Delete acknowledged is durable and searchable, and
// what the index holds is what the truth holds. Does not decide who may see what; see searcher.h and
// releaser.h.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/id.h"
#include "common/status.h"
#include "retrieval/analyzer.h"
#include "retrieval/directory.h"
#include "retrieval/document_store.h"
#include "retrieval/index.h"
#include "retrieval/rows.h"
#include "retrieval/segment.h"
#include "retrieval/set_aside.h"
#include "storage/examination.h"

namespace cloister::retrieval {

struct CorpusOptions {
  std::filesystem::path segment_directory;
  uint32_t segment_documents = 2'000;       // New documents that make a segment.
  size_t segment_bytes = 64 * 1024 * 1024;  // Of vectors and terms that make one, too; at most half of
                                            // kSegmentBytesMax.
};

struct CorpusStatus {
  uint64_t documents = 0, chunks = 0, classes = 0, commit_sequence = 0;
  uint32_t segments = 0, quarantined = 0, unreadable_documents = 0;
};

// Thread-safe. `store`, `keys` and `clock` must outlive it.
class Corpus {
 public:
  // Loads directory and documents, then segments, then indexes from the truth what no segment holds.
  // Errors: kUnavailable (keys, disk), kInternal (ICU), kFailedPrecondition.
  static StatusOr<std::unique_ptr<Corpus>> Open(storage::KvStore& store, const DatabaseId& database,
                                                storage::KeySource& keys, const Clock& clock,
                                                CorpusOptions options);

  // As DocumentStore; what has returned is searchable.
  StatusOr<DocumentStore::PutResult> Put(const NewDocument& document, std::string_view actor);
  StatusOr<bool> Delete(const SourceName& name, std::string_view actor,
                        const std::optional<VersionId>& version = std::nullopt);

  // Destroys the keys of everything that was superseded, deleted or rewritten, after rewriting the segments that still
  // hold some of it. One at a time; changes and searches go on. Errors: kUnavailable (audit has yet to take events, or
  // not finished; call again), kResourceExhausted.
  struct Shredded {
    std::vector<KeyId> keys;    // Destroyed by this call.
    uint32_t segments = 0;      // Rewritten.
    storage::Destruction destruction;
  };
  StatusOr<Shredded> Shred(storage::DestroyFor why);

  // Whether a published segment still holds vectors and terms of what is not current any more. Shred() rewrites those.
  bool SegmentsHoldDead() const;

  // Erasing (see eraser.h). The first takes documents out of the index in memory, so that no search that begins
  // afterwards finds them, and out of the store's memory, and waits for releases that had begun; the second overwrites
  // what is left of them there.
  void RemoveErased(const std::vector<DocumentId>& documents);
  void WipeErased();
  // Where any of these still is: in the index, or in a segment that a manifest names.
  struct Remains {
    uint64_t indexed = 0, segments = 0;
  };
  Remains FindRemains(const std::vector<DocumentId>& documents) const;
  // Segments that hold any of these.
  uint32_t SegmentsWith(const std::vector<DocumentId>& documents) const;

  // Examining (see examination.h), while changes and searches go on; what was found before an error counts. The second
  // and third make anew, with `repair`, what differs from the documents; `damaged` are out of the index for a reason.
  // Errors: kCancelled, kUnavailable, kResourceExhausted.
  Status SetAsideDocument(const DocumentInfo& info);
  Status ExamineSegments(const storage::ExaminationOptions& options, storage::Examination& out);
  Status ExamineIndex(const storage::ExaminationOptions& options, const std::set<DocumentId>& damaged,
                      storage::Examination& out);

  // Replacing keys (see storage/key_source.h and services/server/key_rotation.h). Keys that seal something now: of the
  // service's own rows and of holds; of versions of documents; of segments and their manifest. Errors: kUnavailable.
  StatusOr<std::vector<KeyId>> RowKeys() const;
  StatusOr<std::vector<KeyId>> DocumentKeys();  // Those made ahead are left unused from here on.
  StatusOr<std::vector<KeyId>> SegmentKeys() const;
  // Seals anew what is under a replaced key, while changes and searches go on; returns how many rows and segments. What an
  // interrupted call left the next one does. Errors: those of Rows::Reseal and of `go_on`.
  StatusOr<uint64_t> Renew(const std::function<Status()>& go_on);

  // Held for as long as a release takes, until it is recorded.
  std::shared_lock<std::shared_mutex> Releasing() { return std::shared_lock(releasing_); }

  // Takes a document whose rows turned out damaged out of the index and counts it.
  void Withdraw(const DocumentId& document);

  Rows& rows() { return *rows_; }
  Directory& directory() { return *directory_; }
  DocumentStore& documents() { return *documents_; }
  RetiredKeys& retired_keys() { return *retired_; }
  Suppressions& suppressions() { return *suppressions_; }
  const SetAside& set_aside() const { return *set_aside_; }
  const Analyzer& analyzer() const { return *analyzer_; }
  CorpusStatus GetStatus() const;

  // The index as it is while the lock is held. Hold it briefly: changes wait.
  class Reading {
   public:
    const Index& index() const { return corpus_.index_; }
    // Chunks of documents that are not in force on `today` ("2026-11-22"): not yet effective, no longer
    // effective, or superseded by a document of the same collection that is in force.
    ChunkSet NotInForce(const std::string& today) const;

   private:
    friend class Corpus;
    explicit Reading(const Corpus& corpus) : corpus_(corpus), lock_(corpus.index_mutex_) {}
    const Corpus& corpus_;
    std::shared_lock<std::shared_mutex> lock_;
  };
  Reading Read() const { return Reading(*this); }

 private:
  explicit Corpus(CorpusOptions options) : options_(std::move(options)) {}
  Status LoadSegments();
  Status LoadFresh();
  Status AddToIndex(const DocumentInfo& info, const IndexSlice& slice);
  Status PublishIfDue();
  // Writes what goes into new segments, and publishes. With `any_dead`, every segment that holds something dead is
  // rewritten, and nothing else; otherwise the fresh documents and what is left of mostly dead segments.
  Status Publish(bool any_dead, uint32_t& rewritten);
  Status PublishFresh();
  bool IsLive(const std::pair<DocumentId, VersionId>& entry) const;  // The caller holds index_mutex_.
  Status RetireSegmentKeys(const std::vector<KeyId>& keys);
  bool IsConditional(const DocumentInfo& info) const;
  Status LeaveOutSetAside();
  // How the index differs from the truth about this one; empty: it does not. The caller holds index_mutex_.
  std::string IndexProblem(const DocumentId& document) const;
  StatusOr<std::map<DocumentId, std::string>> CompareIndex(const storage::ExaminationOptions& options,
                                                           uint64_t& right) const;
  Status Reindex(const DocumentId& document);
  Status RewriteSegments(const std::set<SegmentId>& damaged);
  StatusOr<uint64_t> RenewSegments(const std::function<Status()>& go_on);

  struct Published {
    SegmentInfo info;
    std::vector<std::pair<DocumentId, VersionId>> documents;
  };

  const CorpusOptions options_;
  std::unique_ptr<Rows> rows_;
  std::unique_ptr<Directory> directory_;
  std::unique_ptr<RetiredKeys> retired_;
  std::unique_ptr<Suppressions> suppressions_;
  std::unique_ptr<SetAside> set_aside_;
  std::unique_ptr<DocumentStore> documents_;
  std::unique_ptr<Analyzer> analyzer_;
  std::mutex shred_mutex_;  // Taken before publish_mutex_.
  std::shared_mutex releasing_;

  mutable std::shared_mutex index_mutex_;
  Index index_;
  std::set<DocumentId> fresh_;  // In no published segment.
  size_t fresh_bytes_ = 0;
  std::set<DocumentId> conditional_;  // With dates or a successor.

  mutable std::mutex publish_mutex_;  // Taken before index_mutex_.
  std::unique_ptr<SegmentStore> segments_;
  std::vector<Published> published_;

  struct InForceCache {
    std::mutex mutex;
    uint64_t generation = 0;
    std::string today;
    ChunkSet chunks;
  };
  mutable InForceCache in_force_;
};

// Whether the dates of `info` include `today`.
bool IsInForce(const DocumentInfo& info, std::string_view today);

}  // namespace cloister::retrieval
