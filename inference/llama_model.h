// SPDX-License-Identifier: Apache-2.0
// What the embedder and the generator share of llama.cpp: owning handles, and loading with its log silenced.
// For .cc files of this folder only; nothing else includes llama.h.
#pragma once

#include <llama.h>

#include <algorithm>
#include <memory>
#include <string_view>
#include <vector>

#include "inference/model_registry.h"

namespace cloister::inference {

struct LlamaModelDeleter {
  void operator()(llama_model* model) const { llama_model_free(model); }
};
struct LlamaContextDeleter {
  void operator()(llama_context* context) const { llama_free(context); }
};
using LlamaModel = std::unique_ptr<llama_model, LlamaModelDeleter>;
using LlamaContext = std::unique_ptr<llama_context, LlamaContextDeleter>;

// Loads from the sealed memory of `verified`, which may be destroyed afterwards. llama.cpp's log is dropped:
// it can hold text of prompts. Errors: kInvalidArgument (llama.cpp cannot load it).
StatusOr<LlamaModel> LoadLlamaModel(const VerifiedModel& verified);

// Text without special tokens being read from it, so that a document cannot forge one. `add_special` adds the
// vocabulary's own at the start and end.
std::vector<llama_token> Tokenize(const llama_model& model, std::string_view text, bool add_special);

// A batch of (token, position, sequence, wanted output).
class LlamaBatch {
 public:
  explicit LlamaBatch(int32_t tokens_max)
      : batch_(llama_batch_init(tokens_max, 0, 1)), tokens_max_(tokens_max) {}
  ~LlamaBatch() { llama_batch_free(batch_); }
  LlamaBatch(const LlamaBatch&) = delete;
  LlamaBatch& operator=(const LlamaBatch&) = delete;
  void Clear() { batch_.n_tokens = 0; }
  // As Clear(), and overwrites the tokens.
  void Wipe() {
    Clear();
    std::fill(batch_.token, batch_.token + tokens_max_, 0);
  }
  // Returns the index of the token in the batch. CHECKs that it fits.
  int32_t Add(llama_token token, llama_pos position, llama_seq_id sequence, bool output);
  int32_t size() const { return batch_.n_tokens; }
  llama_batch& get() { return batch_; }

 private:
  llama_batch batch_;
  int32_t tokens_max_;
};

}  // namespace cloister::inference
