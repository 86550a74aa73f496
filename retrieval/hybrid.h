// SPDX-License-Identifier: Apache-2.0
// Fusion of lexical and dense scores: each side's candidates are joined, both scores of every one of them are
// exact, and the words' agreement is added to the meaning's as a bonus. Does not know documents or
// permissions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "retrieval/vector_index.h"

namespace cloister::retrieval {

// What the best BM25 score of a question is worth, in units of the cosine; lower ones in proportion. Chosen
// on two sets at once for the default embedder, whose cosines lie close together; docs/benchmarks.md has what
// others gave.
constexpr double kLexicalBonus = 0.08;
constexpr size_t kCandidatesPerSide = 1'000;

struct FusedHit {
  uint32_t chunk = 0;  // Ordinal.
  float score = 0;     // In [0, 1]: 1 for the best candidate, 0 for the worst.
  float lexical = 0;   // BM25.
  float dense = 0;     // Inner product.
};

// `lexical` and `dense` are the best of each side, best first. `lexical_of` and `dense_of` give the exact
// score of a chunk that only the other side found. Ordered by dense + lexical_bonus * lexical / (the best
// lexical), best first, ties by ordinal, at most `k`. What was added for one candidate does not depend on how
// many others there are. Pure.
std::vector<FusedHit> Fuse(const std::vector<Scored>& lexical, const std::vector<Scored>& dense,
                           const std::function<float(uint32_t)>& lexical_of,
                           const std::function<float(uint32_t)>& dense_of, double lexical_bonus, size_t k);

}  // namespace cloister::retrieval
