// SPDX-License-Identifier: Apache-2.0
// The bytes of a keyring file: derives, wraps, serialises and parses. Does no I/O, draws no randomness (so
// that the worked example of docs/formats/keyring.md can be reproduced) and holds no state. For
// storage/keyring.cc.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "common/id.h"
#include "common/status.h"
#include "crypto/password.h"
#include "crypto/secret.h"
#include "storage/key_source.h"

namespace cloister::storage {

constexpr size_t kKeyringHeaderBytes = 232;
constexpr size_t kKeyringSaltBytes = 32;
constexpr size_t kKeyringFileBytesMax = 1024 * 1024 * 1024;

// The part before the table. Salts are random, and the epoch's and the table's fresh for each sealing.
struct KeyringHeader {
  DatabaseId appliance;
  uint64_t generation = 0;
  crypto::Argon2Cost cost;
  std::string root_salt;
  std::string root_check;  // Tells a wrong passphrase from damage.
  uint32_t epoch = 0;
  std::string epoch_salt;
  std::string wrapped_epoch_key;
  std::string table_salt;
};

struct KeyringEntry {
  KeyKind kind = KeyKind::kStore;
  int64_t created_ns = 0;  // Unix time.
  std::string owner;
  std::string name;  // Empty for keys known by id alone.
  std::string wrapped_key;
};
using KeyringTable = std::map<KeyId, KeyringEntry>;

std::string RootCheck(const crypto::Secret& root_key, const KeyringHeader& header);
std::string WrapEpochKey(const crypto::Secret& root_key, const KeyringHeader& header,
                         const crypto::Secret& epoch_key);
// Errors: kDataLoss.
StatusOr<crypto::Secret> UnwrapEpochKey(const crypto::Secret& root_key, const KeyringHeader& header);

// Binds the key to `id` and to every other field of `entry`. Within an epoch an id is wrapped once.
std::string WrapKey(const crypto::Secret& epoch_key, const KeyringHeader& header, const KeyId& id,
                    const KeyringEntry& entry, std::string_view key);
// Errors: kDataLoss.
StatusOr<crypto::Secret> UnwrapKey(const crypto::Secret& epoch_key, const KeyringHeader& header,
                                   const KeyId& id, const KeyringEntry& entry);

// The file that holds `table` and `added`, which share no id.
std::string SealKeyring(const crypto::Secret& epoch_key, const KeyringHeader& header,
                        const KeyringTable& table, const KeyringTable& added);
// Errors: kDataLoss (not a keyring, damaged), kFailedPrecondition (unknown format, root kind or flags).
StatusOr<KeyringHeader> ParseKeyringHeader(std::string_view file);
// After ParseKeyringHeader accepted `file`. Errors: kDataLoss.
StatusOr<KeyringTable> OpenKeyringTable(const crypto::Secret& epoch_key, std::string_view file);

}  // namespace cloister::storage
