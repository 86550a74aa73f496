// SPDX-License-Identifier: Apache-2.0
#include "retrieval/hybrid.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace cloister::retrieval {
namespace {

// Maps the kScaleDepth-th best value to 0 and the best to 1; what is worse lies below 0. A side on which all candidates
// are equal tells nothing about their order; it counts for all of them when it found them and for none when it did not.
class Scale {
 public:
  explicit Scale(std::vector<float> values) {
    if (values.empty()) return;
    const size_t depth = std::min(values.size(), kScaleDepth) - 1;
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(depth), values.end(),
                     std::greater<>());
    least_ = values[depth];
    most_ = *std::max_element(values.begin(), values.end());
  }
  double operator()(float value) const {
    if (!(most_ > least_)) return value > 0 ? 1.0 : 0.0;
    return (static_cast<double>(value) - least_) / (static_cast<double>(most_) - least_);
  }

 private:
  float least_ = 0;
  float most_ = 0;
};

template <class Member>
Scale ScaleOf(const std::vector<FusedHit>& hits, Member member) {
  std::vector<float> values;
  values.reserve(hits.size());
  for (const FusedHit& hit : hits) values.push_back(hit.*member);
  return Scale(std::move(values));
}

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
  const Scale lexical_scale = ScaleOf(hits, &FusedHit::lexical), dense_scale = ScaleOf(hits, &FusedHit::dense);
  for (FusedHit& hit : hits) {
    hit.score = static_cast<float>(lexical_weight * lexical_scale(hit.lexical) +
                                   (1 - lexical_weight) * dense_scale(hit.dense));
  }
  const auto better = [](const FusedHit& a, const FusedHit& b) {
    return a.score != b.score ? a.score > b.score : a.chunk < b.chunk;
  };
  std::sort(hits.begin(), hits.end(), better);
  if (hits.size() > k) hits.resize(k);
  for (FusedHit& hit : hits) hit.score = std::clamp(hit.score, 0.0f, 1.0f);
  return hits;
}

}  // namespace cloister::retrieval
