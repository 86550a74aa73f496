// SPDX-License-Identifier: Apache-2.0
#include "inference/llama_model.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <mutex>

#include "common/log.h"

namespace cloister::inference {
namespace {

void DropLog(ggml_log_level, const char*, void*) {}

// ggml would start a debugger on this process to print where it was. A failed assertion still ends the
// process.
void OnAbort(const char*) { Log(LogLevel::kError, "inference.aborted"); }

void StartLlamaOnce() {
  static std::once_flag once;
  std::call_once(once, [] {
    llama_log_set(DropLog, nullptr);
    ggml_set_abort_callback(OnAbort);
    std::set_terminate(std::abort);  // ggml replaced the handler with its own, debugger included.
    llama_backend_init();
  });
}

}  // namespace

StatusOr<LlamaModel> LoadLlamaModel(const VerifiedModel& verified) {
  StartLlamaOnce();
  const int copy = ::dup(verified.fd());
  std::FILE* file = copy < 0 ? nullptr : ::fdopen(copy, "rb");
  if (file == nullptr) {
    if (copy >= 0) ::close(copy);
    return ResourceExhausted("no descriptor to load the model from");
  }
  std::rewind(file);
  llama_model_params params = llama_model_default_params();
  // Read, not mapped: most matrices are repacked while they are loaded, and the file's own copy can then go.
  params.load_mode = LLAMA_LOAD_MODE_NONE;
  params.check_tensors = true;
  LlamaModel model(llama_model_load_from_file_ptr(file, params));
  std::fclose(file);
  if (!model) return InvalidArgument("llama.cpp cannot load the model");
  return model;
}

std::vector<llama_token> Tokenize(const llama_model& model, std::string_view text, bool add_special) {
  const llama_vocab* vocab = llama_model_get_vocab(&model);
  std::vector<llama_token> tokens(text.size() + 8);
  const auto tokenize = [&] {
    return llama_tokenize(vocab, text.data(), static_cast<int32_t>(text.size()), tokens.data(),
                          static_cast<int32_t>(tokens.size()), add_special, /*parse_special=*/false);
  };
  int32_t count = tokenize();
  if (count < 0) {  // More tokens than bytes: minus the number that is needed.
    tokens.resize(static_cast<size_t>(-count));
    count = tokenize();
  }
  CLOISTER_CHECK(count >= 0);
  tokens.resize(static_cast<size_t>(count));
  return tokens;
}

int32_t LlamaBatch::Add(llama_token token, llama_pos position, llama_seq_id sequence, bool output) {
  CLOISTER_CHECK(batch_.n_tokens < tokens_max_);
  const int32_t index = batch_.n_tokens++;
  batch_.token[index] = token;
  batch_.pos[index] = position;
  batch_.n_seq_id[index] = 1;
  batch_.seq_id[index][0] = sequence;
  batch_.logits[index] = output ? 1 : 0;
  return index;
}

}  // namespace cloister::inference
