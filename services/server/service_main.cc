// SPDX-License-Identifier: Apache-2.0
#include "services/server/service_main.h"

#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <optional>
#include <thread>
#include <utility>

#include "common/file.h"
#include "common/log.h"
#include "services/config_keys.h"
#include "services/server/audit_client.h"
#include "services/server/rpc_client.h"
#include "services/server/signals.h"

namespace cloister::services {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;
constexpr int kExitWrongPassphrase = 3;
constexpr size_t kConfigBytesMax = 1024 * 1024;
constexpr std::chrono::milliseconds kProbeTimeout{250};
constexpr std::chrono::milliseconds kAuditRetry{1'000};
constexpr std::chrono::milliseconds kStoppedRecordTimeout{1'000};

struct Flags {
  std::string data;
  std::string config;
  int credentials_fd = -1;
};

// 0 when parsed; otherwise what the process exits with, help included.
std::optional<int> ParseFlags(int argc, char** argv, const ServiceDefinition& definition, Flags& flags) {
  CLI::App app("cloister-" + definition.identity + ": started by `cloister up`, not by hand");
  app.add_option("--data", flags.data, "data directory")->required();
  app.add_option("--config", flags.config, "configuration file (TOML)");
  app.add_option("--credentials-fd", flags.credentials_fd,
                 "inherited descriptor with this service's credentials")
      ->required();
  for (const ServiceFlag& flag : definition.flags) app.add_option(flag.name, *flag.value, flag.help);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  return std::nullopt;
}

StatusOr<ServiceContext> MakeContext(const Flags& flags, const ServiceDefinition& definition) {
  std::string toml;
  if (!flags.config.empty()) {
    StatusOr<std::string> read = ReadFile(flags.config, kConfigBytesMax);
    if (!read.ok()) return Annotate(read.status(), "configuration file");
    toml = *std::move(read);
  }
  StatusOr<Config> config = Config::Parse(toml, AllConfigKeys(), CloisterEnvironment());
  if (!config.ok()) return Annotate(config.status(), "configuration");
  FileDescriptor fd(flags.credentials_fd);
  CLOISTER_ASSIGN_OR_RETURN(RpcCredentials credentials, ReadCredentials(fd.get()));
  if (credentials.identity != definition.identity) {
    return FailedPrecondition("the credentials belong to another service");
  }
  ServiceContext context(flags.data, *std::move(config), std::move(credentials));
  CLOISTER_RETURN_IF_ERROR(MakePrivateDirectory(context.OwnDirectory()));
  return context;
}

Status AwaitNeeds(const ServiceContext& context, const ServiceDefinition& definition,
                  const StopSignal& stop) {
  const auto deadline = std::chrono::steady_clock::now() + kNeedsTimeout;
  for (const std::string& need : definition.needs) {
    const auto channel = context.ChannelTo(need);
    while (!IsServing(channel, kProbeTimeout)) {
      if (stop.requested()) return absl::OkStatus();
      if (std::chrono::steady_clock::now() >= deadline)
        return Unavailable("'" + need + "' did not become healthy");
      // A refusal comes back at once; do not spin on it.
      if (stop.WaitFor(std::chrono::milliseconds(20))) return absl::OkStatus();
    }
  }
  return absl::OkStatus();
}

// Appends service.started as soon as audit can be reached, without holding up the service.
class StartRecord {
 public:
  StartRecord(const ServiceContext& context, const std::string& identity, const StopSignal& stop) {
    if (identity == "audit") return;  // It records its own start.
    thread_ = std::thread([this, &context, identity, &stop] {
      const auto channel = context.ChannelTo("audit");
      while (!stop.requested()) {
        if (IsServing(channel, kProbeTimeout)) {
          const auto index = AuditClient(channel).AppendServiceEvent("service.started", identity);
          if (!index.ok()) LogStatus(LogLevel::kWarning, "audit.append_failed", index.status());
          written_ = index.ok();
          return;
        }
        if (stop.WaitFor(kAuditRetry)) return;
      }
    });
  }
  ~StartRecord() {
    if (thread_.joinable()) thread_.join();
  }
  // A stop is recorded only where its start was. Call after the stop signal.
  void RecordStop(const ServiceContext& context, const std::string& identity) {
    if (thread_.joinable()) thread_.join();
    // Services stop in reverse order: those that audit itself needs find it gone.
    std::error_code ignored;
    if (!written_ || !std::filesystem::exists(context.SocketOf("audit"), ignored)) return;
    const AuditClient audit(context.ChannelTo("audit"), kStoppedRecordTimeout);
    const auto index = audit.AppendServiceEvent("service.stopped", identity);
    if (!index.ok()) LogStatus(LogLevel::kWarning, "audit.append_failed", index.status());
  }

 private:
  std::thread thread_;
  bool written_ = false;
};

int Fail(std::string_view event, const Status& status) {
  LogStatus(LogLevel::kError, event, status);
  return status.code() == StatusCode::kUnauthenticated ? kExitWrongPassphrase : kExitFailed;
}

int Run(const ServiceContext& context, const ServiceDefinition& definition, const StopSignal& stop) {
  const std::string& identity = definition.identity;
  const Status needs = AwaitNeeds(context, definition, stop);
  if (!needs.ok()) {
    LogStatus(LogLevel::kError, "service.start_failed", needs);
    return kExitFailed;
  }
  if (stop.requested()) return 0;
  StatusOr<std::unique_ptr<RunningService>> service = definition.start(context);
  if (!service.ok()) return Fail("service.start_failed", service.status());
  RpcServerOptions options;
  options.socket = context.SocketOf(identity);
  options.rules = (*service)->Rules();
  options.services = (*service)->RpcServices();
  StatusOr<std::unique_ptr<RpcServer>> server = RpcServer::Start(context.credentials(), std::move(options));
  if (!server.ok()) {
    (*service)->Stop();
    LogStatus(LogLevel::kError, "service.start_failed", server.status());
    return kExitFailed;
  }
  (*server)->SetServing(true);
  Log(LogLevel::kInfo, "service.started", {{"pid", int64_t{::getpid()}}});
  {
    StartRecord record(context, identity, stop);
    stop.Wait();
    (*server)->SetServing(false);
    record.RecordStop(context, identity);
  }
  (*service)->Stop();
  (*server)->Shutdown();
  server->reset();
  service->reset();
  Log(LogLevel::kInfo, "service.stopped");
  return 0;
}

}  // namespace

ServiceContext::ServiceContext(std::filesystem::path data_directory, Config config,
                               RpcCredentials credentials)
    : data_directory_(std::move(data_directory)),
      config_(std::move(config)),
      credentials_(std::move(credentials)) {}

std::filesystem::path ServiceContext::SocketOf(std::string_view identity) const {
  return data_directory_ / "run" / (std::string(identity) + ".sock");
}

std::filesystem::path ServiceContext::OwnDirectory() const { return data_directory_ / credentials_.identity; }

std::filesystem::path ServiceContext::BinaryDirectory() {
  std::error_code error;
  const auto binary = std::filesystem::read_symlink("/proc/self/exe", error);
  CLOISTER_CHECK(!error);
  return binary.parent_path();
}

std::shared_ptr<grpc::Channel> ServiceContext::ChannelTo(std::string_view identity) const {
  return Connect(credentials_, identity, SocketOf(identity));
}

int ServiceMain(int argc, char** argv, const ServiceDefinition& definition) {
  const bool no_core_dumps = crypto::ForbidCoreDumps();
  ::umask(077);
  Flags flags;
  if (const std::optional<int> exit = ParseFlags(argc, argv, definition, flags)) return *exit;
  StartLog(definition.identity, LogLevel::kInfo);
  SetUpGrpc();
  if (!no_core_dumps) {
    return Fail("service.start_failed",
                FailedPrecondition("the kernel does not let this process forbid core dumps"));
  }
  StopSignal stop;
  StatusOr<ServiceContext> context = MakeContext(flags, definition);
  if (!context.ok()) return Fail("service.start_failed", context.status());
  return Run(*context, definition, stop);
}

}  // namespace cloister::services
