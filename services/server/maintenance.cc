// SPDX-License-Identifier: Apache-2.0
#include "services/server/maintenance.h"

#include <system_error>
#include <utility>

#include "common/file.h"
#include "services/server/rpc_status.h"

namespace cloister::services {
namespace {

StatusOr<std::string> FolderName(std::string_view id) {
  if (id.size() != kIdBytes) return InvalidArgument("the id of a backup has 16 bytes");
  return HexEncode(id);
}

template <class Message>
grpc::Status Answer(StatusOr<Message> made, Message& response) {
  if (!made.ok()) return ToGrpc(made.status());
  response = *std::move(made);
  return grpc::Status::OK;
}

}  // namespace

StatusOr<std::unique_ptr<MaintenanceService>> MaintenanceService::New(MaintenanceParts parts) {
  std::unique_ptr<MaintenanceService> service(new MaintenanceService(std::move(parts)));
  CLOISTER_RETURN_IF_ERROR(service->RemoveAll());
  return service;
}

Status MaintenanceService::RemoveAll() const {
  std::error_code error;
  std::filesystem::remove_all(Root(), error);
  return error ? ErrnoStatus(error.value(), "removing copies made for an earlier backup") : absl::OkStatus();
}

// A copy keeps tables on the disk that the database has long left behind, so at most one is kept.
StatusOr<v1::CheckpointResponse> MaintenanceService::Make(std::string_view id) {
  CLOISTER_ASSIGN_OR_RETURN(const std::string name, FolderName(id));
  std::lock_guard lock(mutex_);
  CLOISTER_RETURN_IF_ERROR(RemoveAll());
  const std::filesystem::path folder = Root() / name;
  CLOISTER_RETURN_IF_ERROR(Annotate(MakePrivateDirectory(folder), "folder for the copies"));
  auto made = Fill(folder);
  if (!made.ok()) RemoveAll().IgnoreError();  // The next one removes it, too.
  return made;
}

StatusOr<v1::CheckpointResponse> MaintenanceService::Fill(const std::filesystem::path& folder) const {
  v1::CheckpointResponse response;
  // The log first: what it refers to is then in the databases.
  if (parts_.log) {
    CLOISTER_ASSIGN_OR_RETURN(*response.mutable_log(), parts_.log(folder));
  }
  for (const auto& [name, store] : parts_.stores) {
    CLOISTER_ASSIGN_OR_RETURN(const uint64_t sequence, store.copy(folder / name));
    v1::StoreCheckpoint* made = response.add_stores();
    made->set_name(name);
    made->set_database_id(std::string(store.database.bytes()));
    made->set_commit_sequence(sequence);
  }
  return response;
}

Status MaintenanceService::Drop(std::string_view id) {
  CLOISTER_ASSIGN_OR_RETURN(const std::string name, FolderName(id));
  std::lock_guard lock(mutex_);
  std::error_code error;
  std::filesystem::remove_all(Root() / name, error);
  return error ? ErrnoStatus(error.value(), "removing the copies made for a backup") : absl::OkStatus();
}

grpc::Status MaintenanceService::Checkpoint(grpc::ServerContext*, const v1::CheckpointRequest* request,
                                            v1::CheckpointResponse* response) {
  return Answer(Make(request->id()), *response);
}

grpc::Status MaintenanceService::DropCheckpoint(grpc::ServerContext*,
                                                const v1::DropCheckpointRequest* request,
                                                v1::DropCheckpointResponse*) {
  return ToGrpc(Drop(request->id()));
}

v1::Examination ToMessage(const storage::Examination& found) {
  v1::Examination out;
  for (const storage::ExaminedPart& part : found.parts()) {
    v1::ExaminedPart* examined = out.add_parts();
    examined->set_name(part.name);
    examined->set_checked(part.checked);
    examined->set_bytes(part.bytes);
  }
  for (const storage::Finding& finding : found.findings()) {
    v1::Finding* told = out.add_findings();
    told->set_part(finding.part);
    told->set_where(finding.where);
    told->set_problem(finding.problem);
    told->set_remedy(finding.remedy);
    told->set_done(finding.done);
  }
  out.set_findings_total(found.findings_total());
  return out;
}

StatusOr<v1::Examination> MaintenanceService::ExamineNow(bool repair, std::function<bool()> cancelled) {
  if (!parts_.examine) return Error(StatusCode::kUnimplemented, "this service examines nothing");
  const std::unique_lock lock(examining_, std::try_to_lock);
  if (!lock.owns_lock()) return ResourceExhausted("another examination is under way; wait for it to end");
  storage::ExaminationOptions options;
  options.repair = repair;
  options.cancelled = [this, cancelled = std::move(cancelled)] {
    return stopping_ || (cancelled && cancelled());
  };
  storage::Examination found;
  CLOISTER_RETURN_IF_ERROR(parts_.examine(options, found));
  return ToMessage(found);
}

grpc::Status MaintenanceService::Examine(grpc::ServerContext* context, const v1::ExamineRequest* request,
                                         v1::Examination* response) {
  return Answer(ExamineNow(request->repair(), [context] { return context->IsCancelled(); }), *response);
}

void MaintenanceService::Stop() {
  stopping_ = true;
  if (parts_.rotation != nullptr) parts_.rotation->Stop();
}

StatusOr<v1::KeyRotationState> MaintenanceService::KeyRotationNow() const {
  if (parts_.rotation == nullptr) return Error(StatusCode::kUnimplemented, "this service's keys are not rotated");
  const KeyRotation::State state = parts_.rotation->GetState();
  v1::KeyRotationState out;
  for (const std::string& level : parts_.rotation->levels()) out.add_levels_known(level);
  for (const std::string& level : state.levels) out.add_levels(level);
  out.set_running(state.running);
  out.set_replaced(state.replaced);
  out.set_renewed(state.renewed);
  if (state.finished_at) out.set_finished_ns(state.finished_at->time_since_epoch().count());
  out.set_problem(state.problem);
  return out;
}

StatusOr<v1::KeyRotationState> MaintenanceService::RotateKeysNow(const std::vector<std::string>& levels) {
  if (parts_.rotation != nullptr) CLOISTER_RETURN_IF_ERROR(parts_.rotation->Start(levels));
  return KeyRotationNow();
}

StatusOr<v1::EndFormerKeysResponse> MaintenanceService::EndFormerKeysNow() {
  if (parts_.rotation == nullptr) return Error(StatusCode::kUnimplemented, "this service's keys are not rotated");
  CLOISTER_ASSIGN_OR_RETURN(const KeyRotation::Ended ended, parts_.rotation->EndFormerKeys());
  v1::EndFormerKeysResponse out;
  out.set_renewed(ended.renewed);
  out.set_destroyed(ended.destruction.destroyed);
  out.set_epoch(ended.destruction.epoch);
  out.set_escrow(ended.destruction.escrow);
  out.set_for_good(ended.destruction.for_good);
  return out;
}

grpc::Status MaintenanceService::RotateKeys(grpc::ServerContext*, const v1::RotateKeysRequest* request,
                                            v1::KeyRotationState* response) {
  return Answer(RotateKeysNow({request->levels().begin(), request->levels().end()}), *response);
}

grpc::Status MaintenanceService::GetKeyRotation(grpc::ServerContext*, const v1::GetKeyRotationRequest*,
                                                v1::KeyRotationState* response) {
  return Answer(KeyRotationNow(), *response);
}

grpc::Status MaintenanceService::EndFormerKeys(grpc::ServerContext*, const v1::EndFormerKeysRequest*,
                                               v1::EndFormerKeysResponse* response) {
  return Answer(EndFormerKeysNow(), *response);
}

std::vector<MethodRule> MaintenanceRules() {
  std::vector<MethodRule> rules;
  for (const char* method :
       {"Checkpoint", "DropCheckpoint", "Examine", "RotateKeys", "GetKeyRotation", "EndFormerKeys"}) {
    rules.push_back({std::string("/cloister.v1.Maintenance/") + method, {"gateway"}});
  }
  return rules;
}

}  // namespace cloister::services
