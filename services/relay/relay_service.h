// SPDX-License-Identifier: Apache-2.0
// cloister.v1.Relay: hands requests to destinations that the configuration fixes. Does not understand what it carries, and
// never takes a destination from a request.
#pragma once

#include <string>
#include <vector>

#include "cloister/v1/relay.grpc.pb.h"
#include "services/relay/https_post.h"
#include "services/server/rpc_server.h"
#include "witness/witness_list.h"

namespace cloister::services {

// Thread-safe. Calls block for as long as the other side takes, at most PostOptions::timeout.
class RelayService final : public v1::Relay::Service {
 public:
  RelayService(std::vector<witness::WitnessPeer> witnesses, PostOptions options)
      : witnesses_(std::move(witnesses)), options_(std::move(options)) {}
  grpc::Status AddCheckpoint(grpc::ServerContext* context, const v1::AddCheckpointRequest* request,
                             v1::AddCheckpointResponse* response) override;

 private:
  const std::vector<witness::WitnessPeer> witnesses_;
  const PostOptions options_;
};

// Who may call which method.
std::vector<MethodRule> RelayRules();

}  // namespace cloister::services
