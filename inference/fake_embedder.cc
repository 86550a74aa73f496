// SPDX-License-Identifier: Apache-2.0
#include <cctype>
#include <cmath>
#include <string_view>

#include "common/bytes.h"
#include "inference/embedder.h"

namespace cloister::inference {
namespace {

constexpr uint32_t kDimension = 64;
constexpr uint32_t kWordsMax = 128;

// FNV-1a, so that the vectors are the same everywhere.
uint64_t HashWord(std::string_view word) {
  uint64_t hash = 14695981039346656037ull;
  for (const char c : word) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  return hash;
}

std::vector<std::string> Words(std::string_view text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) || byte >= 0x80) {
      words.back().push_back(static_cast<char>(std::tolower(byte)));
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

class FakeEmbedder final : public Embedder {
 public:
  FakeEmbedder() {
    info_.name = "fake";
    info_.file = "fake";
    info_.sha256 = std::string(64, '0');
    info_.licence = "Apache-2.0";
    info_.source = "none";
    info_.tokens_max = kWordsMax;
    info_.dimension = kDimension;
    info_.pooling = Pooling::kMean;
  }
  const ModelInfo& info() const override { return info_; }

  StatusOr<Embeddings> Embed(EmbedKind, const std::vector<std::string>& texts) override {
    Embeddings result;
    for (const std::string& text : texts) {
      if (text.size() > kEmbeddedTextBytesMax) return InvalidArgument("a text to embed is over 16 KiB");
      if (!IsUtf8(text)) return InvalidArgument("a text to embed is not UTF-8");
      std::vector<std::string> words = Words(text);
      if (words.size() > kWordsMax) {
        words.resize(kWordsMax);
        ++result.truncated;
      }
      result.tokens += words.size();
      AppendVector(words, result.vectors);
    }
    return result;
  }

 private:
  static void AppendVector(const std::vector<std::string>& words, std::vector<float>& vectors) {
    std::vector<double> vector(kDimension, 0);
    vector[0] = 1e-3;  // A text without words has a direction, too.
    for (const std::string& word : words) {
      const uint64_t hash = HashWord(word);
      vector[hash % kDimension] += (hash >> 32) & 1 ? 1 : -1;
    }
    double squares = 0;
    for (const double value : vector) squares += value * value;
    for (const double value : vector) vectors.push_back(static_cast<float>(value / std::sqrt(squares)));
  }

  ModelInfo info_;
};

}  // namespace

std::unique_ptr<Embedder> NewFakeEmbedder() { return std::make_unique<FakeEmbedder>(); }

}  // namespace cloister::inference
