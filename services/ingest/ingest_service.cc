// SPDX-License-Identifier: Apache-2.0
#include "services/ingest/ingest_service.h"

#include <algorithm>

#include "common/log.h"
#include "crypto/random.h"
#include "services/server/maintenance.h"
#include "services/server/rpc_status.h"

namespace cloister::services {
namespace {

constexpr std::string_view kStopped = "the service stopped; run it again, unchanged files are skipped";

// Keeps failures [from, from + kFailuresPerAnswer).
void TrimFailures(uint32_t from, v1::Job& job) {
  auto* failures = job.mutable_failures();
  const int first = static_cast<int>(std::min<uint64_t>(from, static_cast<uint64_t>(failures->size())));
  failures->DeleteSubrange(0, first);
  if (failures->size() > kFailuresPerAnswer) {
    failures->DeleteSubrange(kFailuresPerAnswer, failures->size() - kFailuresPerAnswer);
  }
}

v1::Job WithoutFailures(v1::Job job) {
  job.clear_failures();
  return job;
}

}  // namespace

IngestService::IngestService(IngestOptions options, JobStore& store, IngestPeers& peers, const Clock& clock)
    : options_(std::move(options)), store_(store), peers_(peers), clock_(clock) {}

StatusOr<std::unique_ptr<IngestService>> IngestService::Open(IngestOptions options, JobStore& store,
                                                             IngestPeers& peers, const Clock& clock) {
  std::unique_ptr<IngestService> service(new IngestService(std::move(options), store, peers, clock));
  CLOISTER_RETURN_IF_ERROR(service->LoadJobs());
  service->thread_ = std::thread([raw = service.get()] { raw->RunJobs(); });
  return service;
}

IngestService::~IngestService() { Stop(); }

void IngestService::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const auto& job : live_) job->End();
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

Status IngestService::LoadJobs() {
  size_t unreadable = 0;
  CLOISTER_ASSIGN_OR_RETURN(std::vector<v1::Job> jobs, store_.List(unreadable));
  for (v1::Job& job : jobs) {
    if (job.state() == v1::JOB_STATE_RUNNING) {
      job.set_state(v1::JOB_STATE_FAILED);
      job.set_error(std::string(kStopped));
      job.set_ended_at_ns(NowNs());
      CLOISTER_RETURN_IF_ERROR(store_.Put(job));
    }
    ended_.push_back(std::move(job));
  }
  return Status();
}

int64_t IngestService::NowNs() const { return clock_.Now().time_since_epoch().count(); }

void IngestService::RunJobs() {
  while (true) {
    std::shared_ptr<LiveJob> live;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stopping_ || !live_.empty(); });
      if (live_.empty()) return;
      live = live_.front();
    }
    RunJob(*live);
    std::lock_guard lock(mutex_);
    live_.pop_front();
    ended_.push_back(WithoutFailures(live->Snapshot()));
    ForgetOldest();
  }
}

void IngestService::RunJob(LiveJob& live) {
  Log(LogLevel::kInfo, "ingest.job_started", {{"id", HexEncode(live.id())}});
  const Status status = live.halted() ? Error(StatusCode::kCancelled, "the job was stopped")
                                      : JobRun(options_, peers_, live).Run();
  Finish(live, status);
}

void IngestService::Finish(LiveJob& live, const Status& status) {
  live.Update([&](v1::Job& job) {
    job.set_ended_at_ns(NowNs());
    if (status.ok()) {
      job.set_state(v1::JOB_STATE_DONE);
    } else if (status.code() == StatusCode::kCancelled && live.cancelled()) {
      job.set_state(v1::JOB_STATE_CANCELLED);
    } else {
      job.set_state(v1::JOB_STATE_FAILED);
      job.set_error(status.code() == StatusCode::kCancelled ? std::string(kStopped) : MessageOf(status));
    }
  });
  const v1::Job job = live.Snapshot();
  // The job's result is in the documents; losing its record costs a listing.
  if (const Status put = store_.Put(job); !put.ok())
    LogStatus(LogLevel::kError, "ingest.job_not_recorded", put);
  Log(LogLevel::kInfo, "ingest.job_ended",
      {{"id", HexEncode(job.id())},
       {"state", v1::JobState_Name(job.state())},
       {"documents", static_cast<int64_t>(job.files_done())},
       {"chunks", static_cast<int64_t>(job.chunks())},
       {"bytes", static_cast<int64_t>(job.bytes())}});
}

void IngestService::ForgetOldest() {
  while (ended_.size() > kJobsKeptMax) {
    if (const Status status = store_.Delete(ended_.front().id()); !status.ok()) {
      LogStatus(LogLevel::kWarning, "ingest.job_not_forgotten", status);
    }
    ended_.pop_front();
  }
}

std::shared_ptr<LiveJob> IngestService::FindLive(const std::string& id) {
  std::lock_guard lock(mutex_);
  for (const auto& job : live_) {
    if (job->id() == id) return job;
  }
  return nullptr;
}

StatusOr<v1::Job> IngestService::AcceptJob(const v1::StartJobRequest& request) {
  // Opened to refuse a wrong folder at once; the run opens it again.
  CLOISTER_RETURN_IF_ERROR(ingest::Folder::Open(request.folder(), options_.data_directory).status());
  v1::Job job;
  job.set_id(crypto::RandomBytes(kIdBytes));
  job.set_state(v1::JOB_STATE_RUNNING);
  job.set_collection(request.collection());
  job.set_started_at_ns(NowNs());
  std::lock_guard lock(mutex_);
  if (stopping_) return Unavailable("the service is stopping");
  if (live_.size() >= kJobsWaitingMax)
    return ResourceExhausted("too many jobs are waiting; let one end first");
  CLOISTER_RETURN_IF_ERROR(store_.Put(job));
  live_.push_back(std::make_shared<LiveJob>(job, request));
  changed_.notify_all();
  return job;
}

StatusOr<v1::Job> IngestService::FindJob(const std::string& id) {
  if (id.size() != kIdBytes) return InvalidArgument("a job id has 16 bytes");
  if (const auto live = FindLive(id)) return live->Snapshot();
  auto job = store_.Get(id);
  if (job.status().code() == StatusCode::kNotFound) return NotFound("there is no such job");
  return job;
}

grpc::Status IngestService::StartJob(grpc::ServerContext*, const v1::StartJobRequest* request,
                                     v1::Job* response) {
  auto job = AcceptJob(*request);
  if (!job.ok()) return ToGrpc(job.status());
  *response = *std::move(job);
  return grpc::Status::OK;
}

grpc::Status IngestService::GetJob(grpc::ServerContext*, const v1::GetJobRequest* request,
                                   v1::Job* response) {
  auto job = FindJob(request->id());
  if (!job.ok()) return ToGrpc(job.status());
  TrimFailures(request->failures_from(), *job);
  *response = *std::move(job);
  return grpc::Status::OK;
}

grpc::Status IngestService::CancelJob(grpc::ServerContext*, const v1::CancelJobRequest* request,
                                      v1::Job* response) {
  if (const auto live = FindLive(request->id())) live->Cancel();
  auto job = FindJob(request->id());
  if (!job.ok()) return ToGrpc(job.status());
  *response = WithoutFailures(*std::move(job));
  return grpc::Status::OK;
}

grpc::Status IngestService::ListJobs(grpc::ServerContext*, const v1::ListJobsRequest*,
                                     v1::ListJobsResponse* response) {
  std::lock_guard lock(mutex_);
  for (auto job = live_.rbegin(); job != live_.rend(); ++job)
    *response->add_jobs() = WithoutFailures((*job)->Snapshot());
  for (auto job = ended_.rbegin(); job != ended_.rend(); ++job) *response->add_jobs() = *job;
  return grpc::Status::OK;
}

std::vector<MethodRule> IngestRules() {
  std::vector<MethodRule> rules = MaintenanceRules();
  for (const char* method : {"StartJob", "GetJob", "CancelJob", "ListJobs"}) {
    rules.push_back({std::string("/cloister.v1.Ingest/") + method, {"gateway"}});
  }
  return rules;
}

}  // namespace cloister::services
