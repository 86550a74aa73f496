// SPDX-License-Identifier: Apache-2.0
#include "retrieval/search_contexts.h"

#include <utility>

#include "crypto/random.h"

namespace cloister::retrieval {

void SearchContexts::DropOld(std::chrono::nanoseconds now) {
  while (!order_.empty()) {
    const auto oldest = entries_.find(order_.front());
    const bool expired = oldest->second.expires <= now;
    if (!expired && order_.size() <= kContextsMax && hits_ <= kContextHitsMax) return;
    hits_ -= oldest->second.context->hits.size();
    entries_.erase(oldest);
    order_.pop_front();
  }
}

SearchId SearchContexts::Add(SearchContext context) {
  const SearchId id = crypto::RandomId<SearchId>();
  const auto now = clock_.Monotonic();
  std::lock_guard lock(mutex_);
  hits_ += context.hits.size();
  entries_.emplace(id, Entry{now + kHandleLifetime, std::make_shared<SearchContext>(std::move(context))});
  order_.push_back(id);
  DropOld(now);
  return id;
}

std::shared_ptr<const SearchContext> SearchContexts::Find(const SearchId& id, const std::string& tenant,
                                                          const std::string& user) const {
  const auto now = clock_.Monotonic();
  std::lock_guard lock(mutex_);
  const auto found = entries_.find(id);
  if (found == entries_.end() || found->second.expires <= now) return nullptr;
  const auto& context = found->second.context;
  return context->tenant == tenant && context->user == user ? context : nullptr;
}

}  // namespace cloister::retrieval
