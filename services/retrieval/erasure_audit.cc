// SPDX-License-Identifier: Apache-2.0
#include "services/retrieval/erasure_audit.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "common/bytes.h"
#include "common/log.h"
#include "services/retrieval/audit_records.h"
#include "services/server/rpc_client.h"
#include "services/server/rpc_status.h"

namespace cloister::services {
namespace {

using nlohmann::json;

constexpr size_t kDocumentsPerCall = 50'000;

json Documents(const retrieval::ErasureRecord& record) {
  json ids = json::array();
  for (const DocumentId& document : record.documents) {
    if (ids.size() == kDocumentsInRecordMax) break;
    ids.push_back(document.hex());
  }
  return ids;
}

json Common(const retrieval::ErasureRecord& record) {
  return {{"erasure", record.id.hex()},
          {"target", std::string(NameOf(record.kind))},
          {"basis", record.basis},
          {"documents", Documents(record)},
          {"documents_total", record.documents.size()},
          {"documents_kept", record.kept}};
}

v1::AppendRequest Request(std::string_view event, const json& body) {
  v1::AppendRequest request;
  request.set_event(std::string(event));
  request.set_body_json(body.dump());
  return request;
}

void AddSection(v1::AppendRequest& request, const std::string& user, const json& content) {
  v1::SectionInput* section = request.add_sections();
  section->set_subject_kind("user");
  section->set_subject(user);
  section->set_content_json(content.dump());
}

Status NotRecorded(const Status& status) {
  LogStatus(LogLevel::kError, "retrieval.erasure_not_recorded", status);
  return Unavailable("the audit log did not acknowledge the record of this step; it is tried again");
}

StatusOr<uint64_t> Appended(const StatusOr<uint64_t>& index) {
  return index.ok() ? index : StatusOr<uint64_t>(NotRecorded(index.status()));
}

}  // namespace

v1::AppendRequest ErasureRequestedToAudit(const retrieval::ErasureRecord& record, std::string_view reason) {
  v1::AppendRequest request = Request("erasure.requested", Common(record));
  request.set_actor_kind("user");
  request.set_actor(record.requested_by);
  if (!record.subject.empty()) request.add_subjects(record.subject);
  AddSection(request, record.requested_by, {{"reason", reason}, {"requested_by", record.requested_by}});
  return request;
}

// The subject is not named any more: its key is destroyed, and naming it would make a new one.
v1::AppendRequest ErasureCompletedToAudit(const retrieval::ErasureRecord& record) {
  json body = Common(record);
  json classes = json::array();
  for (const retrieval::ErasedClass& erased : record.classes) {
    classes.push_back(
        {{"name", erased.name}, {"how", erased.how}, {"count", erased.count}, {"verified", erased.verified}});
  }
  body["classes"] = std::move(classes);
  body["outside"] = record.outside;
  body["anchor"] = {{"kind", record.anchor}, {"for_good", record.for_good ? 1 : 0}};
  body["keyring"] = {{"epoch", record.epoch}, {"generation", record.keyring_generation}, {"escrow", record.escrow}};
  body["releases"] = record.releases;
  body["recipients"] = record.recipients;
  body["requested_in"] = record.audit_requested;
  body["unsearchable_after_ns"] = record.unsearchable_at_ns - record.requested_at_ns;
  body["completed_after_ns"] = record.completed_at_ns - record.requested_at_ns;
  v1::AppendRequest request = Request("erasure.completed", body);
  request.set_actor_kind("service");
  request.set_actor("retrieval");
  return request;
}

StatusOr<uint64_t> ServiceErasureAudit::RecordRequested(const retrieval::ErasureRecord& record,
                                                        std::string_view reason) {
  return Appended(audit_.Append(ErasureRequestedToAudit(record, reason)));
}

StatusOr<uint64_t> ServiceErasureAudit::RecordCompleted(const retrieval::ErasureRecord& record) {
  return Appended(audit_.Append(ErasureCompletedToAudit(record)));
}

StatusOr<uint64_t> ServiceErasureAudit::RecordNotice(const retrieval::ErasureRecord& record,
                                                     std::string_view recipient, std::string_view how,
                                                     std::string_view by) {
  v1::AppendRequest request = Request("recipient.notified", {{"erasure", record.id.hex()}});
  request.set_actor_kind("user");
  request.set_actor(std::string(by));
  AddSection(request, std::string(recipient), {{"recipient", recipient}, {"how", how}, {"recorded_by", by}});
  return Appended(audit_.Append(request));
}

Status ServiceErasureAudit::DeliverEvents() { return DeliverOutbox(rows_, audit_); }

StatusOr<retrieval::ErasureAudit::Forgotten> ServiceErasureAudit::Forget(const std::vector<DocumentId>& documents,
                                                                         const std::string& subject) {
  std::vector<v1::PersonReference> people;
  if (!subject.empty()) {
    people.emplace_back().set_kind("subject");
    people.back().set_name(subject);
  }
  for (const DocumentId& document : documents) {
    people.emplace_back().set_kind("document");
    people.back().set_name(document.hex());
  }
  Forgotten forgotten;
  // At least one call, so that what an interrupted one left is finished.
  for (size_t first = 0; first == 0 || first < people.size(); first += kDocumentsPerCall) {
    v1::ForgetRequest request;
    for (size_t i = first; i < std::min(first + kDocumentsPerCall, people.size()); ++i) {
      *request.add_people() = people[i];
    }
    grpc::ClientContext context;
    SetDeadline(context, kForgetTimeout);
    v1::ForgetResponse response;
    CLOISTER_RETURN_IF_ERROR(FromGrpc(stub_->Forget(&context, request, &response)));
    forgotten.people += response.forgotten();
    forgotten.sections += response.sections_closed();
  }
  return forgotten;
}

StatusOr<retrieval::ErasureAudit::Releases> ServiceErasureAudit::CountReleases(
    const std::vector<DocumentId>& documents) {
  if (documents.empty()) return Releases{};
  Releases releases;
  std::set<uint32_t> unread;
  for (size_t first = 0; first < documents.size(); first += kDocumentsPerCall) {
    v1::FindReleasesRequest request;
    for (size_t i = first; i < std::min(first + kDocumentsPerCall, documents.size()); ++i) {
      request.add_documents(std::string(documents[i].bytes()));
    }
    request.set_releases_max(1);
    request.set_requested_by("retrieval");
    grpc::ClientContext context;
    SetDeadline(context, kFindReleasesTimeout);
    v1::FindReleasesResponse response;
    CLOISTER_RETURN_IF_ERROR(FromGrpc(stub_->FindReleases(&context, request, &response)));
    // A release or a person that two calls found counts twice; more than one call needs 50,000 documents.
    releases.releases += response.total();
    releases.recipients += response.recipients();
    for (const v1::FormerLog& former : response.former_logs()) {
      if (!former.problem().empty()) unread.insert(former.generation());
    }
  }
  // Which part is missing is for `cloister answers affected` and `cloister doctor` to say.
  for (const uint32_t generation : unread) {
    releases.not_counted.push_back("The audit log of generation " + std::to_string(generation) +
                                   " could not be read whole: what was handed out then may not be counted.");
  }
  return releases;
}

}  // namespace cloister::services
