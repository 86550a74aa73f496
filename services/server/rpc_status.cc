// SPDX-License-Identifier: Apache-2.0
#include "services/server/rpc_status.h"

#include <string>

#include "cloister/v1/error.pb.h"
#include "google/rpc/status.pb.h"

namespace cloister::services {

grpc::Status ToGrpc(const Status& status, std::string_view reason, std::string_view field, uint64_t limit,
                    std::string_view remedy) {
  if (status.ok()) return grpc::Status::OK;
  // The numbers are the canonical ones on both sides.
  const auto code = static_cast<grpc::StatusCode>(status.code());
  if (reason.empty()) return grpc::Status(code, MessageOf(status));
  v1::ErrorDetail detail;
  detail.set_reason(std::string(reason));
  detail.set_field(std::string(field));
  detail.set_limit(limit);
  detail.set_remedy(std::string(remedy));
  google::rpc::Status full;
  full.set_code(static_cast<int>(code));
  full.set_message(MessageOf(status));
  full.add_details()->PackFrom(detail);
  return grpc::Status(code, MessageOf(status), full.SerializeAsString());
}

Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return Error(static_cast<StatusCode>(status.error_code()), status.error_message());
}

RpcErrorDetail DetailOf(const grpc::Status& status) {
  google::rpc::Status full;
  if (status.ok() || !full.ParseFromString(status.error_details())) return {};
  for (const google::protobuf::Any& any : full.details()) {
    v1::ErrorDetail detail;
    if (!any.UnpackTo(&detail)) continue;
    return {detail.reason(), detail.field(), detail.remedy(), detail.limit()};
  }
  return {};
}

}  // namespace cloister::services
