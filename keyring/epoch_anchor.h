// SPDX-License-Identifier: Apache-2.0
// Where epoch keys live: the seam between the keyring and what protects it. The keyring wraps every data key under
// one epoch key; whoever destroys that key where it lives destroys what only older keyrings hold. Does not know data
// keys and does no file I/O of its own.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/status.h"
#include "crypto/secret.h"

namespace cloister::keyring {

// Stored in the keyring's header; values are stable. SPEC: docs/formats/keyring.md
enum class AnchorKind : uint8_t {
  kPassphrase = 1,  // Software: the epoch key lies in the keyring itself, wrapped under Argon2id of a passphrase.
  kTpm = 2,         // TPM 2.0: the epoch key lies in the TPM.
  kPkcs11 = 3,      // An HSM by PKCS#11: the epoch key lies in a token and never leaves it.
};

// "passphrase", "tpm" and "pkcs11".
std::string_view NameOf(AnchorKind kind);

constexpr size_t kEpochKeyBytes = 32;
constexpr size_t kEpochNameBytesMax = 64;
constexpr size_t kEpochBlobBytesMax = 1024;

// How to come to one epoch key again. The keyring keeps both parts in clear.
struct EpochLocation {
  std::string name;  // What the device calls the key; empty: no device keeps anything.
  std::string blob;  // What opening needs besides; empty: nothing.
};

struct NewEpoch {
  crypto::Secret key;  // kEpochKeyBytes.
  EpochLocation location;
};

// Not thread-safe: the keyring calls it from one thread at a time. Blocks on its device. Implementations:
// PassphraseAnchor, TpmAnchor, Pkcs11Anchor; all pass keyring/epoch_anchor_contract.h.
class EpochAnchor {
 public:
  virtual ~EpochAnchor() = default;
  virtual AnchorKind kind() const = 0;
  // One phrase for a receipt or a person, such as "TPM 2.0 (IBM, firmware 7.2)". No secret in it.
  virtual std::string Describe() const = 0;
  // Whether Destroy makes every older copy of the keyring useless, even to who knows passphrase or PIN.
  virtual bool DestroysForGood() const = 0;

  // A name that no key of the device has; makes nothing. The keyring writes it down before Create, so that a crash
  // in between leaves nothing unknown behind. Empty when kind() keeps nothing in a device.
  // Errors: kUnavailable (device), kResourceExhausted (no room for another key).
  virtual StatusOr<std::string> NewName() = 0;
  // Makes a random epoch key under `name`, durably, bound to `context` (the keyring's id and epoch number; at most
  // 64 bytes). Errors: kUnavailable, kResourceExhausted, kUnauthenticated (PIN), kAlreadyExists (the name is taken).
  virtual StatusOr<NewEpoch> Create(std::string_view name, std::string_view context) = 0;
  // Errors: kUnauthenticated (wrong passphrase or PIN; nothing was touched), kFailedPrecondition (the device refuses
  // in this state, for example after another boot chain was started), kNotFound (the device does not hold it: it was
  // destroyed, or this is another device), kDataLoss (`blob` altered or of another context), kUnavailable (no device),
  // kResourceExhausted (memory for Argon2id).
  virtual StatusOr<crypto::Secret> Open(const EpochLocation& location, std::string_view context) = 0;
  // Destroys the key and then asks the device whether it is gone. A name that no key has is OK.
  // Errors: kUnavailable, kUnauthenticated.
  virtual Status Destroy(std::string_view name) = 0;
};

}  // namespace cloister::keyring
