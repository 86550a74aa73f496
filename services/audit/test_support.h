// SPDX-License-Identifier: Apache-2.0
// For tests of this folder: a key source in memory whose keys can be destroyed.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "crypto/random.h"
#include "storage/key_source.h"

namespace cloister::services {

// Thread-safe. Not durable; keeps to the contract of KeySource otherwise.
class MemoryKeySource final : public storage::KeySource {
 public:
  StatusOr<std::vector<storage::DataKey>> CreateKeys(storage::KeyKind, uint32_t count) override {
    std::lock_guard lock(mutex_);
    if (count == 0 || count > storage::kKeysPerCallMax) return InvalidArgument("count");
    std::vector<storage::DataKey> made;
    for (uint32_t i = 0; i < count; ++i) {
      const storage::DataKey key{crypto::RandomId<KeyId>(),
                                 std::make_shared<const crypto::Secret>(crypto::RandomSecret(32))};
      keys_[key.id] = key;
      made.push_back(key);
    }
    created_ += count;
    return made;
  }
  StatusOr<storage::DataKey> GetKey(const KeyId& id) override {
    std::lock_guard lock(mutex_);
    const auto found = keys_.find(id);
    if (found == keys_.end()) return NotFound("no such key");
    return found->second;
  }
  StatusOr<storage::DataKey> GetNamedKey(storage::KeyKind kind, std::string_view name) override {
    const auto slot = std::make_pair(kind, std::string(name));
    std::lock_guard lock(mutex_);
    auto& key = named_[slot];
    if (key.key == nullptr) {
      key = {crypto::RandomId<KeyId>(), std::make_shared<const crypto::Secret>(crypto::RandomSecret(32))};
    }
    return key;
  }
  void Destroy(const KeyId& id) {
    std::lock_guard lock(mutex_);
    keys_.erase(id);
  }
  // All keys made by CreateKeys.
  void DestroyAll() {
    std::lock_guard lock(mutex_);
    keys_.clear();
  }
  uint64_t created() const {
    std::lock_guard lock(mutex_);
    return created_;
  }

 private:
  mutable std::mutex mutex_;
  std::map<KeyId, storage::DataKey> keys_;
  std::map<std::pair<storage::KeyKind, std::string>, storage::DataKey> named_;
  uint64_t created_ = 0;
};

}  // namespace cloister::services
