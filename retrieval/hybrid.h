// SPDX-License-Identifier: Apache-2.0
// Fusion of lexical and dense scores: each side's candidates are joined, both scores of every one of them are
// exact, each side is scaled to [0, 1] over the union, and the weighted sum ranks. Does not know documents or
// permissions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "retrieval/vector_index.h"

namespace cloister::retrieval {

// Chosen on two sets at once; docs/benchmarks.md has what other values gave.
constexpr double kLexicalWeight = 0.3;
constexpr size_t kCandidatesPerSide = 1'000;
// The place in each side that is scaled to 0. A fixed one: scaling over all chunks lets the worst of them, and so the
// size of the corpus, decide how much the sides weigh among the best.
constexpr size_t kScaleDepth = 1'000;

struct FusedHit {
  uint32_t chunk = 0;  // Ordinal.
  float score = 0;     // In [0, 1].
  float lexical = 0;   // BM25.
  float dense = 0;     // Inner product.
};

// `lexical` and `dense` are the best of each side, best first. `lexical_of` and `dense_of` give the exact
// score of a chunk that only the other side found. Best first, ties by ordinal, at most `k`. Pure.
std::vector<FusedHit> Fuse(const std::vector<Scored>& lexical, const std::vector<Scored>& dense,
                           const std::function<float(uint32_t)>& lexical_of,
                           const std::function<float(uint32_t)>& dense_of, double lexical_weight, size_t k);

}  // namespace cloister::retrieval
