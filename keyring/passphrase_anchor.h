// SPDX-License-Identifier: Apache-2.0
// Epoch keys wrapped under a passphrase, in software. Destroys nothing for good: who kept an older keyring and has the
// passphrase can open what it held. SPEC: docs/formats/keyring.md "Passphrase anchor"
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "crypto/password.h"
#include "crypto/secret.h"
#include "keyring/epoch_anchor.h"

namespace cloister::keyring {

// What the blob of a passphrase anchor says. Salts are random; the epoch's is fresh for each epoch.
struct PassphraseBlob {
  crypto::Argon2Cost cost;
  std::string root_salt;
  std::string root_check;  // Tells a wrong passphrase from damage.
  std::string epoch_salt;
  std::string wrapped_epoch_key;
};
std::string Serialise(const PassphraseBlob& blob);
// Errors: kDataLoss.
StatusOr<PassphraseBlob> ParsePassphraseBlob(std::string_view bytes);
std::string RootCheck(const crypto::Secret& root_key, std::string_view root_salt);
std::string WrapEpochKey(const crypto::Secret& root_key, std::string_view epoch_salt, std::string_view context,
                         const crypto::Secret& epoch_key);

// Keeps the passphrase in locked memory for later epochs; Argon2id runs once per root salt. Create refuses a passphrase
// shorter than crypto::kPassphraseBytesMin or too long, or a cost out of bounds, with kInvalidArgument.
class PassphraseAnchor final : public EpochAnchor {
 public:
  // `cost` is for roots made here; one that is opened brings its own.
  explicit PassphraseAnchor(crypto::Secret passphrase, crypto::Argon2Cost cost = {})
      : passphrase_(std::move(passphrase)), cost_(cost) {}
  AnchorKind kind() const override { return AnchorKind::kPassphrase; }
  std::string Describe() const override { return "software, sealed by a passphrase"; }
  bool DestroysForGood() const override { return false; }
  StatusOr<std::string> NewName() override { return std::string(); }
  StatusOr<NewEpoch> Create(std::string_view name, std::string_view context) override;
  StatusOr<crypto::Secret> Open(const EpochLocation& location, std::string_view context) override;
  // Only names that a device gave, for a keyring that was moved here and left something behind.
  Status Destroy(std::string_view name) override;

 private:
  struct Root {
    crypto::Argon2Cost cost;
    std::string salt;
    crypto::Secret key;
  };
  const crypto::Secret passphrase_;
  const crypto::Argon2Cost cost_;
  std::optional<Root> root_;  // Of the last Open or Create.
};

inline std::unique_ptr<EpochAnchor> NewPassphraseAnchor(std::string_view passphrase, crypto::Argon2Cost cost = {}) {
  return std::make_unique<PassphraseAnchor>(crypto::Secret(passphrase), cost);
}

}  // namespace cloister::keyring
