// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <mutex>

#include "inference/generator.h"
#include "inference/llama_model.h"

namespace cloister::inference {
namespace {

// The glue and a start token.
constexpr uint32_t kTemplateTokensMax = 32;

// log softmax(logits)[token].
double LogProbability(const float* logits, int32_t count, llama_token token) {
  const float greatest = *std::max_element(logits, logits + count);
  double sum = 0;
  for (int32_t i = 0; i < count; ++i) sum += std::exp(logits[i] - greatest);
  return static_cast<double>(logits[token] - greatest) - std::log(sum);
}

class LlamaGenerator final : public LikelihoodScorer {
 public:
  LlamaGenerator(GeneratorOptions options, LlamaModel model, LlamaContext context, uint32_t window)
      : options_(options),
        model_(std::move(model)),
        context_(std::move(context)),
        glue_(Tokenize(*model_, kScoringGlue, /*add_special=*/false)),
        batch_(static_cast<int32_t>(window)) {}

  StatusOr<std::vector<LikelihoodResult>> Score(std::string_view question,
                                                const std::vector<std::string>& contexts) override {
    CLOISTER_RETURN_IF_ERROR(CheckScoreRequest(question, contexts));
    const std::vector<llama_token> asked = QuestionTokens(question);
    if (asked.empty()) return InvalidArgument("the question has no tokens");
    std::vector<LikelihoodResult> results;
    results.reserve(contexts.size());
    const std::lock_guard lock(mutex_);
    Status failed;
    for (const std::string& context : contexts) {
      const auto result = ScoreOne(PrefixTokens(context), asked);
      failed = result.status();
      if (!failed.ok()) break;
      results.push_back(*result);
    }
    Forget();
    if (!failed.ok()) return failed;
    return results;
  }

 private:
  // Overwrites what this call read, where it would otherwise stay until the next one: the cache and the tokens.
  void Forget() {
    llama_memory_clear(llama_get_memory(context_.get()), /*data=*/true);
    batch_.Wipe();
  }

  std::vector<llama_token> QuestionTokens(std::string_view question) const {
    // The blank belongs to the first word in this family of vocabularies.
    std::vector<llama_token> tokens = Tokenize(*model_, " " + std::string(question), /*add_special=*/false);
    if (tokens.size() > options_.question_tokens_max) tokens.resize(options_.question_tokens_max);
    return tokens;
  }

  // The start token where the model has one, the end of the context, and the glue.
  std::vector<llama_token> PrefixTokens(std::string_view context) const {
    const llama_vocab* vocab = llama_model_get_vocab(model_.get());
    std::vector<llama_token> tokens = Tokenize(*model_, context, /*add_special=*/false);
    if (tokens.size() > options_.context_tokens_max) {
      tokens.erase(tokens.begin(), tokens.end() - options_.context_tokens_max);
    }
    if (llama_vocab_get_add_bos(vocab)) tokens.insert(tokens.begin(), llama_vocab_bos(vocab));
    tokens.insert(tokens.end(), glue_.begin(), glue_.end());
    return tokens;
  }

  // Logits are asked for only where the next token is one of the question: multiplying by the output matrix
  // costs as much as a tenth of the model.
  StatusOr<LikelihoodResult> ScoreOne(const std::vector<llama_token>& prefix,
                                      const std::vector<llama_token>& asked) {
    llama_memory_clear(llama_get_memory(context_.get()), /*data=*/false);
    batch_.Clear();
    llama_pos position = 0;
    std::vector<int32_t> rows;
    for (size_t i = 0; i < prefix.size(); ++i) {
      const bool last = i + 1 == prefix.size();
      const int32_t row = batch_.Add(prefix[i], position++, 0, last);
      if (last) rows.push_back(row);
    }
    for (size_t i = 0; i + 1 < asked.size(); ++i) rows.push_back(batch_.Add(asked[i], position++, 0, true));
    if (llama_decode(context_.get(), batch_.get()) != 0) return Internal("the generator failed");
    const int32_t vocabulary = llama_vocab_n_tokens(llama_model_get_vocab(model_.get()));
    double sum = 0;
    for (size_t i = 0; i < asked.size(); ++i) {
      const float* logits = llama_get_logits_ith(context_.get(), rows[i]);
      if (logits == nullptr) return Internal("the generator gave no logits");
      sum += LogProbability(logits, vocabulary, asked[i]);
    }
    const double mean = sum / static_cast<double>(asked.size());
    if (!std::isfinite(mean)) return Internal("the generator gave no usable likelihood");
    return LikelihoodResult{static_cast<float>(std::min(mean, 0.0)),
                            static_cast<uint32_t>(prefix.size() + asked.size())};
  }

  const GeneratorOptions options_;
  const LlamaModel model_;
  const LlamaContext context_;
  const std::vector<llama_token> glue_;
  std::mutex mutex_;  // Over context_ and batch_.
  LlamaBatch batch_;
};

}  // namespace

StatusOr<std::unique_ptr<LikelihoodScorer>> OpenGenerator(const VerifiedModel& verified,
                                                          GeneratorOptions options) {
  const ModelInfo& info = verified.info();
  if (info.role != ModelRole::kGenerator)
    return InvalidArgument("the manifest does not call this model a generator");
  CLOISTER_ASSIGN_OR_RETURN(LlamaModel model, LoadLlamaModel(verified));
  if (static_cast<uint32_t>(llama_model_n_ctx_train(model.get())) < info.tokens_max) {
    return InvalidArgument("the generator's window is smaller than its manifest says");
  }
  const uint32_t window = options.context_tokens_max + options.question_tokens_max + kTemplateTokensMax;
  if (options.question_tokens_max == 0 || window > info.tokens_max) {
    return InvalidArgument("the generator's token limits do not fit its window");
  }
  llama_context_params params = llama_context_default_params();
  params.n_ctx = params.n_batch = params.n_ubatch = window;
  params.n_seq_max = 1;
  params.n_threads = params.n_threads_batch = static_cast<int32_t>(options.threads);
  // One short sequence at a time: a sixth faster than without. (Many sequences at once, or a short suffix on
  // a long cache, are where it is slow or inexact.)
  params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
  params.no_perf = true;
  LlamaContext context(llama_init_from_model(model.get(), params));
  if (!context) return InvalidArgument("llama.cpp makes no context for the generator");
  if (!llama_get_causal_attn(context.get())) return InvalidArgument("the model is not a decoder");
  return std::make_unique<LlamaGenerator>(options, std::move(model), std::move(context), window);
}

}  // namespace cloister::inference
