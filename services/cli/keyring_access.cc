// SPDX-License-Identifier: Apache-2.0
#include "services/cli/keyring_access.h"

#include <sys/stat.h>

#include <utility>

#include "common/file.h"
#include "crypto/password.h"
#include "services/cli/default_config.h"
#include "services/cli/passphrase.h"
#include "services/config_keys.h"
#include "services/keys/anchors.h"
#include "services/keys/keys_service.h"

namespace cloister::services {
namespace {

constexpr size_t kConfigBytesMax = 1024 * 1024;

std::string Quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

}  // namespace

void AddAnchorFlags(CLI::App& command, AnchorFlags& flags) {
  command
      .add_option("--anchor", flags.anchor, "where the epoch key lives: passphrase, tpm or pkcs11 (an HSM)")
      ->check(CLI::IsMember({"passphrase", "tpm", "pkcs11"}))
      ->capture_default_str();
  command.add_option(
      "--passphrase-file", flags.passphrase_file,
      "file with the passphrase, or the PIN of TPM or HSM, readable by you alone; without it you are "
      "asked twice");
  command.add_option("--tpm-tcti", flags.tpm_tcti, "where the TPM is [device:/dev/tpmrm0]");
  command.add_option("--tpm-pcr", flags.tpm_pcrs, "a PCR the TPM's keys are bound to; repeat for more [7]")
      ->allow_extra_args(false);
  command.add_option("--pkcs11-module", flags.pkcs11_module, "path of the HSM maker's library");
  command.add_option("--pkcs11-token", flags.pkcs11_token, "label of the HSM's token");
}

std::map<std::string, std::string> ConfigLinesOf(const AnchorFlags& flags) {
  std::map<std::string, std::string> out;
  if (!flags.tpm_tcti.empty()) out["keys.tpm_tcti"] = Quoted(flags.tpm_tcti);
  if (!flags.pkcs11_module.empty()) out["keys.pkcs11_module"] = Quoted(flags.pkcs11_module);
  if (!flags.pkcs11_token.empty()) out["keys.pkcs11_token"] = Quoted(flags.pkcs11_token);
  std::string pcrs;
  for (const std::string& pcr : flags.tpm_pcrs) {
    // "none" is how a person says that the list is empty.
    if (pcr != "none") pcrs += (pcrs.empty() ? "" : ", ") + Quoted(pcr);
  }
  if (!flags.tpm_pcrs.empty()) out["keys.tpm_pcrs"] = "[" + pcrs + "]";
  return out;
}

StatusOr<Config> ReadConfig(const std::filesystem::path& data, const std::string& toml) {
  StatusOr<std::string> read = ReadFile(data / "cloister.toml", kConfigBytesMax);
  if (!read.ok() && read.status().code() != StatusCode::kNotFound)
    return Annotate(read.status(), "cloister.toml");
  StatusOr<Config> config = Config::Parse(read.ok() ? *read : toml, AllConfigKeys(), CloisterEnvironment());
  if (!config.ok()) return Annotate(config.status(), "cloister.toml");
  return config;
}

std::string NewConfigFile(const AnchorFlags& flags) { return DefaultConfigFile(ConfigLinesOf(flags)); }

StatusOr<SecretInput> GetSecret(const std::string& file, std::string_view prompt, bool confirm,
                                const std::filesystem::path& data) {
  SecretInput out;
  if (file.empty()) {
    CLOISTER_ASSIGN_OR_RETURN(out.secret, AskPassphrase(prompt, confirm));
    return out;
  }
  CLOISTER_ASSIGN_OR_RETURN(out.secret, ReadSecretFile(file, kPassphrase));
  // A folder that is not made yet will be on its parent's device.
  std::error_code ignored;
  const bool made = std::filesystem::exists(data, ignored);
  const auto source = SourceOfFile(file, made ? data : data.parent_path());
  out.source = source.ok() ? *source : PassphraseSource::kFile;
  return out;
}

StatusOr<SecretInput> GetNewSecret(keyring::AnchorKind kind, const std::string& file, std::string_view prompt,
                                   const std::filesystem::path& data) {
  StatusOr<SecretInput> out = GetSecret(file, prompt, true, data);
  if (out.ok() && kind == keyring::AnchorKind::kPassphrase &&
      out->secret.size() < crypto::kPassphraseBytesMin) {
    return InvalidArgument("a passphrase needs at least " + std::to_string(crypto::kPassphraseBytesMin) +
                           " characters; five random words are better");
  }
  return out;
}

Status CheckNewDataDirectory(const std::filesystem::path& data) {
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

Status MakeDataDirectories(const std::filesystem::path& data) {
  for (const char* name : {"", "keys", "run", "logs"}) {
    CLOISTER_RETURN_IF_ERROR(MakePrivateDirectory(*name == '\0' ? data : data / name));
  }
  return absl::OkStatus();
}

}  // namespace cloister::services
