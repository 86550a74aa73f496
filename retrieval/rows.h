// SPDX-License-Identifier: Apache-2.0
// Where retrieval's sealed rows live, and the outbox of events that audit has yet to acknowledge. Does not
// know what rows mean; see document_store.h and directory.h.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/id.h"
#include "common/status.h"
#include "storage/key_source.h"
#include "storage/kv_store.h"
#include "storage/resealing.h"
#include "storage/sealed_store.h"

namespace cloister::retrieval {

// Column families. Row keys in all of them are random ids, followed by a number for the parts of a version.
inline constexpr std::string_view kDocumentsFamily = "documents";
inline constexpr std::string_view kOriginalsFamily = "originals";
inline constexpr std::string_view kTextFamily = "text";
inline constexpr std::string_view kChunksFamily = "chunks";
inline constexpr std::string_view kVectorsFamily = "vectors";
inline constexpr std::string_view kSentenceVectorsFamily = "sentence-vectors";
inline constexpr std::string_view kClassesFamily = "classes";
inline constexpr std::string_view kCollectionsFamily = "collections";
inline constexpr std::string_view kUsersFamily = "users";
inline constexpr std::string_view kOutboxFamily = "outbox";
inline constexpr std::string_view kRetiredKeysFamily = "retired-keys";
inline constexpr std::string_view kSuppressionsFamily = "suppressions";
inline constexpr std::string_view kHoldsFamily = "holds";
inline constexpr std::string_view kErasuresFamily = "erasures";
inline constexpr std::string_view kKeptVersionsFamily = "kept-versions";
inline constexpr std::string_view kSetAsideFamily = "set-aside";
// Those with rows of one version, all sealed under its key. A version that is kept has its row in the last
// one in place of the first.
inline constexpr std::array<std::string_view, 7> kVersionFamilies = {
    kDocumentsFamily, kOriginalsFamily,       kTextFamily,        kChunksFamily,
    kVectorsFamily,   kSentenceVectorsFamily, kKeptVersionsFamily};
std::vector<std::string> ColumnFamilies();

// Something that audit must hear about: written in the batch of the change itself, delivered at least once.
struct Event {
  std::string row_key;  // 16 random bytes; the same at every delivery.
  std::string name;     // "document.ingested"
  std::string actor;    // Identity of the service that asked for the change.
  std::vector<std::pair<std::string, std::string>> fields;  // Ids and numbers; no content.
  std::vector<std::string> subjects;                        // Data subjects of the document.
  std::string user;          // Whose entry in the directory changed; empty: nobody's.
  std::string user_details;  // About that user, for the section that only an unsealing shows.
  KeyId sealed_under;        // While it waits; chosen by Commit.
};
constexpr size_t kEventsPendingMax = 10'000;  // More undelivered events refuse further changes.

// Thread-safe, save that changes go one at a time: hold write_mutex() from reading what a batch rests on
// until Commit returned. The store and the key source must outlive this.
class Rows {
 public:
  // Reads the outbox; a row of it that does not open is counted and left. Errors: kUnavailable.
  static StatusOr<std::unique_ptr<Rows>> Open(storage::KvStore& store, const DatabaseId& database,
                                              storage::KeySource& keys);

  std::mutex& write_mutex() { return write_mutex_; }
  std::unique_ptr<storage::Snapshot> GetSnapshot() const { return store_.GetSnapshot(); }
  uint64_t CommitSequence() const { return store_.CommitSequence(); }
  // The number Commit will give the next batch; stable while write_mutex() is held.
  uint64_t NextSequence() const { return store_.CommitSequence() + 1; }

  // Under the service's own key. Errors: kInvalidArgument (too large).
  Status PutOwn(storage::WriteBatch& batch, std::string_view family, std::string_view key,
                std::string_view plaintext);
  // Under a document's key.
  Status Put(storage::WriteBatch& batch, std::string_view family, std::string_view key,
             const storage::DataKey& data_key, std::string_view plaintext);
  // Events wait under `event_key` when it is given, so that what they say goes with that key.
  // Errors: as storage::KvStore::Write; kResourceExhausted (kEventsPendingMax).
  Status Commit(storage::WriteBatch batch, const std::vector<Event>& events = {},
                const storage::DataKey* event_key = nullptr);
  // OK when no event that waits is sealed under one of `keys`: they may be destroyed. Errors: kUnavailable.
  Status CheckDelivered(const std::vector<KeyId>& keys) const;

  // Errors: as storage::SealedStore::Get.
  StatusOr<std::string> Get(const storage::Snapshot& snapshot, std::string_view family,
                            std::string_view key) const {
    return sealed_.Get(snapshot, family, key);
  }
  // All row keys with `prefix`, in order.
  StatusOr<std::vector<std::string>> Keys(const storage::Snapshot& snapshot, std::string_view family,
                                          std::string_view prefix = "") const;
  // The same for rows that stand for themselves: where a table is damaged, those that can be read. What
  // cannot is logged, and is for an examination to tell. Errors: kUnavailable.
  StatusOr<std::vector<std::string>> ReadableKeys(const storage::Snapshot& snapshot,
                                                  std::string_view family) const;
  storage::KeySource& keys() const { return keys_; }
  const DatabaseId& database() const { return database_; }

  // The service's own key, which seals its rows. Errors: kUnavailable.
  StatusOr<KeyId> OwnKey() const;
  // After keys were replaced: new rows of the service's own are sealed under the key that holds now, and every row under a
  // replaced key is sealed anew, in batches that hold write_mutex() each. Errors: as storage::ResealRows.
  StatusOr<storage::Resealed> Reseal(const std::function<Status()>& go_on);

  // Calls `deliver` for each pending event in order until it fails; what was delivered leaves the outbox with
  // the next Commit. Errors: that of `deliver`.
  Status DeliverEvents(const std::function<Status(const Event&)>& deliver);
  size_t PendingEvents() const;

 private:
  Rows(storage::KvStore& store, const DatabaseId& database, storage::KeySource& keys)
      : store_(store), database_(database), keys_(keys), sealed_(database, keys) {}

  // As Commit, of rows that say what they said before.
  Status CommitResealed(storage::WriteBatch batch);

  storage::KvStore& store_;
  const DatabaseId database_;
  storage::KeySource& keys_;
  storage::SealedStore sealed_;
  storage::DataKey own_key_;
  std::mutex write_mutex_;
  std::mutex delivery_mutex_;  // One delivery at a time, so that order is kept.
  mutable std::mutex outbox_mutex_;
  std::vector<Event> pending_;
  std::vector<std::string> delivered_;  // Row keys to delete with the next batch.
};

// A row that cannot be read because it, its key or its format is bad, as opposed to a key service that is
// down.
bool IsUnreadable(const Status& status);

}  // namespace cloister::retrieval
