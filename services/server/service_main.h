// SPDX-License-Identifier: Apache-2.0
// What every service's main() shares: no core dumps, flags, configuration, credentials from the inherited
// descriptor, log, the RPC server with health, signals and orderly stop. Does not know any service.
//
// Flags: --data DIR (required), --config FILE (optional; every key has a default), --credentials-fd N
// (required). Once healthy it appends service.started to the audit log as soon as that can be reached, and
// service.stopped at an orderly stop. The configuration's keys are those of services/config_keys.h. Exit
// status: 0 after SIGTERM or SIGINT, 1 when starting failed, 2 for wrong usage, 3 for a wrong passphrase.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/config.h"
#include "services/server/credentials.h"
#include "services/server/rpc_server.h"

namespace cloister::services {

// What a service is given. Outlives the service object.
class ServiceContext {
 public:
  ServiceContext(std::filesystem::path data_directory, Config config, RpcCredentials credentials);
  const std::filesystem::path& data_directory() const { return data_directory_; }
  const Config& config() const { return config_; }
  const RpcCredentials& credentials() const { return credentials_; }
  // DATA/run/<identity>.sock
  std::filesystem::path SocketOf(std::string_view identity) const;
  // DATA/<identity>: this service's own folder, made 0700 by ServiceMain.
  std::filesystem::path OwnDirectory() const;
  // The folder this binary is in, where the other binaries are too.
  static std::filesystem::path BinaryDirectory();
  std::shared_ptr<grpc::Channel> ChannelTo(std::string_view identity) const;

 private:
  std::filesystem::path data_directory_;
  Config config_;
  RpcCredentials credentials_;
};

// A started service. Destroyed after the RPC server has stopped.
class RunningService {
 public:
  virtual ~RunningService() = default;
  virtual std::vector<grpc::Service*> RpcServices() = 0;
  virtual std::vector<MethodRule> Rules() const = 0;
  // Called on SIGTERM before the RPC server stops; must return within a few seconds.
  virtual void Stop() {}
};

// A flag of one service's own. `value` is set before `start` is called; not owned.
struct ServiceFlag {
  std::string name;  // "--passphrase-fd"
  std::string help;
  std::string* value;
};

// How long a service in `needs` may take to become healthy.
constexpr std::chrono::seconds kNeedsTimeout{30};

struct ServiceDefinition {
  std::string identity;            // "retrieval"
  std::vector<std::string> needs;  // Identities whose health is awaited (kNeedsTimeout) before `start`.
  // Opens everything; the service is reported healthy only after this returned OK.
  std::function<StatusOr<std::unique_ptr<RunningService>>(const ServiceContext&)> start;
  std::vector<ServiceFlag> flags = {};
};

// kUnauthenticated from `start` means a wrong passphrase (exit status 3).
int ServiceMain(int argc, char** argv, const ServiceDefinition& definition);

}  // namespace cloister::services
