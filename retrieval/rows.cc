// SPDX-License-Identifier: Apache-2.0
#include "retrieval/rows.h"

#include <map>
#include <set>

#include "common/bytes.h"
#include "common/log.h"
#include "crypto/random.h"
#include "storage/examination.h"
#include "storage/sealed_record.h"

namespace cloister::retrieval {
namespace {

constexpr uint8_t kEventFormat = 1;
constexpr std::string_view kOwnKeyName = "rows";

std::string SerialiseEvent(const Event& event) {
  ByteWriter out;
  out.U8(kEventFormat);
  out.String(event.name);
  out.String(event.actor);
  out.U32(static_cast<uint32_t>(event.fields.size()));
  for (const auto& [name, value] : event.fields) out.String(name), out.String(value);
  out.U32(static_cast<uint32_t>(event.subjects.size()));
  for (const std::string& subject : event.subjects) out.String(subject);
  out.String(event.user);
  out.String(event.user_details);
  return out.Take();
}

StatusOr<Event> ParseEvent(std::string_view bytes) {
  ByteReader in(bytes);
  if (const uint8_t format = in.U8(); !in.failed() && format != kEventFormat) {
    return FailedPrecondition("outbox row has format version " + std::to_string(format));
  }
  Event event;
  event.name = in.String();
  event.actor = in.String();
  event.fields.resize(in.Count(8));
  for (auto& [name, value] : event.fields) name = in.String(), value = in.String();
  event.subjects.resize(in.Count(4));
  for (std::string& subject : event.subjects) subject = in.String();
  event.user = in.String();
  event.user_details = in.String();
  CLOISTER_RETURN_IF_ERROR(in.Finish("outbox row"));
  return event;
}

}  // namespace

std::vector<std::string> ColumnFamilies() {
  std::vector<std::string> families;
  for (const std::string_view family :
       {kDocumentsFamily, kOriginalsFamily, kTextFamily, kChunksFamily, kVectorsFamily,
        kSentenceVectorsFamily, kClassesFamily, kCollectionsFamily, kUsersFamily, kOutboxFamily,
        kRetiredKeysFamily, kSuppressionsFamily, kHoldsFamily, kErasuresFamily, kKeptVersionsFamily, kSetAsideFamily}) {
    families.emplace_back(family);
  }
  return families;
}

bool IsUnreadable(const Status& status) {
  return status.code() == StatusCode::kDataLoss || status.code() == StatusCode::kNotFound ||
         status.code() == StatusCode::kFailedPrecondition || status.code() == StatusCode::kPermissionDenied;
}

StatusOr<std::unique_ptr<Rows>> Rows::Open(storage::KvStore& store, const DatabaseId& database,
                                           storage::KeySource& keys) {
  std::unique_ptr<Rows> rows(new Rows(store, database, keys));
  CLOISTER_ASSIGN_OR_RETURN(rows->own_key_, keys.GetNamedKey(storage::KeyKind::kStore, kOwnKeyName));
  const auto snapshot = store.GetSnapshot();
  CLOISTER_ASSIGN_OR_RETURN(const auto row_keys, rows->Keys(*snapshot, kOutboxFamily));
  for (const std::string& key : row_keys) {
    const auto bytes = rows->Get(*snapshot, kOutboxFamily, key);
    auto event = bytes.ok() ? ParseEvent(*bytes) : StatusOr<Event>(bytes.status());
    if (!event.ok() && !IsUnreadable(event.status())) return event.status();
    if (!event.ok()) {
      LogStatus(LogLevel::kError, "retrieval.outbox_unreadable", event.status());
      continue;
    }
    event->row_key = key;
    CLOISTER_ASSIGN_OR_RETURN(const std::string record, snapshot->Get(kOutboxFamily, key));
    CLOISTER_ASSIGN_OR_RETURN(event->sealed_under, storage::RecordKeyId(record));
    rows->pending_.push_back(*std::move(event));
  }
  return rows;
}

StatusOr<std::vector<std::string>> Rows::Keys(const storage::Snapshot& snapshot, std::string_view family,
                                              std::string_view prefix) const {
  std::vector<std::string> keys;
  CLOISTER_RETURN_IF_ERROR(snapshot.Scan(family, prefix, [&](std::string_view key, std::string_view) {
    keys.emplace_back(key);
    return true;
  }));
  return keys;
}

StatusOr<std::vector<std::string>> Rows::ReadableKeys(const storage::Snapshot& snapshot,
                                                      std::string_view family) const {
  std::vector<std::string> keys, unreadable;
  CLOISTER_RETURN_IF_ERROR(storage::ScanReadable(
      snapshot, family,
      [&](std::string_view key, std::string_view) {
        keys.emplace_back(key);
        return true;
      },
      unreadable));
  if (!unreadable.empty()) Log(LogLevel::kError, "retrieval.table_damaged");
  return keys;
}

Status Rows::PutOwn(storage::WriteBatch& batch, std::string_view family, std::string_view key,
                    std::string_view plaintext) {
  return sealed_.Put(batch, family, key, own_key_, plaintext);
}

Status Rows::Put(storage::WriteBatch& batch, std::string_view family, std::string_view key,
                 const storage::DataKey& data_key, std::string_view plaintext) {
  return sealed_.Put(batch, family, key, data_key, plaintext);
}

Status Rows::Commit(storage::WriteBatch batch, const std::vector<Event>& events,
                    const storage::DataKey* event_key) {
  std::vector<Event> added = events;
  size_t removed = 0;
  {
    std::lock_guard lock(outbox_mutex_);
    if (pending_.size() + added.size() > kEventsPendingMax) {
      return ResourceExhausted("too many changes wait for the audit log; bring the audit service back first");
    }
    for (const std::string& key : delivered_) batch.Delete(kOutboxFamily, key);
    removed = delivered_.size();
  }
  for (Event& event : added) {
    event.row_key = crypto::RandomBytes(kIdBytes);
    const storage::DataKey& key = event_key != nullptr ? *event_key : own_key_;
    event.sealed_under = key.id;
    CLOISTER_RETURN_IF_ERROR(Put(batch, kOutboxFamily, event.row_key, key, SerialiseEvent(event)));
  }
  CLOISTER_RETURN_IF_ERROR(store_.Write(batch));
  std::lock_guard lock(outbox_mutex_);
  // Commits go one at a time and deliveries only append, so the first `removed` keys are the ones deleted
  // above.
  delivered_.erase(delivered_.begin(), delivered_.begin() + static_cast<ptrdiff_t>(removed));
  for (Event& event : added) pending_.push_back(std::move(event));
  return absl::OkStatus();
}

StatusOr<KeyId> Rows::OwnKey() const {
  CLOISTER_ASSIGN_OR_RETURN(const storage::DataKey key, keys_.GetNamedKey(storage::KeyKind::kStore, kOwnKeyName));
  return key.id;
}

StatusOr<storage::Resealed> Rows::Reseal(const std::function<Status()>& go_on) {
  {
    std::lock_guard writing(write_mutex_);
    CLOISTER_ASSIGN_OR_RETURN(own_key_, keys_.GetNamedKey(storage::KeyKind::kStore, kOwnKeyName));
  }
  const auto change = [this](const std::function<StatusOr<storage::WriteBatch>()>& make) -> Status {
    std::lock_guard writing(write_mutex_);
    CLOISTER_ASSIGN_OR_RETURN(storage::WriteBatch batch, make());
    return CommitResealed(std::move(batch));
  };
  return storage::ResealRows({store_, database_, keys_, ColumnFamilies(), change, go_on});
}

Status Rows::CommitResealed(storage::WriteBatch batch) {
  std::map<std::string, KeyId> events;  // Under which key they wait from now on.
  for (const auto& operation : batch.operations()) {
    if (operation.column_family != kOutboxFamily || !operation.value) continue;
    CLOISTER_ASSIGN_OR_RETURN(events[operation.key], storage::RecordKeyId(*operation.value));
  }
  CLOISTER_RETURN_IF_ERROR(Commit(std::move(batch)));
  std::lock_guard lock(outbox_mutex_);
  for (Event& event : pending_) {
    if (const auto found = events.find(event.row_key); found != events.end()) event.sealed_under = found->second;
  }
  return absl::OkStatus();
}

Status Rows::DeliverEvents(const std::function<Status(const Event&)>& deliver) {
  std::lock_guard delivering(delivery_mutex_);
  for (;;) {
    Event event;
    {
      std::lock_guard lock(outbox_mutex_);
      if (pending_.empty()) return absl::OkStatus();
      event = pending_.front();
    }
    CLOISTER_RETURN_IF_ERROR(deliver(event));
    std::lock_guard lock(outbox_mutex_);
    delivered_.push_back(event.row_key);
    pending_.erase(pending_.begin());
  }
}

Status Rows::CheckDelivered(const std::vector<KeyId>& keys) const {
  const std::set<KeyId> wanted(keys.begin(), keys.end());
  std::lock_guard lock(outbox_mutex_);
  for (const Event& event : pending_) {
    if (!wanted.contains(event.sealed_under)) continue;
    return Unavailable("a change waits for the audit log, and its key is not destroyed before it has that; try again");
  }
  return absl::OkStatus();
}

size_t Rows::PendingEvents() const {
  std::lock_guard lock(outbox_mutex_);
  return pending_.size();
}

}  // namespace cloister::retrieval
