// SPDX-License-Identifier: Apache-2.0
// /admin/v1/audit: reading the log. The audit service records who read what.
#include <limits>
#include <nlohmann/json.hpp>

#include "common/bytes.h"
#include "services/gateway/gateway.h"
#include "services/gateway/http_error.h"
#include "services/gateway/json_body.h"

namespace cloister::services {
namespace {

using nlohmann::json;

constexpr uint64_t kEntriesMax = 1000;
constexpr uint64_t kIndexMax = (uint64_t{1} << 53) - 1;
constexpr uint64_t kGenerationMax = 1'000'000;

// Envelopes are canonical JSON. Each is given parsed, for reading, and as it was hashed, for checking.
Status GetEntries(const RouteCall& call) {
  CLOISTER_ASSIGN_OR_RETURN(uint64_t first, QueryNumber(call.request, "first", 0, kIndexMax));
  CLOISTER_ASSIGN_OR_RETURN(uint64_t count, QueryNumber(call.request, "count", 100, kEntriesMax));
  CLOISTER_ASSIGN_OR_RETURN(const uint64_t last, QueryNumber(call.request, "last", 0, kEntriesMax));
  CLOISTER_ASSIGN_OR_RETURN(const uint64_t generation,
                            QueryNumber(call.request, "generation", 0, kGenerationMax));
  if (last > 0 && generation > 0) return FieldError("last", "is for the present log; say first and count");
  if (last > 0) {
    v1::LogStatus log;
    Peers::Call rpc(call.parts.peers, kQuickTimeout);
    CLOISTER_RETURN_IF_ERROR(FromPeer(call.parts.peers.audit().GetLogStatus(rpc.context(), {}, &log), "audit"));
    first = log.size() > last ? log.size() - last : 0;
    count = last;
  }
  v1::GetEntriesRequest request;
  request.set_first(first);
  request.set_count(static_cast<uint32_t>(count));
  request.set_requested_by(call.caller.user);
  request.set_generation(static_cast<uint32_t>(generation));
  v1::GetEntriesResponse response;
  Peers::Call rpc(call.parts.peers, kQuickTimeout);
  CLOISTER_RETURN_IF_ERROR(
      FromPeer(call.parts.peers.audit().GetEntries(rpc.context(), request, &response), "audit"));
  json entries = json::array();
  for (int i = 0; i < response.envelopes_size(); ++i) {
    json envelope = json::parse(response.envelopes(i), nullptr, false);
    if (envelope.is_discarded()) return DataLoss("an entry of the audit log is not JSON");
    entries.push_back({{"index", first + static_cast<uint64_t>(i)},
                       {"entry", std::move(envelope)},
                       {"canonical", response.envelopes(i)}});
  }
  call.writer.Send(JsonResponse(
      {{"entries", std::move(entries)}, {"size", response.size()}, {"generation", response.generation()}}));
  return absl::OkStatus();
}

Status GetReceipt(const RouteCall& call, const std::string& index_text) {
  CLOISTER_ASSIGN_OR_RETURN(const uint64_t index, ParseNumber("index", index_text, kIndexMax));
  v1::GetReceiptRequest request;
  request.set_index(index);
  CLOISTER_ASSIGN_OR_RETURN(const uint64_t generation,
                            QueryNumber(call.request, "generation", 0, kGenerationMax));
  request.set_generation(static_cast<uint32_t>(generation));
  v1::GetReceiptResponse response;
  Peers::Call rpc(call.parts.peers, kQuickTimeout);
  CLOISTER_RETURN_IF_ERROR(
      FromPeer(call.parts.peers.audit().GetReceipt(rpc.context(), request, &response), "audit"));
  call.writer.Send(JsonResponse({{"index", index},
                                 {"receipt", response.receipt()},
                                 {"verifier_key", response.verifier_key()},
                                 {"envelope", response.envelope()}}));
  return absl::OkStatus();
}

// One JSON object a line, {"path","offset","content"} with the content in base64, and a last line {"end",...} without
// which the export is not whole.
Status Export(const RouteCall& call) {
  v1::ExportRequest request;
  request.set_requested_by(call.caller.user);
  Peers::Call rpc(call.parts.peers, kExportTimeout);
  const auto stream = call.parts.peers.audit().Export(rpc.context(), request);
  v1::ExportFile file;
  HttpResponse head;
  head.content_type = "application/x-ndjson";
  bool started = false;
  bool alive = true;
  uint64_t bytes = 0;
  uint64_t files = 0;
  while (alive && stream->Read(&file)) {
    if (!started) alive = call.writer.StartStream(head);
    started = true;
    files += file.offset() == 0;
    bytes += file.content().size();
    const json line{{"path", file.path()}, {"offset", file.offset()}, {"content", Base64Encode(file.content())}};
    alive = alive && call.writer.Write(DumpJson(line) + "\n");
  }
  if (!alive) rpc.context()->TryCancel();
  const Status finished = FromPeer(stream->Finish(), "audit");
  if (!started) return finished.ok() ? Internal("the export is empty") : finished;
  if (!alive) return absl::OkStatus();
  if (finished.ok()) {
    call.writer.Write(DumpJson({{"end", true}, {"files", files}, {"bytes", bytes}}) + "\n");
  } else {
    call.writer.Write(DumpJson({{"error", {{"code", CodeName(finished.code())}, {"message", MessageOf(finished)}}}}) +
                      "\n");
  }
  return absl::OkStatus();
}

Status Unseal(const RouteCall& call, const std::string& index_text) {
  CLOISTER_ASSIGN_OR_RETURN(const uint64_t index, ParseNumber("index", index_text, kIndexMax));
  CLOISTER_ASSIGN_OR_RETURN(const JsonBody body, JsonBody::Parse(call.request));
  CLOISTER_RETURN_IF_ERROR(body.OnlyKnown({"reason", "generation"}));
  v1::UnsealRequest request;
  request.set_index(index);
  CLOISTER_ASSIGN_OR_RETURN(const uint64_t generation, body.Uint("generation", 0, 0, kGenerationMax));
  request.set_generation(static_cast<uint32_t>(generation));
  CLOISTER_ASSIGN_OR_RETURN(const std::string reason, body.RequiredString("reason"));
  request.set_reason(reason);
  request.set_requested_by(call.caller.user);
  v1::UnsealResponse response;
  Peers::Call rpc(call.parts.peers, kQuickTimeout);
  CLOISTER_RETURN_IF_ERROR(FromPeer(call.parts.peers.audit().Unseal(rpc.context(), request, &response), "audit"));
  json sections = json::array();
  for (const v1::UnsealedSection& section : response.sections()) {
    json content = json::parse(section.content_json(), nullptr, false);
    sections.push_back({{"section_id", section.section_id()},
                        {"subject_kind", section.subject_kind()},
                        {"subject", section.subject()},
                        {"content", content.is_discarded() ? json(nullptr) : std::move(content)},
                        {"error", section.error().empty() ? json(nullptr) : json(section.error())}});
  }
  call.writer.Send(JsonResponse(
      {{"index", index}, {"sections", std::move(sections)}, {"audit_index", response.audit_index()}}));
  return absl::OkStatus();
}

}  // namespace

Status HandleAdminAudit(const RouteCall& call) {
  CLOISTER_RETURN_IF_ERROR(RequireRole(call.caller, {kRoleAuditor, kRoleCompliance}));
  if (call.Is("GET", "/admin/v1/audit/entries")) return GetEntries(call);
  if (call.Is("GET", "/admin/v1/audit/receipts/*")) return GetReceipt(call, call.segments[4]);
  if (call.Is("POST", "/admin/v1/audit/export")) return Export(call);
  if (call.Is("POST", "/admin/v1/audit/entries/*/unseal")) return Unseal(call, call.segments[4]);
  return NoRoute();
}

}  // namespace cloister::services
