// SPDX-License-Identifier: Apache-2.0
// Wrapping keys inside a PKCS#11 token. Does not know epochs, names or files. Every call loads the module,
// finds the token, logs in, works and logs out again, so a token that was pulled and put back is simply used
// again. Not thread-safe, and no two of one module may work at once: logging in and out is the process's.
// Blocks on the device. SPEC: OASIS PKCS #11 2.40.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/status.h"
#include "crypto/secret.h"

namespace cloister::keyring {

// How a token encrypts what is given to it; values are stored.
enum class WrapMethod : uint8_t {
  kAesGcm = 1,         // CKM_AES_GCM: binds the additional data.
  kAesKeyWrapPad = 2,  // CKM_AES_KEY_WRAP_PAD (RFC 5649): binds nothing; the caller must.
};

struct WrappedKey {
  WrapMethod method = WrapMethod::kAesGcm;
  std::string iv;  // 12 bytes with kAesGcm, else none.
  std::string bytes;
};

// Errors of every call: kUnavailable (no module, no token, no answer, PIN locked), kUnauthenticated (PIN),
// kFailedPrecondition (what the token does not offer or is write-protected against), kResourceExhausted
// (memory).
class Pkcs11Token {
 public:
  // `module` is the path of the vendor's library, `label` the token's.
  Pkcs11Token(std::string module, std::string label);

  StatusOr<std::string> Identity() const;  // Maker and model.
  // Generates an AES-256 key with `id` that never leaves the token, and wraps `key` under it.
  // Also kAlreadyExists.
  StatusOr<WrappedKey> GenerateAndWrap(const crypto::Secret& pin, std::string_view id, std::string_view aad,
                                       const crypto::Secret& key) const;
  // Also kNotFound (no such key), kDataLoss (altered, or other additional data where the method binds it).
  StatusOr<crypto::Secret> Unwrap(const crypto::Secret& pin, std::string_view id, std::string_view aad,
                                  const WrappedKey& wrapped) const;
  // Destroys every key with `id`, then looks again in a session of its own. None is OK.
  Status Destroy(const crypto::Secret& pin, std::string_view id) const;

 private:
  std::string module_;
  std::string label_;
};

}  // namespace cloister::keyring
