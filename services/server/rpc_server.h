// SPDX-License-Identifier: Apache-2.0
// A gRPC server on one Unix socket with mutual TLS and a per-method list of callers. Does not listen on TCP,
// and does not know what its services do. Thread-safe.
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

// sockaddr_un has 108 bytes; the rest is reserve for a temporary name beside it.
constexpr size_t kSocketPathBytesMax = 100;
constexpr int kMessageBytesMax = 96 * 1024 * 1024;

struct RpcServerOptions {
  std::filesystem::path socket;          // Replaced when stale; mode 0600. At most kSocketPathBytesMax long.
  std::vector<MethodRule> rules;         // Health checks are allowed to every identity without one.
  std::vector<grpc::Service*> services;  // Not owned; must outlive the server.
  int message_bytes_max = kMessageBytesMax;
  int threads_max = 64;  // Concurrent calls; more get RESOURCE_EXHAUSTED.
};

class RpcServer {
 public:
  // The rules are checked before any handler runs, from the certificate of the caller.
  // Errors: kInvalidArgument (path too long), kUnavailable (cannot listen), kFailedPrecondition (another
  // process listens there, or something that is no socket is in the way).
  static StatusOr<std::unique_ptr<RpcServer>> Start(const RpcCredentials& credentials,
                                                    RpcServerOptions options);
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
