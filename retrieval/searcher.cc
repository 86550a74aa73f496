// SPDX-License-Identifier: Apache-2.0
#include "retrieval/searcher.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/bytes.h"
#include "crypto/random.h"
#include "retrieval/reranker.h"

namespace cloister::retrieval {
namespace {

Status Check(const SearchRequest& request) {
  if (request.question.size() > kQuestionBytesMax) {
    return InvalidArgument("a question has at most " + std::to_string(kQuestionBytesMax) + " bytes");
  }
  if (!IsUtf8(request.question)) return InvalidArgument("a question must be UTF-8");
  if (request.hits_max > kHitsMax) return InvalidArgument("hits_max is at most " + std::to_string(kHitsMax));
  if (request.question_vector.size() > kDimensionMax)
    return InvalidArgument("the question's vector is too long");
  for (const float x : request.question_vector) {
    if (!std::isfinite(x)) return InvalidArgument("the question's vector is not finite");
  }
  if (request.mode == SearchMode::kDense && request.question_vector.empty()) {
    return InvalidArgument("a dense search needs the question's vector");
  }
  return absl::OkStatus();
}

}  // namespace

std::shared_ptr<const policy::Decision> Searcher::DecisionFor(const SearchRequest& request,
                                                              const PolicyState& state, int64_t now_ns) {
  const CacheKey key = KeyOf(request, state);
  {
    std::lock_guard lock(cache_mutex_);
    const auto found = cache_.find(key);
    if (found != cache_.end() && now_ns < found->second.decision->not_after_ns) return found->second.decision;
  }
  // The state was read before the groups: the cache may hold a newer decision under an older number, never
  // the other way round.
  auto decision = std::make_shared<policy::Decision>();
  const auto principal = corpus_.directory().Resolve(request.principal);
  if (principal.ok()) {
    *decision = policy::Decide(*principal, state.classes, {.now_ns = now_ns, .node_region = node_region_});
  }
  if (request.assertion_digest.empty() || !principal.ok()) return decision;  // Nothing to know it by again.
  std::lock_guard lock(cache_mutex_);
  if (cache_.insert_or_assign(key, CachedDecision{decision, 0, nullptr}).second) cache_order_.push_back(key);
  while (cache_order_.size() > kDecisionsCachedMax) {
    cache_.erase(cache_order_.front());
    cache_order_.pop_front();
  }
  return decision;
}

std::shared_ptr<const ChunkSet> Searcher::PermittedFor(const SearchRequest& request, const PolicyState& state,
                                                       const policy::Decision& decision, const Index& index) {
  const CacheKey key = KeyOf(request, state);
  if (request.collection.empty()) {
    std::lock_guard lock(cache_mutex_);
    const auto found = cache_.find(key);
    if (found != cache_.end() && found->second.permitted && found->second.generation == index.generation()) {
      return found->second.permitted;
    }
  }
  auto permitted = std::make_shared<ChunkSet>();
  for (const auto& [id, permit] : decision.permitted) {
    const auto access_class = state.classes.find(id);
    if (access_class == state.classes.end()) continue;
    if (!request.collection.empty() && access_class->second.collection != request.collection) continue;
    *permitted |= index.ChunksOfClass(id);
  }
  if (!request.collection.empty()) return permitted;
  std::lock_guard lock(cache_mutex_);
  const auto found = cache_.find(key);
  if (found != cache_.end()) {
    found->second.generation = index.generation();
    found->second.permitted = permitted;
  }
  return permitted;
}

StatusOr<SearchResult> Searcher::Search(const SearchRequest& request) {
  CLOISTER_RETURN_IF_ERROR(Check(request));
  const WallTime now = clock_.Now();
  const int64_t now_ns = now.time_since_epoch().count();
  if (now_ns >= request.principal.not_after_ns) return Unauthenticated("the assertion has ended");
  const auto state = corpus_.directory().CurrentPolicy();
  const auto decision = DecisionFor(request, *state, now_ns);

  Question question;
  question.terms = corpus_.analyzer().QuestionTerms(request.question);
  question.mode = request.mode;
  if (request.mode != SearchMode::kLexical) question.vector = request.question_vector;

  SearchContext context;
  context.tenant = request.principal.tenant;
  context.user = request.principal.user;
  context.question_vector = question.vector;
  SearchResult result;
  result.policy_sequence = state->policy_sequence;
  const size_t hits_max = request.hits_max == 0 ? kHitsDefault : request.hits_max;
  const bool reranked = request.mode == SearchMode::kHybrid && !question.vector.empty();
  std::vector<LocatedHit> found;
  {
    const auto reading = corpus_.Read();
    const auto permitted = PermittedFor(request, *state, *decision, reading.index());
    ChunkSet searched = *permitted;
    if (!request.include_not_in_force) searched -= reading.NotInForce(FormatTime(now).substr(0, 10));
    const size_t depth = reranked ? std::max(hits_max, kRerankedHits) : hits_max;
    CLOISTER_ASSIGN_OR_RETURN(const auto hits, reading.index().Search(question, searched, depth));
    for (const FusedHit& hit : hits) found.emplace_back(reading.index().Locate(hit.chunk), hit);
    context.question = reading.index().lexical().Weigh(question.terms);
  }
  if (reranked) CLOISTER_RETURN_IF_ERROR(Rerank(corpus_, question.vector, found));
  if (found.size() > hits_max) found.resize(hits_max);
  const std::string random = crypto::RandomBytes(found.size() * kIdBytes);
  for (size_t i = 0; i < found.size(); ++i) {
    const auto& [chunk, hit] = found[i];
    const auto info = corpus_.documents().Find(chunk.document);
    if (!info || info->version != chunk.version) continue;  // It changed while we searched.
    const Handle handle = *Handle::FromBytes(std::string_view(random).substr(i * kIdBytes, kIdBytes));
    const uint32_t rank = static_cast<uint32_t>(result.hits.size() + 1);
    context.hits.emplace(handle, ContextHit{chunk, rank, hit.score, hit.lexical, hit.dense});
    result.hits.push_back({handle, rank, info->title, info->collection, info->source});
  }
  result.id = contexts_.Add(std::move(context));
  return result;
}

}  // namespace cloister::retrieval
