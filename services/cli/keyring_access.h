// SPDX-License-Identifier: Apache-2.0
// What the commands share that open, make or move a keyring themselves: flags of anchors, the configuration,
// secrets from files or a terminal. Knows no command.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/config.h"
#include "common/status.h"
#include "crypto/secret.h"
#include "keyring/epoch_anchor.h"
#include "services/keys/passphrase_source.h"

namespace cloister::services {

// Where the epoch key of a new keyring shall live.
struct AnchorFlags {
  std::string anchor = "passphrase";
  std::string passphrase_file;  // Or the PIN's.
  std::string tpm_tcti;
  std::vector<std::string> tpm_pcrs;
  std::string pkcs11_module, pkcs11_token;
};
void AddAnchorFlags(CLI::App& command, AnchorFlags& flags);
// The keys of the configuration that `flags` set, in TOML.
std::map<std::string, std::string> ConfigLinesOf(const AnchorFlags& flags);

// DATA/cloister.toml, or `toml` when there is none, under the environment. Errors: as Config::Parse, with the
// file's name.
StatusOr<Config> ReadConfig(const std::filesystem::path& data, const std::string& toml = "");
// The file that a new appliance gets, with what `flags` set.
std::string NewConfigFile(const AnchorFlags& flags);

struct SecretInput {
  crypto::Secret secret;
  PassphraseSource source = PassphraseSource::kTyped;
};
// `secret` from `file`, or typed after `prompt` and its word, twice with `confirm`. Errors: those of
// ReadSecretFile and AskPassphrase.
StatusOr<SecretInput> GetSecret(const std::string& file, std::string_view prompt, bool confirm,
                                const std::filesystem::path& data);
// The same for a new one: refuses a passphrase that is too short, before anything was changed.
StatusOr<SecretInput> GetNewSecret(keyring::AnchorKind kind, const std::string& file, std::string_view prompt,
                                   const std::filesystem::path& data);

// kFailedPrecondition when others may look into `data`, kAlreadyExists when there is an appliance in it
// already.
Status CheckNewDataDirectory(const std::filesystem::path& data);
// DATA and the folders that every appliance has.
Status MakeDataDirectories(const std::filesystem::path& data);

}  // namespace cloister::services
