// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "retrieval/bm25_index.h"
#include "retrieval/hybrid.h"
#include "retrieval/index.h"
#include "retrieval/ranking_measure.h"
#include "retrieval/reranker.h"
#include "retrieval/test_support.h"
#include "retrieval/vector_index.h"

namespace cloister::retrieval {
namespace {

// A slice with one document of as many chunks as there are lists of terms.
IndexSlice SliceOfTerms(const std::vector<std::vector<std::string>>& chunks) {
  IndexSlice slice;
  slice.documents.push_back({crypto::RandomId<DocumentId>(), crypto::RandomId<VersionId>(), 1,
                             static_cast<uint32_t>(chunks.size())});
  std::map<std::string, std::vector<Posting>> postings;
  for (uint32_t i = 0; i < chunks.size(); ++i) {
    slice.lengths.push_back(static_cast<uint32_t>(chunks[i].size()));
    slice.sentences.push_back(1);
    for (const std::string& term : chunks[i]) {
      auto& list = postings[term];
      if (list.empty() || list.back().chunk != i) list.push_back({i, 0});
      ++list.back().frequency;
    }
  }
  for (auto& [term, list] : postings) slice.postings.emplace_back(term, list);
  return slice;
}

ChunkSet Everything(uint32_t size) {
  ChunkSet all;
  all.addRange(0, size);
  return all;
}

TEST(Bm25IndexTest, ScoresAreTheFormula) {
  Bm25Index index({.k1 = 1.2, .b = 0.75});
  index.Append(SliceOfTerms({{"dose", "dose", "insulin"}, {"insulin"}, {"visit", "hours", "ward", "night"}}));
  const auto scores = index.Scores(index.Weigh({"dose", "insulin"}), Everything(3));
  const double mean = 8.0 / 3;
  const auto idf = [](double with) { return std::log(1 + (3 - with + 0.5) / (with + 0.5)); };
  const auto part = [&](double tf, double length) { return tf / (tf + 1.2 * (0.25 + 0.75 * length / mean)); };
  EXPECT_NEAR(scores[0], idf(1) * part(2, 3) + idf(2) * part(1, 3), 1e-5);
  EXPECT_NEAR(scores[1], idf(2) * part(1, 1), 1e-5);
  EXPECT_EQ(scores[2], 0);
}

TEST(Bm25IndexTest, RepeatedQuestionTermsCountTwiceAndUnknownOnesNothing) {
  Bm25Index index;
  index.Append(SliceOfTerms({{"dose"}, {"visit"}}));
  const float once = index.Scores(index.Weigh({"dose"}), Everything(2))[0];
  EXPECT_NEAR(index.Scores(index.Weigh({"dose", "dose", "zebra"}), Everything(2))[0], 2 * once, 1e-6);
  EXPECT_TRUE(index.Weigh({"zebra"}).terms.empty());
}

TEST(Bm25IndexTest, ForbiddenChunksScoreNothing) {
  Bm25Index index;
  index.Append(SliceOfTerms({{"dose"}, {"dose"}, {"dose"}}));
  ChunkSet permitted;
  permitted.add(1);
  EXPECT_EQ(BestOf(index.Scores(index.Weigh({"dose"}), permitted), 10).size(), 1u);
  EXPECT_EQ(BestOf(index.Scores(index.Weigh({"dose"}), ChunkSet()), 10).size(), 0u);
}

TEST(Bm25IndexTest, SentencesScoreAsDocumentsOfTheirOwn) {
  Bm25Index index;
  index.Append(SliceOfTerms({{"dose", "insulin", "night"}, {"visit", "hours"}}));
  const auto question = index.Weigh({"dose", "insulin"});
  EXPECT_GT(index.ScoreSentence(question, {"dose", "insulin"}),
            index.ScoreSentence(question, {"dose", "visit"}));
  EXPECT_GT(index.ScoreSentence(question, {"dose"}),
            index.ScoreSentence(question, {"dose", "a", "b", "c", "d"}));
  EXPECT_EQ(index.ScoreSentence(question, {"hours"}), 0);
}

class FaissIndexTest : public testing::TestWithParam<double> {};

// At every share of permitted chunks, on both sides of the planner's border, the result is that of a plain
// loop.
TEST_P(FaissIndexTest, EqualsAPlainLoopInsideThePermittedSet) {
  constexpr uint32_t kCount = 3'000, kDimension = 37;  // Not a multiple of any vector width.
  FaissIndex index;
  std::vector<std::vector<float>> vectors;
  for (uint32_t i = 0; i < kCount; ++i) {
    vectors.push_back(UnitVector(i + 1, kDimension));
    ASSERT_TRUE(index.Append(1, kDimension, vectors.back().data()).ok());
  }
  std::mt19937 random(11);
  for (int trial = 0; trial < 20; ++trial) {
    ChunkSet permitted;
    for (uint32_t i = 0; i < kCount; ++i) {
      if (std::uniform_real_distribution<>(0, 1)(random) < GetParam()) permitted.add(i);
    }
    const auto question = UnitVector(random(), kDimension);
    std::vector<Scored> expected;
    for (const uint32_t i : permitted) {
      double sum = 0;
      for (uint32_t d = 0; d < kDimension; ++d) sum += double{vectors[i][d]} * question[d];
      expected.push_back({i, static_cast<float>(sum)});
    }
    std::sort(expected.begin(), expected.end(),
              [](const Scored& a, const Scored& b) { return a.score > b.score; });
    const auto found = index.Search(question, permitted, 25);
    ASSERT_TRUE(found.ok());
    ASSERT_EQ(found->size(), std::min<size_t>(25, expected.size()));
    for (size_t i = 0; i < found->size(); ++i) {
      EXPECT_TRUE(permitted.contains((*found)[i].chunk));
      EXPECT_NEAR((*found)[i].score, expected[i].score, 1e-5);
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Shares, FaissIndexTest, testing::Values(0.0, 0.001, 0.05, 0.099, 0.101, 0.5, 1.0));

TEST(FaissIndexTest, ChunksWithoutVectorsScoreZero) {
  FaissIndex index;
  ASSERT_TRUE(index.Append(2, 0, nullptr).ok());
  EXPECT_TRUE(index.Search({}, Everything(2), 5)->empty());
  const auto vector = UnitVector(3);
  ASSERT_TRUE(index.Append(1, kTestDimension, vector.data()).ok());
  ASSERT_TRUE(index.Append(1, 0, nullptr).ok());
  const auto found = index.Search(vector, Everything(4), 4);
  ASSERT_EQ(found->size(), 4u);
  EXPECT_EQ((*found)[0].chunk, 2u);
  EXPECT_EQ((*found)[3].score, 0);
}

TEST(FaissIndexTest, RefusesOtherDimensions) {
  FaissIndex index;
  const auto vector = UnitVector(3, 16);
  ASSERT_TRUE(index.Append(1, 8, vector.data()).ok());
  EXPECT_EQ(index.Append(1, 16, vector.data()).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(index.Search(vector, Everything(1), 1).status().code(), StatusCode::kInvalidArgument);
}

TEST(HybridTest, AddsTheWordsAgreementToTheMeanings) {
  const std::vector<Scored> lexical = {{1, 4.0f}, {2, 2.0f}};
  const std::vector<Scored> dense = {{3, 0.9f}, {1, 0.5f}};
  const auto hits = Fuse(
      lexical, dense, [](uint32_t chunk) { return chunk == 3 ? 1.0f : -1.0f; },
      [](uint32_t chunk) { return chunk == 1 ? 0.5f : 0.1f; }, 0.6, 10);
  // Sums: chunk 1 0.5 + 0.6, chunk 3 0.9 + 0.15, chunk 2 0.1 + 0.3.
  ASSERT_EQ(hits.size(), 3u);
  EXPECT_EQ(hits[0].chunk, 1u);
  EXPECT_EQ(hits[0].score, 1.0f);
  EXPECT_EQ(hits[1].chunk, 3u);
  EXPECT_NEAR(hits[1].score, (1.05 - 0.4) / (1.1 - 0.4), 1e-5);
  EXPECT_EQ(hits[1].lexical, 1.0f);
  EXPECT_EQ(hits[2].chunk, 2u);
  EXPECT_EQ(hits[2].score, 0.0f);
}

TEST(HybridTest, CandidatesFarBelowChangeNoOrderAmongTheBest) {
  const std::vector<Scored> lexical = {{1, 2.0f}};
  std::vector<Scored> dense;
  for (uint32_t i = 0; i < 100; ++i) dense.push_back({i, 1.0f - 0.01f * static_cast<float>(i)});
  const auto order_with = [&](size_t tail) {
    auto longer = dense;
    for (uint32_t i = 0; i < tail; ++i) longer.push_back({1000 + i, -1.0f});
    std::vector<uint32_t> chunks;
    for (const FusedHit& hit : Fuse(
             lexical, longer, [](uint32_t chunk) { return chunk == 1 ? 2.0f : 0.0f; },
             [&](uint32_t chunk) { return dense[chunk].score; }, 0.05, 50)) {
      chunks.push_back(hit.chunk);
    }
    return chunks;
  };
  EXPECT_EQ(order_with(0), order_with(50));
  EXPECT_EQ(order_with(0)[0], 1u);  // 0.99 + 0.05 against 1.0.
}

TEST(HybridTest, KeepsTheBestAndHandlesSingleCandidates) {
  const auto none = [](uint32_t) { return 0.0f; };
  EXPECT_TRUE(Fuse({}, {}, none, none, 0.4, 10).empty());
  const auto one = Fuse({{7, 3.0f}}, {}, none, none, 0.4, 10);
  ASSERT_EQ(one.size(), 1u);
  EXPECT_EQ(one[0].score, 1.0f);
  EXPECT_EQ(Fuse({{1, 3.0f}, {2, 2.0f}, {3, 1.0f}}, {}, none, none, 1.0, 2).size(), 2u);
}

std::vector<LocatedHit> HitsOf(const std::vector<float>& scores) {
  std::vector<LocatedHit> hits;
  for (uint32_t i = 0; i < scores.size(); ++i) hits.push_back({ChunkRef(), {i, scores[i], 0, 0}});
  return hits;
}

TEST(RerankTest, TheBestSentenceCountsHalf) {
  auto hits = HitsOf({0.9f, 0.8f, 0.1f});
  RerankBySentences({0.2f, 0.6f, 1.0f}, hits);
  EXPECT_EQ(hits[0].second.chunk, 1u);  // (0.875 + 0.5) / 2 against (1 + 0) / 2 and (0 + 1) / 2.
  EXPECT_NEAR(hits[0].second.score, 0.6875, 1e-5);
  EXPECT_EQ(hits[1].second.chunk, 0u);  // Equal ones stay in order.
  EXPECT_NEAR(hits[2].second.score, 0.5, 1e-5);
}

TEST(RerankTest, HitsWithoutSentencesKeepTheirPassagesScore) {
  const float none = std::nanf("");
  auto hits = HitsOf({1.0f, 0.5f, 0.0f});
  RerankBySentences({none, none, none}, hits);
  for (uint32_t i = 0; i < 3; ++i) EXPECT_EQ(hits[i].second.chunk, i);
  RerankBySentences({none, 0.3f, 0.3f}, hits);
  EXPECT_NEAR(hits[0].second.score, 1.0, 1e-6);
  EXPECT_NEAR(hits[1].second.score, 0.75, 1e-6);
  hits.clear();
  RerankBySentences({}, hits);
  EXPECT_TRUE(hits.empty());
}

TEST(RerankTest, WhatStandsBelowStays) {
  std::vector<float> scores(kRerankedHits + 1, 0.5f), sentence(kRerankedHits + 1, 0.1f);
  sentence.back() = 1.0f;
  auto hits = HitsOf(scores);
  RerankBySentences(sentence, hits);
  EXPECT_EQ(hits.back().second.chunk, kRerankedHits);
}

TEST(IndexTest, ExtractAndCompactKeepWhatIsLive) {
  Index index;
  const ClassId access_class = crypto::RandomId<ClassId>();
  std::vector<DocumentId> documents;
  for (int i = 0; i < 40; ++i) {
    IndexSlice slice = SliceOfTerms({{"common", "word" + std::to_string(i)}, {"common"}});
    slice.dimension = kTestDimension;
    for (uint32_t c = 0; c < 2; ++c) {
      const auto vector = UnitVector(static_cast<uint32_t>(2 * i) + c);
      slice.vectors.insert(slice.vectors.end(), vector.begin(), vector.end());
    }
    documents.push_back(slice.documents[0].document);
    ASSERT_TRUE(index.Append(slice, {access_class}).ok());
  }
  for (int i = 0; i < 40; i += 2) index.Remove(documents[static_cast<size_t>(i)]);
  EXPECT_EQ(index.chunks(), 40u);
  const auto found = [&](int i) {
    Question question;
    question.terms = {"word" + std::to_string(i)};
    question.mode = SearchMode::kLexical;
    const auto hits = index.Search(question, index.ChunksOfClass(access_class), 10);
    return hits->empty() ? DocumentId() : index.Locate(hits->front().chunk).document;
  };
  const IndexSlice before = index.Extract({documents[1], documents[3]});
  const uint64_t generation = index.generation();
  ASSERT_TRUE(index.Compact().ok());
  EXPECT_GT(index.generation(), generation);
  EXPECT_EQ(index.lexical().size(), 40u);
  EXPECT_EQ(index.Extract({documents[1], documents[3]}), before);
  for (int i = 0; i < 40; ++i)
    EXPECT_EQ(found(i), i % 2 == 0 ? DocumentId() : documents[static_cast<size_t>(i)]);
}

TEST(RankingMeasureTest, AgreesWithHandComputedValues) {
  const std::map<std::string, int> grades = {{"a", 1}, {"b", 1}};
  EXPECT_NEAR(NdcgAt(10, {"a", "x", "b"}, grades), (1 + 0.5) / (1 + 1 / std::log2(3.0)), 1e-9);
  EXPECT_EQ(NdcgAt(10, {"x"}, grades), 0);
  EXPECT_EQ(NdcgAt(1, {"x", "a"}, grades), 0);
  EXPECT_EQ(RecallAt(2, {"x", "a", "b"}, grades), 0.5);
}

// The lexical half alone, on public questions; the whole is measured by bench/quality.
TEST(RankingQualityTest, Bm25ReachesItsReferenceOnSciFact) {
  const Dataset data = ReadBeir(std::string(CLOISTER_EVAL_DIR) + "/retrieval/scifact", "queries.train.jsonl",
                                "qrels.train.tsv");
  if (data.documents.empty()) GTEST_SKIP() << "the evaluation data is not here";
  const auto analyzer = *Analyzer::New();
  Index index;
  const ClassId access_class = crypto::RandomId<ClassId>();
  std::unordered_map<DocumentId, std::string> names;
  for (size_t i = 0; i < data.documents.size(); ++i) {
    DocumentInfo info;
    info.document = crypto::RandomId<DocumentId>();
    names[info.document] = data.document_ids[i];
    ASSERT_TRUE(index.Append(SliceOf(info, {{{data.documents[i], 1}}, {}}, *analyzer), {access_class}).ok());
  }
  double ndcg = 0;
  for (size_t q = 0; q < data.questions.size(); ++q) {
    const auto grades = data.judgements.find(data.question_ids[q]);
    if (grades == data.judgements.end()) continue;
    Question question;
    question.terms = analyzer->QuestionTerms(data.questions[q]);
    question.mode = SearchMode::kLexical;
    std::vector<std::string> ranked;
    const auto hits = index.Search(question, index.ChunksOfClass(access_class), 10);
    for (const FusedHit& hit : *hits) ranked.push_back(names.at(index.Locate(hit.chunk).document));
    ndcg += NdcgAt(10, ranked, grades->second);
  }
  EXPECT_GE(ndcg / static_cast<double>(data.judgements.size()), 0.69);
}

}  // namespace
}  // namespace cloister::retrieval
