// SPDX-License-Identifier: Apache-2.0
// Epoch keys in a TPM 2.0. Each epoch has an NV index of its own with 32 random bytes, which the TPM gives
// out only after the boot chain that was running when it was made and, with a PIN, only for the PIN.
// Destroying undefines the index: no copy of the keyring opens that epoch again, on this machine or another.
// Does not survive TPM2_Clear, a replaced mainboard or another boot chain: keep recovery shares. SPEC:
// docs/formats/hardware-anchors.md
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "crypto/secret.h"
#include "keyring/epoch_anchor.h"

namespace cloister::keyring {

struct TpmOptions {
  // As the TSS takes it. /dev/tpmrm0 has the kernel's resource manager, which cleans up after a process that
  // died.
  std::string tcti = "device:/dev/tpmrm0";
  // PCRs (SHA-256 bank, 0 to 23, at most 8) whose values are bound at Create. 7 is the secure boot policy.
  // Empty: the PIN alone protects.
  std::vector<int> pcrs = {7};
  // NV indexes to choose from, at random: a name that was destroyed hardly ever comes back, so that
  // destroying it again after a crash meets nothing new. The default lies in the range the TCG leaves to
  // owners.
  uint32_t nv_first = 0x01810000;
  uint32_t nv_count = 0x10000;
};

// Construction does no I/O; each call talks to the TPM afresh, so one that was reset is simply used again.
// Besides the errors of EpochAnchor: Create gives kInvalidArgument for PCRs out of range or neither PCR nor
// PIN. A wrong PIN counts towards the TPM's dictionary-attack lockout, and so does every power cut after a
// use of the PIN.
class TpmAnchor final : public EpochAnchor {
 public:
  // `pin` may be empty: the boot chain alone then opens. `owner_auth` is the owner hierarchy's password, if
  // it has one.
  explicit TpmAnchor(TpmOptions options, crypto::Secret pin = {}, crypto::Secret owner_auth = {});
  AnchorKind kind() const override { return AnchorKind::kTpm; }
  // Asks the TPM, so it blocks: "TPM 2.0 (IBM, firmware 8217.5752), after the boot chain of PCR 7 and with a
  // PIN".
  std::string Describe() const override;
  bool DestroysForGood() const override { return true; }
  StatusOr<std::string> NewName() override;
  StatusOr<NewEpoch> Create(std::string_view name, std::string_view context) override;
  StatusOr<crypto::Secret> Open(const EpochLocation& location, std::string_view context) override;
  Status Destroy(std::string_view name) override;

 private:
  TpmOptions options_;
  crypto::Secret pin_;
  crypto::Secret owner_auth_;
};

}  // namespace cloister::keyring
