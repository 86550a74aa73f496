// SPDX-License-Identifier: Apache-2.0
#include "services/supervisor/supervisor.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <optional>
#include <utility>

#include "common/clock.h"
#include "common/config.h"
#include "common/file.h"
#include "common/log.h"
#include "crypto/certificate.h"
#include "services/config_keys.h"
#include "services/keys/anchors.h"
#include "services/keys/keys_service.h"
#include "services/server/rpc_client.h"
#include "services/server/rpc_server.h"
#include "services/supervisor/anchor_change.h"
#include "services/supervisor/backoff.h"
#include "services/supervisor/child.h"
#include "services/supervisor/control_socket.h"
#include "services/supervisor/log_file.h"
#include "services/supervisor/status_file.h"

namespace cloister::services {
namespace {

using Steady = std::chrono::steady_clock;
using std::chrono::milliseconds;

// The authority's key dies with this process, so its certificates may live as long as any run.
constexpr std::chrono::hours kCertificateLifetime{24 * 365 * 10};
constexpr milliseconds kBusyTick{20};
constexpr milliseconds kQuietTick{200};
constexpr milliseconds kProbeTimeout{250};
constexpr milliseconds kProbeInterval{5'000};
constexpr int kProbesMissedMax = 3;
constexpr milliseconds kWaveTimeout{300'000};
constexpr int kExitWrongPassphrase = 3;
constexpr int kLockAttempts = 10;
constexpr size_t kConfigBytesMax = 1024 * 1024;
// No service's socket has a longer name.
constexpr std::string_view kLongestSocketName = "gateway-http.sock";

int64_t NowNs() { return SystemClock().Now().time_since_epoch().count(); }

std::string Seconds(Steady::duration duration) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f s", std::chrono::duration<double>(duration).count());
  return text;
}

// One service and what is known of it.
struct Managed {
  ServiceSpec spec;
  ServiceStatus status;
  std::optional<Child> child;
  std::shared_ptr<grpc::Channel> channel;
  Backoff backoff;
  Steady::time_point started_at;
  std::optional<Steady::time_point> healthy_since;
  std::optional<Steady::time_point> restart_at;
  Steady::time_point probe_at;
  int probes_missed = 0;
  int failed_starts = 0;  // Since it was last healthy.
  bool was_healthy = false;
};

}  // namespace

std::vector<ServiceSpec> ApplianceServices(bool with_relay) {
  std::vector<ServiceSpec> services = {{"keys", 0, true}};
  if (with_relay) services.push_back({"relay", 1});
  services.insert(services.end(), {{"audit", 2}, {"embedding", 3}, {"generation", 3}, {"retrieval", 4}, {"ingest", 5}, {"gateway", 6}});
  return services;
}

std::filesystem::path LockPath(const std::filesystem::path& data_directory) {
  return data_directory / "run" / "supervisor.lock";
}

StatusOr<pid_t> RunningSupervisor(const std::filesystem::path& data_directory) {
  FileDescriptor fd(::open(LockPath(data_directory).c_str(), O_RDONLY | O_CLOEXEC));
  // A shared lock: asking never makes another asker believe that a supervisor runs.
  if (!fd.valid() || ::flock(fd.get(), LOCK_SH | LOCK_NB) == 0)
    return NotFound("the appliance is not running");
  CLOISTER_ASSIGN_OR_RETURN(const std::string text, ReadAll(fd.get(), 64));
  pid_t pid = 0;
  std::from_chars(text.data(), text.data() + text.size(), pid);
  if (pid <= 0) return NotFound("the appliance is just starting");
  return pid;
}

class Supervisor::Impl {
 public:
  Impl(SupervisorOptions options, crypto::Secret secret, FileDescriptor lock,
       crypto::CertificateAuthority authority, std::unique_ptr<LogCollector> logs)
      : options_(std::move(options)),
        held_(std::move(secret), options_.passphrase_source),
        lock_(std::move(lock)),
        authority_(std::move(authority)),
        logs_(std::move(logs)) {
    since_ns_ = NowNs();
    for (const ServiceSpec& spec : options_.services) {
      Managed managed;
      managed.spec = spec;
      managed.status.name = spec.name;
      managed.status.since_ns = since_ns_;
      services_.push_back(std::move(managed));
    }
  }
  ~Impl() { Stop(); }

  Status Prepare() {
    CLOISTER_ASSIGN_OR_RETURN(own_, Issue("supervisor"));
    keys_ = v1::Keys::NewStub(Connect(own_, "keys", SocketOf("keys")));
    CLOISTER_ASSIGN_OR_RETURN(control_, ControlSocket::Start(ControlSocketPath(options_.data_directory),
                                                             [this](const AnchorRequest& request) {
                                                               return ChangeAnchor(*keys_, held_, request,
                                                                                   stopping_);
                                                             }));
    return Publish();
  }

  Status Start(const StopSignal& stop) {
    CLOISTER_RETURN_IF_ERROR(CheckPrograms());
    const Steady::time_point begin = Steady::now();
    for (int wave = 0; wave <= LastWave(); ++wave) {
      const Steady::time_point deadline = Steady::now() + kWaveTimeout;
      for (Managed& service : services_) {
        if (service.spec.wave == wave) CLOISTER_RETURN_IF_ERROR(Launch(service));
      }
      while (!WaveHealthy(wave)) {
        if (stop.WaitFor(kBusyTick)) return absl::OkStatus();
        CLOISTER_RETURN_IF_ERROR(Tick());
        CLOISTER_RETURN_IF_ERROR(CheckStarts());
        if (Steady::now() > deadline) return NotHealthyInTime(wave);
      }
    }
    options_.say("all services healthy after " + Seconds(Steady::now() - begin));
    return absl::OkStatus();
  }

  Status Watch(const StopSignal& stop) {
    while (!stop.WaitFor(AllHealthy() ? kQuietTick : kBusyTick)) CLOISTER_RETURN_IF_ERROR(Tick());
    return absl::OkStatus();
  }

  void Stop() {
    if (stopped_) return;
    stopped_ = true;
    stopping_ = true;
    for (int wave = LastWave(); wave >= 0; --wave) StopWave(wave);
    control_.reset();
    PublishOrLog();
  }

 private:
  int LastWave() const {
    int last = 0;
    for (const Managed& service : services_) last = std::max(last, service.spec.wave);
    return last;
  }

  std::filesystem::path ProgramOf(const ServiceSpec& spec) const {
    return options_.binary_directory / ("cloister-" + spec.name);
  }

  // Said before anything is started, rather than after half of it ran.
  Status CheckPrograms() const {
    for (const Managed& service : services_) {
      const auto program = ProgramOf(service.spec);
      if (::access(program.c_str(), X_OK) == 0) continue;
      return NotFound("the program " + program.filename().string() + " is missing in " +
                      options_.binary_directory.string());
    }
    return absl::OkStatus();
  }

  bool WaveHealthy(int wave) const {
    return std::all_of(services_.begin(), services_.end(), [wave](const Managed& service) {
      return service.spec.wave != wave || service.status.state == ServiceState::kHealthy;
    });
  }

  bool AllHealthy() const {
    return std::all_of(services_.begin(), services_.end(),
                       [](const Managed& service) { return service.status.state == ServiceState::kHealthy; });
  }

  std::filesystem::path SocketOf(const std::string& name) const {
    return options_.data_directory / "run" / (name + ".sock");
  }

  StatusOr<RpcCredentials> Issue(const std::string& identity) const {
    CLOISTER_ASSIGN_OR_RETURN(auto leaf, authority_.Issue(DnsNameOf(identity), kCertificateLifetime));
    return RpcCredentials{identity, authority_.certificate_pem(), leaf.certificate_pem,
                          std::move(leaf.private_key_pem)};
  }

  std::vector<std::string> ArgumentsOf(const ServiceSpec& spec) const {
    std::vector<std::string> out = {"--data", options_.data_directory.string(), "--credentials-fd", "3"};
    const auto config = options_.data_directory / "cloister.toml";
    std::error_code ignored;
    if (std::filesystem::exists(config, ignored)) {
      out.insert(out.end(), {"--config", config.string()});
    }
    if (spec.opens_keyring) {
      out.insert(out.end(),
                 {"--passphrase-fd", "4", "--passphrase-source", std::string(NameOf(held_.source()))});
    }
    return out;
  }

  // A new certificate every time: a key is never handed to two processes.
  Status Launch(Managed& service) {
    const std::string& name = service.spec.name;
    CLOISTER_ASSIGN_OR_RETURN(const RpcCredentials credentials, Issue(name));
    std::string wire = SerialiseCredentials(credentials);
    StatusOr<FileDescriptor> credentials_pipe = PipeHolding(wire);
    crypto::Wipe(wire.data(), wire.size());
    if (!credentials_pipe.ok()) return credentials_pipe.status();
    ChildOptions child;
    child.program = ProgramOf(service.spec);
    child.arguments = ArgumentsOf(service.spec);
    child.environment = ChildEnvironment();
    child.inherited.push_back(*std::move(credentials_pipe));
    if (service.spec.opens_keyring) {
      CLOISTER_ASSIGN_OR_RETURN(FileDescriptor passphrase_pipe, held_.Pipe());
      child.inherited.push_back(std::move(passphrase_pipe));
    }
    CLOISTER_ASSIGN_OR_RETURN(child.output, logs_->PipeFor(name));
    // This lock holder is the only one that starts services here, so what is left behind is nobody's.
    ::unlink(SocketOf(name).c_str());
    CLOISTER_ASSIGN_OR_RETURN(Child started, Child::Start(std::move(child)));
    service.child.emplace(std::move(started));
    service.started_at = Steady::now();
    service.healthy_since.reset();
    service.restart_at.reset();
    service.channel.reset();
    service.status.pid = service.child->pid();
    SetState(service, ServiceState::kStarting);
    return absl::OkStatus();
  }

  Status Tick() {
    for (Managed& service : services_) {
      if (service.child) {
        if (const std::optional<int> ended = service.child->Poll())
          CLOISTER_RETURN_IF_ERROR(OnEnd(service, *ended));
      }
      if (service.status.state == ServiceState::kStarting) {
        ProbeStarting(service);
      } else if (service.child && service.status.state != ServiceState::kWaiting) {
        ProbeRunning(service);
      } else if (service.restart_at && Steady::now() >= *service.restart_at) {
        Relaunch(service);
      }
    }
    return absl::OkStatus();
  }

  // A moment without processes or pipes must not end the appliance: it is tried again.
  void Relaunch(Managed& service) {
    const Status status = Launch(service);
    if (status.ok()) return;
    LogStatus(LogLevel::kError, "supervisor.start_failed", status);
    service.restart_at = Steady::now() + service.backoff.AfterRun(milliseconds(0));
  }

  Status OnEnd(Managed& service, int wait_status) {
    const milliseconds healthy =
        service.healthy_since
            ? std::chrono::duration_cast<milliseconds>(Steady::now() - *service.healthy_since)
            : milliseconds(0);
    const milliseconds delay = service.backoff.AfterRun(healthy);
    service.status.last_exit = DescribeExit(wait_status);
    Log(LogLevel::kWarning, "supervisor.service_ended",
        {{"service", service.spec.name},
         {"reason", service.status.last_exit},
         {"duration_us", int64_t{delay.count() * 1000}}});
    service.child.reset();
    service.channel.reset();
    service.status.pid = 0;
    ++service.status.restarts;
    ++service.failed_starts;
    service.restart_at = Steady::now() + delay;
    SetState(service, ServiceState::kWaiting);
    if (service.spec.opens_keyring &&
        service.status.last_exit == "exit status " + std::to_string(kExitWrongPassphrase)) {
      // Keys was killed in a change of anchor and came back: the change had been made.
      if (held_.TakeOther()) {
        service.restart_at = Steady::now();
        return absl::OkStatus();
      }
      return WrongPassphrase();
    }
    return absl::OkStatus();
  }

  Status WrongPassphrase() const {
    const auto kind = keyring::Keyring::AnchorOf(KeyringPath(options_.data_directory));
    return WrongSecret(kind.ok() ? *kind : keyring::AnchorKind::kPassphrase);
  }

  void ProbeStarting(Managed& service) {
    std::error_code ignored;
    // A channel made before the socket exists would wait out its reconnect delay.
    if (!service.channel && !std::filesystem::exists(SocketOf(service.spec.name), ignored)) return;
    if (!service.channel) service.channel = Connect(own_, service.spec.name, SocketOf(service.spec.name));
    if (!IsServing(service.channel, kProbeTimeout)) return;
    service.healthy_since = Steady::now();
    service.probe_at = Steady::now() + kProbeInterval;
    service.probes_missed = 0;
    service.failed_starts = 0;
    SetState(service, ServiceState::kHealthy);
    const std::string took = Seconds(Steady::now() - service.started_at);
    if (!std::exchange(service.was_healthy, true)) {
      options_.say("  " + service.spec.name +
                   std::string(12 - std::min<size_t>(11, service.spec.name.size()), ' ') + "healthy after " +
                   took);
    }
  }

  // Only says what it sees: a busy service is not killed for being slow.
  void ProbeRunning(Managed& service) {
    if (Steady::now() < service.probe_at) return;
    service.probe_at = Steady::now() + kProbeInterval;
    const bool serving = IsServing(service.channel, kProbeTimeout);
    service.probes_missed = serving ? 0 : service.probes_missed + 1;
    const bool responsive = service.probes_missed < kProbesMissedMax;
    const ServiceState state = responsive ? ServiceState::kHealthy : ServiceState::kUnresponsive;
    if (state != service.status.state && (serving || !responsive)) SetState(service, state);
  }

  Status CheckStarts() const {
    for (const Managed& service : services_) {
      if (service.was_healthy || service.failed_starts < kStartAttemptsMax) continue;
      const auto log = options_.data_directory / "logs" / (service.spec.name + ".log");
      std::string reason = LastErrorIn(log);
      if (!reason.empty()) reason = ": " + reason;
      return Unavailable(service.spec.name + " does not start (" + service.status.last_exit + ")" + reason +
                         "; its log is " + log.string());
    }
    return absl::OkStatus();
  }

  Status NotHealthyInTime(int wave) const {
    std::string names;
    for (const Managed& service : services_) {
      if (service.spec.wave != wave || service.status.state == ServiceState::kHealthy) continue;
      names += (names.empty() ? "" : ", ") + service.spec.name;
    }
    return Unavailable(names + " did not become healthy in " + std::to_string(kWaveTimeout.count() / 1000) +
                       " s");
  }

  void StopWave(int wave) {
    for (Managed& service : services_) {
      if (service.spec.wave == wave && service.child) service.child->Terminate();
    }
    const Steady::time_point deadline = Steady::now() + options_.stop_grace;
    for (Managed& service : services_) {
      if (service.spec.wave != wave || !service.child) continue;
      std::optional<int> ended;
      while (!(ended = service.child->Poll()) && Steady::now() < deadline) ::usleep(10'000);
      if (!ended) {
        Log(LogLevel::kWarning, "supervisor.service_killed", {{"service", service.spec.name}});
        service.child->Kill();
      }
      service.status.last_exit = ended ? DescribeExit(*ended) : "signal 9";
      service.child.reset();
      service.status.pid = 0;
      SetState(service, ServiceState::kStopped);
    }
  }

  void SetState(Managed& service, ServiceState state) {
    service.status.state = state;
    service.status.since_ns = NowNs();
    Log(LogLevel::kInfo, "supervisor.state",
        {{"service", service.spec.name},
         {"state", std::string(NameOf(state))},
         {"pid", int64_t{service.status.pid}}});
    PublishOrLog();
  }

  Status Publish() const {
    ApplianceStatus status{::getpid(), since_ns_, held_.source(), {}};
    for (const Managed& service : services_) status.services.push_back(service.status);
    return WriteStatus(options_.data_directory, status);
  }

  // A full disk makes the status stale; the services go on.
  void PublishOrLog() const {
    const Status status = Publish();
    if (!status.ok()) LogStatus(LogLevel::kWarning, "supervisor.status_not_written", status);
  }

  const SupervisorOptions options_;
  HeldSecret held_;
  const FileDescriptor lock_;
  const crypto::CertificateAuthority authority_;
  const std::unique_ptr<LogCollector> logs_;
  RpcCredentials own_;
  int64_t since_ns_ = 0;
  bool stopped_ = false;
  std::atomic<bool> stopping_ = false;
  std::vector<Managed> services_;
  std::unique_ptr<v1::Keys::StubInterface> keys_;
  std::unique_ptr<ControlSocket> control_;  // Its thread uses keys_ and held_.
};

namespace {

// Said at once and by name, rather than five times in the log of every service.
Status CheckConfig(const std::filesystem::path& data_directory) {
  std::string toml;
  StatusOr<std::string> read = ReadFile(data_directory / "cloister.toml", kConfigBytesMax);
  if (read.ok()) {
    toml = *std::move(read);
  } else if (read.status().code() != StatusCode::kNotFound) {
    return Annotate(read.status(), "cloister.toml");
  }
  const auto config = Config::Parse(toml, AllConfigKeys(), CloisterEnvironment());
  return config.ok() ? absl::OkStatus() : Annotate(config.status(), "cloister.toml");
}

StatusOr<FileDescriptor> TakeLock(const std::filesystem::path& data_directory) {
  StatusOr<FileDescriptor> lock = LockFile(LockPath(data_directory));
  // `cloister status` holds it for a moment to see whether it is free.
  for (int attempt = 1; attempt < kLockAttempts && !lock.ok(); ++attempt) {
    ::usleep(20'000);
    lock = LockFile(LockPath(data_directory));
  }
  if (!lock.ok()) {
    if (lock.status().code() != StatusCode::kFailedPrecondition) return lock.status();
    return FailedPrecondition(
        "the appliance of this data directory runs already; `cloister status` shows it");
  }
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(lock->get(), 0) != 0) return ErrnoStatus(errno, "lock file");
  CLOISTER_RETURN_IF_ERROR(WriteAll(lock->get(), pid));
  return lock;
}

}  // namespace

Supervisor::Supervisor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Supervisor::~Supervisor() = default;

StatusOr<std::unique_ptr<Supervisor>> Supervisor::New(SupervisorOptions options, crypto::Secret passphrase) {
  const std::filesystem::path data = options.data_directory;
  const size_t socket_bytes = (data / "run" / kLongestSocketName).native().size();
  if (socket_bytes > kSocketPathBytesMax) {
    return InvalidArgument("the path of the data directory is " +
                           std::to_string(socket_bytes - kSocketPathBytesMax) +
                           " bytes too long for Unix sockets; use a shorter one");
  }
  std::error_code ignored;
  if (!std::filesystem::exists(KeyringPath(data), ignored)) {
    return FailedPrecondition("there is no appliance in this data directory; run `cloister init` first");
  }
  CLOISTER_RETURN_IF_ERROR(CheckConfig(data));
  CLOISTER_RETURN_IF_ERROR(MakePrivateDirectory(data / "run"));
  CLOISTER_RETURN_IF_ERROR(MakePrivateDirectory(data / "logs"));
  CLOISTER_ASSIGN_OR_RETURN(FileDescriptor lock, TakeLock(data));
  CLOISTER_ASSIGN_OR_RETURN(auto authority,
                            crypto::CertificateAuthority::New("cloister", kCertificateLifetime));
  CLOISTER_ASSIGN_OR_RETURN(auto logs, LogCollector::Start(data / "logs"));
  auto impl = std::make_unique<Impl>(std::move(options), std::move(passphrase), std::move(lock),
                                     std::move(authority), std::move(logs));
  CLOISTER_RETURN_IF_ERROR(impl->Prepare());
  return std::unique_ptr<Supervisor>(new Supervisor(std::move(impl)));
}

Status Supervisor::Start(const StopSignal& stop) { return impl_->Start(stop); }
Status Supervisor::Watch(const StopSignal& stop) { return impl_->Watch(stop); }
void Supervisor::Stop() { impl_->Stop(); }

}  // namespace cloister::services
