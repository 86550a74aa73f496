// SPDX-License-Identifier: Apache-2.0
// What a search leaves behind for the releases that follow: which chunk each handle stands for, and the
// analysed question. In memory, bounded, for a short time, bound to the user who searched. Decides nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/clock.h"
#include "common/id.h"
#include "retrieval/bm25_index.h"
#include "retrieval/index.h"

namespace cloister::retrieval {

struct SearchIdTag {};
using SearchId = Id<SearchIdTag>;

constexpr std::chrono::seconds kHandleLifetime{120};
// The oldest searches are forgotten beyond either; their handles are then like expired ones.
constexpr size_t kContextsMax = 4'096;
constexpr size_t kContextHitsMax = 500'000;

struct ContextHit {
  ChunkRef chunk;
  uint32_t rank = 0;  // From 1.
  float score = 0, lexical = 0, dense = 0;
};

struct SearchContext {
  std::string tenant, user;
  Bm25Index::Question question;
  std::vector<float> question_vector;  // Empty: the search was lexical.
  std::unordered_map<Handle, ContextHit> hits;
};

// Thread-safe. `clock` must outlive it.
class SearchContexts {
 public:
  explicit SearchContexts(const Clock& clock) : clock_(clock) {}
  SearchId Add(SearchContext context);
  // Null when unknown, forgotten, expired or another user's: these are not told apart.
  std::shared_ptr<const SearchContext> Find(const SearchId& id, const std::string& tenant,
                                            const std::string& user) const;

 private:
  void DropOld(std::chrono::nanoseconds now);

  struct Entry {
    std::chrono::nanoseconds expires;  // Monotonic.
    std::shared_ptr<const SearchContext> context;
  };
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::unordered_map<SearchId, Entry> entries_;
  std::deque<SearchId> order_;  // Oldest first.
  size_t hits_ = 0;
};

}  // namespace cloister::retrieval
