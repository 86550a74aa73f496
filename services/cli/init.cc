// SPDX-License-Identifier: Apache-2.0
// `cloister init`: makes a data directory with a keyring, pins the models and writes a configuration to edit.
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <ostream>
#include <string>

#include "common/clock.h"
#include "common/file.h"
#include "crypto/password.h"
#include "services/cli/commands.h"
#include "services/cli/default_config.h"
#include "services/cli/passphrase.h"
#include "services/keys/keys_service.h"
#include "services/keys/passphrase_source.h"
#include "storage/keyring.h"

namespace cloister::services {
namespace {

struct InitFlags {
  std::string passphrase_file;
};

Status CheckDirectory(const std::filesystem::path& data) {
  struct stat info;
  if (::stat(data.c_str(), &info) != 0) return absl::OkStatus();  // To be made.
  if (!S_ISDIR(info.st_mode)) return FailedPrecondition(data.string() + " is not a directory");
  if ((info.st_mode & 077) != 0) {
    return FailedPrecondition("others may look into the data directory; run: chmod 700 '" + data.string() + "'");
  }
  std::error_code ignored;
  if (std::filesystem::exists(KeyringPath(data), ignored)) {
    return AlreadyExists("there is an appliance in " + data.string() + " already; nothing was changed");
  }
  return absl::OkStatus();
}

StatusOr<crypto::Secret> NewPassphrase(const InitFlags& flags) {
  StatusOr<crypto::Secret> out = flags.passphrase_file.empty() ? AskPassphrase("A passphrase for this appliance", true)
                                                               : ReadPassphraseFile(flags.passphrase_file);
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

StatusOr<std::vector<std::string>> Make(const std::filesystem::path& data, const InitFlags& flags) {
  CLOISTER_RETURN_IF_ERROR(CheckDirectory(data));
  CLOISTER_ASSIGN_OR_RETURN(const crypto::Secret passphrase, NewPassphrase(flags));
  CLOISTER_RETURN_IF_ERROR(MakeDirectories(data));
  const SystemClock clock;
  CLOISTER_ASSIGN_OR_RETURN(const auto keyring, storage::Keyring::Create(KeyringPath(data), passphrase.view(),
                                                                         crypto::Argon2Cost{}, clock));
  const Status config = WriteConfigIfAbsent(data);
  if (!config.ok()) {
    // Nothing is sealed under it yet: leave nothing behind that a second attempt would trip over.
    ::unlink(KeyringPath(data).c_str());
    return config;
  }
  if (flags.passphrase_file.empty()) return NotProtectedBy(PassphraseSource::kTyped);
  CLOISTER_ASSIGN_OR_RETURN(const PassphraseSource source, SourceOfFile(flags.passphrase_file, data));
  return NotProtectedBy(source);
}

int RunInit(CliContext& context, const InitFlags& flags) {
  const std::filesystem::path data = context.data_directory();
  const auto not_protected = Make(data, flags);
  if (!not_protected.ok()) return context.Fail(not_protected.status());
  std::ostream& out = context.out();
  out << "Made an appliance in " << data.string() << "\n"
      << "  keys/keyring     every key, sealed by your passphrase\n"
      << "  cloister.toml    the configuration; every line is optional\n"
      << "\nThe passphrase is nowhere in it. Without it nothing here can be read again, by anybody.\n";
  if (!not_protected->empty()) out << "\nNot protected:\n";
  for (const std::string& sentence : *not_protected) out << "  - " << sentence << "\n";
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
  command->callback([&context, flags] { context.command = [&context, flags] { return RunInit(context, *flags); }; });
}

}  // namespace cloister::services
