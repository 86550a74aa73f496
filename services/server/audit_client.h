// SPDX-License-Identifier: Apache-2.0
// Appends to the audit log and waits until the record is durable. Does not retry: after an error the caller
// fails what it was about to do. Thread-safe.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>

#include "cloister/v1/audit.grpc.pb.h"
#include "common/status.h"

namespace cloister::services {

constexpr std::chrono::milliseconds kAppendTimeout{10'000};

class AuditClient {
 public:
  explicit AuditClient(const std::shared_ptr<grpc::Channel>& audit_channel,
                       std::chrono::milliseconds timeout = kAppendTimeout);
  // The index of the durable record. Blocks. Errors: as proto/cloister/v1/audit.proto; kUnavailable and
  // kDeadlineExceeded leave open whether the record was written.
  StatusOr<uint64_t> Append(const v1::AppendRequest& request) const;
  // "service.started" and "service.stopped" for the service `identity`.
  StatusOr<uint64_t> AppendServiceEvent(std::string_view event, std::string_view identity) const;

 private:
  std::unique_ptr<v1::Audit::Stub> stub_;
  std::chrono::milliseconds timeout_;
};

}  // namespace cloister::services
