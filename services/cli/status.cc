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
#include "services/cli/gateway_client.h"
#include "services/cli/terminal_text.h"
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
  if (seconds < 86400)
    return std::to_string(seconds / 3600) + " h " + std::to_string(seconds / 60 % 60) + " min";
  return std::to_string(seconds / 86400) + " d " + std::to_string(seconds / 3600 % 24) + " h";
}

// What is known of the appliance, from whoever still answers.
struct Overview {
  std::filesystem::path data;
  bool initialised = false;
  std::optional<pid_t> supervisor;      // Runs now.
  std::optional<ApplianceStatus> last;  // What the supervisor last wrote.
  Json gateway;                         // Its /admin/v1/status; null when it does not answer.
  std::vector<std::string> not_protected;
};

// The sentences that gateway gathered from the services, or what is known without them.
std::vector<std::string> NotProtected(const Overview& overview) {
  std::vector<std::string> out;
  if (const auto found = overview.gateway.find("not_protected"); found != overview.gateway.end()) {
    for (const Json& sentence : *found) {
      if (sentence.is_string()) out.push_back(sentence.get<std::string>());
    }
    return out;
  }
  return overview.last ? NotProtectedBy(overview.last->passphrase_source) : out;
}

Overview Look(const CliContext& context) {
  const std::filesystem::path data = context.data_directory();
  Overview out;
  out.data = data;
  std::error_code ignored;
  out.initialised = std::filesystem::exists(KeyringPath(data), ignored);
  if (const auto pid = RunningSupervisor(data); pid.ok()) out.supervisor = *pid;
  if (auto last = ReadStatus(data); last.ok()) out.last = *std::move(last);
  if (out.supervisor) {
    StatusOr<Json> answer = GatewayClient(context.gateway_socket()).Get("/admin/v1/status");
    if (answer.ok() && answer->is_object()) out.gateway = *std::move(answer);
  }
  out.not_protected = NotProtected(out);
  return out;
}

// Of a supervisor that is gone, only how its services ended is still true.
std::string_view StateOf(const Overview& overview, const ServiceStatus& service) {
  return overview.supervisor ? NameOf(service.state) : NameOf(ServiceState::kStopped);
}

// One part of what gateway said; null when it did not.
Json Part(const Overview& overview, const char* name) {
  return overview.gateway.is_object() ? overview.gateway.value(name, Json()) : Json();
}

// "1,234"; "?" for what nobody said.
std::string Count(const Json& part, const char* name) {
  const auto found = part.find(name);
  if (found == part.end() || !found->is_number_unsigned()) return "?";
  std::string out = std::to_string(found->get<uint64_t>());
  for (size_t at = out.size(); at > 3;) out.insert(at -= 3, ",");
  return out;
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
          {"audit", Part(overview, "audit")},
          {"index", Part(overview, "index")},
          {"keyring", Part(overview, "keyring")},
          {"models", Part(overview, "models")},
          {"not_protected", overview.not_protected}};
}

void PrintServices(const Overview& overview, std::ostream& out) {
  char line[256];
  std::snprintf(line, sizeof line, "%-12s %-13s %8s %9s  %s\n", "SERVICE", "STATE", "PROCESS", "RESTARTS",
                "FOR");
  out << "\n" << line;
  for (const ServiceStatus& service : overview.last->services) {
    const std::string state(StateOf(overview, service));
    const std::string pid = overview.supervisor && service.pid != 0 ? std::to_string(service.pid) : "-";
    std::string note = Age(service.since_ns);
    if (service.restarts > 0) note += " (last end: " + service.last_exit + ")";
    std::snprintf(line, sizeof line, "%-12s %-13s %8s %9llu  %s\n", service.name.c_str(), state.c_str(),
                  pid.c_str(), static_cast<unsigned long long>(service.restarts), note.c_str());
    out << line;
  }
}

void PrintContents(const Overview& overview, std::ostream& out) {
  const Json index = Part(overview, "index");
  const Json audit = Part(overview, "audit");
  if (index.is_object()) {
    out << "\nDocuments    " << Count(index, "documents") << " in " << Count(index, "chunks") << " chunks\n";
    if (Count(index, "unreadable_documents") != "0") {
      out << "             " << Count(index, "unreadable_documents")
          << " cannot be read and are never served\n";
    }
  }
  if (audit.is_object()) {
    out << "Audit log    " << Count(audit, "size") << " records; the last checkpoint covers "
        << Count(audit, "checkpoint_size") << "\n";
    for (const Json& witness : audit.value("witnesses", Json::array())) {
      out << "             " << witness.value("name", "?");
      if (witness.value("cosigned_at", int64_t{0}) == 0) {
        out << " has cosigned nothing yet\n";
      } else {
        out << " cosigned " << Count(witness, "size") << " of them, "
            << Age(witness.value("cosigned_at", int64_t{0}) * 1'000'000'000) << " ago\n";
      }
    }
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
  PrintContents(overview, out);
  if (!overview.not_protected.empty()) out << "\nNot protected:\n";
  for (const std::string& sentence : overview.not_protected) out << Bullet(sentence, TerminalWidth());
  out << std::flush;
}

int RunStatus(CliContext& context, bool json) {
  const Overview overview = Look(context);
  if (json) {
    context.out() << ToJson(overview).dump(2) << std::endl;
  } else {
    Print(overview, context.out());
  }
  const bool healthy =
      overview.supervisor && overview.last &&
      std::all_of(overview.last->services.begin(), overview.last->services.end(),
                  [](const auto& service) { return service.state == ServiceState::kHealthy; });
  return healthy ? kExitOk : kExitFailed;
}

}  // namespace

void AddStatusCommand(CLI::App& app, CliContext& context) {
  auto json = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand("status", "Show what runs, what it holds and what is not protected");
  command->add_flag("--json", *json, "for programs; the exit status is 0 only when everything is healthy");
  command->callback(
      [&context, json] { context.command = [&context, json] { return RunStatus(context, *json); }; });
}

}  // namespace cloister::services
