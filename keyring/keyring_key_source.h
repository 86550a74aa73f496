// SPDX-License-Identifier: Apache-2.0
// A keyring as storage::KeySource, for one owner in the same process. Over a socket: services/server/grpc_key_source.h.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "keyring/keyring.h"
#include "storage/key_source.h"

namespace cloister::keyring {

// What one owner sees of a keyring. Thread-safe. `keyring` must outlive it.
class KeyringKeySource final : public storage::KeySource {
 public:
  KeyringKeySource(Keyring& keyring, std::string owner) : keyring_(keyring), owner_(std::move(owner)) {}
  StatusOr<std::vector<storage::DataKey>> CreateKeys(storage::KeyKind kind, uint32_t count) override {
    return keyring_.CreateKeys(owner_, kind, count);
  }
  StatusOr<storage::DataKey> GetKey(const KeyId& id) override { return keyring_.GetKey(owner_, id); }
  StatusOr<storage::DataKey> GetNamedKey(storage::KeyKind kind, std::string_view name) override {
    return keyring_.GetNamedKey(owner_, kind, name);
  }
  StatusOr<std::vector<KeyId>> ReplaceKeys(const std::vector<KeyId>& ids) override {
    return keyring_.ReplaceKeys(owner_, ids);
  }
  StatusOr<std::vector<KeyId>> CurrentKeys(const std::vector<KeyId>& ids) override {
    return keyring_.CurrentKeys(owner_, ids);
  }
  StatusOr<storage::Destruction> DestroyKeys(const std::vector<KeyId>& ids, storage::DestroyFor why) override;
  Status NoteRenewed() override { return keyring_.NoteRenewed(owner_).status(); }
  StatusOr<storage::Destruction> DestroyFormerKeys() override;
  Status ChangeMarks(const std::vector<std::string>& add, const std::vector<std::string>& remove) override {
    return keyring_.ChangeMarks(add, remove);
  }
  StatusOr<std::vector<std::string>> Marks() override {
    const std::set<std::string> marks = keyring_.Marks();
    return std::vector<std::string>(marks.begin(), marks.end());
  }

 private:
  storage::Destruction Told(const EpochChange& change, const std::set<KeyId>& asked) const;
  Keyring& keyring_;
  const std::string owner_;
};

}  // namespace cloister::keyring
