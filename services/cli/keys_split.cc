// SPDX-License-Identifier: Apache-2.0
// `cloister keys split`: makes a recovery key, gives its shares to people and only its public half to the
// appliance.
#include <unistd.h>

#include <iostream>
#include <memory>
#include <ostream>
#include <string>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/file.h"
#include "keyring/recovery.h"
#include "services/cli/admin_action.h"
#include "services/cli/keys.h"

namespace cloister::services {
namespace {

using nlohmann::json;

struct SplitFlags {
  uint32_t threshold = 0, shares = 0;
  std::string out;
  bool yes = false;
  CredentialFlags credentials;
};

// A new set makes the shares that people hold worthless.
StatusOr<bool> Confirmed(GatewayClient& client, const SplitFlags& flags) {
  CLOISTER_ASSIGN_OR_RETURN(const json keyring, client.Get("/admin/v1/keyring"));
  const json former = keyring.value("recovery", json());
  if (!former.is_object() || flags.yes) return true;
  if (::isatty(STDIN_FILENO) != 1) {
    return FailedPrecondition(
        "there are recovery shares already; to replace them without a terminal, say --yes");
  }
  std::cerr << "There are shares already (set " << Text(former, "set_id").substr(0, 8) << ", "
            << Text(former, "threshold") << " of " << Text(former, "shares") << ", made "
            << Text(former, "created_at").substr(0, 10)
            << "). A new set makes them worthless. Type \"replace\" to go on: " << std::flush;
  std::string line;
  std::getline(std::cin, line);
  return line == "replace";
}

std::filesystem::path FileOf(const SplitFlags& flags, const keyring::RecoveryKey& key, size_t index) {
  return std::filesystem::path(flags.out) /
         ("cloister-share-" + HexEncode(key.set_id.substr(0, 4)) + "-" + std::to_string(index + 1));
}

Status WriteShares(const keyring::RecoverySet& set, const SplitFlags& flags) {
  CLOISTER_RETURN_IF_ERROR(Annotate(MakePrivateDirectory(flags.out), flags.out));
  for (size_t i = 0; i < set.shares.size(); ++i) {
    std::string line(set.shares[i].view());
    line += '\n';
    const Status written = WriteFileAtomic(FileOf(flags, set.key, i), line, 0600);
    crypto::Wipe(line.data(), line.size());
    CLOISTER_RETURN_IF_ERROR(Annotate(written, flags.out));
  }
  return absl::OkStatus();
}

void RemoveShares(const keyring::RecoverySet& set, const SplitFlags& flags) {
  for (size_t i = 0; i < set.shares.size(); ++i) ::unlink(FileOf(flags, set.key, i).c_str());
}

void PrintShares(const keyring::RecoverySet& set, std::ostream& out) {
  const std::string of = std::to_string(set.key.shares);
  for (size_t i = 0; i < set.shares.size(); ++i) {
    out << std::string(80, '-') << "\nShare " << i + 1 << " of " << of
        << " for the recovery of a Cloister appliance. Any " << int{set.key.threshold}
        << " of them open its\nescrowed keyring: keep this one on paper, alone, where the others are "
        << "not.\n\n"
        << set.shares[i].view() << "\n\n";
  }
  out << std::string(80, '-') << std::endl;
}

Status Activate(GatewayClient& client, const keyring::RecoveryKey& key, std::string& escrow) {
  CLOISTER_ASSIGN_OR_RETURN(const json reply, client.Call("PUT", "/admin/v1/keyring/recovery",
                                                          {{"set_id", HexEncode(key.set_id)},
                                                           {"public_key", HexEncode(key.public_key)},
                                                           {"threshold", key.threshold},
                                                           {"shares", key.shares},
                                                           {"replace", true}}));
  escrow = Text(reply, "escrow");
  return absl::OkStatus();
}

int RunSplit(CliContext& context, const SplitFlags& flags) {
  const SystemClock clock;
  const auto set = keyring::MakeRecovery(flags.threshold, flags.shares, clock);
  if (!set.ok()) return context.Fail(set.status());
  StatusOr<GatewayClient> client = MakeClient(context, flags.credentials, false);
  if (!client.ok()) return context.Fail(client.status());
  const auto confirmed = Confirmed(*client, flags);
  if (!confirmed.ok()) return context.Fail(confirmed.status());
  if (!*confirmed) return context.Fail(FailedPrecondition("nothing was changed"));
  // Files first: shares that cannot be written must not replace those that people hold.
  if (!flags.out.empty()) {
    if (const Status written = WriteShares(*set, flags); !written.ok()) return context.Fail(written);
  }
  std::string escrow;
  if (const Status active = Activate(*client, set->key, escrow); !active.ok()) {
    if (!flags.out.empty()) RemoveShares(*set, flags);
    return context.Fail(active);
  }
  if (flags.out.empty()) {
    PrintShares(*set, context.out());
  } else {
    context.out() << int{set->key.shares} << " shares, one file each, in " << flags.out
                  << ": give each to another person and remove it here\n";
  }
  context.error() << "Any " << int{set->key.threshold}
                  << " of these shares now recover the keyring; former shares do not. They "
                  << "are not kept anywhere and cannot be shown again.\nEscrowed keyring: " << escrow
                  << std::endl;
  return kExitOk;
}

}  // namespace

void AddSplitCommand(CLI::App& keys, CliContext& context) {
  auto flags = std::make_shared<SplitFlags>();
  CLI::App* command = keys.add_subcommand(
      "split", "Make a recovery key and split it: any K of N shares open the escrowed keyring");
  command->add_option("--threshold,-k", flags->threshold, "shares that are needed, at least 2")
      ->required()
      ->check(CLI::Range(2, 255));
  command->add_option("--shares,-n", flags->shares, "shares to make, at most 255")
      ->required()
      ->check(CLI::Range(2, 255));
  command->add_option("--out", flags->out, "folder for one file a share; without it they are shown once");
  command->add_flag("--yes", flags->yes, "replace earlier shares without asking");
  command->add_option(
      "--key-file", flags->credentials.key_file,
      "file with an administrator's API key; without it, the owner of the data directory acts");
  command->callback(
      [&context, flags] { context.command = [&context, flags] { return RunSplit(context, *flags); }; });
}

}  // namespace cloister::services
