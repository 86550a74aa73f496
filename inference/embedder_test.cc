// SPDX-License-Identifier: Apache-2.0
#include "inference/embedder.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <functional>

#include "inference/test_models.h"

namespace cloister::inference {
namespace {

double Cosine(const Embeddings& a, size_t i, const Embeddings& b, size_t j, size_t dimension) {
  double sum = 0;
  for (size_t k = 0; k < dimension; ++k) sum += a.vectors[i * dimension + k] * b.vectors[j * dimension + k];
  return sum;
}

Embedder& SetUpEmbedder() {
  static const std::unique_ptr<Embedder> embedder = [] {
    auto model = OpenSetUpModel(ModelRole::kEmbedder);
    CLOISTER_CHECK(model.ok());
    auto opened = OpenLlamaEmbedder(*model, {.threads = 1});
    CLOISTER_CHECK(opened.ok());
    return *std::move(opened);
  }();
  return *embedder;
}

struct Implementation {
  const char* name;
  std::function<Embedder&()> get;
};

// What every embedder promises.
class EmbedderContractTest : public testing::TestWithParam<Implementation> {
 protected:
  Embedder& embedder() { return GetParam().get(); }
  size_t dimension() { return embedder().info().dimension; }
};

TEST_P(EmbedderContractTest, GivesOneVectorOfUnitLengthForEachText) {
  const auto result =
      embedder().Embed(EmbedKind::kPassage, {"fever", "a longer text about hand hygiene", ""});
  ASSERT_TRUE(result.ok());
  ASSERT_EQ(result->vectors.size(), 3 * dimension());
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(Cosine(*result, i, *result, i, dimension()), 1, 1e-5);
  EXPECT_EQ(result->truncated, 0u);
  EXPECT_GE(result->tokens, 7u);
}

TEST_P(EmbedderContractTest, GivesNothingForNoTexts) {
  const auto result = embedder().Embed(EmbedKind::kPassage, {});
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(result->vectors.empty());
}

TEST_P(EmbedderContractTest, KeepsOrderAndIndependenceInAMixedBatch) {
  std::vector<std::string> texts;
  for (int i = 0; i < 90; ++i) {
    std::string text = "Record " + std::to_string(i * 7919) + " is kept";
    for (int j = 0; j < (i * 13) % 12; ++j) text += " for the ward, the pharmacy";
    texts.push_back(text + ".");
  }
  const auto together = embedder().Embed(EmbedKind::kPassage, texts);
  ASSERT_TRUE(together.ok());
  for (const size_t i : {0u, 1u, 37u, 64u, 89u}) {
    const auto alone = embedder().Embed(EmbedKind::kPassage, {texts[i]});
    ASSERT_TRUE(alone.ok());
    EXPECT_GE(Cosine(*together, i, *alone, 0, dimension()), 0.99999) << i;
  }
}

TEST_P(EmbedderContractTest, NearTextsAreNearerThanFarOnes) {
  const auto result =
      embedder().Embed(EmbedKind::kPassage, {"Wash your hands before you touch a patient.",
                                             "Hands are to be washed before a patient is touched.",
                                             "The invoice was paid in March."});
  ASSERT_TRUE(result.ok());
  EXPECT_GT(Cosine(*result, 0, *result, 1, dimension()), Cosine(*result, 0, *result, 2, dimension()) + 0.1);
}

TEST_P(EmbedderContractTest, CountsTextsThatItCuts) {
  std::string text = "The";
  for (int i = 0; i < 1000; ++i) text += " ward";
  const auto result = embedder().Embed(EmbedKind::kPassage, {"short", text});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->truncated, 1u);
  const auto longer = embedder().Embed(EmbedKind::kPassage, {text + " and something else at the end"});
  ASSERT_TRUE(longer.ok());
  EXPECT_EQ(longer->truncated, 1u);
  EXPECT_GE(Cosine(*result, 1, *longer, 0, dimension()), 0.99999);
}

TEST_P(EmbedderContractTest, RefusesTextsOverTheLimitOrNotUtf8) {
  EXPECT_TRUE(embedder().Embed(EmbedKind::kPassage, {std::string(kEmbeddedTextBytesMax, ' ')}).ok());
  EXPECT_EQ(
      embedder().Embed(EmbedKind::kPassage, {std::string(kEmbeddedTextBytesMax + 1, 'a')}).status().code(),
      StatusCode::kInvalidArgument);
  EXPECT_EQ(embedder().Embed(EmbedKind::kPassage, {"fine", "\xff\xfe"}).status().code(),
            StatusCode::kInvalidArgument);
}

INSTANTIATE_TEST_SUITE_P(All, EmbedderContractTest,
                         testing::Values(Implementation{"Llama", SetUpEmbedder},
                                         Implementation{"Fake",
                                                        []() -> Embedder& {
                                                          static const auto fake = NewFakeEmbedder();
                                                          return *fake;
                                                        }}),
                         [](const auto& info) { return info.param.name; });

// Cosines and components from ONNX Runtime on the 32-bit export, tokenised by Hugging Face's tokenizers. They
// move when pooling, prefix, tokenizer, normalisation or a weight does.
TEST(LlamaEmbedderTest, AgreesWithTheReference) {
  const auto passages = SetUpEmbedder().Embed(
      EmbedKind::kPassage, {"Wash hands with soap for at least twenty seconds before touching a patient.",
                            "The café's résumé: naïve coöperation, 37.5 °C — “quoted”, 50 mg/day (±5%).",
                            "A covered entity must notify each affected individual no later than 60 calendar "
                            "days after discovery of a "
                            "breach."});
  const auto questions = SetUpEmbedder().Embed(
      EmbedKind::kQuestion,
      {"How long must staff wash their hands?", "When do people have to be told about a breach?"});
  ASSERT_TRUE(passages.ok());
  ASSERT_TRUE(questions.ok());
  constexpr double kTolerance = 0.002;
  EXPECT_NEAR(Cosine(*passages, 0, *passages, 1, 384), 0.4955, kTolerance);
  EXPECT_NEAR(Cosine(*passages, 0, *passages, 2, 384), 0.5012, kTolerance);
  EXPECT_NEAR(Cosine(*passages, 1, *passages, 2, 384), 0.4849, kTolerance);
  EXPECT_NEAR(Cosine(*questions, 0, *passages, 0, 384), 0.7935, kTolerance);
  EXPECT_NEAR(Cosine(*questions, 0, *passages, 2, 384), 0.4775, kTolerance);
  EXPECT_NEAR(Cosine(*questions, 1, *passages, 0, 384), 0.4401, kTolerance);
  EXPECT_NEAR(Cosine(*questions, 1, *passages, 2, 384), 0.7254, kTolerance);
  EXPECT_NEAR(Cosine(*questions, 0, *questions, 1, 384), 0.4896, kTolerance);
  constexpr std::array<float, 4> kFirst = {-0.0364f, 0.0413f, 0.0592f, -0.0336f};
  constexpr std::array<float, 4> kAccented = {-0.0579f, -0.0087f, -0.0058f, 0.0465f};
  for (size_t k = 0; k < 4; ++k) {
    EXPECT_NEAR(passages->vectors[k], kFirst[k], kTolerance) << k;
    EXPECT_NEAR(passages->vectors[384 + k], kAccented[k], kTolerance) << k;
  }
}

TEST(LlamaEmbedderTest, SpecialTokensInATextAreOrdinaryWords) {
  const auto result = SetUpEmbedder().Embed(EmbedKind::kPassage, {"a [SEP] b", "a [ SEP ] b"});
  ASSERT_TRUE(result.ok());
  EXPECT_GE(Cosine(*result, 0, *result, 1, 384), 0.99999);
}

TEST(LlamaEmbedderTest, RefusesAModelThatIsNotAsTheManifestSays) {
  const auto model = OpenSetUpModel(ModelRole::kEmbedder);
  ASSERT_TRUE(model.ok());
  for (const auto& change : std::vector<std::function<void(ModelInfo&)>>{
           [](ModelInfo& info) { info.dimension = 768; }, [](ModelInfo& info) { info.tokens_max = 1024; },
           [](ModelInfo& info) { info.role = ModelRole::kGenerator; }}) {
    ModelInfo info = model->info();
    change(info);
    const auto changed = VerifiedModel::Open(SetUpModelDirectory(), info);
    ASSERT_TRUE(changed.ok());
    EXPECT_EQ(OpenLlamaEmbedder(*changed).status().code(), StatusCode::kInvalidArgument);
  }
}

TEST(LlamaEmbedderTest, RefusesADecoder) {
  const auto generator = OpenSetUpModel(ModelRole::kGenerator);
  ASSERT_TRUE(generator.ok());
  ModelInfo info = generator->info();
  info.role = ModelRole::kEmbedder;
  info.dimension = 576;
  info.tokens_max = 512;
  info.pooling = Pooling::kCls;
  const auto posing = VerifiedModel::Open(SetUpModelDirectory(), info);
  ASSERT_TRUE(posing.ok());
  EXPECT_EQ(OpenLlamaEmbedder(*posing).status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace cloister::inference
