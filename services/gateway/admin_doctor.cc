// SPDX-License-Identifier: Apache-2.0
// /admin/v1/doctor/{service}: has one service examine everything it stores. Knows nothing of what they find.
#include <nlohmann/json.hpp>

#include "services/gateway/gateway.h"
#include "services/gateway/json_body.h"
#include "services/gateway/slow_reply.h"
#include "services/server/maintenance.h"

namespace cloister::services {
namespace {

using nlohmann::json;

// Hundreds of gigabytes are read at the speed of a disk.
constexpr std::chrono::milliseconds kExaminationTimeout{24 * 3'600'000};
constexpr std::string_view kOwnService = "gateway";
constexpr std::string_view kExamined[] = {"keys", "audit", "retrieval", "ingest", kOwnService};

json ExaminationJson(const std::string& service, const v1::Examination& examination) {
  json parts = json::array(), findings = json::array();
  for (const v1::ExaminedPart& part : examination.parts()) {
    parts.push_back({{"name", part.name()}, {"checked", part.checked()}, {"bytes", part.bytes()}});
  }
  for (const v1::Finding& finding : examination.findings()) {
    findings.push_back({{"part", finding.part()},
                        {"where", finding.where()},
                        {"problem", finding.problem()},
                        {"remedy", finding.remedy()},
                        {"done", finding.done()}});
  }
  return {{"service", service},
          {"healthy", examination.findings_total() == 0},
          {"parts", std::move(parts)},
          {"findings", std::move(findings)},
          {"findings_total", examination.findings_total()}};
}

StatusOr<v1::Examination> Examine(const RouteCall& call, const std::string& service, bool repair) {
  if (service == kOwnService) {
    if (call.parts.own == nullptr) return Unavailable("this gateway has no database");
    return call.parts.own->ExamineNow(repair, {});
  }
  v1::ExamineRequest request;
  request.set_repair(repair);
  request.set_requested_by(call.caller.user);
  v1::Examination examination;
  Peers::Call rpc(call.parts.peers, kExaminationTimeout);
  CLOISTER_RETURN_IF_ERROR(
      FromPeer(call.parts.peers.maintenance(service).Examine(rpc.context(), request, &examination), service));
  return examination;
}

// Recorded at the end, whatever came of it: what was found and mended belongs to the history of the data.
Status Record(const RouteCall& call, const std::string& service, bool repair,
              const v1::Examination& examination) {
  uint64_t checked = 0, repaired = 0;
  for (const v1::ExaminedPart& part : examination.parts()) checked += part.checked();
  for (const v1::Finding& finding : examination.findings())
    repaired += repair && !finding.done().empty() ? 1 : 0;
  const json body{{"service", service},
                  {"checked", std::to_string(checked)},
                  {"findings", std::to_string(examination.findings_total())},
                  {"repair", repair ? 1 : 0},
                  {"repaired", std::to_string(repaired)}};
  return RecordAdmin(call, "maintenance.examined", body.dump(), "", "");
}

StatusOr<json> ExamineAndRecord(const RouteCall& call, const std::string& service, bool repair) {
  CLOISTER_ASSIGN_OR_RETURN(const v1::Examination examination, Examine(call, service, repair));
  json out = ExaminationJson(service, examination);
  // An examination is worth having without its record: a damaged log may be what it found.
  out["recorded"] = Record(call, service, repair, examination).ok();
  return out;
}

}  // namespace

Status HandleAdminDoctor(const RouteCall& call) {
  if (!call.Is("POST", "/admin/v1/doctor/*")) return NoRoute();
  CLOISTER_RETURN_IF_ERROR(RequireRole(call.caller, {kRoleCompliance}));
  const std::string& service = call.segments[3];
  if (std::find(std::begin(kExamined), std::end(kExamined), service) == std::end(kExamined)) {
    return NotFound("only keys, audit, retrieval, ingest and gateway store anything to be examined");
  }
  bool repair = false;
  if (!call.request.body.empty()) {
    CLOISTER_ASSIGN_OR_RETURN(const JsonBody body, JsonBody::Parse(call.request));
    CLOISTER_RETURN_IF_ERROR(body.OnlyKnown({"repair"}));
    CLOISTER_ASSIGN_OR_RETURN(repair, body.Bool("repair", false));
  }
  if (repair) CLOISTER_RETURN_IF_ERROR(RequireRole(call.caller, {}));
  return SendWhenMade(call, [&] { return ExamineAndRecord(call, service, repair); });
}

}  // namespace cloister::services
