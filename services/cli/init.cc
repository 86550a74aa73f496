// SPDX-License-Identifier: Apache-2.0
// `cloister init`: makes a data directory with a keyring, pins the models and writes a configuration to edit.
#include <unistd.h>

#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/config.h"
#include "common/file.h"
#include "keyring/keyring.h"
#include "keyring/keyring_key_source.h"
#include "services/cli/commands.h"
#include "services/cli/keyring_access.h"
#include "services/cli/model_pin.h"
#include "services/cli/terminal_text.h"
#include "services/keys/anchors.h"
#include "services/keys/keys_service.h"
#include "services/keys/passphrase_source.h"

namespace cloister::services {
namespace {

using InitFlags = AnchorFlags;

Status WriteConfigIfAbsent(const std::filesystem::path& data, const InitFlags& flags) {
  const auto path = data / "cloister.toml";
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored)) return absl::OkStatus();
  return WriteFileAtomic(path, NewConfigFile(flags), 0600);
}

// models.directory of a configuration that is there already, or of the environment; else the set-up's own.
std::filesystem::path ModelDirectory(const Config& config) {
  const std::string& directory = config.String("models.directory");
  return directory.empty() ? inference::SetUpModelDirectory() : std::filesystem::path(directory);
}

struct NewAppliance {
  CheckedModels models;
  std::vector<std::string> not_protected;
  std::string anchor;  // Where the epoch key is, in words.
};

Status Fill(const std::filesystem::path& data, keyring::Keyring& keyring, const CheckedModels& models,
            const InitFlags& flags) {
  keyring::KeyringKeySource keys(keyring, "supervisor");
  CLOISTER_RETURN_IF_ERROR(PinModels(models, keys, data));
  return WriteConfigIfAbsent(data, flags);
}

StatusOr<NewAppliance> Make(const std::filesystem::path& data, const InitFlags& flags) {
  CLOISTER_RETURN_IF_ERROR(CheckNewDataDirectory(data));
  NewAppliance out;
  CLOISTER_ASSIGN_OR_RETURN(const Config config, ReadConfig(data, NewConfigFile(flags)));
  CLOISTER_ASSIGN_OR_RETURN(out.models, CheckModels(ModelDirectory(config)));
  CLOISTER_ASSIGN_OR_RETURN(const keyring::AnchorKind kind, ParseAnchorKind(flags.anchor));
  const std::string prompt = "A " + std::string(SecretWord(kind)) + " for this appliance";
  CLOISTER_ASSIGN_OR_RETURN(const SecretInput input, GetNewSecret(kind, flags.passphrase_file, prompt, data));
  CLOISTER_ASSIGN_OR_RETURN(auto anchor, MakeAnchor(kind, config, input.secret.view()));
  CLOISTER_RETURN_IF_ERROR(MakeDataDirectories(data));
  out.not_protected = NotProtectedBy(input.source);
  const SystemClock clock;
  CLOISTER_ASSIGN_OR_RETURN(const auto keyring,
                            keyring::Keyring::Create({.path = KeyringPath(data)}, std::move(anchor), clock));
  out.anchor = keyring->GetStatus().anchor_description;
  const Status filled = Fill(data, *keyring, out.models, flags);
  if (!filled.ok()) {
    // Nothing is sealed under it yet: leave nothing behind that a second attempt would trip over.
    ::unlink(KeyringPath(data).c_str());
    return filled;
  }
  return out;
}

int RunInit(CliContext& context, const InitFlags& flags) {
  const std::filesystem::path data = context.data_directory();
  const auto made = Make(data, flags);
  if (!made.ok()) return context.Fail(made.status());
  std::ostream& out = context.out();
  out << "Made an appliance in " << data.string() << "\n"
      << "  keys/keyring     every key; the epoch key: " << made->anchor << "\n"
      << "  models/manifest  the models it trusts, signed:\n";
  for (const inference::ModelInfo& model : made->models.manifest.models) {
    out << "                   " << model.name << " (" << model.licence << "), sha256 "
        << model.sha256.substr(0, 16) << "...\n";
  }
  out << "  cloister.toml    the configuration; every line is optional\n"
      << "\n"
      << (flags.anchor == "passphrase"
              ? "The passphrase is nowhere in it. Without it nothing here can be read again, by anybody.\n"
              : "Without that device nothing here can be read again, by anybody: run `cloister keys split` "
                "soon.\n");
  if (!made->not_protected.empty()) out << "\nNot protected:\n";
  for (const std::string& sentence : made->not_protected) out << Bullet(sentence, TerminalWidth());
  out << "\nNext:\n  cloister up" << (context.data_flag.empty() ? "" : " --data " + data.string())
      << (flags.passphrase_file.empty() ? "" : " --passphrase-file " + flags.passphrase_file) << std::endl;
  return kExitOk;
}

}  // namespace

void AddInitCommand(CLI::App& app, CliContext& context) {
  auto flags = std::make_shared<InitFlags>();
  CLI::App* command = app.add_subcommand("init", "Make the data directory of a new appliance");
  AddAnchorFlags(*command, *flags);
  command->callback(
      [&context, flags] { context.command = [&context, flags] { return RunInit(context, *flags); }; });
}

}  // namespace cloister::services
