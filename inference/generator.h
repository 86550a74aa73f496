// SPDX-License-Identifier: Apache-2.0
// A language model that scores questions after contexts. Does not write text yet and keeps none; nothing of
// one call is left for the next.
#pragma once

#include <memory>
#include <string_view>

#include "inference/likelihood_scorer.h"
#include "inference/model_registry.h"

namespace cloister::inference {

struct GeneratorOptions {
  uint32_t threads = 2;
  // Tokens read of one context and of one question; a context keeps its end, a question its beginning.
  // Together with a few of the template they must fit the model's window.
  uint32_t context_tokens_max = 192;
  uint32_t question_tokens_max = 128;
};

// The text between a context and the question whose likelihood is measured.
constexpr std::string_view kScoringGlue = "\nQuestion:";

// Scores with llama.cpp. Contexts are evaluated one after the other, each alone in an empty cache, so a
// result is exactly the same whatever else is in the call. Errors: kInvalidArgument (llama.cpp cannot load
// it; it is no decoder; the manifest calls it no generator, or says a larger window than it has; the options
// do not fit the window).
StatusOr<std::unique_ptr<LikelihoodScorer>> OpenGenerator(const VerifiedModel& model,
                                                          GeneratorOptions options = {});

}  // namespace cloister::inference
