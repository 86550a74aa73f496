// SPDX-License-Identifier: Apache-2.0
// Search: decides what the caller may see, searches inside it, and returns handles and titles. Gives out no
// text; see releaser.h.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "common/clock.h"
#include "common/id.h"
#include "common/status.h"
#include "policy/decision.h"
#include "policy/principal.h"
#include "retrieval/corpus.h"
#include "retrieval/search_contexts.h"

namespace cloister::retrieval {

constexpr size_t kQuestionBytesMax = 8 * 1024;
constexpr uint32_t kHitsMax = 1'000;
constexpr uint32_t kHitsDefault = 12;
constexpr size_t kDecisionsCachedMax = 1'024;

struct SearchRequest {
  policy::Principal principal;   // As asserted; its groups are ignored, the directory's count.
  std::string assertion_digest;  // SHA-256 of the assertion; names the principal in the cache.
  std::string question;          // At most kQuestionBytesMax bytes of UTF-8.
  std::vector<float> question_vector;
  uint32_t hits_max = 0;  // At most kHitsMax; 0 means kHitsDefault.
  SearchMode mode = SearchMode::kHybrid;
  std::string collection;  // Empty: all.
  bool include_not_in_force = false;
};

struct SearchHit {
  Handle handle;
  uint32_t rank = 0;
  std::string title, collection, source;
};

struct SearchResult {
  SearchId id;
  std::vector<SearchHit> hits;
  uint64_t policy_sequence = 0;
};

// Thread-safe. All references must outlive it.
class Searcher {
 public:
  Searcher(Corpus& corpus, SearchContexts& contexts, const Clock& clock, std::string node_region)
      : corpus_(corpus), contexts_(contexts), clock_(clock), node_region_(std::move(node_region)) {}

  // A caller who may see nothing, is not in the directory, or names a collection that does not exist gets no
  // hits, and cannot tell these apart. Errors: kInvalidArgument (question too long or not UTF-8, hits_max, a
  // vector of another dimension or not finite), kUnauthenticated (the assertion has ended).
  StatusOr<SearchResult> Search(const SearchRequest& request);

 private:
  struct CachedDecision {
    std::shared_ptr<const policy::Decision> decision;
    uint64_t generation = 0;  // Of the index that `permitted` was computed for.
    std::shared_ptr<const ChunkSet> permitted;
  };
  using CacheKey = std::tuple<std::string, uint64_t, uint64_t>;  // Assertion, policy and directory sequence.

  std::shared_ptr<const policy::Decision> DecisionFor(const SearchRequest& request, const PolicyState& state,
                                                      int64_t now_ns);
  std::shared_ptr<const ChunkSet> PermittedFor(const SearchRequest& request, const PolicyState& state,
                                               const policy::Decision& decision, const Index& index);
  static CacheKey KeyOf(const SearchRequest& request, const PolicyState& state) {
    return {request.assertion_digest, state.policy_sequence, state.directory_sequence};
  }

  Corpus& corpus_;
  SearchContexts& contexts_;
  const Clock& clock_;
  const std::string node_region_;
  std::mutex cache_mutex_;
  std::map<CacheKey, CachedDecision> cache_;
  std::deque<CacheKey> cache_order_;  // Oldest first.
};

}  // namespace cloister::retrieval
