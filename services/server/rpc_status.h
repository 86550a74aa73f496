// SPDX-License-Identifier: Apache-2.0
// Conversion between Status and grpc::Status. Thread-safe.
#pragma once

#include <grpcpp/grpcpp.h>

#include <string_view>

#include "common/status.h"

namespace cloister::services {

// Carries a cloister.v1.ErrorDetail (proto/cloister/v1/error.proto) when `reason` is not empty.
grpc::Status ToGrpc(const Status& status, std::string_view reason = "", std::string_view field = "",
                    uint64_t limit = 0, std::string_view remedy = "");
Status FromGrpc(const grpc::Status& status);

// What FromGrpc leaves out; empty strings and 0 when the status carries no detail.
struct RpcErrorDetail {
  std::string reason, field, remedy;
  uint64_t limit = 0;
};
RpcErrorDetail DetailOf(const grpc::Status& status);

}  // namespace cloister::services
