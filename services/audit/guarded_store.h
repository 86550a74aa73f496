// SPDX-License-Identifier: Apache-2.0
// A KvStore that refuses a write before the disk is full and tells its owner when a write failed all the
// same: a store that failed once takes no further writes until it is opened again. Thread-safe.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <utility>

#include "storage/kv_store.h"

namespace cloister::services {

// Space that a write must leave: room for the store's own files and for the log, which goes on longer.
constexpr uint64_t kFreeBytesMin = 16 * 1024 * 1024;

class GuardedStore final : public storage::KvStore {
 public:
  // `volume` is any directory on the disk in question. `inner` must outlive this.
  GuardedStore(storage::KvStore& inner, std::filesystem::path volume, std::function<void()> on_failure)
      : inner_(inner), volume_(std::move(volume)), on_failure_(std::move(on_failure)) {}
  Status Write(const storage::WriteBatch& batch) override {
    std::error_code error;
    const auto space = std::filesystem::space(volume_, error);
    if (!error && space.available < kFreeBytesMin + batch.bytes()) {
      return ResourceExhausted(
          "no space for audit sections; free space on the data disk, then it goes on by itself");
    }
    const Status status = inner_.Write(batch);
    if (!status.ok() && on_failure_) on_failure_();
    return status;
  }
  std::unique_ptr<storage::Snapshot> GetSnapshot() const override { return inner_.GetSnapshot(); }
  uint64_t CommitSequence() const override { return inner_.CommitSequence(); }

 private:
  storage::KvStore& inner_;
  const std::filesystem::path volume_;
  const std::function<void()> on_failure_;
};

}  // namespace cloister::services
