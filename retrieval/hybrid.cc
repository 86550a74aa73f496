// SPDX-License-Identifier: Apache-2.0
#include "retrieval/hybrid.h"

#include <algorithm>
#include <limits>

namespace cloister::retrieval {
namespace {

// Maps [least, most] to [0, 1]. A side on which all candidates are equal tells nothing about their order; it
// counts for all of them when it found them and for none when it did not.
class Scale {
 public:
  void See(float value) { least_ = std::min(least_, value), most_ = std::max(most_, value); }
  double operator()(float value) const {
    if (!(most_ > least_)) return value > 0 ? 1.0 : 0.0;
    return (static_cast<double>(value) - least_) / (static_cast<double>(most_) - least_);
  }

 private:
  float least_ = std::numeric_limits<float>::infinity();
  float most_ = -std::numeric_limits<float>::infinity();
};

}  // namespace

std::vector<FusedHit> Fuse(const std::vector<Scored>& lexical, const std::vector<Scored>& dense,
                           const std::function<float(uint32_t)>& lexical_of,
                           const std::function<float(uint32_t)>& dense_of, double lexical_weight, size_t k) {
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
  Scale lexical_scale, dense_scale;
  for (const FusedHit& hit : hits) lexical_scale.See(hit.lexical), dense_scale.See(hit.dense);
  for (FusedHit& hit : hits) {
    hit.score = static_cast<float>(lexical_weight * lexical_scale(hit.lexical) +
                                   (1 - lexical_weight) * dense_scale(hit.dense));
  }
  const auto better = [](const FusedHit& a, const FusedHit& b) {
    return a.score != b.score ? a.score > b.score : a.chunk < b.chunk;
  };
  std::sort(hits.begin(), hits.end(), better);
  if (hits.size() > k) hits.resize(k);
  return hits;
}

}  // namespace cloister::retrieval
