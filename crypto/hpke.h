// SPDX-License-Identifier: Apache-2.0
// HPKE: sealing one message to who holds a private key. Base mode, single shot, one suite: DHKEM(X25519,
// HKDF-SHA256), HKDF-SHA256, AES-256-GCM. Does not say who sealed: anybody with the public key can; sign what
// must have an author. Has no forward secrecy against loss of the private key. Thread-safe. SPEC: RFC 9180,
// suite 0x0020, 0x0001, 0x0002.
#pragma once

#include <string>
#include <string_view>

#include "common/status.h"
#include "crypto/secret.h"

namespace cloister::crypto {

constexpr size_t kHpkeKeyBytes = 32;  // Private and public keys, and the encapsulated key.
constexpr size_t kHpkeOverheadBytes = kHpkeKeyBytes + 16;

struct HpkeKeyPair {
  Secret private_key;
  std::string public_key;
};

HpkeKeyPair HpkeGenerate();
// Errors: kInvalidArgument (not kHpkeKeyBytes).
StatusOr<std::string> HpkePublicKey(std::string_view private_key);

// Encapsulated key, then ciphertext and tag. `info` and `aad` must be given again to open; they are not in
// the result. Errors: kInvalidArgument (`public_key` has not kHpkeKeyBytes or is of low order).
StatusOr<std::string> HpkeSeal(std::string_view public_key, std::string_view info, std::string_view aad,
                               std::string_view plaintext);
// Errors: kInvalidArgument (`private_key` has not kHpkeKeyBytes), kDataLoss (sealed to another key, with
// other `info` or `aad`, or altered; nothing tells which).
StatusOr<Secret> HpkeOpen(std::string_view private_key, std::string_view info, std::string_view aad,
                          std::string_view sealed);

}  // namespace cloister::crypto
