// SPDX-License-Identifier: Apache-2.0
// /admin/v1/erasures, holds, suppressions, shred and answers-affected: what is erased, kept from erasure, and
// who had been shown it.
#include <nlohmann/json.hpp>

#include "common/bytes.h"
#include "common/clock.h"
#include "services/gateway/gateway.h"
#include "services/gateway/http_error.h"
#include "services/gateway/json_body.h"

namespace cloister::services {
namespace {

using nlohmann::json;

constexpr uint32_t kReleasesShown = 1'000;

json TimeJson(int64_t time_ns) {
  return time_ns == 0 ? json(nullptr) : json(FormatTime(WallTime(std::chrono::nanoseconds(time_ns))));
}

json HoldJson(const v1::Hold& hold) {
  json out{{"id", HexEncode(hold.id())},    {"target", hold.target()},
           {"basis", hold.basis()},         {"reason", hold.reason()},
           {"placed_by", hold.placed_by()}, {"placed_at", TimeJson(hold.placed_at_ns())}};
  if (hold.target() == "document") {
    out["document"] = {{"collection", hold.document().collection()},
                       {"origin", hold.document().origin()},
                       {"source", hold.document().source()}};
  } else {
    out["name"] = hold.target() == "subject" ? hold.subject() : hold.collection();
  }
  return out;
}

json PlanJson(const v1::ErasurePlan& plan) {
  json documents = json::array();
  for (const v1::PlannedDocument& document : plan.documents()) {
    json holds = json::array();
    for (const std::string& hold : document.holds()) holds.push_back(HexEncode(hold));
    documents.push_back({{"document", HexEncode(document.document_id())},
                         {"collection", document.collection()},
                         {"origin", document.origin()},
                         {"source", document.source()},
                         {"chunks", document.chunks()},
                         {"subjects", document.subjects()},
                         {"shared", document.shared()},
                         {"holds", std::move(holds)}});
  }
  json holds = json::array();
  for (const v1::Hold& hold : plan.holds()) holds.push_back(HoldJson(hold));
  return {{"dry_run", true},
          {"documents", std::move(documents)},
          {"documents_total", plan.documents_total()},
          {"documents_shared", plan.documents_shared()},
          {"documents_held", plan.documents_held()},
          {"rows", plan.rows()},
          {"chunks", plan.chunks()},
          {"segments", plan.segments()},
          {"keys", plan.keys()},
          {"releases", plan.releases()},
          {"recipients", plan.recipients()},
          {"not_counted", std::vector<std::string>(plan.not_counted().begin(), plan.not_counted().end())},
          {"holds", std::move(holds)}};
}

json StateJson(const v1::ErasureState& state) {
  json classes = json::array();
  for (const v1::ErasedClass& erased : state.classes()) {
    classes.push_back({{"name", erased.name()},
                       {"how", erased.how()},
                       {"count", erased.count()},
                       {"verified", erased.verified()}});
  }
  json ids = json::array();
  for (const std::string& id : state.document_ids()) ids.push_back(HexEncode(id));
  const bool completed = state.completed_at_ns() != 0;
  const auto seconds = [&](int64_t until_ns) {
    return until_ns == 0 ? json(nullptr)
                         : json(static_cast<double>(until_ns - state.requested_at_ns()) / 1e9);
  };
  return {{"id", HexEncode(state.id())},
          {"state", state.state()},
          {"target", state.target()},
          {"basis", state.basis()},
          {"documents", std::move(ids)},
          {"documents_total", state.documents()},
          {"documents_kept", state.documents_kept()},
          {"requested_at", TimeJson(state.requested_at_ns())},
          {"completed_at", TimeJson(state.completed_at_ns())},
          {"seconds_to_unsearchable", seconds(state.unsearchable_at_ns())},
          {"seconds_to_completed", seconds(state.completed_at_ns())},
          {"anchor", state.anchor()},
          {"for_good", state.for_good()},
          {"escrow", state.escrow()},
          {"classes", std::move(classes)},
          {"outside", std::vector<std::string>(state.outside().begin(), state.outside().end())},
          {"releases", state.releases()},
          {"recipients", state.recipients()},
          {"recipients_notified", state.recipients_notified()},
          {"audit_requested", state.audit_requested()},
          {"audit_completed", completed ? json(state.audit_completed()) : json(nullptr)}};
}

StatusOr<std::string> IdFrom(const std::string& hex, std::string_view what) {
  StatusOr<std::string> id = HexDecode(hex);
  if (!id.ok() || id->size() != kIdBytes) return NotFound("there is no such " + std::string(what));
  return id;
}

// {"collection", "source", "origin"?} or {"id"}.
Status ReadDocument(const json& object, v1::DocumentName& name) {
  const JsonBody body = JsonBody::Inner(object);
  CLOISTER_RETURN_IF_ERROR(body.OnlyKnown({"collection", "source", "origin", "id"}));
  CLOISTER_ASSIGN_OR_RETURN(const auto id, body.OptionalString("id"));
  if (id) {
    CLOISTER_ASSIGN_OR_RETURN(*name.mutable_document_id(), IdFrom(*id, "document"));
    return absl::OkStatus();
  }
  CLOISTER_ASSIGN_OR_RETURN(*name.mutable_collection(), body.RequiredString("collection"));
  CLOISTER_ASSIGN_OR_RETURN(*name.mutable_source(), body.RequiredString("source"));
  CLOISTER_ASSIGN_OR_RETURN(const auto origin, body.OptionalString("origin"));
  if (origin) name.set_origin(*origin);
  return absl::OkStatus();
}

// Exactly one of "document", "subject" and "collection".
Status ReadTarget(const JsonBody& body, v1::ErasureTarget& target) {
  CLOISTER_ASSIGN_OR_RETURN(const auto subject, body.OptionalString("subject"));
  CLOISTER_ASSIGN_OR_RETURN(const auto collection, body.OptionalString("collection"));
  CLOISTER_ASSIGN_OR_RETURN(const auto shared, body.OptionalString("shared"));
  const bool document = body.object().contains("document");
  if ((document ? 1 : 0) + (subject ? 1 : 0) + (collection ? 1 : 0) != 1) {
    return InvalidArgument("say one of document, subject and collection");
  }
  if (document) {
    if (!body.object()["document"].is_object()) return FieldError("document", "must be an object");
    CLOISTER_RETURN_IF_ERROR(ReadDocument(body.object()["document"], *target.mutable_document()));
  }
  if (subject) target.set_subject(*subject);
  if (collection) target.set_collection(*collection);
  if (!shared) return absl::OkStatus();
  if (*shared != "erase" && *shared != "keep") return FieldError("shared", "must be \"erase\" or \"keep\"");
  target.set_shared(*shared == "erase" ? v1::ErasureTarget::SHARED_ERASE : v1::ErasureTarget::SHARED_KEEP);
  return absl::OkStatus();
}

// One call of retrieval's.
template <class Request, class Response>
Status Ask(const RouteCall& call,
           grpc::Status (v1::Erasure::StubInterface::*method)(grpc::ClientContext*, const Request&,
                                                              Response*),
           const Request& request, Response& response, std::chrono::milliseconds timeout = kQuickTimeout) {
  Peers::Call rpc(call.parts.peers, timeout);
  return FromPeer((call.parts.peers.erasure().*method)(rpc.context(), request, &response), "retrieval");
}

StatusOr<v1::ErasurePlan> Plan(const RouteCall& call, const v1::ErasureTarget& target) {
  v1::ErasurePlan plan;
  CLOISTER_RETURN_IF_ERROR(
      Ask(call, &v1::Erasure::StubInterface::PlanErasure, target, plan, kErasureTimeout));
  return plan;
}

Status Erase(const RouteCall& call) {
  CLOISTER_ASSIGN_OR_RETURN(const JsonBody body, JsonBody::Parse(call.request));
  CLOISTER_RETURN_IF_ERROR(
      body.OnlyKnown({"document", "subject", "collection", "shared", "reason", "basis", "dry_run"}));
  v1::EraseRequest request;
  CLOISTER_RETURN_IF_ERROR(ReadTarget(body, *request.mutable_target()));
  CLOISTER_ASSIGN_OR_RETURN(const bool dry_run, body.Bool("dry_run", false));
  if (dry_run) {
    CLOISTER_ASSIGN_OR_RETURN(const v1::ErasurePlan plan, Plan(call, request.target()));
    call.writer.Send(JsonResponse(PlanJson(plan)));
    return absl::OkStatus();
  }
  CLOISTER_ASSIGN_OR_RETURN(*request.mutable_reason(), body.RequiredString("reason"));
  CLOISTER_ASSIGN_OR_RETURN(*request.mutable_basis(), body.RequiredString("basis"));
  request.set_requested_by(call.caller.user);
  v1::ErasureState state;
  CLOISTER_RETURN_IF_ERROR(Ask(call, &v1::Erasure::StubInterface::Erase, request, state, kErasureTimeout));
  call.writer.Send(JsonResponse(StateJson(state)));
  return absl::OkStatus();
}

StatusOr<v1::ErasureState> Find(const RouteCall& call, const std::string& hex) {
  v1::GetErasureRequest request;
  CLOISTER_ASSIGN_OR_RETURN(*request.mutable_id(), IdFrom(hex, "erasure"));
  v1::ErasureState state;
  CLOISTER_RETURN_IF_ERROR(Ask(call, &v1::Erasure::StubInterface::GetErasure, request, state));
  return state;
}

Status ListErasures(const RouteCall& call) {
  v1::ListErasuresResponse response;
  CLOISTER_RETURN_IF_ERROR(
      Ask(call, &v1::Erasure::StubInterface::ListErasures, v1::ListErasuresRequest(), response));
  json erasures = json::array();
  for (const v1::ErasureState& state : response.erasures()) erasures.push_back(StateJson(state));
  call.writer.Send(JsonResponse({{"erasures", std::move(erasures)}}));
  return absl::OkStatus();
}

// Who was handed passages of these documents, from the log and from those of former generations.
Status SendReleases(const RouteCall& call, const std::vector<std::string>& documents) {
  v1::FindReleasesRequest request;
  for (const std::string& id : documents) request.add_documents(id);
  request.set_releases_max(kReleasesShown);
  request.set_requested_by(call.caller.user);
  v1::FindReleasesResponse response;
  if (!documents.empty()) {
    Peers::Call rpc(call.parts.peers, kErasureTimeout);
    CLOISTER_RETURN_IF_ERROR(
        FromPeer(call.parts.peers.audit().FindReleases(rpc.context(), request, &response), "audit"));
  }
  json releases = json::array();
  for (const v1::FoundRelease& release : response.releases()) {
    json ids = json::array();
    for (const std::string& id : release.documents()) ids.push_back(HexEncode(id));
    json versions = json::array();
    for (const v1::ReleasedVersion& version : release.versions()) {
      versions.push_back({{"document", HexEncode(version.document())}, {"version", HexEncode(version.version())}});
    }
    releases.push_back({{"generation", release.generation()},
                        {"index", release.index()},
                        {"time", release.time()},
                        {"ask", release.ask()},
                        {"user", release.user().empty() ? json(nullptr) : json(release.user())},
                        {"pseudonym", release.pseudonym()},
                        {"purpose", release.purpose()},
                        {"client_application", release.client_application()},
                        {"documents", std::move(ids)},
                        {"versions", std::move(versions)}});
  }
  json former_logs = json::array();
  for (const v1::FormerLog& former : response.former_logs()) {
    former_logs.push_back({{"generation", former.generation()},
                           {"origin", former.origin()},
                           {"entries", former.entries()},
                           {"problem", former.problem().empty() ? json(nullptr) : json(former.problem())}});
  }
  call.writer.Send(JsonResponse({{"releases", std::move(releases)},
                                 {"total", response.total()},
                                 {"recipients", response.recipients()},
                                 {"generation", response.generation()},
                                 {"former_logs", std::move(former_logs)}}));
  return absl::OkStatus();
}

Status Recipients(const RouteCall& call, const std::string& hex) {
  CLOISTER_ASSIGN_OR_RETURN(const v1::ErasureState state, Find(call, hex));
  return SendReleases(call, {state.document_ids().begin(), state.document_ids().end()});
}

Status AnswersAffected(const RouteCall& call) {
  CLOISTER_ASSIGN_OR_RETURN(const JsonBody body, JsonBody::Parse(call.request));
  CLOISTER_RETURN_IF_ERROR(body.OnlyKnown({"document", "subject", "collection"}));
  v1::ErasureTarget target;
  CLOISTER_RETURN_IF_ERROR(ReadTarget(body, target));
  // A document that is no longer here is still in the log.
  if (!target.document().document_id().empty()) return SendReleases(call, {target.document().document_id()});
  CLOISTER_ASSIGN_OR_RETURN(const v1::ErasurePlan plan, Plan(call, target));
  std::vector<std::string> ids;
  for (const v1::PlannedDocument& document : plan.documents()) ids.push_back(document.document_id());
  return SendReleases(call, ids);
}

Status RecordNotice(const RouteCall& call, const std::string& hex) {
  CLOISTER_ASSIGN_OR_RETURN(const JsonBody body, JsonBody::Parse(call.request));
  CLOISTER_RETURN_IF_ERROR(body.OnlyKnown({"recipient", "how"}));
  v1::RecordNoticeRequest request;
  CLOISTER_ASSIGN_OR_RETURN(*request.mutable_erasure_id(), IdFrom(hex, "erasure"));
  CLOISTER_ASSIGN_OR_RETURN(*request.mutable_recipient(), body.RequiredString("recipient"));
  CLOISTER_ASSIGN_OR_RETURN(*request.mutable_how(), body.RequiredString("how"));
  request.set_recorded_by(call.caller.user);
  v1::RecordNoticeResponse response;
  CLOISTER_RETURN_IF_ERROR(Ask(call, &v1::Erasure::StubInterface::RecordNotice, request, response));
  call.writer.Send(JsonResponse({{"recorded", true}}, 201));
  return absl::OkStatus();
}

Status Lift(const RouteCall& call) {
  CLOISTER_ASSIGN_OR_RETURN(const JsonBody body, JsonBody::Parse(call.request));
  CLOISTER_RETURN_IF_ERROR(body.OnlyKnown({"collection", "origin", "source", "reason"}));
  v1::LiftSuppressionRequest request;
  CLOISTER_ASSIGN_OR_RETURN(*request.mutable_document()->mutable_collection(),
                            body.RequiredString("collection"));
  CLOISTER_ASSIGN_OR_RETURN(*request.mutable_document()->mutable_origin(), body.RequiredString("origin"));
  CLOISTER_ASSIGN_OR_RETURN(*request.mutable_document()->mutable_source(), body.RequiredString("source"));
  CLOISTER_ASSIGN_OR_RETURN(*request.mutable_reason(), body.RequiredString("reason"));
  request.set_requested_by(call.caller.user);
  v1::LiftSuppressionResponse response;
  CLOISTER_RETURN_IF_ERROR(Ask(call, &v1::Erasure::StubInterface::LiftSuppression, request, response));
  call.writer.Send(JsonResponse({{"lifted", true}}));
  return absl::OkStatus();
}

Status PlaceHold(const RouteCall& call) {
  CLOISTER_ASSIGN_OR_RETURN(const JsonBody body, JsonBody::Parse(call.request));
  CLOISTER_RETURN_IF_ERROR(body.OnlyKnown({"document", "subject", "collection", "basis", "reason"}));
  v1::ErasureTarget target;
  CLOISTER_RETURN_IF_ERROR(ReadTarget(body, target));
  v1::PlaceHoldRequest request;
  v1::Hold& hold = *request.mutable_hold();
  if (target.has_document()) {
    hold.set_target("document");
    if (target.document().source().empty()) return FieldError("document", "must name collection and source");
    *hold.mutable_document() = target.document();
  } else if (target.target_case() == v1::ErasureTarget::kSubject) {
    hold.set_target("subject");
    hold.set_subject(target.subject());
  } else {
    hold.set_target("collection");
    hold.set_collection(target.collection());
  }
  CLOISTER_ASSIGN_OR_RETURN(*hold.mutable_basis(), body.RequiredString("basis"));
  CLOISTER_ASSIGN_OR_RETURN(*hold.mutable_reason(), body.RequiredString("reason"));
  hold.set_placed_by(call.caller.user);
  v1::Hold placed;
  CLOISTER_RETURN_IF_ERROR(Ask(call, &v1::Erasure::StubInterface::PlaceHold, request, placed));
  call.writer.Send(JsonResponse(HoldJson(placed), 201));
  return absl::OkStatus();
}

Status ReleaseHold(const RouteCall& call, const std::string& hex) {
  CLOISTER_ASSIGN_OR_RETURN(const JsonBody body, JsonBody::Parse(call.request));
  CLOISTER_RETURN_IF_ERROR(body.OnlyKnown({"reason"}));
  v1::ReleaseHoldRequest request;
  CLOISTER_ASSIGN_OR_RETURN(*request.mutable_id(), IdFrom(hex, "hold"));
  CLOISTER_ASSIGN_OR_RETURN(*request.mutable_reason(), body.RequiredString("reason"));
  request.set_requested_by(call.caller.user);
  v1::Hold hold;
  CLOISTER_RETURN_IF_ERROR(Ask(call, &v1::Erasure::StubInterface::ReleaseHold, request, hold));
  call.writer.Send(JsonResponse(HoldJson(hold)));
  return absl::OkStatus();
}

Status ListHolds(const RouteCall& call) {
  v1::ListHoldsResponse response;
  CLOISTER_RETURN_IF_ERROR(
      Ask(call, &v1::Erasure::StubInterface::ListHolds, v1::ListHoldsRequest(), response));
  json holds = json::array();
  for (const v1::Hold& hold : response.holds()) holds.push_back(HoldJson(hold));
  call.writer.Send(JsonResponse({{"holds", std::move(holds)}}));
  return absl::OkStatus();
}

Status Shred(const RouteCall& call) {
  v1::ShredRetiredRequest request;
  request.set_requested_by(call.caller.user);
  v1::ShredRetiredResponse response;
  CLOISTER_RETURN_IF_ERROR(
      Ask(call, &v1::Erasure::StubInterface::ShredRetired, request, response, kErasureTimeout));
  call.writer.Send(JsonResponse(
      {{"keys", response.keys()}, {"segments", response.segments()}, {"epoch", response.epoch()}}));
  return absl::OkStatus();
}

}  // namespace

Status HandleAdminErasures(const RouteCall& call) {
  CLOISTER_RETURN_IF_ERROR(RequireRole(call.caller, {kRoleCompliance}));
  if (call.Is("POST", "/admin/v1/erasures")) return Erase(call);
  if (call.Is("GET", "/admin/v1/erasures")) return ListErasures(call);
  if (call.Is("GET", "/admin/v1/erasures/*")) {
    CLOISTER_ASSIGN_OR_RETURN(const v1::ErasureState state, Find(call, call.segments[3]));
    call.writer.Send(JsonResponse(StateJson(state)));
    return absl::OkStatus();
  }
  if (call.Is("GET", "/admin/v1/erasures/*/recipients")) return Recipients(call, call.segments[3]);
  if (call.Is("POST", "/admin/v1/erasures/*/notices")) return RecordNotice(call, call.segments[3]);
  if (call.Is("POST", "/admin/v1/answers-affected")) return AnswersAffected(call);
  if (call.Is("POST", "/admin/v1/suppressions/lift")) return Lift(call);
  if (call.Is("POST", "/admin/v1/shred")) return Shred(call);
  if (call.Is("POST", "/admin/v1/holds")) return PlaceHold(call);
  if (call.Is("GET", "/admin/v1/holds")) return ListHolds(call);
  if (call.Is("POST", "/admin/v1/holds/*/release")) return ReleaseHold(call, call.segments[3]);
  return NoRoute();
}

}  // namespace cloister::services
