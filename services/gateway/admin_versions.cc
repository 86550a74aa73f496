// SPDX-License-Identifier: Apache-2.0
// /admin/v1/versions: the versions of a document that a retention class keeps, and the text of one of them.
#include <nlohmann/json.hpp>

#include "common/bytes.h"
#include "common/clock.h"
#include "crypto/random.h"
#include "services/gateway/gateway.h"
#include "services/gateway/http_error.h"
#include "services/gateway/json_body.h"

namespace cloister::services {
namespace {

using nlohmann::json;

constexpr const char* kPurpose = "HCOMPL";  // Compliance, in the HL7 code.

// Administrators are not among them: administration alone shows no document. Retrieval decides again, by its
// directory.
Status RequireOneOf(const Caller& caller, std::initializer_list<const char*> roles) {
  std::string names;
  for (const char* role : roles) {
    if (caller.HasRole(role)) return absl::OkStatus();
    names += (names.empty() ? "" : " or ") + std::string(role);
  }
  return PermissionDenied("former versions are for people with the role " + names +
                          "; administrators give it, and it is recorded");
}

v1::SignedAssertion AssertionFor(const RouteCall& call) {
  return call.parts.asks.signer().Sign(call.caller, kPurpose, crypto::RandomBytes(kIdBytes));
}

json TimeJson(int64_t time_ns) {
  return time_ns == 0 ? json(nullptr) : json(FormatTime(WallTime(std::chrono::nanoseconds(time_ns))));
}

StatusOr<std::string> IdFrom(const std::string& hex, std::string_view field) {
  StatusOr<std::string> id = HexDecode(hex);
  if (!id.ok() || id->size() != kIdBytes) return FieldError(field, "must be an id of 32 hexadecimal digits");
  return id;
}

std::string Query(const RouteCall& call, const std::string& name) {
  const auto found = call.request.query.find(name);
  return found == call.request.query.end() ? std::string() : found->second;
}

Status List(const RouteCall& call) {
  CLOISTER_RETURN_IF_ERROR(RequireOneOf(call.caller, {kRoleCompliance, kRoleAuditor}));
  v1::ListVersionsRequest request;
  v1::DocumentName& name = *request.mutable_document();
  if (const std::string id = Query(call, "id"); !id.empty()) {
    CLOISTER_ASSIGN_OR_RETURN(*name.mutable_document_id(), IdFrom(id, "id"));
  } else {
    name.set_collection(Query(call, "collection"));
    name.set_source(Query(call, "source"));
    name.set_origin(Query(call, "origin"));
    if (name.collection().empty()) return FieldError("collection", "is missing");
    if (name.source().empty()) return FieldError("source", "is missing");
  }
  *request.mutable_assertion() = AssertionFor(call);
  v1::ListVersionsResponse response;
  Peers::Call rpc(call.parts.peers, kQuickTimeout);
  CLOISTER_RETURN_IF_ERROR(
      FromPeer(call.parts.peers.versions().ListVersions(rpc.context(), request, &response), "retrieval"));
  json versions = json::array();
  for (const v1::Version& version : response.versions()) {
    versions.push_back({{"version", HexEncode(version.version_id())},
                        {"current", version.superseded_at_ns() == 0},
                        {"stored_at", TimeJson(version.stored_at_ns())},
                        {"superseded_at", TimeJson(version.superseded_at_ns())},
                        {"kept_until", TimeJson(version.kept_until_ns())},
                        {"deleted", version.deleted()},
                        {"text_bytes", version.text_bytes()}});
  }
  call.writer.Send(JsonResponse({{"document", HexEncode(response.document().document_id())},
                                 {"collection", response.document().collection()},
                                 {"origin", response.document().origin()},
                                 {"source", response.document().source()},
                                 {"versions", std::move(versions)}}));
  return absl::OkStatus();
}

Status Read(const RouteCall& call) {
  CLOISTER_RETURN_IF_ERROR(RequireOneOf(call.caller, {kRoleCompliance}));
  CLOISTER_ASSIGN_OR_RETURN(const JsonBody body, JsonBody::Parse(call.request));
  CLOISTER_RETURN_IF_ERROR(body.OnlyKnown({"document", "version", "reason"}));
  v1::ReadVersionRequest request;
  CLOISTER_ASSIGN_OR_RETURN(const std::string document, body.RequiredString("document"));
  CLOISTER_ASSIGN_OR_RETURN(*request.mutable_document_id(), IdFrom(document, "document"));
  CLOISTER_ASSIGN_OR_RETURN(const std::string version, body.RequiredString("version"));
  CLOISTER_ASSIGN_OR_RETURN(*request.mutable_version_id(), IdFrom(version, "version"));
  CLOISTER_ASSIGN_OR_RETURN(*request.mutable_reason(), body.RequiredString("reason"));
  *request.mutable_assertion() = AssertionFor(call);
  v1::VersionText text;
  Peers::Call rpc(call.parts.peers, kReleaseTimeout);
  CLOISTER_RETURN_IF_ERROR(
      FromPeer(call.parts.peers.versions().ReadVersion(rpc.context(), request, &text), "retrieval"));
  call.writer.Send(JsonResponse({{"document", HexEncode(request.document_id())},
                                 {"version", HexEncode(request.version_id())},
                                 {"title", text.title()},
                                 {"text", text.text()},
                                 {"audit_index", text.audit_index()}}));
  return absl::OkStatus();
}

}  // namespace

Status HandleAdminVersions(const RouteCall& call) {
  if (call.Is("GET", "/admin/v1/versions")) return List(call);
  if (call.Is("POST", "/admin/v1/versions/read")) return Read(call);
  return NoRoute();
}

}  // namespace cloister::services
