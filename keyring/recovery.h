// SPDX-License-Identifier: Apache-2.0
// A recovery key split among people: any `threshold` of its shares open an escrowed keyring
// (keyring/escrow.h) without passphrase or device. Does not keep the private key or a share anywhere: they
// are in locked memory until whoever asked is done with them. Does no I/O. Thread-safe. SPEC:
// docs/formats/escrow.md "Shares"
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/status.h"
#include "crypto/secret.h"
#include "crypto/shamir.h"
#include "keyring/keyring_format.h"

namespace cloister::keyring {

constexpr size_t kShareTextBytesMax = 1024;  // With every blank and hyphen a person may add.

struct RecoverySet {
  RecoveryKey key;                     // For Keyring::SetRecovery.
  std::vector<crypto::Secret> shares;  // One line of text each, without a line end.
};

struct RecoveryShare {
  std::string set_mark;  // The first four bytes of the set id.
  uint8_t threshold = 0;
  uint8_t shares = 0;
  crypto::SecretShare share;
};

// A new key of which any `threshold` of `shares` shares restore the private half.
// Errors: kInvalidArgument (threshold below 2 or above `shares`, more than 255 shares).
StatusOr<RecoverySet> MakeRecovery(uint32_t threshold, uint32_t shares, const Clock& clock);

// Upper case, blanks, line ends and hyphens in other places are taken as meant, and so are o for 0 and i or l
// for 1. Errors: kInvalidArgument with what is wrong; never the text itself.
StatusOr<RecoveryShare> ParseShare(std::string_view text);

// The private key, which fits `key`. Errors: kInvalidArgument (of another set, too few, twice the same one,
// or they do not give the key).
StatusOr<crypto::Secret> CombineShares(const std::vector<RecoveryShare>& shares, const RecoveryKey& key);

}  // namespace cloister::keyring
