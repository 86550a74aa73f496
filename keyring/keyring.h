// SPDX-License-Identifier: Apache-2.0
// The keyring: one small file with every data key, wrapped under an epoch key that lives in an anchor (a passphrase, a
// TPM, an HSM). Destroying a data key means a new epoch: the survivors are wrapped under a new epoch key and the old
// one is destroyed where it lives. Does not know callers: the keys service says on whose behalf it asks.
// SPEC: docs/formats/keyring.md
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/id.h"
#include "common/status.h"
#include "crypto/secret.h"
#include "keyring/epoch_anchor.h"
#include "keyring/keyring_format.h"
#include "storage/key_source.h"

namespace cloister::keyring {

constexpr size_t kKeyringKeysMax = 4'000'000;
constexpr size_t kOwnerBytesMax = 64;  // Of [a-z0-9-], as names are.
constexpr size_t kKeyNameBytesMax = 64;

// What a change of epoch left behind.
struct EpochChange {
  std::vector<KeyId> destroyed;  // Keys that were there and are gone.
  uint32_t epoch = 0;      // The one that holds now.
  uint64_t generation = 0;
};

// How often an epoch key was used.
struct EpochKeyUse {
  uint64_t wrapped = 0, unwrapped = 0, sealed = 0;  // Data keys; whole tables.
};

struct KeyringStatus {
  AnchorKind anchor = AnchorKind::kPassphrase;
  std::string anchor_description;
  bool destroys_for_good = false;
  uint64_t generation = 0;  // Grows with each durable change; 1 after Create.
  uint32_t epoch = 0;
  size_t doomed = 0;  // Former epoch keys that the device has yet to destroy.
  std::map<storage::KeyKind, uint64_t> keys;
  uint64_t former = 0;           // Of these, replaced by another.
  int64_t former_since_ns = 0;   // When the last of them was replaced, Unix time; 0: none.
  std::optional<RecoveryKey> recovery;
  uint32_t erasure_epoch = 0;  // The epoch that the last erasure began; 0: none yet.
  // False since a write failed half-way: the file may hold the former epoch or the next, and only opening it anew tells.
  bool sound = true;
};

// The steps of a change of epoch, for tests that stop there.
enum class EpochStep { kNamed, kCreated, kWritten, kDestroyed, kForgotten };

struct KeyringOptions {
  std::filesystem::path path;
  size_t keys_max = kKeyringKeysMax;  // More are refused; a keyring that holds more already still opens.
  // Called after each step of a change of epoch. For tests; empty otherwise.
  std::function<void(EpochStep)> on_step = {};
  // Called once when KeyringStatus::sound becomes false; must not block. No change is taken from then on, so whoever
  // holds the keyring should end and open it anew.
  std::function<void()> on_unsound = {};
};

// Thread-safe. Each change rewrites the whole file (about 100 bytes a key) with fsync: batch the creation of
// keys. Holds data keys wrapped; only epoch keys and what the anchor keeps are in locked memory. One process at a time.
class Keyring {
 public:
  // Makes the file with mode 0600 and the first epoch in `anchor`. `clock` stamps new keys and must outlive the
  // keyring. Errors: kAlreadyExists, kFailedPrecondition (locked), kResourceExhausted, kUnavailable; those of
  // EpochAnchor::Create.
  static StatusOr<std::unique_ptr<Keyring>> Create(KeyringOptions options, std::unique_ptr<EpochAnchor> anchor,
                                                   const Clock& clock);
  // Destroys what an interrupted change of epoch left in the device. Errors: kNotFound (no file), kDataLoss (damaged),
  // kFailedPrecondition (locked by another process, a format this version does not know, or another kind of anchor),
  // kUnavailable; those of EpochAnchor::Open: kUnauthenticated means that nothing was touched.
  static StatusOr<std::unique_ptr<Keyring>> Open(KeyringOptions options, std::unique_ptr<EpochAnchor> anchor,
                                                 const Clock& clock);
  // Which anchor the file asks for. Errors: kNotFound, kDataLoss, kFailedPrecondition, kUnavailable.
  static StatusOr<AnchorKind> AnchorOf(const std::filesystem::path& path);
  // The part of the file that is in clear. Errors: as AnchorOf.
  static StatusOr<KeyringHeader> HeaderOf(const std::filesystem::path& path);
  ~Keyring();

  // All of these: `owner` is an identity such as "retrieval", 1 to kOwnerBytesMax bytes. After an error of a
  // change memory and file hold what they held before, save that after kUnavailable from the last fsync the
  // file may hold keys that nobody was given.

  // Random keys, durable before this returns. Errors: kInvalidArgument (kind, owner, count of 0 or more than
  // storage::kKeysPerCallMax), kResourceExhausted (kKeyringKeysMax reached, disk full), kUnavailable.
  StatusOr<std::vector<storage::DataKey>> CreateKeys(std::string_view owner, storage::KeyKind kind, uint32_t count);
  // Errors: kNotFound, kPermissionDenied (made for another owner), kDataLoss.
  StatusOr<storage::DataKey> GetKey(std::string_view owner, const KeyId& id) const;
  // Made at the first call. Errors: as CreateKeys; kInvalidArgument (name).
  StatusOr<storage::DataKey> GetNamedKey(std::string_view owner, storage::KeyKind kind, std::string_view name);
  // The 32 public bytes of a kSigning key, for anybody. Errors: kNotFound, kDataLoss.
  StatusOr<std::string> PublicKeyOf(std::string_view owner, std::string_view name) const;

  // Changes of epoch. Readers go on meanwhile; creators wait. Interrupted at any step, by a kill too, the next Open or
  // the next change finishes it. Errors of all three: kUnavailable, with "try again", when the new keyring stands and
  // the device has not yet destroyed the old epoch key (KeyringStatus::doomed); kResourceExhausted; those of the
  // anchor, and then nothing has changed; any of them when KeyringStatus::sound is false afterwards, and then both the
  // former and the next epoch are possible.

  // Digests that are kept with the keys and so outlive every restore: adds and removes, durable before this returns.
  // What is there, or is not, is passed over. Errors: kInvalidArgument (not storage::kMarkBytes), kResourceExhausted (storage::kMarksMax,
  // disk full), kUnavailable.
  Status ChangeMarks(const std::vector<std::string>& add, const std::vector<std::string>& remove);
  std::set<std::string> Marks() const;

  // Destroys these keys of `owner`, what they replaced and what replaced them. Ids that are not there are passed over, so
  // that a repeated call finishes an interrupted one; when none is there and nothing is doomed, the epoch stays. Errors:
  // kPermissionDenied (one belongs to another owner; nothing has changed).
  StatusOr<EpochChange> DestroyKeys(std::string_view owner, const std::vector<KeyId>& ids,
                                      storage::DestroyFor why);
  StatusOr<EpochChange> RotateEpoch();
  // Moves the epoch key to `anchor`: another passphrase, or another kind of place. The former anchor's is destroyed.
  StatusOr<EpochChange> ChangeAnchor(std::unique_ptr<EpochAnchor> anchor);

  // Replacing keys; as in storage/key_source.h. The first is no change of epoch: the former keys stay. Errors: those told
  // there.
  StatusOr<std::vector<KeyId>> ReplaceKeys(std::string_view owner, const std::vector<KeyId>& ids);
  StatusOr<std::vector<KeyId>> CurrentKeys(std::string_view owner, const std::vector<KeyId>& ids) const;
  StatusOr<EpochChange> NoteRenewed(std::string_view owner);
  StatusOr<EpochChange> DestroyFormerKeys(std::string_view owner);

  // Whether `anchor` comes to the epoch key that holds now. Errors: those of EpochAnchor::Open; kFailedPrecondition
  // (another kind of anchor); kUnavailable (not known, see KeyringStatus::sound).
  Status CheckOpens(EpochAnchor& anchor) const;

  // Who may recover from now on; replaces those before. Errors: kResourceExhausted, kUnavailable.
  Status SetRecovery(const RecoveryKey& recovery);

  // The file as it was last written, and the present epoch key, for an escrowed copy (keyring/escrow.h). Made from what
  // is open: a file that was damaged or put back since is not copied over a good copy.
  struct Snapshot {
    std::string file;
    KeyringHeader header;
    crypto::Secret epoch_key;
    std::optional<RecoveryKey> recovery;
  };
  StatusOr<Snapshot> TakeSnapshot() const;
  // Makes a keyring from `file` of another place, opened by `epoch_key`, under a first epoch of `anchor` here.
  // Errors: as Create; kDataLoss (the key does not open the file).
  static StatusOr<std::unique_ptr<Keyring>> Restore(KeyringOptions options, std::string_view file,
                                                    const crypto::Secret& epoch_key,
                                                    std::unique_ptr<EpochAnchor> anchor, const Clock& clock);

  KeyringStatus GetStatus() const;
  // Entries that the epoch key does not open: unwraps every key, counting as so many uses. Changes wait meanwhile.
  uint64_t CountUnreadable() const;
  uint64_t generation() const;
  size_t size() const;  // Keys held.
  const DatabaseId& appliance_id() const;
  // Since the last call.
  EpochKeyUse TakeUse();

 private:
  class Impl;
  explicit Keyring(std::unique_ptr<Impl> impl);
  static StatusOr<std::unique_ptr<Keyring>> Begin(KeyringOptions options, std::unique_ptr<EpochAnchor> anchor,
                                                  const Clock& clock, const KeyringHeader& former,
                                                  const crypto::Secret* from, KeyringTable table);
  std::unique_ptr<Impl> impl_;
};

}  // namespace cloister::keyring
