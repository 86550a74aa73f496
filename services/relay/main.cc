// SPDX-License-Identifier: Apache-2.0
// cloister-relay: the one process that opens connections to other hosts, to those that the configuration names. Runs only
// when there is one.
#include <memory>
#include <utility>

#include "services/relay/relay_service.h"
#include "services/server/service_main.h"

namespace cloister::services {
namespace {

class RelayProcess final : public RunningService {
 public:
  RelayProcess(std::vector<witness::WitnessPeer> witnesses, PostOptions options)
      : service_(std::move(witnesses), std::move(options)) {}
  std::vector<grpc::Service*> RpcServices() override { return {&service_}; }
  std::vector<MethodRule> Rules() const override { return RelayRules(); }

 private:
  RelayService service_;
};

StatusOr<std::unique_ptr<RunningService>> Start(const ServiceContext& context) {
  CLOISTER_ASSIGN_OR_RETURN(auto witnesses, witness::ParseWitnesses(context.config().Strings("audit.witnesses")));
  PostOptions options;
  options.ca_file = context.config().String("relay.ca_file");
  return std::make_unique<RelayProcess>(std::move(witnesses), std::move(options));
}

}  // namespace
}  // namespace cloister::services

int main(int argc, char** argv) {
  cloister::services::ServiceDefinition definition;
  definition.identity = "relay";
  definition.start = cloister::services::Start;
  return cloister::services::ServiceMain(argc, argv, definition);
}
