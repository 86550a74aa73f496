// SPDX-License-Identifier: Apache-2.0
#include "crypto/shamir.h"

#include <bitset>
#include <cstring>
#include <string>

#include "crypto/random.h"

namespace cloister::crypto {
namespace {

constexpr unsigned kPolynomial = 0x11b;

// Tables of logarithms would be quicker, but their lookups leave secret bytes in the cache's state.
uint8_t Multiply(uint8_t a, uint8_t b) {
  unsigned shifted = a, product = 0;
  for (unsigned bit = 0; bit < 8; ++bit) {
    product ^= shifted & (0u - ((b >> bit) & 1u));
    shifted <<= 1;
    shifted ^= kPolynomial & (0u - (shifted >> 8));
  }
  return static_cast<uint8_t>(product);
}

// a^254, which is 1/a for every a but 0.
uint8_t Invert(uint8_t a) {
  uint8_t square = a, inverse = 1;
  for (int bit = 1; bit < 8; ++bit) {  // 254 is binary 11111110.
    square = Multiply(square, square);
    inverse = Multiply(inverse, square);
  }
  return inverse;
}

// What the value at shares[index].x counts for in the value at `at`, by Lagrange over the first `count`
// shares.
uint8_t Weight(const std::vector<SecretShare>& shares, size_t index, size_t count, uint8_t at) {
  uint8_t numerator = 1, denominator = 1;
  for (size_t other = 0; other < count; ++other) {
    if (other == index) continue;
    numerator = Multiply(numerator, static_cast<uint8_t>(at ^ shares[other].x));
    denominator = Multiply(denominator, static_cast<uint8_t>(shares[index].x ^ shares[other].x));
  }
  return Multiply(numerator, Invert(denominator));
}

// The polynomials through the first `count` shares, at `at`.
Secret Interpolate(const std::vector<SecretShare>& shares, size_t count, uint8_t at) {
  Secret out(shares.front().y.size());
  std::memset(out.data(), 0, out.size());
  for (size_t index = 0; index < count; ++index) {
    const uint8_t weight = Weight(shares, index, count, at);
    const std::string_view y = shares[index].y.view();
    for (size_t i = 0; i < y.size(); ++i) {
      out.data()[i] = static_cast<char>(out.data()[i] ^ Multiply(weight, static_cast<uint8_t>(y[i])));
    }
  }
  return out;
}

Status CheckShares(const std::vector<SecretShare>& shares, uint32_t threshold) {
  if (threshold < kShamirThresholdMin || threshold > kShamirSharesMax) {
    return InvalidArgument("a threshold is from 2 to 255");
  }
  if (shares.size() < threshold) {
    return InvalidArgument("too few recovery shares: " + std::to_string(threshold) + " are needed, " +
                           std::to_string(shares.size()) + " given");
  }
  std::bitset<256> seen;
  for (const SecretShare& share : shares) {
    if (share.x == 0) return InvalidArgument("a recovery share has the number 0, which none can have");
    if (seen.test(share.x)) {
      return InvalidArgument("recovery share " + std::to_string(share.x) + " was given twice");
    }
    seen.set(share.x);
    if (share.y.size() != shares.front().y.size() || share.y.size() < kSharedSecretBytesMin ||
        share.y.size() > kSharedSecretBytesMax) {
      return InvalidArgument("the recovery shares have impossible or different lengths");
    }
  }
  return {};
}

}  // namespace

StatusOr<std::vector<SecretShare>> SplitSecret(std::string_view secret, uint32_t threshold, uint32_t shares) {
  if (secret.size() < kSharedSecretBytesMin || secret.size() > kSharedSecretBytesMax) {
    return InvalidArgument("a secret to be shared has 16 to 64 bytes");
  }
  if (threshold < kShamirThresholdMin || threshold > shares || shares > kShamirSharesMax) {
    return InvalidArgument("k of n needs 2 <= k <= n <= 255");
  }
  // Coefficients of degree 1 and up. They are uniform, the highest one too: excluding 0 there would let
  // threshold - 1 shares exclude one value of the secret.
  const Secret coefficients = RandomSecret((threshold - 1) * secret.size());
  std::vector<SecretShare> out(shares);
  for (uint32_t share = 0; share < shares; ++share) {
    const auto x = static_cast<uint8_t>(share + 1);
    Secret y(secret.size());
    for (size_t i = 0; i < secret.size(); ++i) {
      uint8_t value = 0;
      for (size_t degree = threshold - 1; degree > 0; --degree) {
        const char coefficient = coefficients.view()[(degree - 1) * secret.size() + i];
        value = Multiply(static_cast<uint8_t>(value ^ static_cast<uint8_t>(coefficient)), x);
      }
      y.data()[i] = static_cast<char>(value ^ static_cast<uint8_t>(secret[i]));
    }
    out[share] = {x, std::move(y)};
  }
  return out;
}

StatusOr<Secret> CombineShares(const std::vector<SecretShare>& shares, uint32_t threshold) {
  CLOISTER_RETURN_IF_ERROR(CheckShares(shares, threshold));
  for (size_t extra = threshold; extra < shares.size(); ++extra) {
    const Secret expected = Interpolate(shares, threshold, shares[extra].x);
    if (!ConstantTimeEqual(expected.view(), shares[extra].y.view())) {
      return DataLoss("the recovery shares do not belong together: leave out the wrong one");
    }
  }
  return Interpolate(shares, threshold, 0);
}

}  // namespace cloister::crypto
