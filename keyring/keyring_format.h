// SPDX-License-Identifier: Apache-2.0
// The bytes of a keyring file: wraps, serialises and parses. Does no I/O, draws no randomness (so that the worked
// example of docs/formats/keyring.md can be reproduced) and holds no state. For keyring/keyring.cc.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/id.h"
#include "common/status.h"
#include "crypto/secret.h"
#include "keyring/epoch_anchor.h"
#include "storage/key_source.h"

namespace cloister::keyring {

constexpr size_t kKeyringSaltBytes = 32;
constexpr size_t kKeyringFileBytesMax = 1024 * 1024 * 1024;
constexpr size_t kDoomedMax = 64;  // Names of epochs that a device has yet to destroy.

// The part before the table.
struct KeyringHeader {
  AnchorKind anchor = AnchorKind::kPassphrase;
  DatabaseId appliance;
  uint64_t generation = 0;
  uint32_t epoch = 0;
  EpochLocation location;           // Of this epoch's key.
  std::vector<std::string> doomed;  // Names in the device that must go: former epochs, and ones never finished.
  std::string table_salt;           // Random, fresh for each writing.
};

struct KeyringEntry {
  storage::KeyKind kind = storage::KeyKind::kStore;
  int64_t created_ns = 0;  // Unix time.
  std::string owner;
  std::string name;  // Empty for keys known by id alone.
  std::string wrapped_key;
  KeyId successor;  // What replaced it; empty: nothing did. Not bound to the wrapped key, so it may change in an epoch.
};

// Who can bring the keyring back without its anchor: the holders of a split key.
struct RecoveryKey {
  std::string set_id;      // 16 bytes, on every share.
  std::string public_key;  // 32 bytes, X25519.
  uint8_t threshold = 0;   // Shares needed.
  uint8_t shares = 0;      // Shares made.
  int64_t created_ns = 0;  // Unix time.
  bool operator==(const RecoveryKey&) const = default;
};

struct KeyringTable {
  std::map<KeyId, KeyringEntry> entries;
  std::optional<RecoveryKey> recovery;
  uint32_t erasure_epoch = 0;   // The epoch that the last erasure on request began; 0: none yet.
  std::set<std::string> marks;  // storage::kMarkBytes each, at most storage::kMarksMax.
  std::map<std::string, uint32_t, std::less<>> renewed;  // By owner: since which epoch nothing is under its former keys.
};

// What an epoch key is bound to where it lives: the appliance and the epoch's number.
std::string EpochContext(const DatabaseId& appliance, uint32_t epoch);

// The key that wraps the entries of one epoch.
crypto::Secret EntriesKey(const crypto::Secret& epoch_key);
// Binds the key to `id`, to every other field of `entry` save its successor, and to appliance and epoch. The nonce is taken from the
// random id: within an epoch an id is wrapped once, and what changes about it waits for the next epoch.
std::string WrapKey(const crypto::Secret& entries_key, const KeyringHeader& header, const KeyId& id,
                    const KeyringEntry& entry, std::string_view key);
// Errors: kDataLoss.
StatusOr<crypto::Secret> UnwrapKey(const crypto::Secret& entries_key, const KeyringHeader& header, const KeyId& id,
                                   const KeyringEntry& entry);

// The file that holds `table` and `added`, which share no id.
std::string SealKeyring(const crypto::Secret& epoch_key, const KeyringHeader& header, const KeyringTable& table,
                        const std::map<KeyId, KeyringEntry>& added);
// Errors: kDataLoss (not a keyring, damaged), kFailedPrecondition (unknown format, anchor or flags).
StatusOr<KeyringHeader> ParseKeyringHeader(std::string_view file);
// After ParseKeyringHeader accepted `file`. Errors: kDataLoss.
StatusOr<KeyringTable> OpenKeyringTable(const crypto::Secret& epoch_key, std::string_view file);

}  // namespace cloister::keyring
