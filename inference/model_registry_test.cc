// SPDX-License-Identifier: Apache-2.0
#include "inference/model_registry.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "common/bytes.h"
#include "crypto/hash.h"
#include "inference/embedder.h"
#include "inference/test_models.h"

namespace cloister::inference {
namespace {

using Json = nlohmann::json;

Json EmbedderJson() {
  return {
      {"name", "e"},      {"role", "embedder"},      {"file", "e.gguf"},  {"sha256", std::string(64, 'a')},
      {"licence", "MIT"}, {"source", "package 1"},   {"tokens_max", 512}, {"dimension", 384},
      {"pooling", "cls"}, {"question_prefix", "Q: "}};
}
Json GeneratorJson() {
  return {{"name", "g"},      {"role", "generator"},   {"file", "g.gguf"},  {"sha256", std::string(64, 'b')},
          {"licence", "MIT"}, {"source", "package 2"}, {"tokens_max", 8192}};
}
std::string ManifestJson(const Json& models) { return Json{{"format", 1}, {"models", models}}.dump(); }

// Braces alone would copy a single object instead of listing it.
template <typename... Models>
Json List(const Models&... models) {
  return Json::array({models...});
}

StatusCode CodeOf(const Json& models) { return ParseManifest(ManifestJson(models)).status().code(); }

TEST(ModelManifestTest, ReadsEveryField) {
  const auto manifest = ParseManifest(ManifestJson(List(EmbedderJson(), GeneratorJson())));
  ASSERT_TRUE(manifest.ok());
  const auto embedder = manifest->Find(ModelRole::kEmbedder);
  ASSERT_TRUE(embedder.ok());
  EXPECT_EQ(embedder->name, "e");
  EXPECT_EQ(embedder->file, "e.gguf");
  EXPECT_EQ(embedder->sha256, std::string(64, 'a'));
  EXPECT_EQ(embedder->licence, "MIT");
  EXPECT_EQ(embedder->source, "package 1");
  EXPECT_EQ(embedder->tokens_max, 512u);
  EXPECT_EQ(embedder->dimension, 384u);
  EXPECT_EQ(embedder->pooling, Pooling::kCls);
  EXPECT_EQ(embedder->question_prefix, "Q: ");
  const auto generator = manifest->Find(ModelRole::kGenerator);
  ASSERT_TRUE(generator.ok());
  EXPECT_EQ(generator->dimension, 0u);
  EXPECT_EQ(generator->tokens_max, 8192u);
}

TEST(ModelManifestTest, SaysWhenNoModelHasARole) {
  const auto manifest = ParseManifest(ManifestJson(List(GeneratorJson())));
  ASSERT_TRUE(manifest.ok());
  EXPECT_EQ(manifest->Find(ModelRole::kEmbedder).status().code(), StatusCode::kNotFound);
}

TEST(ModelManifestTest, RefusesMissingUnknownAndMistypedFields) {
  for (const auto& model : {EmbedderJson(), GeneratorJson()}) {
    for (const auto& item : model.items()) {
      Json missing = model;
      missing.erase(item.key());
      EXPECT_EQ(CodeOf(List(missing)), StatusCode::kInvalidArgument) << item.key();
      Json mistyped = model;
      mistyped[item.key()] = Json::array();
      EXPECT_EQ(CodeOf(List(mistyped)), StatusCode::kInvalidArgument) << item.key();
    }
    Json unknown = model;
    unknown["url"] = "x";
    EXPECT_EQ(CodeOf(List(unknown)), StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(CodeOf("x"), StatusCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(List(1)), StatusCode::kInvalidArgument);
  EXPECT_EQ(ParseManifest("{").status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(ParseManifest(R"({"format":1,"models":[],"extra":1})").status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(ParseManifest(std::string(kManifestBytesMax + 1, ' ')).status().code(),
            StatusCode::kInvalidArgument);
}

TEST(ModelManifestTest, RefusesAnUnknownFormatByNumber) {
  const auto manifest = ParseManifest(R"({"format":2,"models":[]})");
  EXPECT_EQ(manifest.status().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(MessageOf(manifest.status()).find("format 2"), std::string::npos);
}

TEST(ModelManifestTest, RefusesPathsBadDigestsAndTwins) {
  for (const std::string file : {"../e.gguf", "/etc/passwd", "a/b", ".", "..", ""}) {
    Json model = GeneratorJson();
    model["file"] = file;
    EXPECT_EQ(CodeOf(List(model)), StatusCode::kInvalidArgument) << file;
  }
  for (const std::string& digest :
       {std::string(63, 'a'), std::string(64, 'A'), std::string(66, 'a'), std::string()}) {
    Json model = GeneratorJson();
    model["sha256"] = digest;
    EXPECT_EQ(CodeOf(List(model)), StatusCode::kInvalidArgument) << digest;
  }
  EXPECT_EQ(CodeOf(List(GeneratorJson(), GeneratorJson())), StatusCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(Json(kManifestModelsMax + 1, GeneratorJson())), StatusCode::kInvalidArgument);
}

class SignedManifestTest : public testing::Test {
 protected:
  const crypto::Ed25519Signer signer_ = *crypto::Ed25519Signer::FromSeed(std::string(32, 's'));
  const std::string json_ = ManifestJson(List(GeneratorJson()));
};

TEST_F(SignedManifestTest, OpensWhatTheSignerSigned) {
  const auto text = SignManifest(json_, signer_);
  ASSERT_TRUE(text.ok());
  const auto manifest = OpenSignedManifest(*text, signer_.public_key());
  ASSERT_TRUE(manifest.ok());
  EXPECT_EQ(manifest->models.size(), 1u);
}

TEST_F(SignedManifestTest, DoesNotSignWhatDoesNotParse) {
  EXPECT_EQ(SignManifest("{}", signer_).status().code(), StatusCode::kInvalidArgument);
}

TEST_F(SignedManifestTest, RefusesAnotherKey) {
  const auto text = SignManifest(json_, signer_);
  ASSERT_TRUE(text.ok());
  const auto other = crypto::Ed25519Signer::FromSeed(std::string(32, 't'));
  EXPECT_EQ(OpenSignedManifest(*text, other->public_key()).status().code(), StatusCode::kDataLoss);
}

TEST_F(SignedManifestTest, RefusesEveryFlippedBitAndEveryTruncation) {
  const auto text = SignManifest(json_, signer_);
  ASSERT_TRUE(text.ok());
  for (size_t bit = 0; bit < text->size() * 8; ++bit) {
    std::string changed = *text;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_EQ(OpenSignedManifest(changed, signer_.public_key()).status().code(), StatusCode::kDataLoss)
        << bit;
  }
  for (size_t size = 0; size < text->size(); ++size) {
    EXPECT_EQ(OpenSignedManifest(text->substr(0, size), signer_.public_key()).status().code(),
              StatusCode::kDataLoss);
  }
}

class VerifiedModelTest : public testing::Test {
 protected:
  static ModelInfo InfoFor(std::string_view bytes) {
    ModelInfo info;
    info.name = "m";
    info.file = "m.gguf";
    info.sha256 = HexEncode(crypto::Sha256(bytes));
    return info;
  }
  void Write(std::string_view bytes) const {
    ASSERT_TRUE(WriteFileAtomic(directory_.path() / "m.gguf", bytes, 0600).ok());
  }
  static std::string BytesOf(const VerifiedModel& model) {
    EXPECT_EQ(::lseek(model.fd(), 0, SEEK_SET), 0);
    return *ReadAll(model.fd(), 1 << 30);
  }
  TemporaryDirectory directory_;
};

TEST_F(VerifiedModelTest, HoldsTheBytesThatWereHashedWhateverHappensToTheFile) {
  const std::string bytes(3'000'000, 'x');
  Write(bytes);
  const auto model = VerifiedModel::Open(directory_.path(), InfoFor(bytes));
  ASSERT_TRUE(model.ok());
  Write("something else");
  EXPECT_EQ(BytesOf(*model), bytes);
  EXPECT_LT(::write(model->fd(), "y", 1), 0);
  EXPECT_NE(::ftruncate(model->fd(), 0), 0);
}

TEST_F(VerifiedModelTest, RefusesAnyChangedByteAndAnyOtherLength) {
  const std::string bytes(4096, 'x');
  for (const size_t position : {size_t{0}, size_t{1}, size_t{2048}, size_t{4095}}) {
    std::string changed = bytes;
    changed[position] ^= 1;
    Write(changed);
    EXPECT_EQ(VerifiedModel::Open(directory_.path(), InfoFor(bytes)).status().code(), StatusCode::kDataLoss);
  }
  Write(bytes.substr(1));
  EXPECT_EQ(VerifiedModel::Open(directory_.path(), InfoFor(bytes)).status().code(), StatusCode::kDataLoss);
  Write(bytes + "x");
  EXPECT_EQ(VerifiedModel::Open(directory_.path(), InfoFor(bytes)).status().code(), StatusCode::kDataLoss);
}

TEST_F(VerifiedModelTest, SaysWhenThereIsNoFileAndNeverLeavesItsFolder) {
  EXPECT_EQ(VerifiedModel::Open(directory_.path(), InfoFor("x")).status().code(), StatusCode::kNotFound);
  ModelInfo info = InfoFor("x");
  info.file = "../m.gguf";
  EXPECT_EQ(VerifiedModel::Open(directory_.path(), info).status().code(), StatusCode::kInvalidArgument);
}

TEST_F(VerifiedModelTest, ARealModelWithOneFlippedBitIsRefusedBeforeItIsParsed) {
  const auto real = OpenSetUpModel(ModelRole::kEmbedder);
  ASSERT_TRUE(real.ok());
  std::string bytes = BytesOf(*real);
  bytes[bytes.size() / 2] ^= 4;
  Write(bytes);
  ModelInfo info = real->info();
  info.file = "m.gguf";
  EXPECT_EQ(VerifiedModel::Open(directory_.path(), info).status().code(), StatusCode::kDataLoss);
}

TEST_F(VerifiedModelTest, WhatVerifiesAndIsNoModelDoesNotLoad) {
  const std::string bytes = "GGUF but not really";
  Write(bytes);
  ModelInfo info = InfoFor(bytes);
  info.dimension = 384;
  info.tokens_max = 512;
  info.pooling = Pooling::kCls;
  const auto model = VerifiedModel::Open(directory_.path(), info);
  ASSERT_TRUE(model.ok());
  EXPECT_EQ(OpenLlamaEmbedder(*model).status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace cloister::inference
