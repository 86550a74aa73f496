// SPDX-License-Identifier: Apache-2.0
#include "retrieval/reranker.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/log.h"
#include "retrieval/dot_product.h"

namespace cloister::retrieval {
namespace {

constexpr float kNone = std::numeric_limits<float>::quiet_NaN();

// Brings what it saw into [0, 1]; all alike are 1.
class Range {
 public:
  void See(float value) { least_ = std::min(least_, value), most_ = std::max(most_, value); }
  float Scale(float value) const { return most_ > least_ ? (value - least_) / (most_ - least_) : 1.0f; }

 private:
  float least_ = std::numeric_limits<float>::infinity();
  float most_ = -std::numeric_limits<float>::infinity();
};

float BestSentence(const std::vector<float>& question, const std::vector<float>& vectors) {
  const size_t dimension = question.size();
  float best = kNone;
  for (size_t at = 0; at + 2 * dimension <= vectors.size(); at += 2 * dimension) {
    const float agreement =
        DotProduct(question.data(), vectors.data() + at, dimension) +
        kAloneWeight * DotProduct(question.data(), vectors.data() + at + dimension, dimension);
    best = std::isnan(best) ? agreement : std::max(best, agreement);
  }
  return best;
}

}  // namespace

void RerankBySentences(const std::vector<float>& sentence, std::vector<LocatedHit>& hits) {
  const size_t count = std::min({hits.size(), sentence.size(), kRerankedHits});
  Range passages, sentences;
  for (size_t i = 0; i < count; ++i) {
    passages.See(hits[i].second.score);
    if (!std::isnan(sentence[i])) sentences.See(sentence[i]);
  }
  for (size_t i = 0; i < count; ++i) {
    float& score = hits[i].second.score;
    score = passages.Scale(score);
    if (std::isnan(sentence[i])) continue;
    score = (1 - kSentenceWeight) * score + kSentenceWeight * sentences.Scale(sentence[i]);
  }
  std::stable_sort(hits.begin(), hits.begin() + static_cast<std::ptrdiff_t>(count),
                   [](const LocatedHit& a, const LocatedHit& b) { return a.second.score > b.second.score; });
}

Status Rerank(Corpus& corpus, const std::vector<float>& question_vector, std::vector<LocatedHit>& hits) {
  const size_t count = std::min(hits.size(), kRerankedHits);
  std::vector<float> sentence(count, kNone);
  const auto snapshot = corpus.rows().GetSnapshot();
  for (size_t i = 0; i < count; ++i) {
    const ChunkRef& chunk = hits[i].first;
    const auto info = corpus.documents().Find(chunk.document);
    if (!info || info->version != chunk.version || info->dimension != question_vector.size()) continue;
    const auto content = corpus.documents().ChunkAt(*snapshot, *info, chunk.number);
    if (content.ok()) {
      sentence[i] = BestSentence(question_vector, content->sentence_vectors);
    } else if (IsUnreadable(content.status())) {
      LogStatus(LogLevel::kError, "retrieval.document_unreadable", content.status());
      corpus.Withdraw(chunk.document);
    } else if (content.status().code() != StatusCode::kNotFound) {  // Not found: replaced while we searched.
      return content.status();
    }
  }
  RerankBySentences(sentence, hits);
  return absl::OkStatus();
}

}  // namespace cloister::retrieval
