// SPDX-License-Identifier: Apache-2.0
// `cloister status`: what runs, how much it holds, and what is not protected.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <string>

#include "common/clock.h"
#include "common/file.h"
#include "services/cli/commands.h"
#include "services/keys/keys_service.h"
#include "services/supervisor/status_file.h"
#include "services/supervisor/supervisor.h"

namespace cloister::services {
namespace {

using Json = nlohmann::json;

// "3 s", "12 min", "5 h 10 min", "3 d 4 h".
std::string Age(int64_t since_ns) {
  const int64_t now = SystemClock().Now().time_since_epoch().count();
  const int64_t seconds = std::max<int64_t>(0, (now - since_ns) / 1'000'000'000);
  if (seconds < 60) return std::to_string(seconds) + " s";
  if (seconds < 3600) return std::to_string(seconds / 60) + " min";
  if (seconds < 86400) return std::to_string(seconds / 3600) + " h " + std::to_string(seconds / 60 % 60) + " min";
  return std::to_string(seconds / 86400) + " d " + std::to_string(seconds / 3600 % 24) + " h";
}

// What is known of the appliance, from whoever still answers.
struct Overview {
  std::filesystem::path data;
  bool initialised = false;
  std::optional<pid_t> supervisor;          // Runs now.
  std::optional<ApplianceStatus> last;      // What the supervisor last wrote.
  std::vector<std::string> not_protected;
};

Overview Look(const std::filesystem::path& data) {
  Overview out;
  out.data = data;
  std::error_code ignored;
  out.initialised = std::filesystem::exists(KeyringPath(data), ignored);
  if (const auto pid = RunningSupervisor(data); pid.ok()) out.supervisor = *pid;
  if (auto last = ReadStatus(data); last.ok()) out.last = *std::move(last);
  if (out.last) out.not_protected = NotProtectedBy(out.last->passphrase_source);
  return out;
}

// Of a supervisor that is gone, only how its services ended is still true.
std::string_view StateOf(const Overview& overview, const ServiceStatus& service) {
  return overview.supervisor ? NameOf(service.state) : NameOf(ServiceState::kStopped);
}

Json ToJson(const Overview& overview) {
  Json services = Json::array();
  if (overview.last) {
    for (const ServiceStatus& service : overview.last->services) {
      services.push_back({{"name", service.name},
                          {"state", StateOf(overview, service)},
                          {"pid", overview.supervisor ? service.pid : 0},
                          {"restarts", service.restarts},
                          {"since_ns", service.since_ns},
                          {"last_exit", service.last_exit}});
    }
  }
  return {{"data_directory", overview.data.string()},
          {"initialised", overview.initialised},
          {"running", overview.supervisor.has_value()},
          {"supervisor_pid", overview.supervisor.value_or(0)},
          {"services", std::move(services)},
          {"not_protected", overview.not_protected}};
}

void PrintServices(const Overview& overview, std::ostream& out) {
  char line[256];
  std::snprintf(line, sizeof line, "%-12s %-13s %8s %9s  %s\n", "SERVICE", "STATE", "PROCESS", "RESTARTS", "FOR");
  out << "\n" << line;
  for (const ServiceStatus& service : overview.last->services) {
    const std::string state(StateOf(overview, service));
    const std::string pid = overview.supervisor && service.pid != 0 ? std::to_string(service.pid) : "-";
    std::string note = Age(service.since_ns);
    if (service.restarts > 0) note += " (last end: " + service.last_exit + ")";
    std::snprintf(line, sizeof line, "%-12s %-13s %8s %9llu  %s\n", service.name.c_str(), state.c_str(), pid.c_str(),
                  static_cast<unsigned long long>(service.restarts), note.c_str());
    out << line;
  }
}

void Print(const Overview& overview, std::ostream& out) {
  out << "Appliance    " << overview.data.string() << "\n";
  if (!overview.initialised) {
    out << "State        not made yet; run `cloister init`" << std::endl;
    return;
  }
  if (overview.supervisor) {
    out << "State        running";
    if (overview.last) out << " for " << Age(overview.last->since_ns);
    out << " (supervisor " << *overview.supervisor << ")\n";
  } else {
    out << "State        stopped; start it with `cloister up`\n";
  }
  if (overview.last) PrintServices(overview, out);
  if (!overview.not_protected.empty()) out << "\nNot protected:\n";
  for (const std::string& sentence : overview.not_protected) out << "  - " << sentence << "\n";
  out << std::flush;
}

int RunStatus(CliContext& context, bool json) {
  const Overview overview = Look(context.data_directory());
  if (json) {
    context.out() << ToJson(overview).dump(2) << std::endl;
  } else {
    Print(overview, context.out());
  }
  const bool healthy = overview.supervisor && overview.last &&
                       std::all_of(overview.last->services.begin(), overview.last->services.end(),
                                   [](const auto& service) { return service.state == ServiceState::kHealthy; });
  return healthy ? kExitOk : kExitFailed;
}

}  // namespace

void AddStatusCommand(CLI::App& app, CliContext& context) {
  auto json = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand("status", "Show what runs, what it holds and what is not protected");
  command->add_flag("--json", *json, "for programs; the exit status is 0 only when everything is healthy");
  command->callback([&context, json] { context.command = [&context, json] { return RunStatus(context, *json); }; });
}

}  // namespace cloister::services
