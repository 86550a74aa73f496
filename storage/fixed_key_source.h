// SPDX-License-Identifier: Apache-2.0
// Keys that follow from a seed, so that another process, or the same test after a reopening, has them again.
// For tests and benchmarks only: whoever knows the seed knows every key.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "crypto/hash.h"
#include "storage/key_source.h"

namespace cloister::storage {

// Thread-safe. Knows a key by its id only after that key was made or named here, as a keyring does.
class FixedKeySource final : public KeySource {
 public:
  explicit FixedKeySource(std::string seed = "seed") : seed_(std::move(seed)) {
    Make(KeyKind::kStore, "files");
  }
  StatusOr<std::vector<DataKey>> CreateKeys(KeyKind kind, uint32_t count) override {
    std::vector<DataKey> made;
    for (uint32_t i = 0; i < count; ++i) made.push_back(Make(kind, "#" + std::to_string(created_++)));
    return made;
  }
  StatusOr<DataKey> GetKey(const KeyId& id) override {
    std::lock_guard lock(mutex_);
    if (!failure_.ok()) return failure_;
    const auto it = keys_.find(id);
    if (it == keys_.end()) return NotFound("no such key");
    return it->second;
  }
  StatusOr<DataKey> GetNamedKey(KeyKind kind, std::string_view name) override {
    return Make(kind, std::string(name) + suffix_);
  }
  StatusOr<Destruction> DestroyKeys(const std::vector<KeyId>& ids) override {
    Destruction done;
    for (const KeyId& id : ids) done.destroyed += Destroy(id);
    return done;
  }
  // The named keys of later calls are others; the earlier stay known by their ids.
  void Rotate(const std::string& suffix) { suffix_ = suffix; }
  // How many keys it destroyed.
  size_t Destroy(const KeyId& id) {
    std::lock_guard lock(mutex_);
    return keys_.erase(id);
  }
  // What GetKey says from now on, when it is an error.
  void Fail(Status failure) {
    std::lock_guard lock(mutex_);
    failure_ = std::move(failure);
  }

 private:
  DataKey Make(KeyKind kind, const std::string& name) {
    const std::string info = std::to_string(static_cast<int>(kind)) + name;
    auto bytes = crypto::HkdfSha512(seed_, "", info, kIdBytes + 32);
    const DataKey key{*KeyId::FromBytes(bytes.view().substr(0, kIdBytes)),
                      std::make_shared<const crypto::Secret>(bytes.view().substr(kIdBytes))};
    std::lock_guard lock(mutex_);
    keys_[key.id] = key;
    return key;
  }
  const std::string seed_;
  std::string suffix_;
  uint64_t created_ = 0;
  std::mutex mutex_;
  std::map<KeyId, DataKey> keys_;
  Status failure_;
};

}  // namespace cloister::storage
