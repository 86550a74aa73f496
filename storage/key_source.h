// SPDX-License-Identifier: Apache-2.0
// Where data keys come from: the seam between sealed storage and the keys service. Does not store keys.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/id.h"
#include "common/status.h"
#include "crypto/secret.h"

namespace cloister::storage {

// What a key is for. Stored in the keyring; values are stable. SPEC: docs/formats/keyring.md
enum class KeyKind : uint8_t {
  kStore = 1,     // A service's own rows that belong to no document or subject.
  kDocument = 2,  // One document: original, text, chunks, vectors.
  kSubject = 3,   // One data subject or user: audit sections and personal attributes.
  kSegment = 4,   // One derived segment file.
  kSigning = 5,   // An Ed25519 seed.
};

struct DataKey {
  KeyId id;
  std::shared_ptr<const crypto::Secret> key;  // 32 bytes.
};

// Thread-safe. Implementations: Keyring (storage/keyring.h) and services/server/grpc_key_source.h; both pass
// storage/key_source_contract.h.
class KeySource {
 public:
  virtual ~KeySource() = default;
  // New random keys, durable in the keyring before this returns. Blocks. `count` is 1 to kKeysPerCallMax.
  // Errors: kInvalidArgument, kUnavailable, kResourceExhausted (keyring full or disk full).
  virtual StatusOr<std::vector<DataKey>> CreateKeys(KeyKind kind, uint32_t count) = 0;
  // Errors: kNotFound (never made, or destroyed), kPermissionDenied (another service's), kUnavailable.
  virtual StatusOr<DataKey> GetKey(const KeyId& id) = 0;
  // The caller's one key with this name and kind, made at the first call. Names are short constants of the
  // code such as "rows" or "assertion", never data.
  virtual StatusOr<DataKey> GetNamedKey(KeyKind kind, std::string_view name) = 0;
};

constexpr uint32_t kKeysPerCallMax = 1024;

}  // namespace cloister::storage
