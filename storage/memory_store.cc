// SPDX-License-Identifier: Apache-2.0
#include "storage/memory_store.h"

#include <utility>

namespace cloister::storage {
namespace {

const MemoryStore::Rows& RowsOf(const MemoryStore::Families& families, std::string_view column_family) {
  const auto it = families.find(column_family);
  CLOISTER_CHECK(it != families.end());
  return it->second;
}

class MemorySnapshot final : public Snapshot {
 public:
  MemorySnapshot(std::shared_ptr<const MemoryStore::Families> families, std::mutex& mutex)
      : families_(std::move(families)), mutex_(mutex) {}
  // Under the store's lock, so that what was read here happens before the writer that finds itself alone.
  ~MemorySnapshot() override {
    std::lock_guard lock(mutex_);
    families_.reset();
  }

  StatusOr<std::string> Get(std::string_view column_family, std::string_view key) const override {
    const MemoryStore::Rows& rows = RowsOf(*families_, column_family);
    const auto it = rows.find(key);
    if (it == rows.end()) return NotFound("no such row");
    return it->second;
  }

  Status Scan(std::string_view column_family, std::string_view prefix,
              const std::function<bool(std::string_view, std::string_view)>& visit) const override {
    const MemoryStore::Rows& rows = RowsOf(*families_, column_family);
    for (auto it = rows.lower_bound(prefix); it != rows.end() && it->first.starts_with(prefix); ++it) {
      if (!visit(it->first, it->second)) break;
    }
    return absl::OkStatus();
  }

 private:
  std::shared_ptr<const MemoryStore::Families> families_;
  std::mutex& mutex_;
};

}  // namespace

MemoryStore::MemoryStore(const std::vector<std::string>& column_families, DatabaseId database)
    : database_(database), families_(std::make_shared<Families>()) {
  for (const std::string& name : column_families) (*families_)[name];
}

Status MemoryStore::Write(const WriteBatch& batch) {
  std::lock_guard lock(mutex_);
  if (!failure_.ok()) return std::exchange(failure_, Unavailable("the store stopped after an earlier error"));
  // Snapshots come and go under this lock only, so a count of one stays one while the map changes.
  if (families_.use_count() > 1) families_ = std::make_shared<Families>(*families_);
  for (const WriteBatch::Operation& operation : batch.operations()) {
    const auto it = families_->find(operation.column_family);
    CLOISTER_CHECK(it != families_->end());
    if (operation.value.has_value()) {
      it->second.insert_or_assign(operation.key, *operation.value);
    } else {
      it->second.erase(operation.key);
    }
  }
  ++sequence_;
  return absl::OkStatus();
}

std::unique_ptr<Snapshot> MemoryStore::GetSnapshot() const {
  std::lock_guard lock(mutex_);
  return std::make_unique<MemorySnapshot>(families_, mutex_);
}

uint64_t MemoryStore::CommitSequence() const {
  std::lock_guard lock(mutex_);
  return sequence_;
}

void MemoryStore::FailWrites(Status error) {
  std::lock_guard lock(mutex_);
  failure_ = std::move(error);
}

}  // namespace cloister::storage
