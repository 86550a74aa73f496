// SPDX-License-Identifier: Apache-2.0
// How likely a language model finds a question after reading a context: a signal for choosing which sentences
// answer it. Does not choose (see inference/span_choice.h), does not generate, and keeps no text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/status.h"

namespace cloister::inference {

constexpr size_t kScoredContextsMax = 64;
constexpr size_t kScoredQuestionBytesMax = 8 * 1024;
constexpr size_t kScoredContextBytesMax = 64 * 1024;

struct LikelihoodResult {
  float mean_log_likelihood = 0;  // Natural logarithm, mean over the question's tokens; never above 0.
  uint32_t tokens = 0;  // Tokens of the context and the question that the model read for this result.
};

// Thread-safe; calls may wait for one another. Deterministic: on one machine a result depends on its own
// context and the question alone, never on the other contexts of the call or on earlier calls.
class LikelihoodScorer {
 public:
  virtual ~LikelihoodScorer() = default;
  // One result for each context, in their order; none for no contexts. A context is plain text, e.g. title,
  // previous sentence and sentence joined by spaces; of one that is longer than the scorer's budget of tokens
  // the end is read, and of a question that is longer the beginning. A context may be empty. Blocks on the
  // processor. Errors: kInvalidArgument (no question, more than kScoredContextsMax contexts, or a text over
  // its limit).
  virtual StatusOr<std::vector<LikelihoodResult>> Score(std::string_view question,
                                                        const std::vector<std::string>& contexts) = 0;
};

// kInvalidArgument as documented at Score; every implementation asks it first.
Status CheckScoreRequest(std::string_view question, const std::vector<std::string>& contexts);

// Without a model: the share of the question's words that a context holds decides, so that a test can predict
// which context wins. Results can be fixed for contexts that a test names.
class FakeLikelihoodScorer final : public LikelihoodScorer {
 public:
  explicit FakeLikelihoodScorer(std::map<std::string, float> fixed = {}) : fixed_(std::move(fixed)) {}
  StatusOr<std::vector<LikelihoodResult>> Score(std::string_view question,
                                                const std::vector<std::string>& contexts) override;

 private:
  std::map<std::string, float> fixed_;  // Context to mean log-likelihood.
};

}  // namespace cloister::inference
