// SPDX-License-Identifier: Apache-2.0
// cloister.v1.Ingest: takes jobs, runs them one after the other, remembers them. Does not parse; see job_run.h.
// Thread-safe.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "cloister/v1/ingest.grpc.pb.h"
#include "common/clock.h"
#include "services/ingest/job_run.h"
#include "services/ingest/job_store.h"
#include "services/server/rpc_server.h"

namespace cloister::services {

constexpr size_t kJobsWaitingMax = 16;  // Jobs accepted and not ended; more get RESOURCE_EXHAUSTED.

class IngestService final : public v1::Ingest::Service {
 public:
  // Marks jobs that were running when the process ended as failed. `store`, `clock` and `peers` must outlive this.
  // Errors: those of JobStore.
  static StatusOr<std::unique_ptr<IngestService>> Open(IngestOptions options, JobStore& store, IngestPeers& peers,
                                                       const Clock& clock);
  ~IngestService() override;
  // Ends the running job and those waiting; they can be run again. Returns within the time of one RPC.
  void Stop();

  // INVALID_ARGUMENT (relative folder, or inside the data directory), NOT_FOUND, PERMISSION_DENIED or
  // FAILED_PRECONDITION (the folder), RESOURCE_EXHAUSTED (too many jobs).
  grpc::Status StartJob(grpc::ServerContext*, const v1::StartJobRequest* request, v1::Job* response) override;
  // NOT_FOUND.
  grpc::Status GetJob(grpc::ServerContext*, const v1::GetJobRequest* request, v1::Job* response) override;
  // Asks the job to end and returns its state, which may still be running. NOT_FOUND.
  grpc::Status CancelJob(grpc::ServerContext*, const v1::CancelJobRequest* request, v1::Job* response) override;
  // Without failures, newest first.
  grpc::Status ListJobs(grpc::ServerContext*, const v1::ListJobsRequest*, v1::ListJobsResponse* response) override;

 private:
  IngestService(IngestOptions options, JobStore& store, IngestPeers& peers, const Clock& clock);
  Status LoadJobs();
  void RunJobs();
  void RunJob(LiveJob& live);
  void Finish(LiveJob& live, const Status& status);
  void ForgetOldest();
  std::shared_ptr<LiveJob> FindLive(const std::string& id);
  StatusOr<v1::Job> AcceptJob(const v1::StartJobRequest& request);
  StatusOr<v1::Job> FindJob(const std::string& id);
  int64_t NowNs() const;

  const IngestOptions options_;
  JobStore& store_;
  IngestPeers& peers_;
  const Clock& clock_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<LiveJob>> live_;  // The first one runs.
  std::deque<v1::Job> ended_;                  // Without failures, oldest first.
  bool stopping_ = false;
  std::thread thread_;
};

// Every method, for gateway.
std::vector<MethodRule> IngestRules();

}  // namespace cloister::services
