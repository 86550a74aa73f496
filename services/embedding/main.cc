// SPDX-License-Identifier: Apache-2.0
// cloister-embedding: text to vectors. Opens no network socket and writes no file.
#include <memory>
#include <utility>

#include "services/embedding/embedding_service.h"
#include "services/models/trusted_model.h"
#include "services/server/service_main.h"

namespace cloister::services {
namespace {

class EmbeddingProcess final : public RunningService {
 public:
  explicit EmbeddingProcess(std::unique_ptr<inference::Embedder> embedder)
      : embedder_(std::move(embedder)), service_(*embedder_) {}
  std::vector<grpc::Service*> RpcServices() override { return {&service_}; }
  std::vector<MethodRule> Rules() const override { return EmbeddingRules(); }
  void Stop() override { service_.Stop(); }

 private:
  std::unique_ptr<inference::Embedder> embedder_;
  EmbeddingService service_;
};

StatusOr<std::unique_ptr<RunningService>> Start(const ServiceContext& context) {
  CLOISTER_ASSIGN_OR_RETURN(const auto model, OpenTrustedModel(context, inference::ModelRole::kEmbedder));
  inference::LlamaEmbedderOptions options;
  options.threads = static_cast<uint32_t>(context.config().Int("embedding.threads"));
  auto embedder = inference::OpenLlamaEmbedder(model, options);
  if (!embedder.ok()) return RejectModel(context, inference::ModelRole::kEmbedder, embedder.status());
  CLOISTER_RETURN_IF_ERROR(RecordModelLoaded(context, model.info()));
  return std::make_unique<EmbeddingProcess>(*std::move(embedder));
}

}  // namespace
}  // namespace cloister::services

int main(int argc, char** argv) {
  cloister::services::ServiceDefinition definition;
  definition.identity = "embedding";
  definition.needs = {"keys", "audit"};
  definition.start = cloister::services::Start;
  return cloister::services::ServiceMain(argc, argv, definition);
}
