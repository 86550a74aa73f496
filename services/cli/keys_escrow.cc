// SPDX-License-Identifier: Apache-2.0
// `cloister keys escrow` and `cloister keys recover`: the copy of the keyring in another place, and the way
// back.
#include <unistd.h>

#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/file.h"
#include "keyring/escrow.h"
#include "keyring/recovery.h"
#include "services/cli/admin_action.h"
#include "services/cli/keyring_access.h"
#include "services/cli/keys.h"
#include "services/cli/passphrase.h"
#include "services/keys/anchors.h"
#include "services/keys/freshness_keeper.h"
#include "services/keys/key_records.h"
#include "services/keys/keys_service.h"

namespace cloister::services {
namespace {

using nlohmann::json;

constexpr std::string_view kShare = "share";
constexpr size_t kEscrowBytesMax = keyring::kKeyringFileBytesMax + 4096;
constexpr int kTriesMax = 5;  // For one share.

// Writes a copy for another place than the configured one.
StatusOr<json> CopyTo(GatewayClient& client, const std::string& folder) {
  CLOISTER_ASSIGN_OR_RETURN(const json reply,
                            client.Call("POST", "/admin/v1/keyring/escrow", {{"copy", true}}));
  CLOISTER_ASSIGN_OR_RETURN(const std::string bytes, Base64Decode(reply.value("file", "")));
  CLOISTER_ASSIGN_OR_RETURN(const keyring::Escrow escrow, keyring::ParseEscrow(bytes));
  CLOISTER_RETURN_IF_ERROR(keyring::WriteEscrow(folder, escrow.header.appliance, bytes));
  return json{{"generation", escrow.header.generation},
              {"file", keyring::EscrowPath(folder, escrow.header.appliance).string()},
              {"opens_with_shares", escrow.header.recovery.has_value()}};
}

void PrintEscrowed(const json& reply, std::ostream& out) {
  if (!reply.contains("file")) {
    out << "generation " << Text(reply, "generation") << ": " << Text(reply, "escrow") << "\n";
    return;
  }
  out << "generation " << Text(reply, "generation") << " is in " << Text(reply, "file")
      << "\nThe appliance does not know this copy: replace it after every erasure, for it opens what it "
         "held.\n";
  if (!reply.value("opens_with_shares", false)) {
    out << "It opens with the passphrase or device of now alone; for shares run `cloister keys split` "
           "first.\n";
  }
}

struct RecoverFlags {
  AnchorFlags anchor;
  std::string escrow, former_passphrase_file;
  std::vector<std::string> share_files;
  bool with_passphrase = false, accept_older = false;
};

// Asks until a share can be read, for a typing error is likely.
StatusOr<keyring::RecoveryShare> AskShare(CliContext& context, const std::string& prompt) {
  for (int attempt = 1;; ++attempt) {
    CLOISTER_ASSIGN_OR_RETURN(const crypto::Secret text, AskPassphrase(prompt, false));
    StatusOr<keyring::RecoveryShare> share = keyring::ParseShare(text.view());
    if (share.ok() || attempt == kTriesMax) return share;
    context.error() << "  " << MessageOf(share.status()) << std::endl;
  }
}

StatusOr<crypto::Secret> OpenByShares(CliContext& context, const keyring::Escrow& escrow,
                                      const RecoverFlags& flags) {
  if (!escrow.header.recovery) {
    return FailedPrecondition(
        "this copy was made before there were recovery shares; open it --with-passphrase of that time");
  }
  const keyring::RecoveryKey& key = *escrow.header.recovery;
  std::vector<keyring::RecoveryShare> shares;
  for (const std::string& file : flags.share_files) {
    CLOISTER_ASSIGN_OR_RETURN(const crypto::Secret text, ReadSecretFile(file, kShare));
    auto share = keyring::ParseShare(text.view());
    if (!share.ok()) return Annotate(share.status(), file);
    shares.push_back(*std::move(share));
  }
  const std::string of =
      " of " + std::to_string(key.threshold) + " of set " + HexEncode(key.set_id.substr(0, 4));
  while (flags.share_files.empty() && shares.size() < key.threshold) {
    CLOISTER_ASSIGN_OR_RETURN(auto share,
                              AskShare(context, "Share " + std::to_string(shares.size() + 1) + of));
    shares.push_back(std::move(share));
  }
  CLOISTER_ASSIGN_OR_RETURN(const crypto::Secret private_key, keyring::CombineShares(shares, key));
  return keyring::OpenEscrow(escrow, private_key);
}

StatusOr<crypto::Secret> OpenByAnchor(const keyring::Escrow& escrow, const RecoverFlags& flags,
                                      const Config& config, const std::filesystem::path& data) {
  CLOISTER_ASSIGN_OR_RETURN(const keyring::KeyringHeader header,
                            keyring::ParseKeyringHeader(escrow.keyring_file));
  const std::string prompt = "The " + std::string(SecretWord(header.anchor)) + " of the escrowed keyring";
  CLOISTER_ASSIGN_OR_RETURN(const SecretInput former,
                            GetSecret(flags.former_passphrase_file, prompt, false, data));
  CLOISTER_ASSIGN_OR_RETURN(const auto anchor, MakeAnchor(header.anchor, config, former.secret.view()));
  auto key = keyring::OpenEscrow(escrow, *anchor);
  if (key.status().code() == StatusCode::kUnauthenticated) return WrongSecret(header.anchor);
  return key;
}

// What was there before is gone only when its place is older than what takes it.
Status CheckNotOlder(const std::filesystem::path& data, const keyring::Escrow& escrow, bool accept) {
  const uint64_t last = LastGeneration(UnrecordedPath(data));
  const Status status = keyring::CheckEscrowNotOlder(escrow.header, escrow.header.appliance, last);
  if (status.ok() || accept) return absl::OkStatus();
  return FailedPrecondition(
      MessageOf(status) +
      ", or give --accept-older: documents that were added in between cannot be read then");
}

StatusOr<keyring::KeyringStatus> Recover(CliContext& context, const RecoverFlags& flags) {
  const std::filesystem::path data = context.data_directory();
  CLOISTER_RETURN_IF_ERROR(CheckNewDataDirectory(data));
  auto bytes = ReadFile(flags.escrow, kEscrowBytesMax);
  if (!bytes.ok()) return Annotate(bytes.status(), flags.escrow);
  CLOISTER_ASSIGN_OR_RETURN(const keyring::Escrow escrow, keyring::ParseEscrow(*bytes));
  CLOISTER_RETURN_IF_ERROR(CheckNotOlder(data, escrow, flags.accept_older));
  CLOISTER_ASSIGN_OR_RETURN(const Config config, ReadConfig(data, NewConfigFile(flags.anchor)));
  CLOISTER_ASSIGN_OR_RETURN(const crypto::Secret epoch_key, flags.with_passphrase
                                                                ? OpenByAnchor(escrow, flags, config, data)
                                                                : OpenByShares(context, escrow, flags));
  CLOISTER_ASSIGN_OR_RETURN(const keyring::AnchorKind kind, ParseAnchorKind(flags.anchor.anchor));
  const std::string prompt = "A new " + std::string(SecretWord(kind)) + " for the recovered appliance";
  CLOISTER_ASSIGN_OR_RETURN(const SecretInput secret,
                            GetNewSecret(kind, flags.anchor.passphrase_file, prompt, data));
  CLOISTER_ASSIGN_OR_RETURN(auto anchor, MakeAnchor(kind, config, secret.secret.view()));
  CLOISTER_RETURN_IF_ERROR(MakeDataDirectories(data));
  const uint64_t last = LastGeneration(UnrecordedPath(data));
  const SystemClock clock;
  CLOISTER_ASSIGN_OR_RETURN(const auto keyring,
                            keyring::Keyring::Restore({.path = KeyringPath(data)}, escrow.keyring_file,
                                                      epoch_key, std::move(anchor), clock));
  CLOISTER_RETURN_IF_ERROR(RestateFreshness(FreshnessPath(data), config.String("keys.escrow_directory"), *keyring, clock,
                                            [](FreshnessStatement&) {}));
  // Accepted as older: what the last run left speaks of a keyring that is gone.
  if (last > keyring->generation()) ::unlink(UnrecordedPath(data).c_str());
  KeyRecordsOptions options;
  options.file = UnrecordedPath(data);
  CLOISTER_ASSIGN_OR_RETURN(const auto records,
                            KeyRecords::Open(std::move(options), *keyring, clock, nullptr));
  records->Add({"recovered", 0, "generation " + std::to_string(escrow.header.generation), "user",
                "local administrator"});
  std::error_code ignored;
  if (!std::filesystem::exists(data / "cloister.toml", ignored)) {
    CLOISTER_RETURN_IF_ERROR(WriteFileAtomic(data / "cloister.toml", NewConfigFile(flags.anchor), 0600));
  }
  return keyring->GetStatus();
}

int RunRecover(CliContext& context, const RecoverFlags& flags) {
  const auto status = Recover(context, flags);
  if (!status.ok()) return context.Fail(status.status());
  uint64_t keys = 0;
  for (const auto& [kind, count] : status->keys) keys += count;
  context.out() << "Recovered " << keys << " keys into " << context.data_directory().string()
                << " (generation " << status->generation << "); the epoch key: " << status->anchor_description
                << "\nKeys that had been destroyed before that copy was written are not among them and "
                   "cannot come back.\n"
                   "Next: restore the data beside it, then `cloister up`."
                << std::endl;
  return kExitOk;
}

}  // namespace

void AddEscrowCommand(CLI::App& keys, CliContext& context) {
  auto folder = std::make_shared<std::string>();
  AddAdminAction(
      keys, context, "escrow", "Write the escrowed copy of the keyring now",
      [folder](GatewayClient& client) -> StatusOr<json> {
        if (!folder->empty()) return CopyTo(client, *folder);
        return client.Call("POST", "/admin/v1/keyring/escrow", nullptr);
      },
      PrintEscrowed)
      ->add_option("--to", *folder, "a mounted folder; without it, keys.escrow_directory");
}

void AddRecoverCommand(CLI::App& keys, CliContext& context) {
  auto flags = std::make_shared<RecoverFlags>();
  CLI::App* command = keys.add_subcommand(
      "recover", "Make the keyring of a data directory (--data) from an escrowed copy and shares");
  command->add_option("--escrow", flags->escrow, "the escrowed copy")->required();
  auto* shares =
      command->add_option("--share-file", flags->share_files,
                          "file with one share; repeat for each; without it you are asked one by one");
  shares->allow_extra_args(false);
  command
      ->add_flag("--with-passphrase", flags->with_passphrase,
                 "open the copy with the passphrase or device of its time instead of shares")
      ->excludes(shares);
  command->add_option("--former-passphrase-file", flags->former_passphrase_file,
                      "file with that passphrase or PIN; without it you are asked");
  command->add_flag("--accept-older", flags->accept_older,
                    "although the keyring that was in this data directory was newer than the copy");
  AddAnchorFlags(*command, flags->anchor);
  command->callback(
      [&context, flags] { context.command = [&context, flags] { return RunRecover(context, *flags); }; });
}

}  // namespace cloister::services
