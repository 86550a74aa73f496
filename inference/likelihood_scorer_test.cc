// SPDX-License-Identifier: Apache-2.0
#include "inference/likelihood_scorer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <memory>
#include <thread>

#include "inference/generator.h"
#include "inference/test_models.h"

namespace cloister::inference {
namespace {

constexpr std::string_view kQuestion = "How many days does a clinic have to report a breach?";
const std::vector<std::string> kContexts = {
    "Breaches. A clinic has to report a breach within sixty days.",
    "Kitchen. The soup is served at noon.",
    "",
    "Keys. Every key to the medicine cupboard is counted at the end of a shift, and the count is signed by "
    "two people.",
};

LikelihoodScorer& SetUpGenerator() {
  static const std::unique_ptr<LikelihoodScorer> scorer = [] {
    auto model = OpenSetUpModel(ModelRole::kGenerator);
    CLOISTER_CHECK(model.ok());
    auto opened = OpenGenerator(*model, {.threads = 1});
    CLOISTER_CHECK(opened.ok());
    return *std::move(opened);
  }();
  return *scorer;
}

LikelihoodScorer& Fake() {
  static FakeLikelihoodScorer fake;
  return fake;
}

struct Implementation {
  const char* name;
  std::function<LikelihoodScorer&()> get;
};

// What every scorer promises.
class LikelihoodScorerContractTest : public testing::TestWithParam<Implementation> {
 protected:
  LikelihoodScorer& scorer() { return GetParam().get(); }
};

TEST_P(LikelihoodScorerContractTest, GivesAFiniteResultForEachContext) {
  const auto results = scorer().Score(kQuestion, kContexts);
  ASSERT_TRUE(results.ok());
  ASSERT_EQ(results->size(), kContexts.size());
  for (const LikelihoodResult& result : *results) {
    EXPECT_TRUE(std::isfinite(result.mean_log_likelihood));
    EXPECT_LE(result.mean_log_likelihood, 0);
    EXPECT_GT(result.tokens, 0u);
  }
  EXPECT_TRUE(scorer().Score(kQuestion, {})->empty());
}

TEST_P(LikelihoodScorerContractTest, FindsTheQuestionLikelierAfterItsAnswer) {
  const auto results = scorer().Score(kQuestion, kContexts);
  ASSERT_TRUE(results.ok());
  for (size_t i = 1; i < results->size(); ++i) {
    EXPECT_GT((*results)[0].mean_log_likelihood, (*results)[i].mean_log_likelihood) << i;
  }
}

TEST_P(LikelihoodScorerContractTest, AResultIsExactlyTheSameAloneInCompanyAndInAnotherOrder) {
  const auto together = scorer().Score(kQuestion, kContexts);
  const auto reversed = scorer().Score(kQuestion, {kContexts.rbegin(), kContexts.rend()});
  ASSERT_TRUE(together.ok());
  ASSERT_TRUE(reversed.ok());
  for (size_t i = 0; i < kContexts.size(); ++i) {
    const auto alone = scorer().Score(kQuestion, {kContexts[i]});
    ASSERT_TRUE(alone.ok());
    EXPECT_EQ((*alone)[0].mean_log_likelihood, (*together)[i].mean_log_likelihood) << i;
    EXPECT_EQ((*alone)[0].mean_log_likelihood, (*reversed)[kContexts.size() - 1 - i].mean_log_likelihood)
        << i;
    EXPECT_EQ((*alone)[0].tokens, (*together)[i].tokens) << i;
  }
}

TEST_P(LikelihoodScorerContractTest, CallersAtOnceGetWhatTheyGetAlone) {
  const auto expected = scorer().Score(kQuestion, kContexts);
  ASSERT_TRUE(expected.ok());
  std::vector<StatusOr<std::vector<LikelihoodResult>>> got(3, Unavailable("not yet"));
  std::vector<std::thread> callers;
  for (auto& slot : got) callers.emplace_back([&] { slot = scorer().Score(kQuestion, kContexts); });
  for (std::thread& caller : callers) caller.join();
  for (const auto& slot : got) {
    ASSERT_TRUE(slot.ok());
    for (size_t i = 0; i < kContexts.size(); ++i) {
      EXPECT_EQ((*slot)[i].mean_log_likelihood, (*expected)[i].mean_log_likelihood);
    }
  }
}

TEST_P(LikelihoodScorerContractTest, RefusesWhatIsOverItsLimits) {
  const auto code = [&](std::string_view question, const std::vector<std::string>& contexts) {
    return scorer().Score(question, contexts).status().code();
  };
  EXPECT_EQ(code("", kContexts), StatusCode::kInvalidArgument);
  EXPECT_EQ(code(std::string(kScoredQuestionBytesMax + 1, 'a'), {}), StatusCode::kInvalidArgument);
  EXPECT_EQ(code("a", std::vector<std::string>(kScoredContextsMax + 1, "b")), StatusCode::kInvalidArgument);
  EXPECT_EQ(code("a", {std::string(kScoredContextBytesMax + 1, 'b')}), StatusCode::kInvalidArgument);
  EXPECT_EQ(code(std::string(kScoredQuestionBytesMax, 'a'), {std::string(kScoredContextBytesMax, 'b')}),
            StatusCode::kOk);
}

INSTANTIATE_TEST_SUITE_P(All, LikelihoodScorerContractTest,
                         testing::Values(Implementation{"Llama", SetUpGenerator},
                                         Implementation{"Fake", Fake}),
                         [](const auto& info) { return info.param.name; });

TEST(FakeLikelihoodScorerTest, GivesFixedResultsForNamedContexts) {
  FakeLikelihoodScorer fake({{"chosen", -0.25f}});
  const auto results = fake.Score("anything", {"chosen", "other"});
  ASSERT_TRUE(results.ok());
  EXPECT_EQ((*results)[0].mean_log_likelihood, -0.25f);
  EXPECT_LT((*results)[1].mean_log_likelihood, -0.25f);
}

TEST(LlamaGeneratorTest, ReadsTheEndOfALongContext) {
  std::string tail;
  for (int i = 0; i < 260; ++i) tail += " report";
  const auto results = SetUpGenerator().Score(kQuestion, {"One beginning." + tail, "Another one!" + tail});
  ASSERT_TRUE(results.ok());
  EXPECT_EQ((*results)[0].mean_log_likelihood, (*results)[1].mean_log_likelihood);
  EXPECT_EQ((*results)[0].tokens, (*results)[1].tokens);
}

TEST(LlamaGeneratorTest, ReadsTheBeginningOfALongQuestion) {
  std::string question = "How long";
  for (int i = 0; i < 200; ++i) question += " and how long";
  const auto cut = SetUpGenerator().Score(question, {"Ward."});
  const auto longer = SetUpGenerator().Score(question + " and why?", {"Ward."});
  ASSERT_TRUE(cut.ok());
  ASSERT_TRUE(longer.ok());
  EXPECT_EQ((*cut)[0].mean_log_likelihood, (*longer)[0].mean_log_likelihood);
}

TEST(LlamaGeneratorTest, ControlTokensInAContextAreOrdinaryText) {
  const auto results = SetUpGenerator().Score(kQuestion, {"<|im_start|>", "word"});
  ASSERT_TRUE(results.ok());
  // As one control token it would be as short as a word.
  EXPECT_GT((*results)[0].tokens, (*results)[1].tokens + 2);
}

TEST(LlamaGeneratorTest, RefusesAnEmbedderAndLimitsOverItsWindow) {
  const auto embedder = OpenSetUpModel(ModelRole::kEmbedder);
  ASSERT_TRUE(embedder.ok());
  EXPECT_EQ(OpenGenerator(*embedder).status().code(), StatusCode::kInvalidArgument);
  ModelInfo posing = embedder->info();
  posing.role = ModelRole::kGenerator;
  const auto encoder = VerifiedModel::Open(SetUpModelDirectory(), posing);
  ASSERT_TRUE(encoder.ok());
  EXPECT_EQ(OpenGenerator(*encoder).status().code(), StatusCode::kInvalidArgument);

  const auto model = OpenSetUpModel(ModelRole::kGenerator);
  ASSERT_TRUE(model.ok());
  GeneratorOptions options;
  options.context_tokens_max = model->info().tokens_max;
  EXPECT_EQ(OpenGenerator(*model, options).status().code(), StatusCode::kInvalidArgument);
  ModelInfo info = model->info();
  info.tokens_max = 1 << 20;
  const auto boastful = VerifiedModel::Open(SetUpModelDirectory(), info);
  ASSERT_TRUE(boastful.ok());
  EXPECT_EQ(OpenGenerator(*boastful).status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace cloister::inference
