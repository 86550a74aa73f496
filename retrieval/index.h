// SPDX-License-Identifier: Apache-2.0
// The searchable state in memory: vectors and postings of all current chunks, which document each belongs to,
// and one bitmap of chunks for each access class. Derived from the truth; decides nothing and gives out no
// text.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/id.h"
#include "common/status.h"
#include "retrieval/bm25_index.h"
#include "retrieval/hybrid.h"
#include "retrieval/slice.h"
#include "retrieval/vector_index.h"

namespace cloister::retrieval {

enum class SearchMode { kHybrid, kLexical, kDense };

// A question, analysed.
struct Question {
  std::vector<std::string> terms;
  std::vector<float> vector;  // Empty: lexical only.
  SearchMode mode = SearchMode::kHybrid;
};

// Which chunk of which version an ordinal stands for.
struct ChunkRef {
  DocumentId document;
  VersionId version;
  uint32_t number = 0;  // In its document, from 0.
};

// More dead chunks than this, and more than live ones, ask for compaction.
constexpr uint32_t kDeadChunksMin = 4'096;

// Not thread-safe to change; safe to read from many threads meanwhile unchanged. See corpus.h for the lock.
class Index {
 public:
  explicit Index(Bm25Parameters parameters = {}) : parameters_(parameters), lexical_(parameters) {}

  // Adds the slice's documents; `classes[i]` is the access class of documents[i]. A document that is there is
  // replaced. Errors: kFailedPrecondition (vectors of another dimension), kResourceExhausted.
  Status Append(const IndexSlice& slice, const std::vector<ClassId>& classes);
  void Remove(const DocumentId& document);
  // Overwrites the vectors and takes out the postings of chunks that belong to no document any more, which Remove leaves
  // in memory until the next compaction. Visits every posting.
  void WipeDead();
  bool WantsCompaction() const { return dead_ > kDeadChunksMin && dead_ > lexical_.size() - dead_; }
  // Rewrites the index without the chunks of removed documents. Ordinals change.
  Status Compact();

  // The named documents as a slice, in that order; those that are absent are left out.
  IndexSlice Extract(const std::vector<DocumentId>& documents) const;

  // The chunks of these classes that are searchable.
  ChunkSet ChunksOfClass(const ClassId& access_class) const;
  ChunkSet ChunksOfDocument(const DocumentId& document) const;

  // The best `k` of `permitted`. Nothing outside `permitted` is ever returned.
  // Errors: kInvalidArgument (a vector of another dimension).
  StatusOr<std::vector<FusedHit>> Search(const Question& question, const ChunkSet& permitted, size_t k) const;

  ChunkRef Locate(uint32_t chunk) const;
  std::optional<VersionId> VersionOf(const DocumentId& document) const;
  const Bm25Index& lexical() const { return lexical_; }
  uint32_t dimension() const { return dense_.dimension(); }
  size_t documents() const { return documents_.size(); }
  uint32_t chunks() const { return lexical_.size() - dead_; }
  // Grows with every change; what was computed from ordinals is good for one generation.
  uint64_t generation() const { return generation_; }
  std::vector<DocumentId> DocumentIds() const;

 private:
  struct Place {
    VersionId version;
    ClassId access_class;
    uint64_t sequence = 0;
    uint32_t first = 0, count = 0;  // Ordinals.
  };
  Bm25Parameters parameters_;
  Bm25Index lexical_;
  FaissIndex dense_;
  std::unordered_map<DocumentId, Place> documents_;
  std::map<uint32_t, DocumentId> by_first_;  // First ordinal to document; live ones only.
  std::map<ClassId, ChunkSet> classes_;
  ChunkSet wiped_;  // Dead chunks of which nothing is left.
  uint32_t dead_ = 0;
  uint64_t generation_ = 0;
};

}  // namespace cloister::retrieval
