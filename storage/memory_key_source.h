// SPDX-License-Identifier: Apache-2.0
// A KeySource in memory, which can fail on request. Not durable; keeps to storage/key_source_contract.h otherwise. With a
// seed its keys follow from that, so that another process, or the same test after a reopening, has them again: whoever
// knows the seed knows every key. For tests and benchmarks only.
#pragma once

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
  StatusOr<Destruction> DestroyKeys(const std::vector<KeyId>& ids, DestroyFor) override {
    if (!failure.ok()) return failure;
    std::lock_guard lock(keys_->mutex);
    for (const KeyId& id : ids) {
      const auto found = keys_->by_id.find(id);
      if (found != keys_->by_id.end() && found->second.owner != owner_) {
        return PermissionDenied("a key to be destroyed belongs to another service");
      }
    }
    Destruction out{0, keys_->epoch, keys_->epoch, "memory", true, "none is configured"};
    for (const KeyId& id : ids) out.destroyed += keys_->by_id.erase(id);
    if (out.destroyed > 0) out.epoch = ++keys_->epoch;
    return out;
  }

  StatusOr<DataKey> RotateNamedKey(KeyKind kind, std::string_view name) override {
    if (!failure.ok()) return failure;
    std::lock_guard lock(keys_->mutex);
    const auto found = keys_->named.find(std::tuple(owner_, kind, std::string(name)));
    if (found == keys_->named.end()) return NotFound("no key of this name");
    ++keys_->rotations;
    found->second = Make(std::to_string(static_cast<int>(kind)) + std::string(name) + std::to_string(keys_->rotations));
    return found->second;
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

}  // namespace cloister::storage
