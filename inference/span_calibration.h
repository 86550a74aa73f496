// SPDX-License-Identifier: Apache-2.0
// The few numbers of span choice that were fitted on development questions, and how they were. Nothing else
// is fitted. bench/quality measures them; docs/benchmarks.md has the figures and the calibration curve.
//
// Weights: flat optimum of answer accuracy, read off to one digit, since 90 questions cannot tell 0.4 from
// 0.6. Confidence: logistic regression with ridge penalty on whether the quotes were right, checked by
// ten-fold cross-validation. The numbers belong to the default embedder and generator; another model is
// qualified anew.
#pragma once

#include <cstdint>

namespace cloister::inference {

struct SpanWeights {
  double dense_context = 1.0;
  double dense_alone = 0.5;
  double lexical =
      0.03;  // Of the best sentence's BM25 in this call, so in [0, 1]; decides where there are no vectors.
  double passage = 0.15;  // Of the passage's fused score in [0, 1].
  double fragment =
      0.05;  // Taken off below kFragmentWords: "(a) Standard." is near to much and answers nothing.
  double expected = 0.08;    // For a time or an amount when the question asks for one.
  double likelihood = 0.05;  // Per nat of the question's mean log-likelihood.
};
inline constexpr SpanWeights kSpanWeights;
inline constexpr uint32_t kFragmentWords = 6;

// Confidence = 1 / (1 + exp(-(bias + agreement * best + lead * lead + missing))).
struct ConfidenceWeights {
  double bias = -12.8;
  double agreement = 8.9;  // Of the best sentence of kEvidenceWords or more: dense_context + dense_alone.
  double lead = 14.6;      // How far the best dense_context is above the kLeadRank-th best.
  double missing = -4.0;   // When a time or an amount is asked for and no quote holds one.
};
inline constexpr ConfidenceWeights kConfidenceWeights;
inline constexpr uint32_t kEvidenceWords = 8;
inline constexpr uint32_t kLeadRank = 8;

inline constexpr float kAnswerMin = 0.6f;   // Least confidence to be shown as an answer.
inline constexpr float kMayHelpMin = 0.2f;  // Least confidence to be shown as passages that may help.

// Further sentences are quoted only when this near the best: what is farther added words and no right
// answers.
inline constexpr double kQuoteMargin = 0.10;
inline constexpr uint32_t kQuotedDocumentsMax = 2;  // A third adds words and no right answers.
inline constexpr uint32_t kLeadInWordsMax = 40;     // A longer lead-in is left out.

}  // namespace cloister::inference
