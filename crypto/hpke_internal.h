// SPDX-License-Identifier: Apache-2.0
// Sealing with an ephemeral key of the caller's choice, for the vectors of RFC 9180 alone: an ephemeral key
// used twice seals two messages under one key and nonce.
#pragma once

#include "crypto/hpke.h"

namespace cloister::crypto::internal {

// Errors: as HpkeSeal, and kInvalidArgument when `ephemeral_private_key` has not kHpkeKeyBytes.
StatusOr<std::string> HpkeSealWithEphemeralKey(std::string_view ephemeral_private_key,
                                               std::string_view public_key, std::string_view info,
                                               std::string_view aad, std::string_view plaintext);

}  // namespace cloister::crypto::internal
