// SPDX-License-Identifier: Apache-2.0
// What set-up does to model files: requantise one, and check that one computes on this machine. Built by
// deploy/setup against llama.cpp alone, before anything else of this tree is; never installed.
//
//   model_tool quantise IN OUT --type q8_0|q4_0|f16 [--embedding-type q8_0|q4_0|f16]
//   model_tool check FILE      loads, evaluates eight tokens, and fails when a result is not a finite number
//
// Exit status: 0, 1 when the model is at fault, 2 for wrong usage.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "ggml.h"
#include "llama.h"

namespace {

struct QuantType {
  const char* name;
  llama_ftype file_type;
  ggml_type tensor_type;
};
constexpr QuantType kTypes[] = {
    {"q8_0", LLAMA_FTYPE_MOSTLY_Q8_0, GGML_TYPE_Q8_0},
    {"q4_0", LLAMA_FTYPE_MOSTLY_Q4_0, GGML_TYPE_Q4_0},
    {"f16", LLAMA_FTYPE_MOSTLY_F16, GGML_TYPE_F16},
};

const QuantType* FindType(const std::string& name) {
  for (const QuantType& type : kTypes) {
    if (name == type.name) return &type;
  }
  return nullptr;
}

// Only errors are for a person's eyes.
void LogErrors(ggml_log_level level, const char* text, void*) {
  if (level == GGML_LOG_LEVEL_ERROR) std::fputs(text, stderr);
}

int Usage() {
  std::fputs(
      "usage: model_tool quantise IN OUT --type q8_0|q4_0|f16 [--embedding-type TYPE]\n"
      "       model_tool check FILE\n",
      stderr);
  return 2;
}

int Quantise(const std::string& in, const std::string& out, const QuantType& type,
             const QuantType* embedding) {
  llama_model_quantize_params params = llama_model_quantize_default_params();
  params.ftype = type.file_type;
  params.allow_requantize = true;
  params.pure = true;  // One type for all matrices: mixtures put some of them outside the repacked kernels.
  params.nthread = static_cast<int32_t>(std::thread::hardware_concurrency());
  if (embedding != nullptr) {
    params.token_embedding_type = embedding->tensor_type;
    params.output_tensor_type = embedding->tensor_type;
  }
  if (llama_model_quantize(in.c_str(), out.c_str(), &params) != 0) {
    std::fprintf(stderr, "model_tool: cannot quantise %s\n", in.c_str());
    return 1;
  }
  return 0;
}

int Fail(const char* why) {
  std::fprintf(stderr, "model_tool: %s\n", why);
  return 1;
}

int Check(const std::string& path) {
  llama_model_params model_params = llama_model_default_params();
  model_params.check_tensors = true;
  const std::unique_ptr<llama_model, decltype(&llama_model_free)> model(
      llama_model_load_from_file(path.c_str(), model_params), llama_model_free);
  if (!model) return Fail("the model does not load");
  llama_context_params context_params = llama_context_default_params();
  context_params.n_ctx = 64;
  context_params.n_batch = context_params.n_ubatch = 64;
  const std::unique_ptr<llama_context, decltype(&llama_free)> context(
      llama_init_from_model(model.get(), context_params), llama_free);
  if (!context) return Fail("no context for the model");

  const bool pooled = llama_pooling_type(context.get()) != LLAMA_POOLING_TYPE_NONE;
  if (pooled) llama_set_embeddings(context.get(), true);
  std::vector<llama_token> tokens = {101, 102, 103, 104, 105, 106, 107, 108};
  const llama_batch batch = llama_batch_get_one(tokens.data(), static_cast<int32_t>(tokens.size()));
  const int status = pooled ? llama_encode(context.get(), batch) : llama_decode(context.get(), batch);
  if (status != 0) return Fail("the model does not evaluate");
  const float* values =
      pooled ? llama_get_embeddings_seq(context.get(), 0) : llama_get_logits_ith(context.get(), -1);
  const int count =
      pooled ? llama_model_n_embd(model.get()) : llama_vocab_n_tokens(llama_model_get_vocab(model.get()));
  if (values == nullptr) return Fail("the model gives no result");
  double squares = 0;
  for (int i = 0; i < count; ++i) squares += static_cast<double>(values[i]) * values[i];
  return std::isfinite(squares) && squares > 0 ? 0 : Fail("the model's results are not numbers");
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  llama_log_set(LogErrors, nullptr);
  llama_backend_init();
  if (args.size() == 2 && args[0] == "check") return Check(args[1]);
  if ((args.size() != 5 && args.size() != 7) || args[0] != "quantise" || args[3] != "--type") return Usage();
  const QuantType* type = FindType(args[4]);
  const QuantType* embedding = nullptr;
  if (args.size() == 7) {
    if (args[5] != "--embedding-type") return Usage();
    embedding = FindType(args[6]);
    if (embedding == nullptr) return Usage();
  }
  return type == nullptr ? Usage() : Quantise(args[1], args[2], *type, embedding);
}
