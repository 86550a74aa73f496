// SPDX-License-Identifier: Apache-2.0
#include "services/ingest/job_store.h"

#include <algorithm>

#include "common/bytes.h"
#include "common/log.h"
#include "storage/resealing.h"

namespace cloister::services {
namespace {

constexpr std::string_view kRowsKeyName = "rows";

constexpr uint8_t kFormat = 1;

// format1 | serialised cloister.v1.Job
std::string Encode(const v1::Job& job) {
  ByteWriter out;
  out.U8(kFormat);
  out.Raw(job.SerializeAsString());
  return out.Take();
}

StatusOr<v1::Job> Decode(std::string_view row) {
  if (row.empty()) return DataLoss("an ingest job is empty");
  if (static_cast<uint8_t>(row[0]) != kFormat) {
    return FailedPrecondition("an ingest job has format " + std::to_string(static_cast<uint8_t>(row[0])) +
                              ", which this version does not know");
  }
  v1::Job job;
  if (!job.ParseFromArray(row.data() + 1, static_cast<int>(row.size() - 1)))
    return DataLoss("an ingest job is malformed");
  return job;
}

}  // namespace

storage::StoreToExamine JobsToExamine() {
  const std::string family(kJobsFamily);
  return {"jobs",
          {{family}, {}, {}},
          {family},
          "what the job brought in is not concerned"};
}

StatusOr<std::unique_ptr<JobStore>> JobStore::Open(storage::KvStore& store, const DatabaseId& database,
                                                   storage::KeySource& keys) {
  CLOISTER_ASSIGN_OR_RETURN(storage::DataKey key, keys.GetNamedKey(storage::KeyKind::kStore, kRowsKeyName));
  return std::unique_ptr<JobStore>(new JobStore(store, database, keys, std::move(key)));
}

Status JobStore::Put(const v1::Job& job) {
  std::lock_guard writing(writing_);
  storage::WriteBatch batch;
  CLOISTER_RETURN_IF_ERROR(sealed_.Put(batch, kJobsFamily, job.id(), key_, Encode(job)));
  return store_.Write(batch);
}

StatusOr<KeyId> JobStore::RowKey() const {
  CLOISTER_ASSIGN_OR_RETURN(const storage::DataKey key, keys_.GetNamedKey(storage::KeyKind::kStore, kRowsKeyName));
  return key.id;
}

StatusOr<uint64_t> JobStore::Renew(const std::function<Status()>& go_on) {
  {
    std::lock_guard writing(writing_);
    CLOISTER_ASSIGN_OR_RETURN(key_, keys_.GetNamedKey(storage::KeyKind::kStore, kRowsKeyName));
  }
  const auto change = [this](const std::function<StatusOr<storage::WriteBatch>()>& make) -> Status {
    std::lock_guard writing(writing_);
    CLOISTER_ASSIGN_OR_RETURN(const storage::WriteBatch batch, make());
    return store_.Write(batch);
  };
  CLOISTER_ASSIGN_OR_RETURN(
      const storage::Resealed done,
      storage::ResealRows({store_, database_, keys_, {std::string(kJobsFamily)}, change, go_on}));
  return done.rows;
}

Status JobStore::Delete(std::string_view id) {
  std::lock_guard writing(writing_);
  storage::WriteBatch batch;
  batch.Delete(kJobsFamily, id);
  return store_.Write(batch);
}

StatusOr<v1::Job> JobStore::Get(std::string_view id) const {
  CLOISTER_ASSIGN_OR_RETURN(const std::string row, sealed_.Get(*store_.GetSnapshot(), kJobsFamily, id));
  return Decode(row);
}

StatusOr<std::vector<v1::Job>> JobStore::List(size_t& unreadable) const {
  const auto snapshot = store_.GetSnapshot();
  std::vector<std::string> ids;
  CLOISTER_RETURN_IF_ERROR(snapshot->Scan(kJobsFamily, "", [&](std::string_view key, std::string_view) {
    ids.emplace_back(key);
    return true;
  }));
  std::vector<v1::Job> jobs;
  unreadable = 0;
  for (const std::string& id : ids) {
    const auto row = sealed_.Get(*snapshot, kJobsFamily, id);
    auto job = row.ok() ? Decode(*row) : StatusOr<v1::Job>(row.status());
    if (!job.ok()) {
      if (job.status().code() == StatusCode::kUnavailable) return job.status();
      LogStatus(LogLevel::kWarning, "ingest.job_unreadable", job.status());
      ++unreadable;
      continue;
    }
    job->clear_failures();
    jobs.push_back(*std::move(job));
  }
  std::sort(jobs.begin(), jobs.end(),
            [](const v1::Job& a, const v1::Job& b) { return a.started_at_ns() < b.started_at_ns(); });
  return jobs;
}

}  // namespace cloister::services
