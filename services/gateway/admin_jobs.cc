// SPDX-License-Identifier: Apache-2.0
// /admin/v1/jobs: bringing folders in.
#include <nlohmann/json.hpp>

#include "common/bytes.h"
#include "services/gateway/gateway.h"
#include "services/gateway/http_error.h"
#include "services/gateway/json_body.h"

namespace cloister::services {
namespace {

using nlohmann::json;

constexpr size_t kFolderBytesMax = 4096;

const char* StateName(v1::JobState state) {
  switch (state) {
    case v1::JOB_STATE_RUNNING: return "running";
    case v1::JOB_STATE_DONE: return "done";
    case v1::JOB_STATE_CANCELLED: return "cancelled";
    case v1::JOB_STATE_FAILED: return "failed";
    default: return "unknown";
  }
}

json TimeJson(int64_t time_ns) {
  return time_ns == 0 ? json(nullptr) : json(FormatTime(WallTime(std::chrono::nanoseconds(time_ns))));
}

json JobJson(const v1::Job& job) {
  json failures = json::array();
  for (const v1::FileFailure& failure : job.failures()) {
    failures.push_back({{"source", failure.source()}, {"reason", failure.reason()}});
  }
  return {{"id", HexEncode(job.id())},
          {"state", StateName(job.state())},
          {"collection", job.collection()},
          {"files_found", job.files_found()},
          {"files_done", job.files_done()},
          {"files_unchanged", job.files_unchanged()},
          {"files_failed", job.files_failed()},
          {"files_unsupported", job.files_unsupported()},
          {"files_deleted", job.files_deleted()},
          {"chunks", job.chunks()},
          {"bytes", job.bytes()},
          {"started_at", TimeJson(job.started_at_ns())},
          {"ended_at", TimeJson(job.ended_at_ns())},
          {"failures", std::move(failures)},
          {"error", job.error().empty() ? json(nullptr) : json(job.error())}};
}

StatusOr<std::string> JobId(const std::string& hex) {
  StatusOr<std::string> id = HexDecode(hex);
  if (!id.ok() || id->size() != kIdBytes) return NotFound("there is no such job");
  return id;
}

Status StartJob(const RouteCall& call) {
  CLOISTER_ASSIGN_OR_RETURN(const JsonBody body, JsonBody::Parse(call.request));
  CLOISTER_RETURN_IF_ERROR(body.OnlyKnown({"folder", "collection", "as", "prune"}));
  v1::StartJobRequest request;
  CLOISTER_ASSIGN_OR_RETURN(const std::string folder, body.RequiredString("folder"));
  if (folder[0] != '/' || folder.size() > kFolderBytesMax) {
    return FieldError("folder", "must be an absolute path on the appliance");
  }
  request.set_folder(folder);
  CLOISTER_ASSIGN_OR_RETURN(const std::string collection, body.RequiredString("collection"));
  CLOISTER_RETURN_IF_ERROR(CheckName("collection", collection));
  request.set_collection(collection);
  CLOISTER_ASSIGN_OR_RETURN(const std::optional<std::string> origin, body.OptionalString("as"));
  if (origin && origin->size() > kFolderBytesMax) {
    return FieldError("as", "must have at most " + std::to_string(kFolderBytesMax) + " bytes");
  }
  if (origin) request.set_origin(*origin);
  CLOISTER_ASSIGN_OR_RETURN(const bool prune, body.Bool("prune", false));
  request.set_prune(prune);
  request.set_requested_by(call.caller.user);
  v1::Job job;
  Peers::Call rpc(call.parts.peers, kQuickTimeout);
  CLOISTER_RETURN_IF_ERROR(FromPeer(call.parts.peers.ingest().StartJob(rpc.context(), request, &job), "ingest"));
  call.writer.Send(JsonResponse(JobJson(job), 202));
  return absl::OkStatus();
}

Status ListJobs(const RouteCall& call) {
  v1::ListJobsResponse response;
  Peers::Call rpc(call.parts.peers, kQuickTimeout);
  CLOISTER_RETURN_IF_ERROR(FromPeer(call.parts.peers.ingest().ListJobs(rpc.context(), {}, &response), "ingest"));
  json jobs = json::array();
  for (const v1::Job& job : response.jobs()) jobs.push_back(JobJson(job));
  call.writer.Send(JsonResponse({{"jobs", std::move(jobs)}}));
  return absl::OkStatus();
}

Status GetJob(const RouteCall& call, const std::string& hex) {
  v1::GetJobRequest request;
  CLOISTER_ASSIGN_OR_RETURN(const std::string id, JobId(hex));
  request.set_id(id);
  CLOISTER_ASSIGN_OR_RETURN(const uint64_t from, QueryNumber(call.request, "failures_from", 0, 1'000'000));
  request.set_failures_from(static_cast<uint32_t>(from));
  v1::Job job;
  Peers::Call rpc(call.parts.peers, kQuickTimeout);
  CLOISTER_RETURN_IF_ERROR(FromPeer(call.parts.peers.ingest().GetJob(rpc.context(), request, &job), "ingest"));
  call.writer.Send(JsonResponse(JobJson(job)));
  return absl::OkStatus();
}

Status CancelJob(const RouteCall& call, const std::string& hex) {
  v1::CancelJobRequest request;
  CLOISTER_ASSIGN_OR_RETURN(const std::string id, JobId(hex));
  request.set_id(id);
  v1::Job job;
  Peers::Call rpc(call.parts.peers, kQuickTimeout);
  CLOISTER_RETURN_IF_ERROR(FromPeer(call.parts.peers.ingest().CancelJob(rpc.context(), request, &job), "ingest"));
  call.writer.Send(JsonResponse(JobJson(job)));
  return absl::OkStatus();
}

}  // namespace

Status HandleAdminJobs(const RouteCall& call) {
  CLOISTER_RETURN_IF_ERROR(RequireRole(call.caller, {kRoleKnowledgeManager}));
  if (call.Is("POST", "/admin/v1/jobs")) return StartJob(call);
  if (call.Is("GET", "/admin/v1/jobs")) return ListJobs(call);
  if (call.Is("GET", "/admin/v1/jobs/*")) return GetJob(call, call.segments[3]);
  if (call.Is("POST", "/admin/v1/jobs/*/cancel")) return CancelJob(call, call.segments[3]);
  return NoRoute();
}

}  // namespace cloister::services
