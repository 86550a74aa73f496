// SPDX-License-Identifier: Apache-2.0
// Shamir's secret sharing, k of n, byte by byte over GF(2^8) with the polynomial of AES (0x11b). Fewer than k
// shares say nothing about the secret but its length. Does not tell wrong shares from right ones: whoever
// splits keeps a digest of the secret beside the shares, and whoever combines compares. Does not name or
// print shares. Thread-safe; no branch and no address depends on a secret byte. SPEC: A. Shamir, "How to
// share a secret" (1979); the encoding of draft-mcgrew-tss-03 without its header.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "crypto/secret.h"

namespace cloister::crypto {

constexpr size_t kSharedSecretBytesMin = 16;
constexpr size_t kSharedSecretBytesMax = 64;
constexpr uint32_t kShamirThresholdMin = 2;
constexpr uint32_t kShamirSharesMax = 255;  // x = 0 would be the secret itself.

// One point of the polynomials. `x` is public, `y` secret and as long as the shared secret.
struct SecretShare {
  uint8_t x = 0;
  Secret y;
};

// `shares` shares with x = 1, 2, ..., of which any `threshold` restore `secret`.
// Errors: kInvalidArgument (length of the secret, threshold below kShamirThresholdMin or above the number of
// shares, more than kShamirSharesMax shares).
StatusOr<std::vector<SecretShare>> SplitSecret(std::string_view secret, uint32_t threshold, uint32_t shares);

// The secret from at least `threshold` shares in any order. Wrong or foreign shares give a wrong secret
// without an error, except that shares beyond `threshold` must lie on the polynomials of the first ones.
// Errors: kInvalidArgument (too few or too many shares, x of 0 or given twice, unequal or impossible
// lengths), kDataLoss (the shares do not belong together).
StatusOr<Secret> CombineShares(const std::vector<SecretShare>& shares, uint32_t threshold);

}  // namespace cloister::crypto
