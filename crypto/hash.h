// SPDX-License-Identifier: Apache-2.0
// SHA-256, HMAC-SHA-256 and HKDF-SHA-512. Pure and thread-safe. SPEC: FIPS 180-4, RFC 2104, RFC 5869.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "crypto/secret.h"

namespace cloister::crypto {

constexpr size_t kSha256Bytes = 32;

std::string Sha256(std::string_view bytes);  // 32 bytes.

// SHA-256 over pieces. Not thread-safe.
class Sha256Stream {
 public:
  Sha256Stream();
  ~Sha256Stream();
  void Update(std::string_view bytes);
  std::string DigestSoFar() const;  // 32 bytes; the stream goes on.
  std::string Finish();             // 32 bytes; the stream is spent.

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string HmacSha256(std::string_view key, std::string_view message);  // 32 bytes.

// `size` at most 255 * 64 bytes (CHECKed).
Secret HkdfSha512(std::string_view key, std::string_view salt, std::string_view info, size_t size);
// The same with SHA-256, for protocols that name it; at most 255 * 32 bytes.
Secret HkdfSha256(std::string_view key, std::string_view salt, std::string_view info, size_t size);

}  // namespace cloister::crypto
