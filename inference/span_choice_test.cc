// SPDX-License-Identifier: Apache-2.0
#include "inference/span_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "inference/span_calibration.h"

namespace cloister::inference {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

struct Line {
  std::string text;
  float dense = 0.5f;
  SentenceKind kind = SentenceKind::kSentence;
  int32_t lead_in = -1;
};

// A passage whose text is `lines`, one each, beginning at `start` of its document.
SpanPassage MakePassage(std::string document, const std::vector<Line>& lines, uint64_t start = 1000,
                        float score = 0.5f) {
  SpanPassage passage;
  passage.document = std::move(document);
  passage.title = "Leave policy";
  passage.start = start;
  passage.score = score;
  for (const Line& line : lines) {
    SpanSentence s;
    s.start = start + passage.text.size();
    s.end = s.start + line.text.size();
    s.kind = line.kind;
    s.lead_in = line.lead_in;
    s.dense_context = s.dense_alone = line.dense;
    passage.sentences.push_back(s);
    passage.text += line.text + "\n";
  }
  return passage;
}

std::string TextOf(const SpanPassage& passage, const QuotedSpan& span) {
  return passage.text.substr(span.start - passage.start, span.end - span.start);
}

std::string Words(int count, const std::string& word = "word") {
  std::string text = word;
  for (int i = 1; i < count; ++i) text += " " + word;
  return text;
}

size_t WordsOf(const std::vector<SpanPassage>& passages, const SpanChoice& choice) {
  size_t words = 0;
  for (const QuotedSpan& span : choice.quotes) {
    bool inside = false;
    for (const char c : TextOf(passages[span.passage], span)) {
      const bool space = c == ' ' || c == '\n';
      if (!space && !inside) ++words;
      inside = !space;
    }
  }
  return words;
}

// Remembers what it was asked and gives every context the same likelihood, unless told another.
class RecordingScorer final : public LikelihoodScorer {
 public:
  StatusOr<std::vector<LikelihoodResult>> Score(std::string_view,
                                                const std::vector<std::string>& contexts) override {
    asked = contexts;
    if (!status.ok()) return status;
    std::vector<LikelihoodResult> results;
    for (const std::string& context : contexts) {
      LikelihoodResult result;
      result.mean_log_likelihood =
          !favourite.empty() && context.find(favourite) != std::string::npos ? -1.0f : -4.0f;
      result.tokens = 10;
      results.push_back(result);
    }
    results.resize(results.size() + surplus);
    return results;
  }
  std::vector<std::string> asked;
  std::string favourite;
  Status status;
  size_t surplus = 0;
};

class SpanChoiceTest : public ::testing::Test {
 protected:
  StatusOr<SpanChoice> Choose(const std::vector<SpanPassage>& passages, SpanChoiceOptions options = {}) {
    return ChooseSpans(question_, passages, options, scorer_);
  }
  // With every choice shown, whatever its confidence.
  SpanChoice ChooseShown(const std::vector<SpanPassage>& passages, SpanChoiceOptions options = {}) {
    options.may_help_min = options.answer_min = std::numeric_limits<float>::min();
    const StatusOr<SpanChoice> choice = Choose(passages, options);
    EXPECT_TRUE(choice.ok()) << choice.status();
    return choice.ok() ? *choice : SpanChoice();
  }
  std::string question_ = "Who grants leave?";
  RecordingScorer scorer_;
};

TEST_F(SpanChoiceTest, QuotesTheBestSentenceFirstAndVerbatim) {
  const std::vector<SpanPassage> passages = {
      MakePassage("a", {{"Nothing here is of use.", 0.4f}, {"Leave lasts thirty days.", 0.9f}})};
  const SpanChoice choice = ChooseShown(passages, {.words_max = 4});
  ASSERT_THAT(choice.quotes, SizeIs(1));
  EXPECT_EQ(TextOf(passages[0], choice.quotes[0]), "Leave lasts thirty days.");
  EXPECT_THAT(choice.quotes[0].sentences, ElementsAre(1));
}

TEST_F(SpanChoiceTest, NeighboursBecomeOneSpanInReadingOrder) {
  const std::vector<SpanPassage> passages = {MakePassage(
      "a", {{"First line.", 0.88f}, {"Second line.", 0.9f}, {Words(100), 0.6f}, {"Fourth line.", 0.87f}})};
  const SpanChoice choice = ChooseShown(passages);
  ASSERT_THAT(choice.quotes, SizeIs(2));
  EXPECT_EQ(TextOf(passages[0], choice.quotes[0]), "First line.\nSecond line.");
  EXPECT_EQ(TextOf(passages[0], choice.quotes[1]), "Fourth line.");
}

TEST_F(SpanChoiceTest, DocumentsComeInTheOrderOfTheirBestSentence) {
  const std::vector<SpanPassage> passages = {MakePassage("a", {{"Of the first document.", 0.87f}}),
                                             MakePassage("b", {{"Of the second document.", 0.9f}})};
  const SpanChoice choice = ChooseShown(passages);
  ASSERT_THAT(choice.quotes, SizeIs(2));
  EXPECT_EQ(choice.quotes[0].passage, 1u);
  EXPECT_EQ(choice.quotes[1].passage, 0u);
}

TEST_F(SpanChoiceTest, PassagesOfOneDocumentAreOrderedByPosition) {
  const std::vector<SpanPassage> passages = {MakePassage("a", {{"Later in the document.", 0.9f}}, 5000),
                                             MakePassage("a", {{"Earlier in the document.", 0.88f}}, 10)};
  const SpanChoice choice = ChooseShown(passages);
  ASSERT_THAT(choice.quotes, SizeIs(2));
  EXPECT_EQ(choice.quotes[0].passage, 1u);
  EXPECT_EQ(choice.quotes[1].passage, 0u);
}

TEST_F(SpanChoiceTest, QuotesFromAtMostTwoDocuments) {
  const std::vector<SpanPassage> passages = {MakePassage("a", {{"One.", 0.9f}}),
                                             MakePassage("b", {{"Two.", 0.89f}}),
                                             MakePassage("c", {{"Three.", 0.88f}})};
  EXPECT_THAT(ChooseShown(passages).quotes, SizeIs(kQuotedDocumentsMax));
}

TEST_F(SpanChoiceTest, WhatIsFarFromTheBestIsNotQuoted) {
  const float near = 0.9f - static_cast<float>(kQuoteMargin) / 2,
              far = 0.9f - static_cast<float>(kQuoteMargin);
  const std::vector<SpanPassage> passages = {
      MakePassage("a", {{"Best of all.", 0.9f}, {"Far from it.", far}, {"Near it.", near}})};
  const SpanChoice choice = ChooseShown(passages);
  ASSERT_THAT(choice.quotes, SizeIs(2));
  EXPECT_EQ(TextOf(passages[0], choice.quotes[0]), "Best of all.");
  EXPECT_EQ(TextOf(passages[0], choice.quotes[1]), "Near it.");
}

TEST_F(SpanChoiceTest, KeepsToTheWordsAskedFor) {
  std::vector<Line> lines;
  for (int i = 0; i < 40; ++i) lines.push_back({Words(7 + i % 5), 0.5f + 0.01f * static_cast<float>(i % 13)});
  const std::vector<SpanPassage> passages = {MakePassage("a", lines)};
  for (const uint32_t words_max : {0u, 12u, 30u, 200u}) {
    const SpanChoice choice = ChooseShown(passages, {.words_max = words_max});
    EXPECT_FALSE(choice.quotes.empty());
    EXPECT_LE(WordsOf(passages, choice), words_max == 0 ? kSpanWordsDefault : words_max);
  }
}

TEST_F(SpanChoiceTest, ASingleLongerSentenceIsQuotedWholeAndAlone) {
  const std::vector<SpanPassage> passages = {MakePassage("a", {{Words(90), 0.9f}, {"Short.", 0.8f}})};
  const SpanChoice choice = ChooseShown(passages);
  ASSERT_THAT(choice.quotes, SizeIs(1));
  EXPECT_THAT(choice.quotes[0].sentences, ElementsAre(0));
}

TEST_F(SpanChoiceTest, AListItemBringsTheLineItHangsOn) {
  const std::vector<SpanPassage> passages = {
      MakePassage("a", {{"Leave is limited as follows:", 0.3f},
                        {"(a) thirty days in a year;", 0.5f, SentenceKind::kListItem, 0},
                        {"(b) ten days in a month.", 0.9f, SentenceKind::kListItem, 0}})};
  const SpanChoice choice = ChooseShown(passages, {.words_max = 11});
  ASSERT_THAT(choice.quotes, SizeIs(2));
  EXPECT_THAT(choice.quotes[0].sentences, ElementsAre(0));
  EXPECT_THAT(choice.quotes[1].sentences, ElementsAre(2));
}

TEST_F(SpanChoiceTest, ALeadInThatDoesNotFitIsLeftOut) {
  const std::vector<SpanPassage> passages = {MakePassage(
      "a", {{Words(kLeadInWordsMax + 1) + ":", 0.3f}, {"(a) ten days.", 0.9f, SentenceKind::kListItem, 0}})};
  const SpanChoice choice = ChooseShown(passages, {.words_max = 40});
  ASSERT_THAT(choice.quotes, SizeIs(1));
  EXPECT_THAT(choice.quotes[0].sentences, ElementsAre(1));
}

TEST_F(SpanChoiceTest, HeadingsAndEmptySentencesAreNoEvidence) {
  SpanPassage passage =
      MakePassage("a", {{"How long is leave?", 0.99f, SentenceKind::kHeading}, {" ", 0.98f}});
  const SpanChoice choice = ChooseShown({passage});
  EXPECT_THAT(choice.quotes, IsEmpty());
  EXPECT_EQ(choice.band, AnswerBand::kRefusal);
  EXPECT_THAT(scorer_.asked, IsEmpty());
}

TEST_F(SpanChoiceTest, AFragmentGivesWayToASentence) {
  const std::vector<SpanPassage> passages = {
      MakePassage("a", {{"(a) Leave.", 0.71f}, {"Every member of staff has thirty days.", 0.70f}})};
  EXPECT_THAT(ChooseShown(passages, {.words_max = 7}).quotes[0].sentences, ElementsAre(1));
}

TEST_F(SpanChoiceTest, WithoutVectorsPassageAndWordsDecide) {
  SpanPassage near = MakePassage("a", {{"One line of the text.", 0}, {"Other line of the text.", 0}});
  SpanPassage far = MakePassage("b", {{"A line of another text.", 0}});
  near.dense = 0.9f, far.dense = 0.3f;
  near.sentences[1].lexical = 7, far.sentences[0].lexical = 3;
  const std::vector<SpanPassage> passages = {far, near};
  const SpanChoice choice = ChooseShown(passages, {.words_max = 5});
  ASSERT_THAT(choice.quotes, SizeIs(1));
  EXPECT_EQ(choice.quotes[0].passage, 1u);
  EXPECT_THAT(choice.quotes[0].sentences, ElementsAre(1));
  EXPECT_GT(choice.confidence, ChooseShown({far}).confidence);
}

TEST_F(SpanChoiceTest, OverlappingPassagesBringASentenceOnce) {
  const SpanPassage passage = MakePassage("a", {{"Leave lasts thirty days.", 0.9f}});
  const SpanChoice choice = ChooseShown({passage, passage});
  EXPECT_THAT(choice.quotes, SizeIs(1));
  EXPECT_EQ(choice.scored, 1u);
}

TEST_F(SpanChoiceTest, TheModelDecidesBetweenEquals) {
  const std::vector<SpanPassage> passages = {
      MakePassage("a", {{"One of them.", 0.7f}, {"Other of them.", 0.7f}})};
  EXPECT_THAT(ChooseShown(passages, {.words_max = 3}).quotes[0].sentences, ElementsAre(0));
  scorer_.favourite = "One of them. Other of them.";
  EXPECT_THAT(ChooseShown(passages, {.words_max = 3}).quotes[0].sentences, ElementsAre(1));
}

TEST_F(SpanChoiceTest, TheModelReadsTitleLeadInAndSentence) {
  const std::vector<SpanPassage> passages = {MakePassage(
      "a", {{"Rules:", 0.1f}, {"Between.", 0.2f}, {"(a) ten days.", 0.9f, SentenceKind::kListItem, 0}})};
  ChooseShown(passages, {.candidates_scored = 2});
  EXPECT_THAT(scorer_.asked,
              ElementsAre("Leave policy. Rules: (a) ten days.", "Leave policy. Rules: Between."));
}

TEST_F(SpanChoiceTest, ScoresAsManyAsAskedFor) {
  std::vector<Line> lines(30, {"A line of text."});
  const std::vector<SpanPassage> passages = {MakePassage("a", lines)};
  EXPECT_EQ(ChooseShown(passages).scored, kSpanCandidatesDefault);
  const SpanChoice choice = ChooseShown(passages, {.candidates_scored = 20});
  EXPECT_EQ(choice.scored, 20u);
  EXPECT_EQ(choice.tokens, 200u);
}

TEST_F(SpanChoiceTest, ConfidenceRisesWithAgreementAndSetsTheBand) {
  AnswerBand band = AnswerBand::kRefusal;
  float confidence = 0;
  for (const float dense : {0.3f, 0.5f, 0.6f, 0.7f, 0.8f, 0.9f, 0.95f}) {
    const StatusOr<SpanChoice> choice = Choose({MakePassage("a", {{"A line.", dense}, {"Another.", 0.3f}})});
    ASSERT_TRUE(choice.ok());
    EXPECT_GT(choice->confidence, confidence);
    EXPECT_LE(choice->confidence, 1.0f);
    EXPECT_LE(static_cast<int>(choice->band), static_cast<int>(band));
    EXPECT_EQ(choice->quotes.empty(), choice->band == AnswerBand::kRefusal);
    confidence = choice->confidence;
    band = choice->band;
  }
  EXPECT_EQ(band, AnswerBand::kAnswer);
}

TEST_F(SpanChoiceTest, PrefersWhatHoldsATimeWhenATimeIsAskedFor) {
  const std::vector<SpanPassage> passages = {
      MakePassage("a", {{"Leave is granted by the head of the ward.", 0.8f}, {"It lasts thirty days and no longer than that.", 0.78f}})};
  EXPECT_EQ(ChooseShown(passages, {.words_max = 9}).quotes[0].sentences, (std::vector<uint32_t>{0}));
  question_ = "How long is leave?";
  EXPECT_EQ(ChooseShown(passages, {.words_max = 9}).quotes[0].sentences, (std::vector<uint32_t>{1}));
}

TEST_F(SpanChoiceTest, IsLessSureWhenNoQuoteHoldsWhatIsAskedFor) {
  const std::vector<SpanPassage> with = {MakePassage("a", {{"It lasts thirty days and no longer than that.", 0.8f}})};
  const std::vector<SpanPassage> without = {MakePassage("a", {{"It lasts as the head of the ward decides.", 0.8f}})};
  const float any_with = ChooseShown(with).confidence;
  EXPECT_EQ(any_with, ChooseShown(without).confidence);
  question_ = "How long is leave?";
  EXPECT_EQ(ChooseShown(with).confidence, any_with);
  EXPECT_LT(ChooseShown(without).confidence, any_with);
}

TEST_F(SpanChoiceTest, APolicyMaySetTheThresholds) {
  const std::vector<SpanPassage> passages = {MakePassage("a", {{"A line.", 0.7f}})};
  const float confidence = ChooseShown(passages).confidence;
  const auto band = [&](float answer, float help) {
    return Choose(passages, {.answer_min = answer, .may_help_min = help})->band;
  };
  EXPECT_EQ(band(confidence, confidence / 2), AnswerBand::kAnswer);
  EXPECT_EQ(band(1.0f, confidence / 2), AnswerBand::kMayHelp);
  EXPECT_EQ(band(1.0f, 1.0f), AnswerBand::kRefusal);
}

TEST_F(SpanChoiceTest, NoPassagesIsARefusal) {
  const StatusOr<SpanChoice> choice = Choose({});
  ASSERT_TRUE(choice.ok());
  EXPECT_EQ(choice->band, AnswerBand::kRefusal);
  EXPECT_EQ(choice->confidence, 0.0f);
}

TEST_F(SpanChoiceTest, EqualCallsGiveEqualChoices) {
  std::vector<Line> lines(20, {"The same line."});
  const std::vector<SpanPassage> passages = {MakePassage("a", lines), MakePassage("b", lines)};
  const SpanChoice one = ChooseShown(passages), two = ChooseShown(passages);
  ASSERT_EQ(one.quotes.size(), two.quotes.size());
  for (size_t i = 0; i < one.quotes.size(); ++i) EXPECT_EQ(one.quotes[i].sentences, two.quotes[i].sentences);
}

TEST_F(SpanChoiceTest, RefusesWhatIsOverALimit) {
  const SpanPassage passage = MakePassage("a", {{"A line."}});
  const auto code = [&](const std::vector<SpanPassage>& passages, SpanChoiceOptions options) {
    return Choose(passages, options).status().code();
  };
  EXPECT_EQ(code(std::vector(kSpanPassagesMax + 1, passage), {}), StatusCode::kInvalidArgument);
  EXPECT_EQ(code({passage}, {.words_max = kSpanWordsMax + 1}), StatusCode::kInvalidArgument);
  EXPECT_EQ(code({passage}, {.candidates_scored = kSpanCandidatesMax + 1}), StatusCode::kInvalidArgument);
  EXPECT_EQ(code({passage}, {.answer_min = 1.5f}), StatusCode::kInvalidArgument);
  EXPECT_EQ(code({passage}, {.may_help_min = std::nanf("")}), StatusCode::kInvalidArgument);
  const SpanPassage many = MakePassage("a", std::vector<Line>(kSpanSentencesMax / 2 + 1, {"A line."}));
  EXPECT_EQ(code({many, many}, {}), StatusCode::kInvalidArgument);
}

TEST_F(SpanChoiceTest, RefusesSentencesThatDoNotFitTheirPassage) {
  const SpanPassage good = MakePassage("a", {{"A line."}, {"Another line."}});
  const auto code = [&](auto change) {
    SpanPassage passage = good;
    change(passage);
    return Choose({passage}).status().code();
  };
  EXPECT_EQ(code([](SpanPassage& p) {}), StatusCode::kOk);
  EXPECT_EQ(code([](SpanPassage& p) { p.sentences[1].end = p.start + p.text.size() + 1; }),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(code([](SpanPassage& p) { p.sentences[0].start = p.start - 1; }), StatusCode::kInvalidArgument);
  EXPECT_EQ(code([](SpanPassage& p) { p.sentences[1].start = p.sentences[0].end - 1; }),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(code([](SpanPassage& p) { p.sentences[0].end = p.sentences[0].start - 1; }),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(code([](SpanPassage& p) { p.sentences[0].lead_in = 2; }), StatusCode::kInvalidArgument);
  EXPECT_EQ(code([](SpanPassage& p) { p.sentences[0].lead_in = -2; }), StatusCode::kInvalidArgument);
  EXPECT_EQ(code([](SpanPassage& p) { p.sentences[0].lead_in = 0; }), StatusCode::kInvalidArgument);
  EXPECT_EQ(code([](SpanPassage& p) { p.sentences[0].dense_alone = std::nanf(""); }),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(code([](SpanPassage& p) { p.score = std::numeric_limits<float>::infinity(); }),
            StatusCode::kInvalidArgument);
}

TEST_F(SpanChoiceTest, PassesTheScorersErrorOnAndChecksItsAnswer) {
  const std::vector<SpanPassage> passages = {MakePassage("a", {{"A line.", 0.95f}})};
  scorer_.surplus = 1;
  EXPECT_EQ(Choose(passages).status().code(), StatusCode::kInternal);
  scorer_.surplus = 0;
  scorer_.status = ResourceExhausted("busy");
  EXPECT_EQ(Choose(passages).status().code(), StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace cloister::inference
