// SPDX-License-Identifier: Apache-2.0
// Argon2id: keys from passphrases and hashes of passwords. Slow and memory-hungry on purpose: call it off the
// request threads that must stay quick. Thread-safe. SPEC: RFC 9106.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/status.h"
#include "crypto/secret.h"

namespace cloister::crypto {

struct Argon2Cost {
  uint32_t memory_kib = 64 * 1024;
  uint32_t passes = 3;
  uint32_t lanes = 1;
};
// What a stored parameter may be at most; more is refused, so that a doctored file cannot exhaust memory.
constexpr uint32_t kArgon2MemoryKibMax = 1024 * 1024;
constexpr uint32_t kArgon2PassesMax = 64;
constexpr uint32_t kArgon2LanesMax = 16;
constexpr size_t kPassphraseBytesMin = 12;
constexpr size_t kPassphraseBytesMax = 1024;

// 32 bytes. Errors: kInvalidArgument (salt not of 16 to 64 bytes, cost out of bounds, passphrase longer than
// kPassphraseBytesMax; the least length is for whoever sets one), kResourceExhausted (memory, threads).
StatusOr<Secret> KeyFromPassphrase(std::string_view passphrase, std::string_view salt,
                                   const Argon2Cost& cost);

// A PHC string "$argon2id$v=19$m=...,t=...,p=...$salt$hash" with a fresh salt.
// Errors: kInvalidArgument (cost out of bounds, longer than kPassphraseBytesMax), kResourceExhausted.
StatusOr<std::string> HashPassword(std::string_view password, const Argon2Cost& cost);
// Errors: kUnauthenticated (wrong password), kDataLoss (`phc` is malformed or out of bounds),
// kResourceExhausted.
Status CheckPassword(std::string_view phc, std::string_view password);

}  // namespace cloister::crypto
