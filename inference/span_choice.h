// SPDX-License-Identifier: Apache-2.0
// Chooses which sentences of the released passages answer a question, and whether any of them does. Never
// composes text: a quote is a range of a passage, copied by the caller. Does not retrieve, release or load a
// model.
//
// Sentences are ranked by their vectors' and words' agreement with the question, by their passage, and by
// whether they hold a time or an amount when the question asks for one (expected_answer.h); the best of them
// are ranked again with the likelihood of the question after each. A calibrated logistic model then says how
// probable it is that the quotes answer, and so which of three bands they are shown in. See
// span_calibration.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "inference/likelihood_scorer.h"

namespace cloister::inference {

// The values are those of Sentence.kind in cloister.v1.
enum class SentenceKind : uint32_t { kSentence = 0, kListItem = 1, kHeading = 2, kTableRow = 3 };

struct SpanSentence {
  uint64_t start = 0;  // UTF-8 bytes of the stored text, inclusive.
  uint64_t end = 0;    // Exclusive.
  SentenceKind kind = SentenceKind::kSentence;
  int32_t lead_in = -1;     // Index in this passage of the sentence a list item hangs on; -1: none.
  float dense_context = 0;  // Cosine of the question with the sentence embedded after title and predecessor.
  float dense_alone = 0;    // Cosine of the question with the sentence alone.
  float lexical = 0;        // BM25 of the sentence for the question.
};

struct SpanPassage {
  std::string document;  // Opaque id: passages of one version of one document share it.
  std::string title;
  std::vector<std::string> section;     // Headings from the outermost.
  uint64_t start = 0;                   // Of `text` in the stored text, UTF-8 bytes.
  std::string text;                     // Stored text [start, start + text.size()).
  std::vector<SpanSentence> sentences;  // In reading order, inside `text`, not overlapping.
  uint32_t rank = 0;                    // Of the search, from 1.
  float score = 0;                      // Fused, in [0, 1].
  float dense = 0;                      // Cosine of the question with the passage.
  float lexical = 0;                    // BM25 of the passage.
};

inline constexpr uint32_t kSpanPassagesMax = 64;
inline constexpr uint32_t kSpanSentencesMax = 8'192;  // Over all passages of one call.
inline constexpr uint32_t kSpanWordsDefault = 80;
inline constexpr uint32_t kSpanWordsMax = 1'000;
inline constexpr uint32_t kSpanCandidatesDefault = 8;
inline constexpr uint32_t kSpanCandidatesMax = 64;

struct SpanChoiceOptions {
  uint32_t words_max = 0;          // Of all quotes together, split at white space; 0 means kSpanWordsDefault.
  uint32_t candidates_scored = 0;  // Sentences scored by the model; 0 means kSpanCandidatesDefault.
  // Least confidence to be shown in a band; below `may_help_min` is a refusal. 0 means the defaults of
  // span_calibration.h, which docs/benchmarks.md publishes.
  float answer_min = 0;
  float may_help_min = 0;
};

enum class AnswerBand : uint32_t { kAnswer = 1, kMayHelp = 2, kRefusal = 3 };

// Neighbouring whole sentences of one passage, quoted as one range.
struct QuotedSpan {
  uint32_t passage = 0;             // Index in the call.
  uint64_t start = 0;               // UTF-8 bytes of the stored text, inclusive.
  uint64_t end = 0;                 // Exclusive.
  std::vector<uint32_t> sentences;  // Indices in that passage, ascending.
};

struct SpanChoice {
  // By document in the order of its best sentence, inside a document in reading order. At most words_max
  // words together, except that a single longer sentence is quoted alone and whole. Empty in kRefusal.
  std::vector<QuotedSpan> quotes;
  AnswerBand band = AnswerBand::kRefusal;
  float confidence = 0;  // Calibrated probability that the quotes answer the question, in [0, 1].
  uint32_t scored = 0;   // Candidates scored by the model.
  uint64_t tokens = 0;   // Tokens the scorer evaluated.
};

// Thread-safe as far as `scorer` is; blocks on it once. No passages, or none with a sentence, is a refusal
// and not an error. Deterministic: equal scores are ordered by passage and position. Errors: kInvalidArgument
// (a limit above; a sentence outside its passage or out of order; a lead_in out of range; a number that is
// not finite), kInternal (scorer answered with another number of results), and the scorer's own.
StatusOr<SpanChoice> ChooseSpans(std::string_view question, const std::vector<SpanPassage>& passages,
                                 const SpanChoiceOptions& options, LikelihoodScorer& scorer);

}  // namespace cloister::inference
