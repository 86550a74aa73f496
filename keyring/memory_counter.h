// SPDX-License-Identifier: Apache-2.0
// A RollbackCounter in memory, which can be lost or fail on request. Keeps to
// keyring/rollback_counter_contract.h otherwise. For tests only.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "keyring/rollback_counter.h"

namespace cloister::keyring {

// What the device holds; shared by the counters over it.
struct MemoryCounterDevice {
  std::map<std::string, uint64_t, std::less<>> counts;
  uint64_t names = 0, highest = 0;
  Status failure;  // Of every call while it is not OK.
  bool fail_after_counting = false;
};

class MemoryCounter final : public RollbackCounter {
 public:
  explicit MemoryCounter(std::shared_ptr<MemoryCounterDevice> device) : device_(std::move(device)) {}
  StatusOr<std::string> NewName() override {
    if (!device_->failure.ok()) return device_->failure;
    return kPrefix + std::to_string(++device_->names);
  }
  StatusOr<uint64_t> Create(std::string_view name) override {
    if (!device_->failure.ok()) return device_->failure;
    if (!name.starts_with(kPrefix)) return DataLoss("not a name of this device");
    if (device_->counts.contains(name)) return AlreadyExists("there is such a counter");
    // As a TPM: above all it ever had.
    return device_->counts[std::string(name)] = ++device_->highest;
  }
  StatusOr<uint64_t> Increment(std::string_view name) override {
    if (!device_->failure.ok()) return device_->failure;
    const auto found = device_->counts.find(name);
    if (found == device_->counts.end()) return NotFound("no such counter");
    device_->highest = std::max(device_->highest, ++found->second);
    if (std::exchange(device_->fail_after_counting, false)) return Unavailable("the answer was lost");
    return found->second;
  }
  StatusOr<uint64_t> Read(std::string_view name) override {
    if (!device_->failure.ok()) return device_->failure;
    const auto found = device_->counts.find(name);
    if (found == device_->counts.end()) return NotFound("no such counter");
    return found->second;
  }

 private:
  static constexpr const char* kPrefix = "memory-";
  std::shared_ptr<MemoryCounterDevice> device_;
};

}  // namespace cloister::keyring
