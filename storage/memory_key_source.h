// SPDX-License-Identifier: Apache-2.0
// A KeySource in memory, which can fail on request. Not durable; keeps to storage/key_source_contract.h otherwise. With a
// seed its keys follow from that, so that another process, or the same test after a reopening, has them again: whoever
// knows the seed knows every key. For tests and benchmarks only.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "crypto/hash.h"
#include "crypto/random.h"
#include "storage/key_source.h"

namespace cloister::storage {

// Thread-safe, save for `failure`.
class MemoryKeySource final : public KeySource {
 public:
  MemoryKeySource() = default;
  explicit MemoryKeySource(std::string seed) {
    keys_->seed = std::move(seed);
    // A database names it by its id before anybody asks for it by its name.
    GetNamedKey(KeyKind::kStore, "files").IgnoreError();
  }
  // Another owner over the same keys.
  MemoryKeySource(const MemoryKeySource& other, std::string owner) : keys_(other.keys_), owner_(std::move(owner)) {}

  StatusOr<std::vector<DataKey>> CreateKeys(KeyKind kind, uint32_t count) override {
    if (!failure.ok()) return failure;
    if (count == 0 || count > kKeysPerCallMax) return InvalidArgument("1 to 1024 keys at a time");
    std::lock_guard lock(keys_->mutex);
    std::vector<DataKey> made;
    for (uint32_t i = 0; i < count; ++i) made.push_back(Make("#" + std::to_string(keys_->created + i)));
    keys_->created += count;
    return made;
  }
  StatusOr<DataKey> GetKey(const KeyId& id) override {
    std::lock_guard lock(keys_->mutex);
    ++keys_->fetches;
    if (!failure.ok()) return failure;
    const auto found = keys_->by_id.find(id);
    if (found == keys_->by_id.end()) return NotFound("no such key");
    if (found->second.owner != owner_) return PermissionDenied("the key belongs to another service");
    return found->second.key;
  }
  StatusOr<DataKey> GetNamedKey(KeyKind kind, std::string_view name) override {
    if (!failure.ok()) return failure;
    std::lock_guard lock(keys_->mutex);
    DataKey& key = keys_->named[std::tuple(owner_, kind, std::string(name))];
    if (key.key == nullptr) {
      key = Make(std::to_string(static_cast<int>(kind)) + std::string(name) + std::to_string(keys_->rotations));
    }
    return key;
  }
  StatusOr<std::vector<KeyId>> ReplaceKeys(const std::vector<KeyId>& ids) override {
    if (!failure.ok()) return failure;
    if (ids.size() > kKeysPerReplacementMax) return InvalidArgument("too many keys to replace at once");
    std::lock_guard lock(keys_->mutex);
    for (const KeyId& id : ids) {
      const auto found = keys_->by_id.find(id);
      if (found == keys_->by_id.end()) continue;
      if (found->second.owner != owner_) return PermissionDenied("a key to be replaced belongs to another service");
    }
    for (const auto& [place, key] : keys_->named) {
      const bool asked = std::find(ids.begin(), ids.end(), key.id) != ids.end();
      if (asked && std::get<KeyKind>(place) == KeyKind::kSigning)
        return InvalidArgument("a signing key is not replaced in this way");
    }
    std::vector<KeyId> current;
    for (const KeyId& id : ids) {
      const auto found = keys_->by_id.find(id);
      if (found == keys_->by_id.end() || !found->second.successor.empty()) continue;
      const DataKey made = Make("instead of " + id.hex());
      keys_->by_id.at(id).successor = made.id;
      for (auto& [place, key] : keys_->named) {
        if (key.id == id) key = made;
      }
    }
    for (const KeyId& id : ids) current.push_back(CurrentLocked(id));
    return current;
  }
  StatusOr<std::vector<KeyId>> CurrentKeys(const std::vector<KeyId>& ids) override {
    if (!failure.ok()) return failure;
    if (ids.size() > kKeysPerReplacementMax) return InvalidArgument("too many keys asked for at once");
    std::lock_guard lock(keys_->mutex);
    std::vector<KeyId> current;
    for (const KeyId& id : ids) {
      const auto found = keys_->by_id.find(id);
      if (found != keys_->by_id.end() && found->second.owner != owner_)
        return PermissionDenied("the key belongs to another service");
      current.push_back(CurrentLocked(id));
    }
    return current;
  }
  StatusOr<Destruction> DestroyKeys(const std::vector<KeyId>& ids, DestroyFor) override {
    if (!failure.ok()) return failure;
    std::lock_guard lock(keys_->mutex);
    std::set<KeyId> chains;  // By their last.
    for (const KeyId& id : ids) {
      const auto found = keys_->by_id.find(id);
      if (found == keys_->by_id.end()) continue;
      if (found->second.owner != owner_) return PermissionDenied("a key to be destroyed belongs to another service");
      chains.insert(CurrentLocked(id));
    }
    Destruction out =
        DestroyLocked([&](const KeyId& id, const Owned&) { return chains.contains(CurrentLocked(id)); });
    std::erase_if(out.along, [&](const KeyId& id) { return std::find(ids.begin(), ids.end(), id) != ids.end(); });
    return out;
  }
  Status NoteRenewed() override {
    if (!failure.ok()) return failure;
    std::lock_guard lock(keys_->mutex);
    ++keys_->epoch;
    return absl::OkStatus();
  }
  StatusOr<Destruction> DestroyFormerKeys() override {
    if (!failure.ok()) return failure;
    std::lock_guard lock(keys_->mutex);
    return DestroyLocked(
        [&](const KeyId&, const Owned& key) { return key.owner == owner_ && !key.successor.empty(); });
  }
  Status ChangeMarks(const std::vector<std::string>& add, const std::vector<std::string>& remove) override {
    if (!failure.ok()) return failure;
    for (const auto* marks : {&add, &remove}) {
      for (const std::string& mark : *marks) {
        if (mark.size() != kMarkBytes) return InvalidArgument("a mark has 32 bytes");
      }
    }
    std::lock_guard lock(keys_->mutex);
    keys_->marks.insert(add.begin(), add.end());
    for (const std::string& mark : remove) keys_->marks.erase(mark);
    return absl::OkStatus();
  }
  StatusOr<std::vector<std::string>> Marks() override {
    if (!failure.ok()) return failure;
    std::lock_guard lock(keys_->mutex);
    return std::vector<std::string>(keys_->marks.begin(), keys_->marks.end());
  }

  // The named keys of later calls are others; the earlier stay known by their ids.
  void RotateNames() {
    std::lock_guard lock(keys_->mutex);
    keys_->named.clear();
    ++keys_->rotations;
  }
  // As if another had destroyed them.
  void Lose(const KeyId& id) {
    std::lock_guard lock(keys_->mutex);
    keys_->by_id.erase(id);
  }
  void LoseAll() {
    std::lock_guard lock(keys_->mutex);
    keys_->by_id.clear();
  }
  uint64_t created() const {
    std::lock_guard lock(keys_->mutex);
    return keys_->created;
  }
  uint64_t fetches() const {
    std::lock_guard lock(keys_->mutex);
    return keys_->fetches;
  }

  Status failure;  // Of every call while it is not OK.

 private:
  struct Owned {
    std::string owner;
    DataKey key;
    KeyId successor = {};
  };
  struct Keys {
    mutable std::mutex mutex;
    std::map<KeyId, Owned> by_id;
    std::map<std::tuple<std::string, KeyKind, std::string>, DataKey> named;
    std::set<std::string> marks;
    uint64_t created = 0, fetches = 0;
    uint64_t rotations = 0;
    uint32_t epoch = 1;
    std::string seed;
  };
  // keys_->mutex is held, in the next two as well.
  KeyId CurrentLocked(KeyId id) const {
    for (auto it = keys_->by_id.find(id); it != keys_->by_id.end() && !it->second.successor.empty();
         it = keys_->by_id.find(id)) {
      id = it->second.successor;
    }
    return id;
  }
  template <class Wanted>
  Destruction DestroyLocked(const Wanted& wanted) {
    std::vector<KeyId> gone;
    for (const auto& [id, key] : keys_->by_id) {
      if (wanted(id, key)) gone.push_back(id);
    }
    for (const KeyId& id : gone) keys_->by_id.erase(id);
    if (!gone.empty()) ++keys_->epoch;
    return {gone.size(), keys_->epoch, keys_->epoch, "memory", true, "none is configured", gone};
  }
  // `what` tells apart what follows from one seed.
  DataKey Make(const std::string& what) {
    const crypto::Secret bytes = keys_->seed.empty()
                                     ? crypto::RandomSecret(kIdBytes + 32)
                                     : crypto::HkdfSha512(keys_->seed, owner_, what, kIdBytes + 32);
    const DataKey key{*KeyId::FromBytes(bytes.view().substr(0, kIdBytes)),
                      std::make_shared<const crypto::Secret>(bytes.view().substr(kIdBytes))};
    keys_->by_id[key.id] = {owner_, key};
    return key;
  }
  std::shared_ptr<Keys> keys_ = std::make_shared<Keys>();
  std::string owner_ = "owner";
};

// Replaces the key of database files so many times: what follows from one seed is then known to every process that did.
inline void ReplaceVolumeKeys(MemoryKeySource& keys, uint64_t times) {
  for (uint64_t i = 0; i < times; ++i) {
    const auto key = keys.GetNamedKey(KeyKind::kStore, "files");
    if (key.ok()) keys.ReplaceKeys({key->id}).IgnoreError();
  }
}

}  // namespace cloister::storage
