// SPDX-License-Identifier: Apache-2.0
// Which anchor the configuration means. Does not open one. Linked by what opens the keyring: the keys service
// and the cloister command.
#pragma once

#include <memory>
#include <string_view>

#include "common/config.h"
#include "common/status.h"
#include "crypto/secret.h"
#include "keyring/epoch_anchor.h"
#include "keyring/rollback_counter.h"

namespace cloister::services {

// `secret` is the passphrase, or the PIN of the TPM's keys or of the token. Errors: kInvalidArgument
// (keys.tpm_pcrs is not a list of numbers), kFailedPrecondition (keys.pkcs11_module or keys.pkcs11_token is
// missing).
StatusOr<std::unique_ptr<keyring::EpochAnchor>> MakeAnchor(keyring::AnchorKind kind, const Config& config,
                                                           std::string_view secret);

// What counts so that an older data directory is noticed, as keys.rollback_counter says: "auto" (a TPM that is the anchor),
// "tpm" or "none". Null: nothing. Errors: kInvalidArgument.
StatusOr<std::unique_ptr<keyring::RollbackCounter>> MakeRollbackCounter(keyring::AnchorKind kind, const Config& config);

// "passphrase", "tpm", "pkcs11". Errors: kInvalidArgument.
StatusOr<keyring::AnchorKind> ParseAnchorKind(std::string_view name);

// "passphrase" or "PIN": what a person is asked for.
std::string_view SecretWord(keyring::AnchorKind kind);

// kUnauthenticated, in words for a person.
Status WrongSecret(keyring::AnchorKind kind);

}  // namespace cloister::services
