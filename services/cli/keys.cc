// SPDX-License-Identifier: Apache-2.0
// `cloister keys status` and `cloister keys rotate`: where the keys live, and changing that.
#include "services/cli/keys.h"

#include <memory>
#include <ostream>
#include <string>
#include <utility>

#include "common/clock.h"
#include "keyring/keyring.h"
#include "services/cli/admin_action.h"
#include "services/cli/commands.h"
#include "services/cli/keyring_access.h"
#include "services/cli/terminal_text.h"
#include "services/keys/anchors.h"
#include "services/keys/escrow_keeper.h"
#include "services/keys/freshness_keeper.h"
#include "services/keys/key_records.h"
#include "services/keys/keys_service.h"
#include "services/supervisor/control_socket.h"
#include "services/supervisor/supervisor.h"

namespace cloister::services {
namespace {

using keyring::AnchorKind;
using nlohmann::json;

struct RotateFlags {
  std::string passphrase_file, new_passphrase_file, to;
};

void PrintEscrow(const json& escrow, std::ostream& out) {
  out << "Escrow       ";
  if (!escrow.is_object()) {
    out << "none; set keys.escrow_directory\n";
    return;
  }
  out << Text(escrow, "folder") << "\n             ";
  if (escrow.value("present", false)) {
    out << "generation " << Text(escrow, "generation") << ", epoch " << Text(escrow, "epoch") << ", of "
        << Text(escrow, "created_at").substr(0, 19) << "Z; behind by " << Text(escrow, "behind")
        << " change(s)\n";
  } else {
    out << "no copy of this keyring is there\n";
  }
  if (escrow.contains("problem") && escrow["problem"].is_string()) {
    out << "             last attempt failed: " << Text(escrow, "problem") << "\n";
  }
}

void PrintStatus(const json& keyring, std::ostream& out) {
  out << "Anchor       " << Text(keyring, "root_kind") << ": " << Text(keyring, "anchor") << "\n"
      << "Destroying   "
      << (keyring.value("destroys_for_good", false)
              ? "is for good: no older copy of the keyring opens afterwards\n"
              : "holds against the present keyring only\n")
      << "Epoch        " << Text(keyring, "epoch") << ", generation " << Text(keyring, "generation") << "\n";
  if (keyring.value("doomed", 0) > 0) {
    out << "             " << Text(keyring, "doomed")
        << " former epoch key(s) still in the device; tried again by itself\n";
  }
  out << "Keys         " << Text(keyring, "keys");
  const json kinds = keyring.value("keys_by_kind", json::object());
  for (const auto& [kind, count] : kinds.items())
    out << (kind == kinds.begin().key() ? ": " : ", ") << kind << " " << count.dump();
  if (keyring.value("former_keys", 0) > 0) {
    out << "\n             " << Text(keyring, "former_keys") << " of them former, the last replaced at "
        << Text(keyring, "former_since").substr(0, 19) << "Z; `cloister keys destroy-former` ends them";
  }
  out << "\nRecovery     ";
  const json recovery = keyring.value("recovery", json());
  if (recovery.is_object()) {
    out << Text(recovery, "threshold") << " of " << Text(recovery, "shares") << " shares, set "
        << Text(recovery, "set_id").substr(0, 8) << ", made " << Text(recovery, "created_at").substr(0, 19)
        << "Z\n";
  } else {
    out << "nobody has shares; run `cloister keys split`\n";
  }
  PrintEscrow(keyring.value("escrow", json()), out);
  const json freshness = keyring.value("freshness", json::object());
  const bool counts = freshness.value("counter", json()).is_string();
  out << "Freshness    statement " << Text(freshness, "number") << ", of " << Text(freshness, "made_at").substr(0, 19)
      << "Z; an older data directory is told by "
      << (counts && freshness.value("escrowed", false) ? "the TPM's counter and the copy with the escrow"
          : counts                                     ? "the TPM's counter"
          : freshness.value("escrowed", false)         ? "the copy with the escrow"
                                                       : "nothing outside of it")
      << "\n";
  const json sentences = keyring.value("not_protected", json::array());
  if (!sentences.empty()) out << "\nNot protected:\n";
  for (const json& sentence : sentences) {
    if (sentence.is_string()) out << Bullet(sentence.get<std::string>(), TerminalWidth());
  }
}

// What the file says in clear, when nobody runs who could open it.
StatusOr<json> StoppedStatus(const std::filesystem::path& data) {
  CLOISTER_ASSIGN_OR_RETURN(const keyring::KeyringHeader header,
                            keyring::Keyring::HeaderOf(KeyringPath(data)));
  return json{{"running", false},
              {"root_kind", std::string(NameOf(header.anchor))},
              {"epoch", header.epoch},
              {"generation", header.generation},
              {"doomed", header.doomed.size()}};
}

void PrintStopped(const json& keyring, std::ostream& out) {
  out << "Anchor       " << Text(keyring, "root_kind") << "\nEpoch        " << Text(keyring, "epoch")
      << ", generation " << Text(keyring, "generation")
      << "\nThe appliance is stopped; start it with `cloister up` to see the rest.\n";
}

void AddStatus(CLI::App& keys, CliContext& context) {
  AddAdminAction(
      keys, context, "status", "Show where keys live, who may recover them and what is not protected",
      [&context](GatewayClient& client) -> StatusOr<json> {
        if (!RunningSupervisor(context.data_directory()).ok()) return StoppedStatus(context.data_directory());
        CLOISTER_ASSIGN_OR_RETURN(json keyring, client.Get("/admin/v1/keyring"));
        // A service that does not answer now must not hide the rest.
        const auto rotation = client.Get("/admin/v1/keyring/rotation");
        keyring["rotation"] = rotation.ok() ? *rotation : json(nullptr);
        return keyring;
      },
      [](const json& reply, std::ostream& out) {
        if (reply.contains("running")) return PrintStopped(reply, out);
        PrintStatus(reply, out);
        PrintKeyRotation(reply.value("rotation", json()), out);
      });
}

Status CheckMayMove(AnchorKind from, AnchorKind to) {
  if (from != to || to != AnchorKind::kPkcs11) return absl::OkStatus();
  return FailedPrecondition(
      "the PIN is the token's own: change it with its maker's tool, then start the appliance with the new "
      "one");
}

// The appliance is stopped, so this process opens the keyring itself. A kill at any step leaves one that
// opens with the former or the new secret; the next start finishes what is left.
StatusOr<std::string> ChangeStopped(const std::filesystem::path& data, const AnchorRequest& request,
                                    AnchorKind from, AnchorKind to) {
  CLOISTER_ASSIGN_OR_RETURN(const Config config, ReadConfig(data));
  const std::filesystem::path folder = config.String("keys.escrow_directory");
  const auto path = KeyringPath(data);
  CLOISTER_ASSIGN_OR_RETURN(const keyring::KeyringHeader header, keyring::Keyring::HeaderOf(path));
  CLOISTER_RETURN_IF_ERROR(CheckNotOlderThanLastRun(UnrecordedPath(data), header.generation));
  CLOISTER_RETURN_IF_ERROR(CheckNotOlderThanEscrow(folder, header.appliance, header.generation));
  CLOISTER_ASSIGN_OR_RETURN(auto former, MakeAnchor(from, config, request.former_secret.view()));
  CLOISTER_ASSIGN_OR_RETURN(auto next, MakeAnchor(to, config, request.secret.view()));
  const SystemClock clock;
  auto keyring = keyring::Keyring::Open({.path = path}, std::move(former), clock);
  if (keyring.status().code() == StatusCode::kUnauthenticated) return WrongSecret(from);
  if (!keyring.ok()) return keyring.status();
  KeyRecordsOptions options;
  options.file = UnrecordedPath(data);
  CLOISTER_ASSIGN_OR_RETURN(const auto records,
                            KeyRecords::Open(std::move(options), **keyring, clock, nullptr));
  EscrowKeeper escrow(**keyring, folder, path, clock);
  const auto change = (*keyring)->ChangeAnchor(std::move(next));
  const keyring::KeyringStatus now = (*keyring)->GetStatus();
  if (!change.ok() && now.epoch == header.epoch) {
    if (now.sound) return change.status();
    return Aborted("the keyring was not written to its end (" + MessageOf(change.status()) +
                   "): it opens with the new passphrase or PIN or with the former one");
  }
  // Without a count: the device may be another now; the next start counts.
  const Status stated =
      RestateFreshness(FreshnessPath(data), folder, **keyring, clock, [](FreshnessStatement&) {});
  const StatusOr<std::string> replaced = escrow.AfterChangeOfEpoch();
  records->Add({"anchor", 0, replaced.ok() ? *replaced : "not replaced", "user", "local administrator"});
  std::string text = "The epoch key is now in: " + now.anchor_description + " (epoch " +
                     std::to_string(now.epoch) +
                     "). Escrowed keyring: " + (replaced.ok() ? *replaced : "not replaced") + ".";
  for (const Status& status : {change.status(), replaced.status(), stated}) {
    if (!status.ok()) text += "\nNot finished, and tried again at the next start: " + MessageOf(status) + ".";
  }
  return text;
}

StatusOr<std::string> ChangeAnchorOf(const std::filesystem::path& data, const RotateFlags& flags) {
  CLOISTER_ASSIGN_OR_RETURN(const AnchorKind from, keyring::Keyring::AnchorOf(KeyringPath(data)));
  CLOISTER_ASSIGN_OR_RETURN(const AnchorKind to,
                            flags.to.empty() ? StatusOr<AnchorKind>(from) : ParseAnchorKind(flags.to));
  CLOISTER_RETURN_IF_ERROR(CheckMayMove(from, to));
  const std::string now_prompt = "Present " + std::string(SecretWord(from));
  const std::string new_prompt = "New " + std::string(SecretWord(to));
  CLOISTER_ASSIGN_OR_RETURN(SecretInput former, GetSecret(flags.passphrase_file, now_prompt, false, data));
  CLOISTER_ASSIGN_OR_RETURN(SecretInput secret,
                            GetNewSecret(to, flags.new_passphrase_file, new_prompt, data));
  const AnchorRequest request{std::move(former.secret), std::move(secret.secret), std::string(NameOf(to)),
                              std::string(NameOf(secret.source))};
  if (RunningSupervisor(data).ok()) return SendAnchorRequest(ControlSocketPath(data), request);
  return ChangeStopped(data, request, from, to);
}

int RunChange(CliContext& context, const RotateFlags& flags) {
  const auto text = ChangeAnchorOf(context.data_directory(), flags);
  if (!text.ok()) return context.Fail(text.status());
  context.out() << *text << std::endl;
  if (text->find("Not finished") == std::string::npos) return kExitOk;
  return kExitFailed;
}

void AddChange(CLI::App& rotate, CliContext& context, const char* name, const char* help, bool moves) {
  auto flags = std::make_shared<RotateFlags>();
  CLI::App* command = rotate.add_subcommand(name, help);
  command->add_option(
      "--passphrase-file", flags->passphrase_file,
      "file with the present passphrase or PIN, readable by you alone; without it you are asked");
  command->add_option(
      "--new-passphrase-file", flags->new_passphrase_file,
      "file with the new passphrase or PIN, readable by you alone; without it you are asked twice");
  if (moves) {
    command->add_option("--to", flags->to, "passphrase, tpm or pkcs11 (an HSM)")
        ->required()
        ->check(CLI::IsMember({"passphrase", "tpm", "pkcs11"}));
  }
  command->callback(
      [&context, flags] { context.command = [&context, flags] { return RunChange(context, *flags); }; });
}

void AddRotate(CLI::App& keys, CliContext& context) {
  CLI::App* rotate = keys.add_subcommand("rotate", "Wrap every key anew, while asks and ingest go on");
  rotate->require_subcommand(1);
  AddAdminAction(
      *rotate, context, "epoch", "Under a new epoch key; the former one is destroyed where it lives",
      [](GatewayClient& client) { return client.Call("POST", "/admin/v1/keyring/rotate", nullptr); },
      [](const json& reply, std::ostream& out) {
        out << "epoch " << Text(reply, "epoch") << " holds, generation " << Text(reply, "generation")
            << "\nescrowed keyring: " << Text(reply, "escrow") << "\n";
        if (!reply.value("for_good", false)) {
          out << "An older copy of the keyring still opens with the passphrase of that time.\n";
        }
      });
  AddChange(*rotate, context, "passphrase",
            "Another passphrase, or another PIN of the TPM's keys; running or stopped", false);
  AddChange(*rotate, context, "anchor",
            "Move the epoch key between passphrase, TPM and HSM; running or stopped", true);
  AddRotateDataCommand(*rotate, context);
}

}  // namespace

void AddKeyringCommands(CLI::App& app, CliContext& context) {
  CLI::App* keys = app.add_subcommand("keys", "The keyring: rotate, split a recovery key, escrow, recover");
  keys->require_subcommand(1);
  AddStatus(*keys, context);
  AddRotate(*keys, context);
  AddDestroyFormerCommand(*keys, context);
  AddSplitCommand(*keys, context);
  AddEscrowCommand(*keys, context);
  AddRecoverCommand(*keys, context);
  AddAcceptOlderCommand(*keys, context);
}

}  // namespace cloister::services
