// SPDX-License-Identifier: Apache-2.0
#include "services/server/rpc_client.h"

#include <grpc/support/log.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "common/log.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "services/server/rpc_server.h"

namespace cloister::services {
namespace {

// A socket appears within milliseconds of its service: waiting longer between attempts only delays the start.
constexpr int kReconnectMsMin = 20;
constexpr int kReconnectMsMax = 500;
// A channel without a call under way is looked at this often. gRPC's own 5 s would make each orderly stop
// wait as long for idle clients to read the good-bye, and the first call after a crash fail on a dead
// connection.
constexpr const char* kIdlePollMs = "100";

// gRPC's own messages are free text; only where they came from is logged.
void LogGrpcMessage(gpr_log_func_args* args) {
  const std::string_view file(args->file);
  Log(args->severity == GPR_LOG_SEVERITY_ERROR ? LogLevel::kWarning : LogLevel::kDebug, "rpc.library",
      {{"kind", std::string(file.substr(file.rfind('/') + 1))}, {"index", int64_t{args->line}}});
}

}  // namespace

void SetUpGrpc() {
  ::setenv("GRPC_CLIENT_CHANNEL_BACKUP_POLL_INTERVAL_MS", kIdlePollMs, 1);
  gpr_set_log_function(LogGrpcMessage);
}

std::shared_ptr<grpc::Channel> Connect(const RpcCredentials& own, std::string_view target,
                                       const std::filesystem::path& socket) {
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = own.ca_pem;
  tls.pem_cert_chain = own.certificate_pem;
  tls.pem_private_key = std::string(own.private_key_pem.view());
  grpc::ChannelArguments arguments;
  arguments.SetSslTargetNameOverride(DnsNameOf(target));
  arguments.SetMaxReceiveMessageSize(kMessageBytesMax);
  arguments.SetMaxSendMessageSize(kMessageBytesMax);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kReconnectMsMin);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kReconnectMsMax);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kReconnectMsMax);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  const std::string address = "unix:" + std::filesystem::absolute(socket).string();
  auto channel = grpc::CreateCustomChannel(address, grpc::SslCredentials(tls), arguments);
  crypto::Wipe(tls.pem_private_key.data(), tls.pem_private_key.size());
  return channel;
}

void SetDeadline(grpc::ClientContext& context, std::chrono::milliseconds timeout) {
  context.set_deadline(std::chrono::system_clock::now() + timeout);
  context.set_wait_for_ready(true);
}

bool IsServing(const std::shared_ptr<grpc::Channel>& channel, std::chrono::milliseconds timeout) {
  grpc::ClientContext context;
  SetDeadline(context, timeout);
  grpc::health::v1::HealthCheckResponse response;
  const grpc::Status status = grpc::health::v1::Health::NewStub(channel)->Check(&context, {}, &response);
  return status.ok() && response.status() == grpc::health::v1::HealthCheckResponse::SERVING;
}

}  // namespace cloister::services
