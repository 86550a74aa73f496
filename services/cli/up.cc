// SPDX-License-Identifier: Apache-2.0
// `cloister up`: the supervisor, in the foreground or detached.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <ostream>
#include <string>
#include <utility>

#include "backup/restore.h"
#include "common/file.h"
#include "common/log.h"
#include "services/cli/commands.h"
#include "services/cli/keyring_access.h"
#include "services/cli/passphrase.h"
#include "services/keys/keys_service.h"
#include "services/server/rpc_client.h"
#include "services/server/service_main.h"
#include "services/supervisor/log_file.h"
#include "services/supervisor/supervisor.h"

namespace cloister::services {
namespace {

struct UpFlags {
  std::string passphrase_file;
  bool detach = false;
};

// Where a person is told how the start goes: the terminal, or the pipe to the process they started.
class Announcer {
 public:
  virtual ~Announcer() = default;
  virtual void Say(std::string_view line) = 0;
  virtual void Ready() = 0;  // Everything is healthy: nobody waits any more.
  virtual int Fail(const Status& status) = 0;
};

class TerminalAnnouncer final : public Announcer {
 public:
  explicit TerminalAnnouncer(CliContext& context) : context_(context) {}
  void Say(std::string_view line) override { context_.out() << line << std::endl; }
  void Ready() override { Say("running; stop with Ctrl-C or `cloister down`"); }
  int Fail(const Status& status) override { return context_.Fail(status); }

 private:
  CliContext& context_;
};

// One line each: "=" and a line to show, "+" when ready, "!" with the code and the message of a failure.
class PipeAnnouncer final : public Announcer {
 public:
  explicit PipeAnnouncer(FileDescriptor pipe) : pipe_(std::move(pipe)) {}
  void Say(std::string_view line) override { Send("=" + std::string(line)); }
  void Ready() override {
    Send("+");
    pipe_.Reset();
  }
  int Fail(const Status& status) override {
    Send("!" + std::to_string(static_cast<int>(status.code())) + " " + MessageOf(status));
    return kExitFailed;
  }

 private:
  // Whoever started us may be gone; the appliance runs on.
  void Send(const std::string& line) {
    if (pipe_.valid()) WriteAll(pipe_.get(), line + "\n").IgnoreError();
  }
  FileDescriptor pipe_;
};

struct Passphrase {
  crypto::Secret secret;
  PassphraseSource source = PassphraseSource::kTyped;
};

// Nobody should type a passphrase only to be told that there is nothing to open.
Status CheckStartable(const std::filesystem::path& data) {
  std::error_code ignored;
  if (!std::filesystem::exists(KeyringPath(data), ignored)) {
    return FailedPrecondition("there is no appliance in " + data.string() + "; run `cloister init` first");
  }
  if (RunningSupervisor(data).ok()) {
    return FailedPrecondition(
        "the appliance of this data directory runs already; `cloister status` shows it");
  }
  return absl::OkStatus();
}

StatusOr<Passphrase> GetPassphrase(const UpFlags& flags, const std::filesystem::path& data) {
  CLOISTER_RETURN_IF_ERROR(CheckStartable(data));
  Passphrase out;
  if (flags.passphrase_file.empty()) {
    CLOISTER_ASSIGN_OR_RETURN(const keyring::AnchorKind kind, keyring::Keyring::AnchorOf(KeyringPath(data)));
    const bool pin = kind != keyring::AnchorKind::kPassphrase;
    CLOISTER_ASSIGN_OR_RETURN(
        out.secret, AskPassphrase(pin ? "PIN of this appliance's keys" : "Passphrase of this appliance", false));
    return out;
  }
  CLOISTER_ASSIGN_OR_RETURN(out.secret, ReadSecretFile(flags.passphrase_file, kPassphrase));
  CLOISTER_ASSIGN_OR_RETURN(out.source, SourceOfFile(flags.passphrase_file, data));
  return out;
}

// Sends this process's own log to DATA/logs/supervisor.log for as long as it lives.
class LogRedirection {
 public:
  static StatusOr<LogRedirection> Start(const std::filesystem::path& data) {
    CLOISTER_RETURN_IF_ERROR(MakePrivateDirectory(data / "logs"));
    LogRedirection out;
    CLOISTER_ASSIGN_OR_RETURN(out.collector_, LogCollector::Start(data / "logs"));
    CLOISTER_ASSIGN_OR_RETURN(const FileDescriptor pipe, out.collector_->PipeFor("supervisor"));
    out.before_ = FileDescriptor(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
    ::dup2(pipe.get(), STDERR_FILENO);
    return out;
  }
  LogRedirection(LogRedirection&&) = default;
  ~LogRedirection() {
    if (before_.valid()) ::dup2(before_.get(), STDERR_FILENO);
  }

 private:
  LogRedirection() = default;
  std::unique_ptr<LogCollector> collector_;
  FileDescriptor before_;
};

// What went wrong is returned, to be told after the log no longer owns stderr.
Status Supervise(const std::filesystem::path& data, Passphrase passphrase, Announcer& announcer) {
  StartLog("supervisor", LogLevel::kInfo);
  SetUpGrpc();
  StopSignal stop;
  CLOISTER_ASSIGN_OR_RETURN(const LogRedirection redirection, LogRedirection::Start(data));
  SupervisorOptions options;
  options.data_directory = data;
  options.binary_directory = ServiceContext::BinaryDirectory();
  options.passphrase_source = passphrase.source;
  CLOISTER_ASSIGN_OR_RETURN(const Config config, ReadConfig(data));
  options.services = ApplianceServices(!config.Strings("audit.witnesses").empty());
  options.say = [&announcer](std::string_view line) { announcer.Say(line); };
  CLOISTER_ASSIGN_OR_RETURN(auto supervisor,
                            Supervisor::New(std::move(options), std::move(passphrase.secret)));
  CLOISTER_RETURN_IF_ERROR(supervisor->Start(stop));
  if (!stop.requested()) announcer.Ready();
  const Status status = supervisor->Watch(stop);
  if (status.ok()) announcer.Say("stopping");
  supervisor->Stop();
  if (status.ok()) announcer.Say("stopped");
  return status;
}

// The process the person started: shows what the detached one says until it is ready or has failed.
int ShowUntilReady(CliContext& context, const FileDescriptor& pipe) {
  std::string buffer;
  char chunk[4096];
  for (;;) {
    const size_t end = buffer.find('\n');
    if (end == std::string::npos) {
      const ssize_t got = ::read(pipe.get(), chunk, sizeof chunk);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return context.Fail(Unavailable("the supervisor ended before the appliance was ready"));
      buffer.append(chunk, static_cast<size_t>(got));
      continue;
    }
    const std::string line = buffer.substr(0, end);
    buffer.erase(0, end + 1);
    if (line.starts_with('=')) {
      context.out() << line.substr(1) << std::endl;
    } else if (line.starts_with('+')) {
      return kExitOk;
    } else if (line.starts_with('!')) {
      const auto code = static_cast<StatusCode>(std::atoi(line.c_str() + 1));
      const size_t space = line.find(' ');
      return context.Fail(Error(code, line.substr(space == std::string::npos ? line.size() : space + 1)));
    }
  }
}

// Leaves the terminal and the working directory of whoever started us.
void Detach() {
  ::setsid();
  (void)!::chdir("/");
  const FileDescriptor null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(null.get(), fd);
}

int RunDetached(CliContext& context, const UpFlags& flags, const std::filesystem::path& data) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return context.Fail(ErrnoStatus(errno, "pipe"));
  FileDescriptor reader(ends[0]);
  FileDescriptor writer(ends[1]);
  context.out().flush();
  // No thread exists yet.
  const pid_t child = ::fork();
  if (child < 0) return context.Fail(ErrnoStatus(errno, "fork"));
  if (child > 0) {
    writer.Reset();
    return ShowUntilReady(context, reader);
  }
  reader.Reset();
  PipeAnnouncer announcer(std::move(writer));
  // Asked for before the terminal is left.
  StatusOr<Passphrase> passphrase = GetPassphrase(flags, data);
  if (!passphrase.ok()) return announcer.Fail(passphrase.status());
  Detach();
  const Status status = Supervise(data, *std::move(passphrase), announcer);
  return status.ok() ? kExitOk : announcer.Fail(status);
}

int RunUp(CliContext& context, const UpFlags& flags) {
  const std::filesystem::path data = context.data_directory();
  const auto interrupted = backup::InterruptedRestore(data);
  if (!interrupted.ok()) return context.Fail(interrupted.status());
  if (*interrupted) {
    return context.Fail(FailedPrecondition("a restore was interrupted here: finish it first, by `cloister backup restore` "
                                           "of backup " + (*interrupted)->hex()));
  }
  if (flags.detach) return RunDetached(context, flags, data);
  TerminalAnnouncer announcer(context);
  StatusOr<Passphrase> passphrase = GetPassphrase(flags, data);
  if (!passphrase.ok()) return announcer.Fail(passphrase.status());
  const Status status = Supervise(data, *std::move(passphrase), announcer);
  return status.ok() ? kExitOk : announcer.Fail(status);
}

}  // namespace

void AddUpCommand(CLI::App& app, CliContext& context) {
  auto flags = std::make_shared<UpFlags>();
  CLI::App* command = app.add_subcommand("up", "Start the appliance and keep it running");
  command->add_option("--passphrase-file", flags->passphrase_file,
                      "file with the passphrase or PIN, readable by you alone; without it you are asked");
  command->add_flag("--detach", flags->detach, "return once every service is healthy");
  command->callback(
      [&context, flags] { context.command = [&context, flags] { return RunUp(context, *flags); }; });
}

}  // namespace cloister::services
