// SPDX-License-Identifier: Apache-2.0
// `cloister down`: asks the supervisor to stop everything, and waits until it has.
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <ostream>

#include "common/file.h"
#include "services/cli/commands.h"
#include "services/supervisor/supervisor.h"

namespace cloister::services {
namespace {

// Longer than every service's own grace together.
constexpr std::chrono::seconds kDownTimeout{120};

int RunDown(CliContext& context) {
  const std::filesystem::path data = context.data_directory();
  const StatusOr<pid_t> supervisor = RunningSupervisor(data);
  if (!supervisor.ok()) {
    context.out() << MessageOf(supervisor.status()) << std::endl;
    return kExitOk;
  }
  // The lock was held a moment ago, so this number is the supervisor's.
  if (::kill(*supervisor, SIGTERM) != 0) return context.Fail(ErrnoStatus(errno, "stop the supervisor"));
  const auto deadline = std::chrono::steady_clock::now() + kDownTimeout;
  while (RunningSupervisor(data).ok()) {
    if (std::chrono::steady_clock::now() > deadline) {
      return context.Fail(
          Unavailable("the appliance has not stopped yet; `cloister status` shows what still runs"));
    }
    ::usleep(20'000);
  }
  context.out() << "stopped" << std::endl;
  return kExitOk;
}

}  // namespace

void AddDownCommand(CLI::App& app, CliContext& context) {
  CLI::App* command = app.add_subcommand("down", "Stop the appliance in order");
  command->callback([&context] { context.command = [&context] { return RunDown(context); }; });
}

}  // namespace cloister::services
