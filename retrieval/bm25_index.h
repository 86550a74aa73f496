// SPDX-License-Identifier: Apache-2.0
// BM25 over chunks, in memory, with statistics of the whole index. Scores every permitted chunk exactly; the
// filter works inside the scoring. Does not split text into terms; see analyzer.h. SPEC: Robertson and
// Zaragoza, "The Probabilistic Relevance Framework", 2009, without the constant factor k1 + 1.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "retrieval/slice.h"
#include "retrieval/vector_index.h"

namespace cloister::retrieval {

struct Bm25Parameters {
  double k1 = 1.2;
  double b = 0.75;
};

// Not thread-safe to append to; safe to search from many threads.
class Bm25Index {
 public:
  explicit Bm25Index(Bm25Parameters parameters = {}) : parameters_(parameters) {}

  // The slice's chunks get the next ordinals.
  void Append(const IndexSlice& slice);

  // Takes out everything about these chunks but their ordinals; they find nothing and count for nothing.
  void Wipe(const ChunkSet& chunks);

  // One question: its distinct terms with their weights.
  struct Question {
    std::vector<std::pair<std::string, float>> terms;  // Term, inverse document frequency x repetitions.
  };
  Question Weigh(const std::vector<std::string>& terms) const;

  // Scores of all chunks by ordinal; 0 for those that hold no term or are not permitted.
  std::vector<float> Scores(const Question& question, const ChunkSet& permitted) const;
  // `terms` as a document of its own, its length taken relative to the mean sentence.
  float ScoreSentence(const Question& question, const std::vector<std::string>& terms) const;

  uint32_t size() const { return static_cast<uint32_t>(lengths_.size()); }
  uint32_t Length(uint32_t chunk) const { return lengths_[chunk]; }
  uint32_t Sentences(uint32_t chunk) const { return sentences_[chunk]; }
  // Calls `visit(term, postings)` for every term, in no order.
  template <class Visit>
  void ForEachTerm(const Visit& visit) const {
    for (const auto& [term, list] : postings_) visit(term, list);
  }

 private:
  Bm25Parameters parameters_;
  std::unordered_map<std::string, std::vector<Posting>> postings_;
  std::vector<uint32_t> lengths_, sentences_;
  uint64_t terms_total_ = 0, sentences_total_ = 0;
};

// The best `k` of `scores` that are above 0, best first, ties by ordinal.
std::vector<Scored> BestOf(const std::vector<float>& scores, size_t k);

}  // namespace cloister::retrieval
