// SPDX-License-Identifier: Apache-2.0
// A counter in the TPM that no restored disk sets back: what was signed with a lower value is older. Does not
// keep who may count from counting, so a hostile root can make good data look old, not old data look good: a
// TPM starts every new counter above all it ever had. Not thread-safe; blocks on the device.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/status.h"
#include "crypto/secret.h"
#include "keyring/hardware/tpm_anchor.h"

namespace cloister::keyring {

// A TPM's memory wears: count at starts, backups and erasures, not at every commit.
class TpmCounter {
 public:
  // Of `options` the PCRs do not matter: counting and reading need no secret.
  explicit TpmCounter(TpmOptions options, crypto::Secret owner_auth = {});
  // Errors: kUnavailable, kResourceExhausted, as TpmAnchor::NewName.
  StatusOr<std::string> NewName();
  // Makes the counter and returns its first value, which is not 0. Errors: kUnavailable, kResourceExhausted,
  // kUnauthenticated (owner password), kAlreadyExists, kDataLoss (`name` is not one of a TPM).
  StatusOr<uint64_t> Create(std::string_view name);
  // Counts one and returns the value afterwards. When it fails the counter may have counted: read it.
  // Errors: kNotFound, kUnavailable, kUnauthenticated (owner password), kFailedPrecondition (not a counter),
  // kDataLoss.
  StatusOr<uint64_t> Increment(std::string_view name);
  StatusOr<uint64_t> Read(std::string_view name);

 private:
  TpmOptions options_;
  crypto::Secret owner_auth_;
};

}  // namespace cloister::keyring
