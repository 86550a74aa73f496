// SPDX-License-Identifier: Apache-2.0
// A gRPC server on one Unix socket with mutual TLS and a per-method list of callers. Does not listen on TCP, and
// does not know what its services do. Thread-safe.
#pragma once

#include <grpcpp/grpcpp.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "common/status.h"
#include "services/server/credentials.h"

namespace cloister::services {

// Who may call a method. A method without a rule is denied to everybody.
struct MethodRule {
  std::string method;                   // "/cloister.v1.Keys/CreateKeys"
  std::vector<std::string> identities;  // {"retrieval", "audit"}
};

struct RpcServerOptions {
  std::filesystem::path socket;         // Replaced when stale; mode 0600. At most 100 bytes long.
  std::vector<MethodRule> rules;        // Health checks are allowed to "supervisor" and "gateway" without one.
  std::vector<grpc::Service*> services; // Not owned; must outlive the server.
  int message_bytes_max = 96 * 1024 * 1024;
  int threads_max = 64;                 // Concurrent calls; more get RESOURCE_EXHAUSTED.
};

class RpcServer {
 public:
  // The rules are checked before any handler runs, from the certificate of the caller.
  // Errors: kInvalidArgument (path too long), kUnavailable (cannot listen).
  static StatusOr<std::unique_ptr<RpcServer>> Start(const RpcCredentials& credentials, RpcServerOptions options);
  ~RpcServer();
  // grpc.health.v1 for "" answers SERVING once set.
  void SetServing(bool serving);
  // Stops accepting, gives calls in flight up to five seconds, then cancels them.
  void Shutdown();

 private:
  struct State;
  explicit RpcServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// The identity in the caller's certificate, e.g. "gateway"; empty when there is none.
std::string CallerIdentity(const grpc::ServerContextBase& context);

}  // namespace cloister::services
