// SPDX-License-Identifier: Apache-2.0
#include "services/audit/relay_client.h"

#include <chrono>
#include <utility>

#include "cloister/v1/relay.grpc.pb.h"
#include "services/server/rpc_client.h"
#include "services/server/rpc_status.h"

namespace cloister::services {
namespace {

// Longer than relay's own for the other host, and shorter than a service that stops is given.
constexpr std::chrono::seconds kRelayTimeout{10};

}  // namespace

std::function<StatusOr<WitnessAnswer>(const std::string& witness, const std::string& body)> AskThroughRelay(
    const std::shared_ptr<grpc::Channel>& relay) {
  const std::shared_ptr<v1::Relay::Stub> stub = v1::Relay::NewStub(relay);
  return [stub](const std::string& witness, const std::string& body) -> StatusOr<WitnessAnswer> {
    grpc::ClientContext context;
    SetDeadline(context, kRelayTimeout);
    v1::AddCheckpointRequest request;
    request.set_witness(witness);
    request.set_body(body);
    v1::AddCheckpointResponse response;
    CLOISTER_RETURN_IF_ERROR(FromGrpc(stub->AddCheckpoint(&context, request, &response)));
    return WitnessAnswer{static_cast<int>(response.status()), std::move(*response.mutable_content_type()),
                         std::move(*response.mutable_body())};
  };
}

}  // namespace cloister::services
