// SPDX-License-Identifier: Apache-2.0
// The two calls that erasure makes: who was handed something, and whom the log forgets.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "common/log.h"
#include "services/audit/audit_service.h"
#include "services/audit/releases.h"
#include "services/server/rpc_status.h"

namespace cloister::services {
namespace {

using nlohmann::json;

// Entries that one step of a reading of the whole log asks for: whole bundles.
constexpr uint32_t kEntriesPerStep = 4 * audit::kTileWidth;

// One former log, from its beginning. What of it cannot be read is told in `report` and keeps nothing else
// from being found. Errors: kCancelled.
Status SearchFormer(FormerLog& former, const std::function<bool()>& cancelled, ReleaseFinder& finder,
                    v1::FormerLog& report) {
  report.set_generation(former.generation);
  report.set_origin(former.origin);
  report.set_problem(former.problem);
  if (!former.log) return absl::OkStatus();
  finder.Begin(former.generation);
  uint64_t lost = 0;
  std::string why;
  for (uint64_t at = 0; at < former.log->size();) {
    if (cancelled()) return Error(StatusCode::kCancelled, "the caller went away");
    const auto entries = former.log->Read(at, kEntriesPerStep);
    if (!entries.ok()) {
      if (why.empty()) why = MessageOf(entries.status());
      const uint64_t next = std::min(former.log->size(), (at / audit::kTileWidth + 1) * audit::kTileWidth);
      lost += next - at;
      at = next;
      finder.Begin(former.generation);
      continue;
    }
    for (const std::string& entry : *entries) {
      const Status taken = finder.Take(entry);
      if (!taken.ok() && why.empty()) why = MessageOf(taken);
    }
    at += entries->size();
  }
  report.set_entries(former.log->size() - lost);
  if (why.empty()) return absl::OkStatus();
  const std::string unread = lost == 0 ? "holds a record that cannot be read: " + why
                                       : std::to_string(lost) + " of its entries cannot be read: " + why;
  report.set_problem(former.problem.empty() ? unread : former.problem + "; " + unread);
  return absl::OkStatus();
}

}  // namespace

// The order makes a crash after any step harmless. A mark says durably whom it concerns; then the keys go,
// which is the erasure; rows and marks go last, because they name the keys. What a crash leaves over is
// finished at the next start, or by the next call.
Status AuditService::ForgetPeople(const v1::ForgetRequest& request, v1::ForgetResponse& response) {
  if (request.people_size() > kForgottenPerCallMax) {
    return InvalidArgument("at most " + std::to_string(kForgottenPerCallMax) +
                           " people, subjects and documents are forgotten in one call; make several");
  }
  std::set<PersonName> names;
  std::vector<std::string> documents;
  for (const v1::PersonReference& person : request.people()) {
    CLOISTER_ASSIGN_OR_RETURN(const auto kind, ParsePersonKind(person.kind()));
    names.insert({kind, person.name()});
    if (kind == PersonName::Kind::kDocument) documents.push_back(person.name());
  }
  std::lock_guard forgetting(forgetting_);
  // First, so that no record under way seals anything about them that would stay.
  CLOISTER_RETURN_IF_ERROR(gone_documents_.Add(documents));
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<Person> people, people_.BeginForgetting(names));
  std::set<PersonName> forgotten;  // One name may stand for two, when an earlier call was interrupted.
  for (const Person& person : people) {
    if (names.contains(person.name)) forgotten.insert(person.name);
  }
  CLOISTER_RETURN_IF_ERROR(FinishForgetting(people, response));
  response.set_forgotten(forgotten.size());
  return absl::OkStatus();
}

Status AuditService::FinishForgetting(const std::vector<Person>& people, v1::ForgetResponse& response) {
  // Sections reach the store with the checkpoint that covers their record; only then are all of them counted.
  const Status settled = log_->WaitForCheckpoint(log_->State().size, kCheckpointWait);
  if (settled.code() == StatusCode::kDeadlineExceeded) {
    return Unavailable("the audit log is too busy to forget somebody now; call again");
  }
  CLOISTER_RETURN_IF_ERROR(settled);
  std::vector<KeyId> ids;
  for (const Person& person : people) ids.push_back(person.key_id);
  CLOISTER_ASSIGN_OR_RETURN(const storage::Destruction destruction, keys_.DestroyKeys(ids, storage::DestroyFor::kErasure));
  ids.insert(ids.end(), destruction.along.begin(), destruction.along.end());  // Of a rotation that is not through yet.
  CLOISTER_ASSIGN_OR_RETURN(const uint64_t closed, sections_.ClearForgotten({ids.begin(), ids.end()}));
  CLOISTER_RETURN_IF_ERROR(people_.EndForgetting(people));
  response.set_sections_closed(closed);
  response.set_epoch(destruction.epoch);
  response.set_keyring_generation(destruction.generation);
  return absl::OkStatus();
}

void AuditService::FinishInterruptedForgetting() {
  std::lock_guard forgetting(forgetting_);
  const auto people = people_.BeginForgetting({});
  if (people.ok() && people->empty()) return;
  v1::ForgetResponse ignored;
  const Status finished = people.ok() ? FinishForgetting(*people, ignored) : people.status();
  if (!finished.ok()) LogStatus(LogLevel::kWarning, "audit.forgetting_unfinished", finished);
}

Status AuditService::FindReleased(const v1::FindReleasesRequest& request, v1::FindReleasesResponse& response,
                                  const std::function<bool()>& cancelled) {
  if (request.requested_by().empty()) return InvalidArgument("requested_by must name the person who asks");
  CLOISTER_ASSIGN_OR_RETURN(ReleaseFinder finder, ReleaseFinder::New(request));
  CLOISTER_ASSIGN_OR_RETURN(std::vector<FormerLog> formers, FormerLogsHere());
  const uint64_t size = log_->State().size;
  json body = {{"first", "0"}, {"count", size}, {"documents", request.documents_size()}};
  for (const FormerLog& former : formers) {
    if (former.log) body["generations"].push_back(former.generation);
  }
  CLOISTER_RETURN_IF_ERROR(RecordOwn("audit.queried", body.dump(), request.requested_by(), "").status());
  std::vector<v1::FormerLog> reports(formers.size());
  for (size_t i = 0; i < formers.size(); ++i) {
    CLOISTER_RETURN_IF_ERROR(SearchFormer(formers[i], cancelled, finder, reports[i]));
  }
  finder.Begin(generation_.number);
  for (uint64_t at = 0; at < size;) {
    if (cancelled()) return Error(StatusCode::kCancelled, "the caller went away");
    CLOISTER_ASSIGN_OR_RETURN(const auto entries, log_->Read(at, kEntriesPerStep));
    if (entries.empty()) return DataLoss("audit log: an entry cannot be read");
    for (const std::string& entry : entries) CLOISTER_RETURN_IF_ERROR(finder.Take(entry));
    at += entries.size();
  }
  response = finder.Result();
  response.set_generation(generation_.number);
  response.mutable_former_logs()->Assign(reports.begin(), reports.end());
  for (v1::FoundRelease& release : *response.mutable_releases()) {
    const auto pseudonym = Pseudonym::FromHex(release.pseudonym());
    const auto person = pseudonym.ok() ? people_.Find(*pseudonym) : NotFound("not a person");
    if (person.ok()) release.set_user(person->name.name);
  }
  return absl::OkStatus();
}

grpc::Status AuditService::Forget(grpc::ServerContext*, const v1::ForgetRequest* request,
                                  v1::ForgetResponse* response) {
  return ToGrpc(ForgetPeople(*request, *response));
}

grpc::Status AuditService::FindReleases(grpc::ServerContext* context, const v1::FindReleasesRequest* request,
                                        v1::FindReleasesResponse* response) {
  return ToGrpc(FindReleased(*request, *response, [&] { return context->IsCancelled(); }));
}

}  // namespace cloister::services
