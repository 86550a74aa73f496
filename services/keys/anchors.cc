// SPDX-License-Identifier: Apache-2.0
#include "services/keys/anchors.h"

#include <charconv>
#include <string>
#include <utility>
#include <vector>

#include "keyring/hardware/pkcs11_anchor.h"
#include "keyring/hardware/tpm_anchor.h"
#include "keyring/hardware/tpm_counter.h"
#include "keyring/passphrase_anchor.h"

namespace cloister::services {
namespace {

using keyring::AnchorKind;

StatusOr<std::vector<int>> Pcrs(const std::vector<std::string>& texts) {
  std::vector<int> out;
  for (const std::string& text : texts) {
    int number = -1;
    const auto end = std::from_chars(text.data(), text.data() + text.size(), number);
    if (end.ec != std::errc() || end.ptr != text.data() + text.size() || number < 0 || number > 23) {
      return InvalidArgument("keys.tpm_pcrs must be numbers from 0 to 23, such as [\"7\"]");
    }
    out.push_back(number);
  }
  return out;
}

}  // namespace

StatusOr<std::unique_ptr<keyring::EpochAnchor>> MakeAnchor(AnchorKind kind, const Config& config,
                                                           std::string_view secret) {
  std::unique_ptr<keyring::EpochAnchor> out;
  if (kind == AnchorKind::kPassphrase) {
    out = keyring::NewPassphraseAnchor(secret);
  } else if (kind == AnchorKind::kTpm) {
    keyring::TpmOptions options;
    options.tcti = config.String("keys.tpm_tcti");
    CLOISTER_ASSIGN_OR_RETURN(options.pcrs, Pcrs(config.Strings("keys.tpm_pcrs")));
    out = std::make_unique<keyring::TpmAnchor>(std::move(options), crypto::Secret(secret));
  } else {
    keyring::Pkcs11Options options{config.String("keys.pkcs11_module"), config.String("keys.pkcs11_token")};
    if (options.module.empty() || options.token.empty()) {
      return FailedPrecondition(
          "an HSM needs keys.pkcs11_module (the maker's library) and keys.pkcs11_token (the token's label) "
          "in "
          "cloister.toml");
    }
    out = std::make_unique<keyring::Pkcs11Anchor>(std::move(options), crypto::Secret(secret));
  }
  return out;
}

StatusOr<std::unique_ptr<keyring::RollbackCounter>> MakeRollbackCounter(AnchorKind kind, const Config& config) {
  const std::string choice = config.String("keys.rollback_counter");
  if (choice != "auto" && choice != "tpm" && choice != "none") {
    return InvalidArgument("keys.rollback_counter is auto, tpm or none");
  }
  if (choice == "none" || (choice == "auto" && kind != AnchorKind::kTpm)) {
    return std::unique_ptr<keyring::RollbackCounter>();
  }
  keyring::TpmOptions options;
  options.tcti = config.String("keys.tpm_tcti");
  return std::unique_ptr<keyring::RollbackCounter>(std::make_unique<keyring::TpmCounter>(std::move(options)));
}

StatusOr<AnchorKind> ParseAnchorKind(std::string_view name) {
  for (const AnchorKind kind : {AnchorKind::kPassphrase, AnchorKind::kTpm, AnchorKind::kPkcs11}) {
    if (keyring::NameOf(kind) == name) return kind;
  }
  return InvalidArgument("an anchor is passphrase, tpm or pkcs11");
}

std::string_view SecretWord(AnchorKind kind) {
  return kind == AnchorKind::kPassphrase ? "passphrase" : "PIN";
}

Status WrongSecret(AnchorKind kind) {
  return Unauthenticated("wrong " + std::string(SecretWord(kind)) +
                         ": the keyring does not open; nothing was changed");
}

}  // namespace cloister::services
