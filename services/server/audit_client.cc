// SPDX-License-Identifier: Apache-2.0
#include "services/server/audit_client.h"

#include <string>

#include "services/server/rpc_client.h"
#include "services/server/rpc_status.h"

namespace cloister::services {

AuditClient::AuditClient(const std::shared_ptr<grpc::Channel>& audit_channel,
                         std::chrono::milliseconds timeout)
    : stub_(v1::Audit::NewStub(audit_channel)), timeout_(timeout) {}

StatusOr<uint64_t> AuditClient::Append(const v1::AppendRequest& request) const {
  grpc::ClientContext context;
  SetDeadline(context, timeout_);
  v1::AppendResponse response;
  CLOISTER_RETURN_IF_ERROR(FromGrpc(stub_->Append(&context, request, &response)));
  return response.index();
}

StatusOr<uint64_t> AuditClient::AppendServiceEvent(std::string_view event, std::string_view identity) const {
  v1::AppendRequest request;
  request.set_event(std::string(event));
  request.set_body_json("{}");
  request.set_actor_kind("service");
  request.set_actor(std::string(identity));
  return Append(request);
}

}  // namespace cloister::services
