// SPDX-License-Identifier: Apache-2.0
// `cloister init`: makes a data directory with a keyring, pins the models and writes a configuration to edit.
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/config.h"
#include "common/file.h"
#include "crypto/password.h"
#include "keyring/keyring.h"
#include "keyring/passphrase_anchor.h"
#include "services/cli/commands.h"
#include "services/cli/default_config.h"
#include "services/cli/model_pin.h"
#include "services/cli/passphrase.h"
#include "services/config_keys.h"
#include "services/keys/keys_service.h"
#include "services/keys/passphrase_source.h"

namespace cloister::services {
namespace {

constexpr size_t kConfigBytesMax = 1024 * 1024;

struct InitFlags {
  std::string passphrase_file;
};

Status CheckDirectory(const std::filesystem::path& data) {
  struct stat info;
  if (::stat(data.c_str(), &info) != 0) return absl::OkStatus();  // To be made.
  if (!S_ISDIR(info.st_mode)) return FailedPrecondition(data.string() + " is not a directory");
  if ((info.st_mode & 077) != 0) {
    return FailedPrecondition("others may look into the data directory; run: chmod 700 '" + data.string() +
                              "'");
  }
  std::error_code ignored;
  if (std::filesystem::exists(KeyringPath(data), ignored)) {
    return AlreadyExists("there is an appliance in " + data.string() + " already; nothing was changed");
  }
  return absl::OkStatus();
}

StatusOr<crypto::Secret> NewPassphrase(const InitFlags& flags) {
  StatusOr<crypto::Secret> out = flags.passphrase_file.empty()
                                     ? AskPassphrase("A passphrase for this appliance", true)
                                     : ReadSecretFile(flags.passphrase_file, kPassphrase);
  if (out.ok() && out->size() < crypto::kPassphraseBytesMin) {
    return InvalidArgument("a passphrase needs at least " + std::to_string(crypto::kPassphraseBytesMin) +
                           " characters; five random words are better");
  }
  return out;
}

Status MakeDirectories(const std::filesystem::path& data) {
  for (const char* name : {"", "keys", "run", "logs"}) {
    CLOISTER_RETURN_IF_ERROR(MakePrivateDirectory(*name == '\0' ? data : data / name));
  }
  return absl::OkStatus();
}

Status WriteConfigIfAbsent(const std::filesystem::path& data) {
  const auto path = data / "cloister.toml";
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored)) return absl::OkStatus();
  return WriteFileAtomic(path, DefaultConfigFile(), 0600);
}

// models.directory of a configuration that is there already, or of the environment; else the set-up's own.
StatusOr<std::filesystem::path> ModelDirectory(const std::filesystem::path& data) {
  StatusOr<std::string> toml = ReadFile(data / "cloister.toml", kConfigBytesMax);
  if (!toml.ok() && toml.status().code() != StatusCode::kNotFound)
    return Annotate(toml.status(), "cloister.toml");
  const auto config = Config::Parse(toml.ok() ? *toml : "", AllConfigKeys(), CloisterEnvironment());
  if (!config.ok()) return Annotate(config.status(), "cloister.toml");
  const std::string& directory = config->String("models.directory");
  return directory.empty() ? inference::SetUpModelDirectory() : std::filesystem::path(directory);
}

struct NewAppliance {
  CheckedModels models;
  std::vector<std::string> not_protected;
};

Status Fill(const std::filesystem::path& data, keyring::Keyring& keyring, const CheckedModels& models) {
  keyring::KeyringKeySource keys(keyring, "supervisor");
  CLOISTER_RETURN_IF_ERROR(PinModels(models, keys, data));
  return WriteConfigIfAbsent(data);
}

StatusOr<NewAppliance> Make(const std::filesystem::path& data, const InitFlags& flags) {
  CLOISTER_RETURN_IF_ERROR(CheckDirectory(data));
  NewAppliance out;
  CLOISTER_ASSIGN_OR_RETURN(const std::filesystem::path model_directory, ModelDirectory(data));
  CLOISTER_ASSIGN_OR_RETURN(out.models, CheckModels(model_directory));
  CLOISTER_ASSIGN_OR_RETURN(const crypto::Secret passphrase, NewPassphrase(flags));
  CLOISTER_RETURN_IF_ERROR(MakeDirectories(data));
  if (!flags.passphrase_file.empty()) {
    CLOISTER_ASSIGN_OR_RETURN(const PassphraseSource source, SourceOfFile(flags.passphrase_file, data));
    out.not_protected = NotProtectedBy(source);
  }
  const SystemClock clock;
  CLOISTER_ASSIGN_OR_RETURN(const auto keyring,
                            keyring::Keyring::Create({.path = KeyringPath(data)},
                                                     keyring::NewPassphraseAnchor(passphrase.view()), clock));
  const Status filled = Fill(data, *keyring, out.models);
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
      << "  keys/keyring     every key, sealed by your passphrase\n"
      << "  models/manifest  the models it trusts, signed:\n";
  for (const inference::ModelInfo& model : made->models.manifest.models) {
    out << "                   " << model.name << " (" << model.licence << "), sha256 "
        << model.sha256.substr(0, 16) << "...\n";
  }
  out << "  cloister.toml    the configuration; every line is optional\n"
      << "\nThe passphrase is nowhere in it. Without it nothing here can be read again, by anybody.\n";
  if (!made->not_protected.empty()) out << "\nNot protected:\n";
  for (const std::string& sentence : made->not_protected) out << "  - " << sentence << "\n";
  out << "\nNext:\n  cloister up" << (context.data_flag.empty() ? "" : " --data " + data.string())
      << (flags.passphrase_file.empty() ? "" : " --passphrase-file " + flags.passphrase_file) << std::endl;
  return kExitOk;
}

}  // namespace

void AddInitCommand(CLI::App& app, CliContext& context) {
  auto flags = std::make_shared<InitFlags>();
  CLI::App* command = app.add_subcommand("init", "Make the data directory of a new appliance");
  command->add_option("--passphrase-file", flags->passphrase_file,
                      "file with the passphrase, readable by you alone; without it you are asked twice");
  command->callback(
      [&context, flags] { context.command = [&context, flags] { return RunInit(context, *flags); }; });
}

}  // namespace cloister::services
