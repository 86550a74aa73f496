// SPDX-License-Identifier: Apache-2.0
#include "inference/span_choice.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <iterator>
#include <set>
#include <utility>

#include "inference/expected_answer.h"
#include "inference/span_calibration.h"

namespace cloister::inference {
namespace {

struct Candidate {
  uint32_t passage = 0;
  uint32_t sentence = 0;
  uint32_t words = 0;
  bool holds_expected = false;  // A time or an amount, when the question asks for one.
  double score = 0;
};

bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

uint32_t CountWords(std::string_view text) {
  uint32_t words = 0;
  bool inside = false;
  for (const char c : text) {
    const bool space = IsSpace(c);
    if (!space && !inside) ++words;
    inside = !space;
  }
  return words;
}

std::string_view TextOf(const SpanPassage& passage, uint32_t sentence) {
  const SpanSentence& s = passage.sentences[sentence];
  return std::string_view(passage.text).substr(s.start - passage.start, s.end - s.start);
}

Status CheckPassage(const SpanPassage& passage) {
  for (const float number : {passage.score, passage.dense, passage.lexical}) {
    if (!std::isfinite(number)) return InvalidArgument("a passage's score is not finite");
  }
  uint64_t reached = passage.start;
  for (size_t i = 0; i < passage.sentences.size(); ++i) {
    const SpanSentence& s = passage.sentences[i];
    if (s.start < reached || s.end < s.start || s.end - passage.start > passage.text.size()) {
      return InvalidArgument("a sentence lies outside its passage or out of order");
    }
    if (s.lead_in < -1 || s.lead_in >= static_cast<int64_t>(passage.sentences.size()) ||
        s.lead_in == static_cast<int64_t>(i)) {
      return InvalidArgument("a lead-in is not another sentence of the passage");
    }
    for (const float number : {s.dense_context, s.dense_alone, s.lexical}) {
      if (!std::isfinite(number)) return InvalidArgument("a sentence's score is not finite");
    }
    reached = s.end;
  }
  return Status();
}

Status CheckCall(const std::vector<SpanPassage>& passages, const SpanChoiceOptions& options) {
  if (passages.size() > kSpanPassagesMax) return InvalidArgument("more than 64 passages to choose from");
  if (options.words_max > kSpanWordsMax) return InvalidArgument("more than 1000 words asked for");
  if (options.candidates_scored > kSpanCandidatesMax)
    return InvalidArgument("more than 64 candidates to score");
  for (const float least : {options.answer_min, options.may_help_min}) {
    if (!(least >= 0 && least <= 1)) return InvalidArgument("a band's threshold is not a probability");
  }
  size_t sentences = 0;
  for (const SpanPassage& passage : passages) {
    sentences += passage.sentences.size();
    if (sentences > kSpanSentencesMax) return InvalidArgument("more than 8192 sentences to choose from");
    CLOISTER_RETURN_IF_ERROR(CheckPassage(passage));
  }
  return Status();
}

bool Better(const Candidate& a, const Candidate& b) {
  if (a.score != b.score) return a.score > b.score;
  return std::pair(a.passage, a.sentence) < std::pair(b.passage, b.sentence);
}

// The question's agreement with a sentence. One without vectors (a collection may have none) is given its
// passage's.
struct Agreement {
  double in_context = 0;
  double alone = 0;
};

Agreement AgreementOf(const SpanPassage& passage, uint32_t sentence) {
  const SpanSentence& s = passage.sentences[sentence];
  if (s.dense_context == 0 && s.dense_alone == 0) return {passage.dense, passage.dense};
  return {s.dense_context, s.dense_alone};
}

// The best BM25 weight here brings the lexical part into [0, 1] for any question.
float LexicalMax(const std::vector<SpanPassage>& passages) {
  float most = 0;
  for (const SpanPassage& passage : passages) {
    for (const SpanSentence& s : passage.sentences) most = std::max(most, s.lexical);
  }
  return most;
}

double FirstScore(const SpanPassage& passage, const Candidate& candidate, float lexical_max) {
  const Agreement agreement = AgreementOf(passage, candidate.sentence);
  const double lexical = lexical_max > 0 ? passage.sentences[candidate.sentence].lexical / lexical_max : 0;
  double score = kSpanWeights.dense_context * agreement.in_context +
                 kSpanWeights.dense_alone * agreement.alone + kSpanWeights.lexical * lexical +
                 kSpanWeights.passage * passage.score;
  if (candidate.words < kFragmentWords) score -= kSpanWeights.fragment;
  if (candidate.holds_expected) score += kSpanWeights.expected;
  return score;
}

// Every sentence that can stand as evidence, best first by what is known without the model.
std::vector<Candidate> RankCandidates(const std::vector<SpanPassage>& passages, ExpectedAnswer expected) {
  const float lexical_max = LexicalMax(passages);
  std::vector<Candidate> candidates;
  std::set<std::pair<std::string_view, uint64_t>> seen;  // Overlapping passages bring a sentence twice.
  for (uint32_t p = 0; p < passages.size(); ++p) {
    for (uint32_t s = 0; s < passages[p].sentences.size(); ++s) {
      const SpanSentence& sentence = passages[p].sentences[s];
      const std::string_view text = TextOf(passages[p], s);
      Candidate candidate{.passage = p, .sentence = s, .words = CountWords(text)};
      if (sentence.kind == SentenceKind::kHeading || candidate.words == 0) continue;
      if (!seen.emplace(passages[p].document, sentence.start).second) continue;
      candidate.holds_expected = expected != ExpectedAnswer::kAny && Holds(expected, text);
      candidate.score = FirstScore(passages[p], candidate, lexical_max);
      candidates.push_back(candidate);
    }
  }
  std::sort(candidates.begin(), candidates.end(), Better);
  return candidates;
}

// What the model reads before the question: title, what the sentence hangs on or follows, and the sentence.
std::string ContextOf(const SpanPassage& passage, uint32_t sentence) {
  std::string context = passage.title;
  const int32_t lead_in = passage.sentences[sentence].lead_in;
  const int64_t before = lead_in >= 0 ? lead_in : static_cast<int64_t>(sentence) - 1;
  if (!context.empty()) context += ". ";
  if (before >= 0) (context += TextOf(passage, static_cast<uint32_t>(before))) += ' ';
  context += TextOf(passage, sentence);
  return context;
}

// Adds the model's opinion to the best candidates and puts them all in order again. A candidate the model did
// not see counts like the least likely one it saw.
Status Rescore(std::string_view question, const std::vector<SpanPassage>& passages, uint32_t scored_max,
               LikelihoodScorer& scorer, std::vector<Candidate>& candidates, SpanChoice& choice) {
  std::vector<std::string> contexts;
  for (size_t i = 0; i < candidates.size() && i < scored_max; ++i) {
    contexts.push_back(ContextOf(passages[candidates[i].passage], candidates[i].sentence));
  }
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<LikelihoodResult> results, scorer.Score(question, contexts));
  if (results.size() != contexts.size())
    return Internal("the scorer answered with another number of results");
  float least = 0;
  for (const LikelihoodResult& result : results) {
    if (!std::isfinite(result.mean_log_likelihood))
      return Internal("the scorer answered with a number not finite");
    least = std::min(least, result.mean_log_likelihood);
    choice.tokens += result.tokens;
  }
  choice.scored = static_cast<uint32_t>(results.size());
  for (size_t i = 0; i < candidates.size(); ++i) {
    const float likelihood = i < results.size() ? results[i].mean_log_likelihood : least;
    candidates[i].score += kSpanWeights.likelihood * likelihood;
  }
  std::sort(candidates.begin(), candidates.end(), Better);
  return Status();
}

// An item says little without the line it hangs on ("... is limited as follows:").
bool NeedsLeadIn(const SpanPassage& passage, uint32_t sentence) {
  const SpanSentence& s = passage.sentences[sentence];
  return (s.kind == SentenceKind::kListItem || s.kind == SentenceKind::kTableRow) && s.lead_in >= 0;
}

// Collects sentences until the words are spent.
class Selection {
 public:
  Selection(const std::vector<SpanPassage>& passages, uint32_t words_max)
      : passages_(passages), words_left_(words_max) {}

  // Takes the candidate when it fits, with its lead-in when that fits too. The first is taken at any length.
  void Offer(const Candidate& candidate) {
    const std::pair place(candidate.passage, candidate.sentence);
    if (taken_.count(place) != 0) return;
    const SpanPassage& passage = passages_[candidate.passage];
    const bool known = std::find(documents_.begin(), documents_.end(), passage.document) != documents_.end();
    if (!known && documents_.size() >= kQuotedDocumentsMax) return;
    if (candidate.words > words_left_ && !taken_.empty()) return;
    if (!known) documents_.push_back(passage.document);
    Take(place, candidate.words);
    holds_expected_ = holds_expected_ || candidate.holds_expected;
    if (!NeedsLeadIn(passage, candidate.sentence)) return;
    const uint32_t lead_in = static_cast<uint32_t>(passage.sentences[candidate.sentence].lead_in);
    const uint32_t words = CountWords(TextOf(passage, lead_in));
    if (words <= kLeadInWordsMax && words <= words_left_) Take({candidate.passage, lead_in}, words);
  }
  bool full() const { return words_left_ == 0; }
  bool holds_expected() const { return holds_expected_; }

  std::vector<QuotedSpan> Spans() const {
    std::vector<QuotedSpan> spans;
    for (const std::string_view document : documents_) {
      std::vector<QuotedSpan> own;
      for (const auto& [passage, sentence] : taken_) {
        if (passages_[passage].document == document) Append(passage, sentence, own);
      }
      std::stable_sort(own.begin(), own.end(),
                       [](const QuotedSpan& a, const QuotedSpan& b) { return a.start < b.start; });
      std::move(own.begin(), own.end(), std::back_inserter(spans));
    }
    return spans;
  }

 private:
  void Take(std::pair<uint32_t, uint32_t> place, uint32_t words) {
    if (taken_.insert(place).second) words_left_ -= std::min(words, words_left_);
  }
  void Append(uint32_t passage, uint32_t sentence, std::vector<QuotedSpan>& spans) const {
    const SpanSentence& s = passages_[passage].sentences[sentence];
    if (!spans.empty() && spans.back().passage == passage && spans.back().sentences.back() + 1 == sentence) {
      spans.back().end = s.end;
      spans.back().sentences.push_back(sentence);
      return;
    }
    spans.push_back({passage, s.start, s.end, {sentence}});
  }

  const std::vector<SpanPassage>& passages_;
  uint32_t words_left_;
  std::set<std::pair<uint32_t, uint32_t>> taken_;  // Passage and sentence.
  std::vector<std::string_view> documents_;        // In the order of their best sentence.
  bool holds_expected_ = false;
};

Selection SelectQuotes(const std::vector<SpanPassage>& passages, const std::vector<Candidate>& candidates,
                       uint32_t words_max) {
  Selection selection(passages, words_max);
  for (const Candidate& candidate : candidates) {
    if (selection.full() || candidate.score < candidates.front().score - kQuoteMargin) break;
    selection.Offer(candidate);
  }
  return selection;
}

// An answer agrees with the question, stands out from what else was released, and holds what was asked for: `missing`
// says that the quotes do not. Needs a candidate.
float Confidence(const std::vector<SpanPassage>& passages, const std::vector<Candidate>& candidates, bool missing) {
  std::vector<double> in_context;
  double best_of_all = 0, best_of_long = 0;
  for (const Candidate& candidate : candidates) {
    const Agreement agreement = AgreementOf(passages[candidate.passage], candidate.sentence);
    const double sum = agreement.in_context + agreement.alone;
    best_of_all = std::max(best_of_all, sum);
    // Of three words alone every vector is near to many questions.
    if (candidate.words >= kEvidenceWords) best_of_long = std::max(best_of_long, sum);
    in_context.push_back(agreement.in_context);
  }
  std::sort(in_context.begin(), in_context.end(), std::greater<>());
  const double lead = in_context.front() - in_context[std::min<size_t>(kLeadRank, in_context.size()) - 1];
  const double logit = kConfidenceWeights.bias +
                       kConfidenceWeights.agreement * (best_of_long > 0 ? best_of_long : best_of_all) +
                       kConfidenceWeights.lead * lead + (missing ? kConfidenceWeights.missing : 0);
  return static_cast<float>(1 / (1 + std::exp(-logit)));
}

AnswerBand BandOf(float confidence, const SpanChoiceOptions& options) {
  const float answer_min = options.answer_min > 0 ? options.answer_min : kAnswerMin;
  const float may_help_min = options.may_help_min > 0 ? options.may_help_min : kMayHelpMin;
  if (confidence >= answer_min) return AnswerBand::kAnswer;
  return confidence >= may_help_min ? AnswerBand::kMayHelp : AnswerBand::kRefusal;
}

}  // namespace

StatusOr<SpanChoice> ChooseSpans(std::string_view question, const std::vector<SpanPassage>& passages,
                                 const SpanChoiceOptions& options, LikelihoodScorer& scorer) {
  CLOISTER_RETURN_IF_ERROR(CheckCall(passages, options));
  SpanChoice choice;
  const ExpectedAnswer expected = ExpectedAnswerOf(question);
  std::vector<Candidate> candidates = RankCandidates(passages, expected);
  if (candidates.empty()) return choice;
  const uint32_t scored_max =
      options.candidates_scored > 0 ? options.candidates_scored : kSpanCandidatesDefault;
  CLOISTER_RETURN_IF_ERROR(Rescore(question, passages, scored_max, scorer, candidates, choice));
  const Selection selection =
      SelectQuotes(passages, candidates, options.words_max > 0 ? options.words_max : kSpanWordsDefault);
  choice.confidence =
      Confidence(passages, candidates, expected != ExpectedAnswer::kAny && !selection.holds_expected());
  choice.band = BandOf(choice.confidence, options);
  if (choice.band != AnswerBand::kRefusal) choice.quotes = selection.Spans();
  return choice;
}

}  // namespace cloister::inference
