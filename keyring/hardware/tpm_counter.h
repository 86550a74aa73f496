// SPDX-License-Identifier: Apache-2.0
// A counter in the TPM that no restored disk sets back: what was signed with a lower value is older. Does not
// keep who may count from counting, so a hostile root can make good data look old, not old data look good: a
// TPM starts every new counter above all it ever had.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/status.h"
#include "crypto/secret.h"
#include "keyring/hardware/tpm_anchor.h"
#include "keyring/rollback_counter.h"

namespace cloister::keyring {

// A TPM's memory wears: count at starts, backups and erasures, not at every commit.
class TpmCounter final : public RollbackCounter {
 public:
  // Of `options` the PCRs do not matter: counting and reading need no secret.
  explicit TpmCounter(TpmOptions options, crypto::Secret owner_auth = {});
  StatusOr<std::string> NewName() override;
  StatusOr<uint64_t> Create(std::string_view name) override;
  StatusOr<uint64_t> Increment(std::string_view name) override;
  StatusOr<uint64_t> Read(std::string_view name) override;

 private:
  TpmOptions options_;
  crypto::Secret owner_auth_;
};

}  // namespace cloister::keyring
