// SPDX-License-Identifier: Apache-2.0
// Epoch keys under the keys of an HSM by PKCS#11. Each epoch has an AES-256 key of its own in the token, made
// there, which never leaves it; the keyring keeps a random working key wrapped under it. Destroying removes
// the token's key: no copy of the keyring opens that epoch again, unless the HSM itself keeps or restores
// copies of its keys (see its maker's backup). SPEC: docs/formats/hardware-anchors.md
#pragma once

#include <string>

#include "crypto/secret.h"
#include "keyring/epoch_anchor.h"

namespace cloister::keyring {

struct Pkcs11Options {
  std::string module;  // Path of the maker's library, such as /usr/lib/softhsm/libsofthsm2.so.
  std::string token;   // The token's label.
};

// Construction does no I/O; each call logs in afresh, so a token that was pulled and put back is simply used
// again. No two may work at once in one process on one module. A wrong PIN counts towards the token's own
// limit of tries. Besides the errors of EpochAnchor: Create gives kFailedPrecondition when the token has
// neither AES-GCM nor AES key wrap, gives out its keys or is write-protected.
class Pkcs11Anchor final : public EpochAnchor {
 public:
  // `pin` may be empty when the token has a keypad of its own.
  Pkcs11Anchor(Pkcs11Options options, crypto::Secret pin);
  AnchorKind kind() const override { return AnchorKind::kPkcs11; }
  // Asks the token, so it blocks: "HSM by PKCS#11 (SoftHSM project SoftHSM v2, token 'cloister')".
  std::string Describe() const override;
  bool DestroysForGood() const override { return true; }
  StatusOr<std::string> NewName() override;  // 128 random bits; asks nobody.
  StatusOr<NewEpoch> Create(std::string_view name, std::string_view context) override;
  StatusOr<crypto::Secret> Open(const EpochLocation& location, std::string_view context) override;
  Status Destroy(std::string_view name) override;

 private:
  Pkcs11Options options_;
  crypto::Secret pin_;
};

}  // namespace cloister::keyring
