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

v1::AppendRequest ReadingToAudit(const retrieval::VersionReading& reading) {
  const retrieval::DocumentInfo& info = reading.info;
  const policy::Principal& principal = reading.principal;
  const nlohmann::json passage = {{"document", info.document.hex()},
                                  {"version", info.version.hex()},
                                  {"class", info.access_class.hex()}};
  const nlohmann::json body = {{"passages", nlohmann::json::array({passage})},
                               {"current", reading.current ? 1 : 0},
                               {"bytes", std::to_string(info.text_bytes)},
                               {"commit_sequence", std::to_string(reading.commit_sequence)},
                               {"place", {{"node_region", reading.node_region}, {"zone", principal.zone}}},
                               {"purpose", {{"system", "HL7-v3-PurposeOfUse"}, {"code", principal.purpose}}},
                               {"client_application", principal.client_application},
                               {"authentication_method", principal.authentication_method}};
  v1::AppendRequest request;
  request.set_event("version.read");
  request.set_body_json(body.dump());
  request.set_actor_kind("user");
  request.set_actor(principal.user);
  for (const std::string& subject : info.subjects) request.add_subjects(subject);
  const auto add_section = [&](const char* kind, const std::string& about, const nlohmann::json& content) {
    v1::SectionInput* section = request.add_sections();
    section->set_subject_kind(kind);
    section->set_subject(about);
    section->set_content_json(content.dump());
  };
  add_section("user", principal.user, {{"user", principal.user}, {"reason", reading.reason}});
  add_section("document", info.document.hex(),
              {{"title", info.title}, {"collection", info.collection}, {"origin", info.origin}, {"source", info.source}});
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

StatusOr<uint64_t> AuditReleaseRecorder::RecordReading(const retrieval::VersionReading& reading) {
  auto index = audit_.Append(ReadingToAudit(reading));
  if (index.ok()) return index;
  LogStatus(LogLevel::kError, "retrieval.reading_not_recorded", index.status());
  return Unavailable("the reading could not be recorded, so nothing was shown");
}

Status DeliverOutbox(retrieval::Rows& rows, const AuditClient& audit) {
  const Status status = rows.DeliverEvents(
      [&](const retrieval::Event& event) { return audit.Append(EventToAudit(event)).status(); });
  if (status.ok()) return status;
  LogStatus(LogLevel::kError, "retrieval.event_not_recorded", status);
  return Unavailable("the change is made, and the audit log has yet to take its record; try again");
}

}  // namespace cloister::services
