// SPDX-License-Identifier: Apache-2.0
// Ed25519 signatures. Does not name keys or frame messages; see audit/note.h. Thread-safe.
// SPEC: RFC 8032 (pure Ed25519).
#pragma once

#include <string>
#include <string_view>

#include "common/status.h"
#include "crypto/secret.h"

namespace cloister::crypto {

constexpr size_t kEd25519SeedBytes = 32;
constexpr size_t kEd25519PublicBytes = 32;
constexpr size_t kEd25519SignatureBytes = 64;

// Holds a private key. Movable.
class Ed25519Signer {
 public:
  static Ed25519Signer Generate();
  // Errors: kInvalidArgument (not 32 bytes).
  static StatusOr<Ed25519Signer> FromSeed(std::string_view seed);
  std::string Sign(std::string_view message) const;              // 64 bytes.
  const std::string& public_key() const { return public_key_; }  // 32 bytes.
  const Secret& seed() const { return seed_; }                   // To be sealed by the caller.

 private:
  Ed25519Signer() = default;
  Secret seed_;
  std::string public_key_;
};

// False for any malformed key or signature, too.
bool Ed25519Verify(std::string_view public_key, std::string_view message, std::string_view signature);

}  // namespace cloister::crypto
