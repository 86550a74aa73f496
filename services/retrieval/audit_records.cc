// SPDX-License-Identifier: Apache-2.0
#include "services/retrieval/audit_records.h"

#include <nlohmann/json.hpp>

#include "common/log.h"

namespace cloister::services {

v1::AppendRequest ReleaseToAudit(const retrieval::ReleaseRecord& record) {
  nlohmann::json passages = nlohmann::json::array();
  for (const retrieval::ReleasedPassage& passage : record.passages) {
    passages.push_back({{"handle", passage.handle.hex()},
                        {"chunk", passage.chunk.hex()},
                        {"document", passage.document.hex()},
                        {"version", passage.version.hex()},
                        {"class", passage.access_class.hex()},
                        {"policy", passage.policy}});
  }
  nlohmann::json obligations = {{"redact", record.obligations.redact},
                                {"watermark", record.obligations.watermark ? 1 : 0}};
  if (record.obligations.passages_max) obligations["passages_max"] = *record.obligations.passages_max;
  nlohmann::json body = {{"search", record.search.hex()},
                         {"passages", std::move(passages)},
                         {"withheld", record.withheld},
                         {"obligations", std::move(obligations)},
                         {"policy_version", record.policy_version},
                         {"commit_sequence", record.commit_sequence},
                         {"place", {{"node_region", record.node_region}, {"zone", record.principal.zone}}},
                         {"purpose", {{"system", "HL7-v3-PurposeOfUse"}, {"code", record.principal.purpose}}},
                         {"client_application", record.principal.client_application},
                         {"authentication_method", record.principal.authentication_method},
                         {"roles", record.principal.roles}};
  if (!record.ask_id.empty()) body["ask"] = HexEncode(record.ask_id);
  v1::AppendRequest request;
  request.set_event(record.ask_id.empty() ? "search.release" : "ask.release");
  request.set_body_json(body.dump());
  request.set_actor_kind("user");
  request.set_actor(record.principal.user);
  for (const std::string& subject : record.subjects) request.add_subjects(subject);
  return request;
}

v1::AppendRequest EventToAudit(const retrieval::Event& event) {
  nlohmann::json body = {{"event_id", HexEncode(event.row_key)}};  // The same when it is delivered twice.
  for (const auto& [name, value] : event.fields) body[name] = value;
  v1::AppendRequest request;
  request.set_event(event.name);
  request.set_body_json(body.dump());
  request.set_actor_kind("service");
  request.set_actor(event.actor);
  for (const std::string& subject : event.subjects) request.add_subjects(subject);
  if (!event.user.empty()) {
    v1::SectionInput* section = request.add_sections();
    section->set_subject_kind("user");
    section->set_subject(event.user);
    section->set_content_json(nlohmann::json{{"user", event.user}, {"details", event.user_details}}.dump());
  }
  return request;
}

StatusOr<uint64_t> AuditReleaseRecorder::Record(const retrieval::ReleaseRecord& record) {
  auto index = audit_.Append(ReleaseToAudit(record));
  if (index.ok()) return index;
  LogStatus(LogLevel::kError, "retrieval.release_not_recorded", index.status());
  return Unavailable("the release could not be recorded, so nothing was released");
}

Status DeliverOutbox(retrieval::Rows& rows, const AuditClient& audit) {
  const Status status = rows.DeliverEvents(
      [&](const retrieval::Event& event) { return audit.Append(EventToAudit(event)).status(); });
  if (status.ok()) return status;
  LogStatus(LogLevel::kError, "retrieval.event_not_recorded", status);
  return Unavailable("the change is made, and the audit log has yet to take its record; try again");
}

}  // namespace cloister::services
