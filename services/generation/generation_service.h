// SPDX-License-Identifier: Apache-2.0
// cloister.v1.Generation: span choice over what the caller was given by a release. Does not retrieve, keep or
// log text, and does not decide who may call it (see GenerationRules).
#pragma once

#include <atomic>
#include <vector>

#include "cloister/v1/generation.grpc.pb.h"
#include "inference/likelihood_scorer.h"
#include "inference/model_registry.h"
#include "services/server/rpc_server.h"

namespace cloister::services {

constexpr size_t kAnswerQuestionBytesMax = 8 * 1024;
constexpr int kAnswerPassagesMax = 64;
// Answers under way or waiting for the one model; more get RESOURCE_EXHAUSTED.
constexpr int kAnswersWaitingMax = 16;

// Thread-safe. Blocks on the processor.
class GenerationService final : public v1::Generation::Service {
 public:
  // `scorer` must outlive the service. `candidates_default` is used where a request has 0.
  GenerationService(inference::LikelihoodScorer& scorer, inference::ModelInfo info,
                    uint32_t candidates_default)
      : scorer_(scorer), info_(std::move(info)), candidates_default_(candidates_default) {}

  grpc::Status Answer(grpc::ServerContext* context, const v1::AnswerRequest* request,
                      grpc::ServerWriter<v1::AnswerEvent>* writer) override;
  grpc::Status GetGenerator(grpc::ServerContext* context, const v1::GetGeneratorRequest* request,
                            v1::GeneratorInfo* response) override;

 private:
  inference::LikelihoodScorer& scorer_;
  const inference::ModelInfo info_;
  const uint32_t candidates_default_;
  std::atomic<int> waiting_{0};
};

// Who may call which method.
std::vector<MethodRule> GenerationRules();

}  // namespace cloister::services
