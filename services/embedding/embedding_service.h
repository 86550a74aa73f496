// SPDX-License-Identifier: Apache-2.0
// cloister.v1.Embedding over an embedder that its callers share. Does not keep or log text, and does not
// decide who may call it (see EmbeddingRules).
#pragma once

#include <vector>

#include "cloister/v1/embedding.grpc.pb.h"
#include "inference/embedding_queue.h"
#include "services/server/rpc_server.h"

namespace cloister::services {

constexpr int kEmbedTextsMax = 256;
// For calls without a deadline of their own; of one with a deadline, that one counts.
constexpr std::chrono::minutes kEmbedTimeMax{10};

// Thread-safe. Blocks on the processor.
class EmbeddingService final : public v1::Embedding::Service {
 public:
  // `embedder` must outlive the service.
  explicit EmbeddingService(inference::Embedder& embedder, inference::EmbeddingQueueOptions options = {})
      : embedder_(embedder), queue_(embedder, options) {}

  grpc::Status Embed(grpc::ServerContext* context, const v1::EmbedRequest* request,
                     v1::EmbedResponse* response) override;
  grpc::Status GetEmbedder(grpc::ServerContext* context, const v1::GetEmbedderRequest* request,
                           v1::EmbedderInfo* response) override;
  // Fails calls that wait with UNAVAILABLE.
  void Stop() { queue_.Stop(); }

 private:
  inference::Embedder& embedder_;
  inference::EmbeddingQueue queue_;
};

// Who may call which method.
std::vector<MethodRule> EmbeddingRules();

}  // namespace cloister::services
