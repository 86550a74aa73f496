// SPDX-License-Identifier: Apache-2.0
// The keyring: one small file with every data key, wrapped by an epoch key that the root wraps. Does not know
// callers: the keys service says on whose behalf it asks. Rotation and destruction come with erasure.
// SPEC: docs/formats/keyring.md
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/id.h"
#include "common/status.h"
#include "crypto/password.h"
#include "storage/key_source.h"

namespace cloister::storage {

constexpr size_t kKeyringKeysMax = 4'000'000;
constexpr size_t kOwnerBytesMax = 64;  // Of [a-z0-9-], as names are.
constexpr size_t kKeyNameBytesMax = 64;

// Thread-safe. Each change rewrites the whole file (about 100 bytes a key) with fsync: batch the creation of
// keys. Holds data keys wrapped; only the epoch key is in locked memory. One process at a time.
class Keyring {
 public:
  // Makes the file with mode 0600. `clock` stamps new keys and must outlive the keyring.
  // Errors: kAlreadyExists, kInvalidArgument (passphrase shorter than kPassphraseBytesMin or too long, cost
  // out of bounds), kResourceExhausted (disk full, memory for Argon2id), kFailedPrecondition (locked),
  // kUnavailable.
  static StatusOr<std::unique_ptr<Keyring>> Create(const std::filesystem::path& path,
                                                   std::string_view passphrase,
                                                   const crypto::Argon2Cost& cost, const Clock& clock);
  // Errors: kNotFound, kUnauthenticated (wrong passphrase; nothing was touched), kDataLoss (damaged),
  // kFailedPrecondition (locked by another process, or a format this version does not know),
  // kResourceExhausted (memory for Argon2id), kUnavailable. More than `keys_max` keys are refused from then
  // on; a keyring that holds more already still opens.
  static StatusOr<std::unique_ptr<Keyring>> Open(const std::filesystem::path& path,
                                                 std::string_view passphrase, const Clock& clock,
                                                 size_t keys_max = kKeyringKeysMax);
  ~Keyring();

  // All of these: `owner` is an identity such as "retrieval", 1 to kOwnerBytesMax bytes. After an error of a
  // change memory and file hold what they held before, save that after kUnavailable from the last fsync the
  // file may hold keys that nobody was given.

  // Random keys, durable before this returns. Errors: kInvalidArgument (kind, owner, count of 0 or more than
  // kKeysPerCallMax), kResourceExhausted (kKeyringKeysMax reached, disk full), kUnavailable.
  StatusOr<std::vector<DataKey>> CreateKeys(std::string_view owner, KeyKind kind, uint32_t count);
  // Errors: kNotFound, kPermissionDenied (made for another owner), kDataLoss.
  StatusOr<DataKey> GetKey(std::string_view owner, const KeyId& id) const;
  // Made at the first call. Errors: as CreateKeys; kInvalidArgument (name).
  StatusOr<DataKey> GetNamedKey(std::string_view owner, KeyKind kind, std::string_view name);
  // The 32 public bytes of a kSigning key, for anybody. Errors: kNotFound, kDataLoss.
  StatusOr<std::string> PublicKeyOf(std::string_view owner, std::string_view name) const;

  uint64_t generation() const;  // Grows with each durable change; 1 after Create.
  size_t size() const;          // Keys held.
  const DatabaseId& appliance_id() const;

 private:
  class Impl;
  explicit Keyring(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// What one owner sees of a keyring. Thread-safe. `keyring` must outlive it.
class KeyringKeySource final : public KeySource {
 public:
  KeyringKeySource(Keyring& keyring, std::string owner) : keyring_(keyring), owner_(std::move(owner)) {}
  StatusOr<std::vector<DataKey>> CreateKeys(KeyKind kind, uint32_t count) override {
    return keyring_.CreateKeys(owner_, kind, count);
  }
  StatusOr<DataKey> GetKey(const KeyId& id) override { return keyring_.GetKey(owner_, id); }
  StatusOr<DataKey> GetNamedKey(KeyKind kind, std::string_view name) override {
    return keyring_.GetNamedKey(owner_, kind, name);
  }

 private:
  Keyring& keyring_;
  const std::string owner_;
};

}  // namespace cloister::storage
