// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <mutex>
#include <numeric>

#include "common/bytes.h"
#include "inference/embedder.h"
#include "inference/llama_model.h"

namespace cloister::inference {
namespace {

// Sequences packed in one batch attend to each other's positions before the mask removes them, so that part
// of the cost grows with the square of the batch; too small a batch leaves the matrix kernels idle. Measured:
// 256 tokens. A longer text is a batch of its own.
constexpr uint32_t kBatchTokens = 256;
constexpr uint32_t kBatchTextsMax = 64;

enum llama_pooling_type ToLlama(Pooling pooling) {
  return pooling == Pooling::kMean ? LLAMA_POOLING_TYPE_MEAN : LLAMA_POOLING_TYPE_CLS;
}

Status CheckTexts(const std::vector<std::string>& texts) {
  for (const std::string& text : texts) {
    if (text.size() > kEmbeddedTextBytesMax) return InvalidArgument("a text to embed is over 16 KiB");
    if (!IsUtf8(text)) return InvalidArgument("a text to embed is not UTF-8");
  }
  return Status();
}

class LlamaEmbedder final : public Embedder {
 public:
  LlamaEmbedder(ModelInfo info, LlamaModel model, LlamaContext context)
      : info_(std::move(info)),
        model_(std::move(model)),
        context_(std::move(context)),
        batch_(static_cast<int32_t>(BatchTokensMax(info_))) {}

  static uint32_t BatchTokensMax(const ModelInfo& info) { return std::max(kBatchTokens, info.tokens_max); }

  const ModelInfo& info() const override { return info_; }

  StatusOr<Embeddings> Embed(EmbedKind kind, const std::vector<std::string>& texts) override {
    CLOISTER_RETURN_IF_ERROR(CheckTexts(texts));
    Embeddings result;
    std::vector<std::vector<llama_token>> tokens;
    tokens.reserve(texts.size());
    for (const std::string& text : texts) {
      tokens.push_back(WindowOf(kind == EmbedKind::kQuestion ? info_.question_prefix + text : text, result));
    }
    // Neighbours of one length fill a batch best.
    std::vector<size_t> order(texts.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return tokens[a].size() < tokens[b].size(); });
    result.vectors.resize(texts.size() * info_.dimension);
    const std::lock_guard lock(mutex_);
    for (size_t done = 0; done < order.size();) {
      CLOISTER_ASSIGN_OR_RETURN(done, EmbedBatch(tokens, order, done, result));
    }
    return result;
  }

 private:
  // The text's tokens cut to the model's window, with the last special token kept.
  std::vector<llama_token> WindowOf(const std::string& text, Embeddings& result) const {
    std::vector<llama_token> tokens = Tokenize(*model_, text, /*add_special=*/true);
    if (tokens.size() > info_.tokens_max) {
      tokens[info_.tokens_max - 1] = tokens.back();
      tokens.resize(info_.tokens_max);
      ++result.truncated;
    }
    result.tokens += tokens.size();
    return tokens;
  }

  // Embeds texts of `order` from `first` on, as many as one batch holds; returns the first that is left.
  StatusOr<size_t> EmbedBatch(const std::vector<std::vector<llama_token>>& tokens,
                              const std::vector<size_t>& order, size_t first, Embeddings& result) {
    batch_.Clear();
    size_t next = first;
    for (; next < order.size() && next - first < kBatchTextsMax; ++next) {
      const std::vector<llama_token>& text = tokens[order[next]];
      if (next > first && static_cast<size_t>(batch_.size()) + text.size() > kBatchTokens) break;
      for (size_t i = 0; i < text.size(); ++i) {
        batch_.Add(text[i], static_cast<llama_pos>(i), static_cast<llama_seq_id>(next - first),
                   /*output=*/true);
      }
    }
    CLOISTER_CHECK(next > first);
    if (llama_encode(context_.get(), batch_.get()) != 0) return Internal("the embedder failed");
    for (size_t i = first; i < next; ++i) {
      const float* vector = llama_get_embeddings_seq(context_.get(), static_cast<llama_seq_id>(i - first));
      if (vector == nullptr || !Normalise(vector, result.vectors.data() + order[i] * info_.dimension)) {
        return Internal("the embedder gave no usable vector");
      }
    }
    return next;
  }

  bool Normalise(const float* from, float* to) const {
    double squares = 0;
    for (uint32_t i = 0; i < info_.dimension; ++i) squares += static_cast<double>(from[i]) * from[i];
    if (!std::isfinite(squares) || squares <= 0) return false;
    const double scale = 1 / std::sqrt(squares);
    for (uint32_t i = 0; i < info_.dimension; ++i) to[i] = static_cast<float>(from[i] * scale);
    return true;
  }

  const ModelInfo info_;
  const LlamaModel model_;
  const LlamaContext context_;
  std::mutex mutex_;  // Over context_ and batch_.
  LlamaBatch batch_;
};

Status CheckAgainstManifest(const llama_model& model, const ModelInfo& info) {
  if (info.role != ModelRole::kEmbedder || info.pooling == Pooling::kNone) {
    return InvalidArgument("the manifest does not call this model an embedder");
  }
  if (static_cast<uint32_t>(llama_model_n_embd(&model)) != info.dimension) {
    return InvalidArgument("the embedder has another dimension than its manifest says");
  }
  if (static_cast<uint32_t>(llama_model_n_ctx_train(&model)) < info.tokens_max) {
    return InvalidArgument("the embedder's window is smaller than its manifest says");
  }
  return Status();
}

}  // namespace

StatusOr<std::unique_ptr<Embedder>> OpenLlamaEmbedder(const VerifiedModel& verified,
                                                      LlamaEmbedderOptions options) {
  const ModelInfo& info = verified.info();
  CLOISTER_ASSIGN_OR_RETURN(LlamaModel model, LoadLlamaModel(verified));
  CLOISTER_RETURN_IF_ERROR(CheckAgainstManifest(*model, info));
  llama_context_params params = llama_context_default_params();
  params.n_ctx = params.n_batch = params.n_ubatch = LlamaEmbedder::BatchTokensMax(info);
  params.n_seq_max = kBatchTextsMax;
  params.n_threads = params.n_threads_batch = static_cast<int32_t>(options.threads);
  params.embeddings = true;
  params.pooling_type = ToLlama(info.pooling);
  params.kv_unified = true;
  // Twice as fast as without, for the same vectors.
  params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
  params.no_perf = true;
  LlamaContext context(llama_init_from_model(model.get(), params));
  if (!context) return InvalidArgument("llama.cpp makes no context for the embedder");
  // A decoder would take each token's position for the next prediction; pooling over it means nothing.
  if (llama_get_causal_attn(context.get())) return InvalidArgument("the model is not an encoder");
  return std::make_unique<LlamaEmbedder>(info, std::move(model), std::move(context));
}

}  // namespace cloister::inference
