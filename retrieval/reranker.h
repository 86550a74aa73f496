// SPDX-License-Identifier: Apache-2.0
// Orders the best hits of a hybrid search again by the one sentence of each that is nearest to the question:
// a passage is worth what its best sentence is. Reads sealed rows of hits that were permitted, gives out no
// text and decides nothing.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "common/status.h"
#include "retrieval/corpus.h"

namespace cloister::retrieval {

using LocatedHit = std::pair<ChunkRef, FusedHit>;

// Hits that are read again; what stands below keeps its place. More found nothing more on development
// questions.
constexpr size_t kRerankedHits = 32;
// Of a sentence's two vectors (in context, and alone), and of the sentence against the passage.
constexpr float kAloneWeight = 0.5f;
constexpr float kSentenceWeight = 0.5f;

// Reorders the first kRerankedHits of `hits`, which are best first, and gives them their new score in [0, 1].
// A hit without sentence vectors of the question's dimension keeps its passage's score. A document that
// cannot be read is withdrawn; its hits stay, for Release to withhold. Errors: kUnavailable (keys or disk).
Status Rerank(Corpus& corpus, const std::vector<float>& question_vector, std::vector<LocatedHit>& hits);

// The part without input and output: `sentence[i]` is the best sentence's agreement of hits[i], or NaN for
// none.
void RerankBySentences(const std::vector<float>& sentence, std::vector<LocatedHit>& hits);

}  // namespace cloister::retrieval
