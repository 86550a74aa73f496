// SPDX-License-Identifier: Apache-2.0
// AES-256 in counter mode at any byte offset, for files that are read in pieces. Keeps content secret; does
// not authenticate: who changes a bit of the ciphertext changes that bit of the plaintext. A key must never
// encrypt two contents (see storage/file_cipher.h, which derives one per file). SPEC: NIST SP 800-38A, 6.5.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace cloister::crypto {

constexpr size_t kStreamCipherKeyBytes = 32;
constexpr size_t kStreamCipherBlockBytes = 16;

// Thread-safe: each call borrows a context of its own. The expanded key lives in OpenSSL's memory, which is
// wiped at the end but not locked, so construct it with a derived key, never with one of the keyring.
class StreamCipher {
 public:
  // `key` has 32 bytes. `first_counter` is the counter block of offset 0, 16 bytes; the stream wraps around
  // after 2^128 blocks. Both CHECKed.
  StreamCipher(std::string_view key, std::string_view first_counter);
  ~StreamCipher();
  // Encrypts or decrypts (which is the same) in place the bytes that stand at `offset` of the stream.
  void Apply(uint64_t offset, char* data, size_t size) const;

 private:
  struct Contexts;
  const std::unique_ptr<Contexts> contexts_;
};

}  // namespace cloister::crypto
