// SPDX-License-Identifier: Apache-2.0
// cloister-generation: chooses quotes with the language model's help. Opens no network socket and writes no
// file.
#include <memory>
#include <utility>

#include "inference/generator.h"
#include "services/generation/generation_service.h"
#include "services/models/trusted_model.h"
#include "services/server/service_main.h"

namespace cloister::services {
namespace {

class GenerationProcess final : public RunningService {
 public:
  GenerationProcess(std::unique_ptr<inference::LikelihoodScorer> scorer, inference::ModelInfo info,
                    uint32_t candidates)
      : scorer_(std::move(scorer)), service_(*scorer_, std::move(info), candidates) {}
  std::vector<grpc::Service*> RpcServices() override { return {&service_}; }
  std::vector<MethodRule> Rules() const override { return GenerationRules(); }

 private:
  std::unique_ptr<inference::LikelihoodScorer> scorer_;
  GenerationService service_;
};

StatusOr<std::unique_ptr<RunningService>> Start(const ServiceContext& context) {
  CLOISTER_ASSIGN_OR_RETURN(const auto model, OpenTrustedModel(context, inference::ModelRole::kGenerator));
  inference::GeneratorOptions options;
  options.threads = static_cast<uint32_t>(context.config().Int("generation.threads"));
  auto generator = inference::OpenGenerator(model, options);
  if (!generator.ok()) return RejectModel(context, inference::ModelRole::kGenerator, generator.status());
  CLOISTER_RETURN_IF_ERROR(RecordModelLoaded(context, model.info()));
  return std::make_unique<GenerationProcess>(
      *std::move(generator), model.info(),
      static_cast<uint32_t>(context.config().Int("generation.candidates")));
}

}  // namespace
}  // namespace cloister::services

int main(int argc, char** argv) {
  cloister::services::ServiceDefinition definition;
  definition.identity = "generation";
  definition.needs = {"keys", "audit"};
  definition.start = cloister::services::Start;
  return cloister::services::ServiceMain(argc, argv, definition);
}
