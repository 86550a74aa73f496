// SPDX-License-Identifier: Apache-2.0
// A counter that no restored disk sets back: the seam between what the appliance says of itself and a device
// that remembers. Does not know what is counted. Implementations: TpmCounter
// (keyring/hardware/tpm_counter.h); all pass keyring/rollback_counter_contract.h. Not thread-safe; blocks on
// the device.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/status.h"

namespace cloister::keyring {

class RollbackCounter {
 public:
  virtual ~RollbackCounter() = default;
  // A name that no counter of the device has: of printable ASCII without space. Errors: kUnavailable,
  // kResourceExhausted.
  virtual StatusOr<std::string> NewName() = 0;
  // Makes the counter and returns its first value, which is not 0. Errors: kUnavailable, kResourceExhausted,
  // kUnauthenticated (the device asks for a password), kAlreadyExists, kDataLoss (`name` is none of this
  // device's).
  virtual StatusOr<uint64_t> Create(std::string_view name) = 0;
  // Counts one and returns the value afterwards. When it fails the counter may have counted: read it.
  // Errors: kNotFound, kUnavailable, kUnauthenticated, kFailedPrecondition (not a counter), kDataLoss.
  virtual StatusOr<uint64_t> Increment(std::string_view name) = 0;
  virtual StatusOr<uint64_t> Read(std::string_view name) = 0;
};

}  // namespace cloister::keyring
