// SPDX-License-Identifier: Apache-2.0
#include "services/relay/relay_service.h"

#include <algorithm>
#include <utility>

#include "services/server/rpc_status.h"
#include "witness/add_checkpoint.h"

namespace cloister::services {

grpc::Status RelayService::AddCheckpoint(grpc::ServerContext*, const v1::AddCheckpointRequest* request,
                                         v1::AddCheckpointResponse* response) {
  if (request->body().size() > witness::kAddCheckpointBytesMax) {
    return ToGrpc(InvalidArgument("the request to a witness is over its limit"), "BODY_TOO_LARGE", "body",
                  witness::kAddCheckpointBytesMax);
  }
  const auto peer = std::find_if(witnesses_.begin(), witnesses_.end(), [&](const witness::WitnessPeer& known) {
    return known.verifier.name() == request->witness();
  });
  if (peer == witnesses_.end()) return ToGrpc(NotFound("no witness of that name is configured"), "NO_SUCH_WITNESS", "witness");
  auto answer = HttpsPost(peer->url + std::string(witness::kAddCheckpointPath), request->body(), options_);
  if (!answer.ok()) return ToGrpc(answer.status(), "NOT_REACHED", "witness");
  response->set_status(static_cast<uint32_t>(answer->status));
  response->set_content_type(std::move(answer->content_type));
  response->set_body(std::move(answer->body));
  return grpc::Status::OK;
}

std::vector<MethodRule> RelayRules() { return {{"/cloister.v1.Relay/AddCheckpoint", {"audit"}}}; }

}  // namespace cloister::services
