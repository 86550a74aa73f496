// SPDX-License-Identifier: Apache-2.0
// Ingest jobs at rest: one sealed row per job. Does not run jobs. Thread-safe; writes block on fsync.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "cloister/v1/ingest.pb.h"
#include "common/status.h"
#include "storage/examination.h"
#include "storage/key_source.h"
#include "storage/sealed_store.h"

namespace cloister::services {

constexpr std::string_view kJobsFamily = "jobs";
constexpr size_t kJobsKeptMax = 1'000;  // Older ones are forgotten.

// For storage::ExamineStore: jobs are history, and a damaged one is removed.
storage::StoreToExamine JobsToExamine();

class JobStore {
 public:
  // `store` and `keys` must outlive this; `store` has the column family kJobsFamily and the id `database`.
  // Errors: kUnavailable (keys).
  static StatusOr<std::unique_ptr<JobStore>> Open(storage::KvStore& store, const DatabaseId& database,
                                                  storage::KeySource& keys);

  // Errors: kResourceExhausted (disk full), kUnavailable.
  Status Put(const v1::Job& job);
  Status Delete(std::string_view id);
  // Errors: kNotFound, kDataLoss, kFailedPrecondition (written by another version), kUnavailable.
  StatusOr<v1::Job> Get(std::string_view id) const;
  // All jobs without their failures, oldest first. A row that does not open is left out and counted in
  // `unreadable`.
  StatusOr<std::vector<v1::Job>> List(size_t& unreadable) const;

  // Replacing keys (see services/server/key_rotation.h). The key of the rows; then, after it was replaced, what is under the
  // former one sealed anew, while jobs go on; returns how many rows. Errors: as storage::ResealRows.
  StatusOr<KeyId> RowKey() const;
  StatusOr<uint64_t> Renew(const std::function<Status()>& go_on);

 private:
  JobStore(storage::KvStore& store, const DatabaseId& database, storage::KeySource& keys,
           storage::DataKey key)
      : store_(store), database_(database), keys_(keys), sealed_(database, keys), key_(std::move(key)) {}
  storage::KvStore& store_;
  const DatabaseId database_;
  storage::KeySource& keys_;
  storage::SealedStore sealed_;
  std::mutex writing_;  // Held for each change of rows.
  storage::DataKey key_;  // Guarded by writing_.
};

}  // namespace cloister::services
