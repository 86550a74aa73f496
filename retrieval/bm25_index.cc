// SPDX-License-Identifier: Apache-2.0
#include "retrieval/bm25_index.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

namespace cloister::retrieval {

void Bm25Index::Append(const IndexSlice& slice) {
  const uint32_t base = size();
  for (const auto& [term, list] : slice.postings) {
    std::vector<Posting>& own = postings_[term];
    for (const Posting& posting : list) own.push_back({base + posting.chunk, posting.frequency});
  }
  lengths_.insert(lengths_.end(), slice.lengths.begin(), slice.lengths.end());
  sentences_.insert(sentences_.end(), slice.sentences.begin(), slice.sentences.end());
  for (const uint32_t length : slice.lengths) terms_total_ += length;
  for (const uint32_t count : slice.sentences) sentences_total_ += count;
}

void Bm25Index::Wipe(const ChunkSet& chunks) {
  std::vector<bool> wiped(size());
  for (const uint32_t chunk : chunks) {
    wiped[chunk] = true;
    terms_total_ -= std::exchange(lengths_[chunk], 0);
    sentences_total_ -= std::exchange(sentences_[chunk], 0);
  }
  for (auto entry = postings_.begin(); entry != postings_.end();) {
    std::vector<Posting>& list = entry->second;
    std::erase_if(list, [&](const Posting& posting) { return wiped[posting.chunk]; });
    entry = list.empty() ? postings_.erase(entry) : std::next(entry);
  }
}

Bm25Index::Question Bm25Index::Weigh(const std::vector<std::string>& terms) const {
  std::map<std::string, uint32_t> counts;
  for (const std::string& term : terms) ++counts[term];
  Question question;
  for (const auto& [term, count] : counts) {
    const auto found = postings_.find(term);
    if (found == postings_.end()) continue;
    const double with = static_cast<double>(found->second.size()), all = size();
    const double idf = std::log1p((all - with + 0.5) / (with + 0.5));
    question.terms.emplace_back(term, static_cast<float>(idf * count));
  }
  return question;
}

std::vector<float> Bm25Index::Scores(const Question& question, const ChunkSet& permitted) const {
  std::vector<float> scores(size());
  if (permitted.isEmpty() || terms_total_ == 0) return scores;
  std::vector<bool> allowed;
  if (permitted.cardinality() < size()) {
    allowed.resize(size());
    for (const uint32_t chunk : permitted) allowed[chunk] = true;
  }
  const double mean = static_cast<double>(terms_total_) / size();
  const float base = static_cast<float>(parameters_.k1 * (1 - parameters_.b));
  const float slope = static_cast<float>(parameters_.k1 * parameters_.b / mean);
  for (const auto& [term, weight] : question.terms) {
    for (const Posting& posting : postings_.at(term)) {
      if (!allowed.empty() && !allowed[posting.chunk]) continue;
      const float frequency = static_cast<float>(posting.frequency);
      scores[posting.chunk] +=
          weight * frequency / (frequency + base + slope * static_cast<float>(lengths_[posting.chunk]));
    }
  }
  return scores;
}

float Bm25Index::ScoreSentence(const Question& question, const std::vector<std::string>& terms) const {
  if (terms_total_ == 0) return 0;
  const double mean =
      static_cast<double>(terms_total_) / static_cast<double>(std::max<uint64_t>(sentences_total_, 1));
  const double norm =
      parameters_.k1 * (1 - parameters_.b + parameters_.b * static_cast<double>(terms.size()) / mean);
  double score = 0;
  for (const auto& [term, weight] : question.terms) {
    const double frequency = static_cast<double>(std::count(terms.begin(), terms.end(), term));
    if (frequency > 0) score += weight * frequency / (frequency + norm);
  }
  return static_cast<float>(score);
}

std::vector<Scored> BestOf(const std::vector<float>& scores, size_t k) {
  std::vector<Scored> found;
  for (uint32_t i = 0; i < scores.size(); ++i) {
    if (scores[i] > 0) found.push_back({i, scores[i]});
  }
  const auto better = [](const Scored& a, const Scored& b) {
    return a.score != b.score ? a.score > b.score : a.chunk < b.chunk;
  };
  if (found.size() > k) {
    std::nth_element(found.begin(), found.begin() + static_cast<ptrdiff_t>(k), found.end(), better);
    found.resize(k);
  }
  std::sort(found.begin(), found.end(), better);
  return found;
}

}  // namespace cloister::retrieval
