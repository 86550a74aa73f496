// SPDX-License-Identifier: Apache-2.0
#include "retrieval/retired_keys.h"

#include <algorithm>

#include "common/bytes.h"
#include "common/log.h"

namespace cloister::retrieval {
namespace {

constexpr uint8_t kFormat = 1;

StatusOr<int64_t> ParseRow(std::string_view bytes) {
  ByteReader in(bytes);
  if (const uint8_t format = in.U8(); !in.failed() && format != kFormat) {
    return FailedPrecondition("retired key row has format version " + std::to_string(format));
  }
  const auto since = static_cast<int64_t>(in.U64());
  CLOISTER_RETURN_IF_ERROR(in.Finish("retired key row"));
  return since;
}

}  // namespace

StatusOr<std::unique_ptr<RetiredKeys>> RetiredKeys::Open(Rows& rows, const Clock& clock) {
  std::unique_ptr<RetiredKeys> retired(new RetiredKeys(rows, clock));
  const auto snapshot = rows.GetSnapshot();
  CLOISTER_ASSIGN_OR_RETURN(const auto keys, rows.Keys(*snapshot, kRetiredKeysFamily));
  for (const std::string& key : keys) {
    CLOISTER_ASSIGN_OR_RETURN(const KeyId id, KeyId::FromBytes(key));
    const auto bytes = rows.Get(*snapshot, kRetiredKeysFamily, key);
    const auto since = bytes.ok() ? ParseRow(*bytes) : StatusOr<int64_t>(bytes.status());
    if (!since.ok() && !IsUnreadable(since.status())) return since.status();
    // The row's key says which one it is; only its age is lost with a damaged value.
    if (!since.ok()) LogStatus(LogLevel::kWarning, "retrieval.retired_key_row_unreadable", since.status());
    retired->waiting_.emplace(id, since.ok() ? *since : 0);
  }
  return retired;
}

Status RetiredKeys::Retire(storage::WriteBatch& batch, const std::vector<KeyId>& keys) {
  ByteWriter out;
  out.U8(kFormat);
  out.U64(static_cast<uint64_t>(clock_.Now().time_since_epoch().count()));
  for (const KeyId& key : keys) {
    CLOISTER_RETURN_IF_ERROR(rows_.PutOwn(batch, kRetiredKeysFamily, key.bytes(), out.bytes()));
  }
  return absl::OkStatus();
}

void RetiredKeys::Committed(const std::vector<KeyId>& keys) {
  const int64_t now = clock_.Now().time_since_epoch().count();
  std::lock_guard lock(mutex_);
  for (const KeyId& key : keys) waiting_.emplace(key, now);
}

std::vector<KeyId> RetiredKeys::Waiting() const {
  std::vector<std::pair<int64_t, KeyId>> byage;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [key, since] : waiting_) byage.emplace_back(since, key);
  }
  std::sort(byage.begin(), byage.end());
  std::vector<KeyId> keys;
  for (const auto& [since, key] : byage) keys.push_back(key);
  return keys;
}

size_t RetiredKeys::size() const {
  std::lock_guard lock(mutex_);
  return waiting_.size();
}

Status RetiredKeys::Destroyed(const std::vector<KeyId>& keys) {
  std::lock_guard writing(rows_.write_mutex());
  storage::WriteBatch batch;
  for (const KeyId& key : keys) batch.Delete(kRetiredKeysFamily, key.bytes());
  CLOISTER_RETURN_IF_ERROR(rows_.Commit(std::move(batch)));
  std::lock_guard lock(mutex_);
  for (const KeyId& key : keys) waiting_.erase(key);
  return absl::OkStatus();
}

}  // namespace cloister::retrieval
