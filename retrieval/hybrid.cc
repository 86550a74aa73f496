// SPDX-License-Identifier: Apache-2.0
#include "retrieval/hybrid.h"

#include <algorithm>

namespace cloister::retrieval {
namespace {

// Every candidate of either side once, with both exact scores.
std::vector<FusedHit> Join(const std::vector<Scored>& lexical, const std::vector<Scored>& dense,
                           const std::function<float(uint32_t)>& lexical_of,
                           const std::function<float(uint32_t)>& dense_of) {
  std::vector<FusedHit> hits;
  hits.reserve(lexical.size() + dense.size());
  std::vector<uint32_t> seen;
  for (const Scored& scored : lexical) {
    hits.push_back({scored.chunk, 0, scored.score, dense_of(scored.chunk)});
    seen.push_back(scored.chunk);
  }
  std::sort(seen.begin(), seen.end());
  for (const Scored& scored : dense) {
    if (std::binary_search(seen.begin(), seen.end(), scored.chunk)) continue;
    hits.push_back({scored.chunk, 0, lexical_of(scored.chunk), scored.score});
  }
  return hits;
}

}  // namespace

std::vector<FusedHit> Fuse(const std::vector<Scored>& lexical, const std::vector<Scored>& dense,
                           const std::function<float(uint32_t)>& lexical_of,
                           const std::function<float(uint32_t)>& dense_of, double lexical_bonus, size_t k) {
  std::vector<FusedHit> hits = Join(lexical, dense, lexical_of, dense_of);
  float lexical_best = 0;
  for (const FusedHit& hit : hits) lexical_best = std::max(lexical_best, hit.lexical);
  const double worth = lexical_best > 0 ? lexical_bonus / lexical_best : 0;
  for (FusedHit& hit : hits) hit.score = static_cast<float>(hit.dense + worth * hit.lexical);
  const auto better = [](const FusedHit& a, const FusedHit& b) {
    return a.score != b.score ? a.score > b.score : a.chunk < b.chunk;
  };
  std::sort(hits.begin(), hits.end(), better);
  if (hits.empty()) return hits;
  // Candidates that are all alike are all the best.
  const float most = hits.front().score, least = hits.back().score;
  for (FusedHit& hit : hits) hit.score = most > least ? (hit.score - least) / (most - least) : 1;
  if (hits.size() > k) hits.resize(k);
  return hits;
}

}  // namespace cloister::retrieval
