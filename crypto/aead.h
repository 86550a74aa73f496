// SPDX-License-Identifier: Apache-2.0
// AES-256-GCM on one message. Does not choose nonces: callers derive a fresh key per message (see
// storage/sealed_record.h), so the nonce only numbers frames. Thread-safe. SPEC: NIST SP 800-38D.
#pragma once

#include <string>
#include <string_view>

#include "common/status.h"

namespace cloister::crypto {

constexpr size_t kAeadKeyBytes = 32;
constexpr size_t kAeadNonceBytes = 12;
constexpr size_t kAeadTagBytes = 16;

// Ciphertext followed by the 16-byte tag. `key` has 32 bytes, `nonce` 12 (CHECKed).
std::string AeadSeal(std::string_view key, std::string_view nonce, std::string_view aad,
                     std::string_view plaintext);
// The same into `out`, which has room for the plaintext and the tag and does not overlap it.
void AeadSealInto(std::string_view key, std::string_view nonce, std::string_view aad,
                  std::string_view plaintext, char* out);
// Errors: kDataLoss (does not authenticate). On error nothing of the plaintext is returned.
StatusOr<std::string> AeadOpen(std::string_view key, std::string_view nonce, std::string_view aad,
                               std::string_view ciphertext);
// The same into `out`, which has room for the ciphertext without its tag and does not overlap it; wiped on
// error.
Status AeadOpenInto(std::string_view key, std::string_view nonce, std::string_view aad,
                    std::string_view ciphertext, char* out);

}  // namespace cloister::crypto
