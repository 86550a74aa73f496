// SPDX-License-Identifier: Apache-2.0
// /admin/v1/keyring: rotating, recovery shares and the escrowed copy. No secret passes here: the private half
// of a recovery key never leaves the command that made it, and a copy is sealed. The keys service records
// each change.
#include <nlohmann/json.hpp>

#include "common/bytes.h"
#include "services/gateway/gateway.h"
#include "services/gateway/http_error.h"
#include "services/gateway/json_body.h"
#include "services/gateway/keyring_json.h"

namespace cloister::services {
namespace {

using nlohmann::json;

// Every key is wrapped again, and the file written: seconds with millions of keys, on a busy disk.
constexpr std::chrono::milliseconds kKeyringTimeout{120'000};
constexpr uint64_t kSharesMax = 255;

json TimeJson(int64_t time_ns) { return FormatTime(WallTime(std::chrono::nanoseconds(time_ns))); }

json EscrowJson(const v1::EscrowStatus& escrow) {
  if (escrow.folder().empty()) return nullptr;
  json out{{"folder", escrow.folder()},
           {"present", escrow.present()},
           {"problem", escrow.problem().empty() ? json(nullptr) : json(escrow.problem())}};
  if (!escrow.present()) return out;
  out["generation"] = escrow.generation();
  out["epoch"] = escrow.epoch();
  out["created_at"] = TimeJson(escrow.created_ns());
  out["behind"] = escrow.behind();
  return out;
}

json FreshnessJson(const v1::FreshnessStatus& freshness) {
  return {{"number", freshness.number()},
          {"made_at", TimeJson(freshness.made_ns())},
          {"counter", freshness.counter().empty() ? json(nullptr) : json(freshness.counter())},
          {"escrowed", freshness.escrowed()}};
}

Status GetKeyring(const RouteCall& call) {
  v1::KeyringStatus keyring;
  Peers::Call rpc(call.parts.peers, kQuickTimeout);
  CLOISTER_RETURN_IF_ERROR(
      FromPeer(call.parts.peers.keys().GetKeyringStatus(rpc.context(), {}, &keyring), "keys"));
  json out = KeyringJson(keyring);
  out["not_protected"] =
      json(std::vector<std::string>(keyring.not_protected().begin(), keyring.not_protected().end()));
  call.writer.Send(JsonResponse(out));
  return absl::OkStatus();
}

Status Rotate(const RouteCall& call) {
  v1::RotateEpochRequest request;
  request.set_requested_by(call.caller.user);
  v1::KeyDestruction change;
  Peers::Call rpc(call.parts.peers, kKeyringTimeout);
  CLOISTER_RETURN_IF_ERROR(
      FromPeer(call.parts.peers.keys().RotateEpoch(rpc.context(), request, &change), "keys"));
  call.writer.Send(JsonResponse({{"epoch", change.epoch()},
                                 {"generation", change.generation()},
                                 {"anchor", change.anchor()},
                                 {"for_good", change.for_good()},
                                 {"escrow", change.escrow()}}));
  return absl::OkStatus();
}

StatusOr<std::string> HexField(const JsonBody& body, const char* name, size_t bytes) {
  CLOISTER_ASSIGN_OR_RETURN(const std::string hex, body.RequiredString(name));
  StatusOr<std::string> out = HexDecode(hex);
  if (out.ok() && out->size() == bytes) return out;
  return FieldError(name, "must have " + std::to_string(2 * bytes) + " hexadecimal digits");
}

Status SetRecovery(const RouteCall& call) {
  CLOISTER_ASSIGN_OR_RETURN(const JsonBody body, JsonBody::Parse(call.request));
  CLOISTER_RETURN_IF_ERROR(body.OnlyKnown({"set_id", "public_key", "threshold", "shares", "replace"}));
  v1::SetRecoveryRequest request;
  CLOISTER_ASSIGN_OR_RETURN(*request.mutable_recovery()->mutable_set_id(),
                            HexField(body, "set_id", kIdBytes));
  CLOISTER_ASSIGN_OR_RETURN(*request.mutable_public_key(), HexField(body, "public_key", 32));
  CLOISTER_ASSIGN_OR_RETURN(const uint64_t threshold, body.Uint("threshold", 0, 2, kSharesMax));
  CLOISTER_ASSIGN_OR_RETURN(const uint64_t shares, body.Uint("shares", 0, 2, kSharesMax));
  CLOISTER_ASSIGN_OR_RETURN(const bool replace, body.Bool("replace", false));
  request.mutable_recovery()->set_threshold(static_cast<uint32_t>(threshold));
  request.mutable_recovery()->set_shares(static_cast<uint32_t>(shares));
  request.mutable_recovery()->set_created_ns(call.parts.clock.Now().time_since_epoch().count());
  request.set_replace(replace);
  request.set_requested_by(call.caller.user);
  v1::SetRecoveryResponse response;
  Peers::Call rpc(call.parts.peers, kKeyringTimeout);
  CLOISTER_RETURN_IF_ERROR(
      FromPeer(call.parts.peers.keys().SetRecovery(rpc.context(), request, &response), "keys"));
  call.writer.Send(JsonResponse({{"escrow", response.escrow()}}));
  return absl::OkStatus();
}

Status Escrow(const RouteCall& call) {
  bool copy = false;
  if (!call.request.body.empty()) {
    CLOISTER_ASSIGN_OR_RETURN(const JsonBody body, JsonBody::Parse(call.request));
    CLOISTER_RETURN_IF_ERROR(body.OnlyKnown({"copy"}));
    CLOISTER_ASSIGN_OR_RETURN(copy, body.Bool("copy", false));
  }
  v1::EscrowKeyringRequest request;
  request.set_copy(copy);
  request.set_requested_by(call.caller.user);
  // A copy that nobody replaces later opens what is erased after it: that it was made must be known.
  if (copy) CLOISTER_RETURN_IF_ERROR(RecordAdmin(call, "export.created", R"({"kind":"keyring"})", "", ""));
  v1::EscrowKeyringResponse response;
  Peers::Call rpc(call.parts.peers, kKeyringTimeout);
  CLOISTER_RETURN_IF_ERROR(
      FromPeer(call.parts.peers.keys().EscrowKeyring(rpc.context(), request, &response), "keys"));
  json out{{"generation", response.generation()}};
  if (copy) {
    out["file_name"] = response.file_name();
    out["file"] = Base64Encode(response.file());
  } else {
    out["escrow"] = response.escrow();
  }
  call.writer.Send(JsonResponse(out));
  return absl::OkStatus();
}

}  // namespace

json KeyringJson(const v1::KeyringStatus& keyring) {
  json kinds = json::object();
  for (const auto& [kind, count] : keyring.keys_by_kind()) kinds[kind] = count;
  json recovery = nullptr;
  if (keyring.has_recovery()) {
    recovery = {{"threshold", keyring.recovery().threshold()},
                {"shares", keyring.recovery().shares()},
                {"created_at", TimeJson(keyring.recovery().created_ns())},
                {"set_id", HexEncode(keyring.recovery().set_id())}};
  }
  return {{"generation", keyring.generation()},
          {"epoch", keyring.epoch()},
          {"keys", keyring.keys()},
          {"keys_by_kind", std::move(kinds)},
          {"format_version", keyring.format_version()},
          {"root_kind", keyring.root_kind()},
          {"anchor", keyring.anchor()},
          {"destroys_for_good", keyring.destroys_for_good()},
          {"doomed", keyring.doomed()},
          {"former_keys", keyring.former_keys()},
          {"former_since", keyring.former_since_ns() == 0 ? json(nullptr) : TimeJson(keyring.former_since_ns())},
          {"recovery", std::move(recovery)},
          {"escrow", EscrowJson(keyring.escrow())},
          {"freshness", FreshnessJson(keyring.freshness())},
          {"erasure_epoch", keyring.erasure_epoch()},
          {"passphrase_file_on_same_disk", keyring.passphrase_file_on_same_disk()}};
}

Status HandleAdminKeys(const RouteCall& call) {
  if (call.segments.size() > 3 && (call.segments[3] == "rotation" || call.segments[3] == "former")) {
    return HandleAdminKeyRotation(call);
  }
  if (call.Is("GET", "/admin/v1/keyring")) {
    CLOISTER_RETURN_IF_ERROR(RequireRole(call.caller, {kRoleAuditor, kRoleCompliance}));
    return GetKeyring(call);
  }
  CLOISTER_RETURN_IF_ERROR(RequireRole(call.caller, {}));
  if (call.Is("POST", "/admin/v1/keyring/rotate")) return Rotate(call);
  if (call.Is("PUT", "/admin/v1/keyring/recovery")) return SetRecovery(call);
  if (call.Is("POST", "/admin/v1/keyring/escrow")) return Escrow(call);
  return NoRoute();
}

}  // namespace cloister::services
