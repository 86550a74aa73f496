// SPDX-License-Identifier: Apache-2.0
#include "inference/likelihood_scorer.h"

#include <cctype>
#include <set>

namespace cloister::inference {
namespace {

std::vector<std::string> LowerWords(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) || byte >= 0x80) {
      word.push_back(static_cast<char>(std::tolower(byte)));
    } else if (!word.empty()) {
      words.push_back(std::move(word));
      word.clear();
    }
  }
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

// The range of a small language model on English questions, so that weights tuned on one do not overflow
// here.
constexpr float kWorst = -5.0f;
constexpr float kBest = -1.0f;

}  // namespace

Status CheckScoreRequest(std::string_view question, const std::vector<std::string>& contexts) {
  if (question.empty()) return InvalidArgument("the question is empty");
  if (question.size() > kScoredQuestionBytesMax) return InvalidArgument("the question is over 8 KiB");
  if (contexts.size() > kScoredContextsMax) return InvalidArgument("more than 64 contexts to score");
  for (const std::string& context : contexts) {
    if (context.size() > kScoredContextBytesMax) return InvalidArgument("a context is over 64 KiB");
  }
  return Status();
}

StatusOr<std::vector<LikelihoodResult>> FakeLikelihoodScorer::Score(
    std::string_view question, const std::vector<std::string>& contexts) {
  CLOISTER_RETURN_IF_ERROR(CheckScoreRequest(question, contexts));
  const std::vector<std::string> asked = LowerWords(question);
  std::vector<LikelihoodResult> results;
  results.reserve(contexts.size());
  for (const std::string& context : contexts) {
    const std::vector<std::string> words = LowerWords(context);
    const std::set<std::string> present(words.begin(), words.end());
    size_t found = 0;
    for (const std::string& word : asked) found += present.count(word);
    const float share = asked.empty() ? 0 : static_cast<float>(found) / static_cast<float>(asked.size());
    LikelihoodResult result;
    const auto fixed = fixed_.find(context);
    result.mean_log_likelihood = fixed != fixed_.end() ? fixed->second : kWorst + (kBest - kWorst) * share;
    result.tokens = static_cast<uint32_t>(words.size() + asked.size());
    results.push_back(result);
  }
  return results;
}

}  // namespace cloister::inference
