// SPDX-License-Identifier: Apache-2.0
// `cloister keys rotate data` and `cloister keys destroy-former`: new data keys for what is stored, and the end of the former
// ones.
#include <unistd.h>

#include <chrono>
#include <iostream>
#include <memory>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include "services/cli/admin_action.h"
#include "services/cli/commands.h"
#include "services/cli/keys.h"
#include "services/cli/terminal_text.h"

namespace cloister::services {
namespace {

using nlohmann::json;

constexpr const char* kRotationPath = "/admin/v1/keyring/rotation";
constexpr std::chrono::milliseconds kLook{500};
constexpr std::chrono::seconds kProgressEvery{5};

struct RotateDataFlags {
  std::vector<std::string> levels;
  bool no_wait = false;
};

std::string LineOf(const json& service) {
  std::string line = Text(service, "service");
  line.resize(std::max<size_t>(line.size(), 10), ' ');
  if (service.value("levels", json::array()).empty()) return line + " nothing since it started\n";
  line += " " + Joined(service.value("levels", json::array())) + ": " + Text(service, "replaced") + " key(s), " +
          Text(service, "renewed") + " row(s) and file(s) sealed anew; " +
          (service.value("running", false) ? "under way" : "done");
  if (service.contains("problem") && service["problem"].is_string())
    line += "\n           last attempt: " + Text(service, "problem");
  return line + "\n";
}

void PrintServices(const json& state, std::ostream& out) {
  const json services = state.value("services", json::array());
  for (const json& service : services) out << LineOf(service);
}

// A person sees that it goes on; a program's standard output has the result alone.
StatusOr<json> Await(GatewayClient& client) {
  auto told_at = std::chrono::steady_clock::now();
  for (;;) {
    CLOISTER_ASSIGN_OR_RETURN(json state, client.Get(kRotationPath));
    if (!state.value("running", false)) return state;
    if (std::chrono::steady_clock::now() - told_at >= kProgressEvery) {
      PrintServices(state, std::cerr);
      told_at = std::chrono::steady_clock::now();
    }
    std::this_thread::sleep_for(kLook);
  }
}

StatusOr<json> RotateData(GatewayClient& client, const RotateDataFlags& flags) {
  const json body = flags.levels.empty() ? json(nullptr) : json{{"levels", flags.levels}};
  CLOISTER_ASSIGN_OR_RETURN(json state, client.Call("POST", kRotationPath, body));
  if (!flags.no_wait) {
    CLOISTER_ASSIGN_OR_RETURN(state, Await(client));
  }
  return state;
}

void PrintRotation(const json& state, std::ostream& out) {
  PrintServices(state, out);
  if (state.value("running", false)) {
    out << "\n" << Wrap("It goes on by itself, after a restart, too; `cloister keys status` tells how far it is.",
                        TerminalWidth(), "");
    return;
  }
  out << "\n"
      << Wrap("The former keys stay, so that backups made before still open. To end them: make a backup with `cloister "
              "backup create`, then run `cloister keys destroy-former`.",
              TerminalWidth(), "");
}

// Whoever types it has read what it means; a program says --yes.
StatusOr<bool> Confirmed(const json& keyring, bool yes) {
  if (yes) return true;
  if (::isatty(STDIN_FILENO) != 1) return InvalidArgument("without a terminal, say --yes");
  std::cerr << Wrap("There are " + Text(keyring, "former_keys") + " former keys, the last of them replaced at " +
                        Text(keyring, "former_since").substr(0, 19) +
                        "Z. Backups that were made before all data was sealed anew cannot be restored once they are "
                        "destroyed.",
                    TerminalWidth(), "")
            << "Type \"destroy\" to go on: " << std::flush;
  std::string line;
  std::getline(std::cin, line);
  return line == "destroy";
}

StatusOr<json> DestroyFormer(GatewayClient& client, bool yes) {
  CLOISTER_ASSIGN_OR_RETURN(const json keyring, client.Get("/admin/v1/keyring"));
  if (keyring.value("former_keys", 0) == 0) return json{{"destroyed", 0}};
  CLOISTER_ASSIGN_OR_RETURN(const bool confirmed, Confirmed(keyring, yes));
  if (!confirmed) return Error(StatusCode::kCancelled, "nothing was destroyed");
  return client.Call("DELETE", "/admin/v1/keyring/former", nullptr);
}

void PrintDestroyed(const json& reply, std::ostream& out) {
  if (reply.value("destroyed", 0) == 0) {
    out << "There are no former keys.\n";
    return;
  }
  out << Text(reply, "destroyed") << " former key(s) destroyed; epoch " << Text(reply, "epoch") << " holds\n"
      << "escrowed keyring: " << Text(reply, "escrow") << "\n";
  const json services = reply.value("services", json::array());
  for (const json& service : services) {
    if (service.value("renewed", 0) == 0) continue;
    out << Text(service, "service") << ": " << Text(service, "renewed")
        << " row(s) and file(s) were still under a former key and sealed anew first\n";
  }
  out << Wrap("Backups made before all data was sealed anew cannot be restored any more; make a new one with `cloister "
              "backup create`.",
              TerminalWidth(), "");
  if (!reply.value("for_good", false))
    out << Wrap("An older copy of the keyring still opens with the passphrase of that time.", TerminalWidth(), "");
}

}  // namespace

void PrintKeyRotation(const json& state, std::ostream& out) {
  if (!state.is_object() || !state.value("running", false)) return;
  out << "\nData keys are being rotated:\n";
  PrintServices(state, out);
}

void AddRotateDataCommand(CLI::App& rotate, CliContext& context) {
  auto flags = std::make_shared<RotateDataFlags>();
  CLI::App* command = AddAdminAction(
      rotate, context, "data", "New keys for what is stored, and everything sealed anew, while asks and ingest go on",
      [flags](GatewayClient& client) { return RotateData(client, *flags); }, PrintRotation);
  command
      ->add_option("--level", flags->levels,
                   "only these: volumes (database files), rows (a service's own), documents, subjects (people in the "
                   "audit log), segments (the index); repeat for more; without it all")
      ->check(CLI::IsMember({"volumes", "rows", "documents", "subjects", "segments"}))
      ->allow_extra_args(false);
  command->add_flag("--no-wait", flags->no_wait, "do not wait until it is done");
}

void AddDestroyFormerCommand(CLI::App& keys, CliContext& context) {
  auto yes = std::make_shared<bool>(false);
  CLI::App* command = AddAdminAction(
      keys, context, "destroy-former",
      "Destroy the keys that `rotate data` replaced; backups of before cannot be restored afterwards",
      [yes](GatewayClient& client) { return DestroyFormer(client, *yes); }, PrintDestroyed);
  command->add_flag("--yes", *yes, "do not ask");
}

}  // namespace cloister::services
