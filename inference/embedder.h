// SPDX-License-Identifier: Apache-2.0
// Text to vectors of unit length. Does not queue or share work between callers (see embedding_queue.h), and
// keeps no text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/status.h"
#include "inference/model_registry.h"

namespace cloister::inference {

constexpr size_t kEmbeddedTextBytesMax = 16 * 1024;

enum class EmbedKind {
  kQuestion,  // The model's question prefix is added.
  kPassage,
};

struct Embeddings {
  std::vector<float> vectors;  // texts x dimension, in the order of the texts.
  uint32_t truncated = 0;      // Texts that were cut at the model's window.
  uint64_t tokens = 0;         // Tokens embedded.
};

// Thread-safe; calls wait for one another. A text's vector does not depend on the texts it comes with beyond
// rounding (cosine >= 0.99999).
class Embedder {
 public:
  virtual ~Embedder() = default;
  virtual const ModelInfo& info() const = 0;
  // Blocks on the processor. An empty text has a vector, too: that of the model's start and end alone.
  // Errors: kInvalidArgument (a text over kEmbeddedTextBytesMax or not UTF-8), kInternal (the model fails).
  virtual StatusOr<Embeddings> Embed(EmbedKind kind, const std::vector<std::string>& texts) = 0;
};

struct LlamaEmbedderOptions {
  uint32_t threads = 2;
};

// Errors: kInvalidArgument (llama.cpp cannot load it; it has another dimension, window or pooling than its
// manifest says; it is not an encoder).
StatusOr<std::unique_ptr<Embedder>> OpenLlamaEmbedder(const VerifiedModel& model,
                                                      LlamaEmbedderOptions options = {});

// Without a model, for tests: words hashed into 64 dimensions, so that texts which share words are near. Cuts
// texts at 128 words.
std::unique_ptr<Embedder> NewFakeEmbedder();

}  // namespace cloister::inference
