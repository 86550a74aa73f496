// SPDX-License-Identifier: Apache-2.0
// Where data keys come from: the seam between sealed storage and the keys service. Does not store keys.
#pragma once

#include <cstdint>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
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

// "store", "document", "subject", "segment" and "signing".
constexpr std::string_view NameOf(KeyKind kind) {
  constexpr std::string_view kNames[] = {"unknown", "store", "document", "subject", "segment", "signing"};
  const auto number = static_cast<size_t>(kind);
  return kNames[number < std::size(kNames) ? number : 0];
}

struct DataKey {
  KeyId id;
  std::shared_ptr<const crypto::Secret> key;  // 32 bytes.
};

// What is certain after keys were destroyed, for a receipt.
struct Destruction {
  uint64_t destroyed = 0;   // With what they replaced; others had gone before.
  uint32_t epoch = 0;       // The epoch that holds now; every former epoch key is destroyed.
  uint64_t generation = 0;  // Of the keyring.
  std::string anchor;       // Where epoch keys live, in words.
  bool for_good = false;    // No older copy of the keyring opens them, whatever else somebody has.
  std::string escrow;       // What became of the escrowed keyring, in words.
  std::vector<KeyId> along = {};  // Of the destroyed ones, those that were not asked for: replaced, or replacing.
};

// Why keys are destroyed: on request, so that a backup from before must not be restored without a word, or because
// what they sealed was superseded.
enum class DestroyFor { kErasure, kUpkeep };

// Thread-safe. Implementations: KeyringKeySource (keyring/keyring_key_source.h) and services/server/grpc_key_source.h; both pass
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
  // A new key in place of each of the caller's, of its kind and under its name when it has one; their ids, in the
  // order of `ids`. The former key is a *former* one from then on: known by its id to whoever has that, until
  // DestroyFormerKeys. What was replaced already stays so, and its id is given again: a repeated call finishes an
  // interrupted one and makes nothing twice. One that is not there, because it was destroyed meanwhile, is passed over and
  // stands for itself. At most kKeysPerReplacementMax. Errors: kPermissionDenied, kInvalidArgument (too many, or a kSigning
  // key), kResourceExhausted, kUnavailable; nothing has changed then.
  virtual StatusOr<std::vector<KeyId>> ReplaceKeys(const std::vector<KeyId>& ids) = 0;
  // What stands in the place of each now: the last of those that replaced it, itself where none did or it is not known.
  // At most kKeysPerReplacementMax. Errors: kPermissionDenied, kInvalidArgument, kUnavailable.
  virtual StatusOr<std::vector<KeyId>> CurrentKeys(const std::vector<KeyId>& ids) = 0;
  // Destroys the caller's keys, and with each the former ones that it replaced and those that replaced it: whoever
  // destroys a document's key need not know its former ones. Those that are not there are passed over, so that a
  // repeated call finishes an interrupted one. At most kKeysPerDestructionMax. Errors: kInvalidArgument (too many),
  // kPermissionDenied (another service's key; nothing has changed), kUnavailable (not finished; call again),
  // kResourceExhausted (disk full).
  virtual StatusOr<Destruction> DestroyKeys(const std::vector<KeyId>& ids, DestroyFor why) = 0;
  // Says that nothing of the caller is under a former key any more, save backups: one that begins later is whole without
  // those. A change of epoch. Errors: kUnavailable (call again), kResourceExhausted.
  virtual Status NoteRenewed() = 0;
  // Destroys the caller's former keys: what is still sealed under one cannot be opened any more. Backups of before the last
  // NoteRenewed are too old from then on, as after an erasure. Errors: kUnavailable (call again), kResourceExhausted.
  virtual StatusOr<Destruction> DestroyFormerKeys() = 0;
  // Digests of kMarkBytes that the caller keeps with the keys, so that they outlive every restore: adds and removes,
  // durable before this returns. What is there, or is not, is passed over. Errors: kInvalidArgument, kResourceExhausted
  // (too many, disk full), kPermissionDenied (none may be kept by this caller), kUnavailable.
  virtual Status ChangeMarks(const std::vector<std::string>& add, const std::vector<std::string>& remove) = 0;
  // In ascending order. Errors: kPermissionDenied, kUnavailable.
  virtual StatusOr<std::vector<std::string>> Marks() = 0;
};

constexpr uint32_t kKeysPerCallMax = 1024;
constexpr uint32_t kKeysPerDestructionMax = 1'000'000;
constexpr uint32_t kKeysPerReplacementMax = 65'536;
constexpr size_t kMarkBytes = 32;
constexpr size_t kMarksMax = 100'000;

}  // namespace cloister::storage
