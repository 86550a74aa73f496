// SPDX-License-Identifier: Apache-2.0
#include "services/server/rpc_server.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <set>
#include <utility>

#include "common/file.h"
#include "common/log.h"
#include "grpc/health/v1/health.grpc.pb.h"

namespace cloister::services {
namespace {

constexpr std::chrono::seconds kShutdownGrace{5};
constexpr std::string_view kHealthCheck = "/grpc.health.v1.Health/Check";
// Streams one connection may have open; more wait in the client. A bound on what one peer can pile up.
constexpr int kStreamsPerConnectionMax = 1024;
// Memory gRPC may hold for messages on their way, in messages of the largest size, and the least that
// connections need: below it gRPC slows to a crawl.
constexpr size_t kMessagesInMemoryMax = 8;
constexpr size_t kMemoryBytesMin = 64 * 1024 * 1024;

// Certificates of this appliance carry exactly one name; anything else is nobody.
std::string IdentityOf(const grpc::AuthContext& context) {
  if (!context.IsPeerAuthenticated()) return "";
  if (context.GetPeerIdentityPropertyName() != GRPC_X509_SAN_PROPERTY_NAME) return "";
  const std::vector<grpc::string_ref> names = context.GetPeerIdentity();
  if (names.size() != 1) return "";
  const std::string_view name(names[0].data(), names[0].size());
  if (name.size() <= kDnsSuffix.size() || !name.ends_with(kDnsSuffix)) return "";
  return std::string(name.substr(0, name.size() - kDnsSuffix.size()));
}

// Runs on gRPC's own thread before a handler is chosen; must not block.
class MethodAllowList final : public grpc::AuthMetadataProcessor {
 public:
  explicit MethodAllowList(const std::vector<MethodRule>& rules) {
    for (const MethodRule& rule : rules)
      callers_[rule.method].insert(rule.identities.begin(), rule.identities.end());
  }
  bool IsBlocking() const override { return false; }
  grpc::Status Process(const InputMetadata& metadata, grpc::AuthContext* context, OutputMetadata*,
                       OutputMetadata*) override {
    const std::string identity = IdentityOf(*context);
    const auto path = metadata.find(":path");
    if (path == metadata.end()) return Deny("", identity);
    const std::string_view method(path->second.data(), path->second.size());
    if (identity.empty()) return Deny(method, identity);
    if (method == kHealthCheck) return grpc::Status::OK;
    const auto allowed = callers_.find(method);
    if (allowed == callers_.end() || !allowed->second.contains(identity)) return Deny(method, identity);
    return grpc::Status::OK;
  }

 private:
  static grpc::Status Deny(std::string_view method, const std::string& identity) {
    Log(LogLevel::kWarning, "rpc.denied", {{"method", std::string(method)}, {"identity", identity}});
    return grpc::Status(grpc::StatusCode::PERMISSION_DENIED, "this service may not call this method");
  }
  std::map<std::string, std::set<std::string, std::less<>>, std::less<>> callers_;
};

class HealthService final : public grpc::health::v1::Health::CallbackService {
 public:
  void SetServing(bool serving) { serving_ = serving; }
  grpc::ServerUnaryReactor* Check(grpc::CallbackServerContext* context,
                                  const grpc::health::v1::HealthCheckRequest* request,
                                  grpc::health::v1::HealthCheckResponse* response) override {
    using Response = grpc::health::v1::HealthCheckResponse;
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    if (!request->service().empty()) {
      reactor->Finish(
          grpc::Status(grpc::StatusCode::NOT_FOUND, "only the process as a whole has a health state"));
      return reactor;
    }
    response->set_status(serving_ ? Response::SERVING : Response::NOT_SERVING);
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

 private:
  std::atomic<bool> serving_ = false;
};

// Whether some process accepts connections on `address`.
bool Accepts(const sockaddr_un& address) {
  FileDescriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return false;
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  return ::connect(fd.get(), generic, sizeof address) == 0 || errno == EAGAIN || errno == EINPROGRESS;
}

// A killed predecessor leaves its socket behind.
Status RemoveStaleSocket(const std::filesystem::path& path) {
  struct stat info;
  if (::lstat(path.c_str(), &info) != 0)
    return errno == ENOENT ? absl::OkStatus() : ErrnoStatus(errno, "stat socket");
  if (!S_ISSOCK(info.st_mode))
    return FailedPrecondition("something that is no socket is where a service listens");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.native().size());
  if (Accepts(address)) return FailedPrecondition("another process listens on this service's socket");
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return ErrnoStatus(errno, "remove stale socket");
  return absl::OkStatus();
}

std::shared_ptr<grpc::ServerCredentials> MutualTls(const RpcCredentials& own,
                                                   const std::vector<MethodRule>& rules) {
  grpc::SslServerCredentialsOptions tls(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  tls.pem_root_certs = own.ca_pem;
  tls.pem_key_cert_pairs.push_back({std::string(own.private_key_pem.view()), own.certificate_pem});
  auto credentials = grpc::SslServerCredentials(tls);
  std::string& key = tls.pem_key_cert_pairs[0].private_key;
  crypto::Wipe(key.data(), key.size());
  credentials->SetAuthMetadataProcessor(std::make_shared<MethodAllowList>(rules));
  return credentials;
}

}  // namespace

struct RpcServer::State {
  std::filesystem::path socket;
  HealthService health;
  std::unique_ptr<grpc::Server> server;
};

RpcServer::RpcServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

RpcServer::~RpcServer() { Shutdown(); }

StatusOr<std::unique_ptr<RpcServer>> RpcServer::Start(const RpcCredentials& credentials,
                                                      RpcServerOptions options) {
  if (options.socket.native().size() > kSocketPathBytesMax) {
    return InvalidArgument("the path of a service's socket is longer than " +
                           std::to_string(kSocketPathBytesMax) +
                           " bytes; use a data directory with a shorter path");
  }
  CLOISTER_RETURN_IF_ERROR(MakePrivateDirectory(options.socket.parent_path()));
  CLOISTER_RETURN_IF_ERROR(RemoveStaleSocket(options.socket));
  auto state = std::make_unique<State>();
  state->socket = options.socket;
  grpc::ResourceQuota quota("cloister");
  quota.SetMaxThreads(options.threads_max);
  quota.Resize(
      std::max(kMemoryBytesMin, kMessagesInMemoryMax * static_cast<size_t>(options.message_bytes_max)));
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + std::filesystem::absolute(options.socket).string(),
                           MutualTls(credentials, options.rules));
  builder.SetResourceQuota(quota);
  builder.SetMaxReceiveMessageSize(options.message_bytes_max);
  builder.SetMaxSendMessageSize(options.message_bytes_max);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kStreamsPerConnectionMax);
  builder.RegisterService(&state->health);
  for (grpc::Service* service : options.services) builder.RegisterService(service);
  state->server = builder.BuildAndStart();
  if (!state->server) return Unavailable("cannot listen on this service's socket");
  // The folder is private already; the mode says so a second time.
  if (::chmod(options.socket.c_str(), 0600) != 0)
    return Unavailable("cannot listen on this service's socket");
  return std::unique_ptr<RpcServer>(new RpcServer(std::move(state)));
}

void RpcServer::SetServing(bool serving) { state_->health.SetServing(serving); }

void RpcServer::Shutdown() {
  state_->health.SetServing(false);
  state_->server->Shutdown(std::chrono::system_clock::now() + kShutdownGrace);
}

std::string CallerIdentity(const grpc::ServerContextBase& context) {
  const auto authentication = context.auth_context();
  return authentication ? IdentityOf(*authentication) : "";
}

}  // namespace cloister::services
