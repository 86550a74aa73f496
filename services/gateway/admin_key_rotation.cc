// SPDX-License-Identifier: Apache-2.0
// /admin/v1/keyring/rotation and /former: has every service replace its data keys, and destroy the former ones. Knows nothing
// of what they seal; see services/server/key_rotation.h.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "services/gateway/gateway.h"
#include "services/gateway/json_body.h"
#include "services/gateway/slow_reply.h"
#include "services/server/maintenance.h"

namespace cloister::services {
namespace {

using nlohmann::json;

constexpr std::string_view kOwnService = "gateway";
// Those with databases, in the order in which they are asked.
constexpr const char* kRotating[] = {"retrieval", "audit", "ingest", "gateway"};
// Everything is read once more before former keys are destroyed.
constexpr std::chrono::milliseconds kEndingTimeout{24 * 3'600'000};

StatusOr<v1::KeyRotationState> StateOf(const RouteCall& call, const std::string& service) {
  if (service == kOwnService) {
    if (call.parts.own == nullptr) return Unavailable("this gateway has no database");
    return call.parts.own->KeyRotationNow();
  }
  v1::KeyRotationState state;
  Peers::Call rpc(call.parts.peers, kQuickTimeout);
  CLOISTER_RETURN_IF_ERROR(FromPeer(
      call.parts.peers.maintenance(service).GetKeyRotation(rpc.context(), v1::GetKeyRotationRequest(), &state),
      service));
  return state;
}

StatusOr<v1::KeyRotationState> Start(const RouteCall& call, const std::string& service,
                                     const std::vector<std::string>& levels) {
  if (service == kOwnService) return call.parts.own->RotateKeysNow(levels);
  v1::RotateKeysRequest request;
  for (const std::string& level : levels) request.add_levels(level);
  v1::KeyRotationState state;
  Peers::Call rpc(call.parts.peers, kQuickTimeout);
  CLOISTER_RETURN_IF_ERROR(
      FromPeer(call.parts.peers.maintenance(service).RotateKeys(rpc.context(), request, &state), service));
  return state;
}

StatusOr<v1::EndFormerKeysResponse> End(const RouteCall& call, const std::string& service) {
  if (service == kOwnService) return call.parts.own->EndFormerKeysNow();
  v1::EndFormerKeysResponse response;
  Peers::Call rpc(call.parts.peers, kEndingTimeout);
  CLOISTER_RETURN_IF_ERROR(FromPeer(
      call.parts.peers.maintenance(service).EndFormerKeys(rpc.context(), v1::EndFormerKeysRequest(), &response),
      service));
  return response;
}

json StateJson(const std::string& service, const v1::KeyRotationState& state) {
  return {{"service", service},
          {"levels_known", std::vector<std::string>(state.levels_known().begin(), state.levels_known().end())},
          {"running", state.running()},
          {"levels", std::vector<std::string>(state.levels().begin(), state.levels().end())},
          {"replaced", state.replaced()},
          {"renewed", state.renewed()},
          {"finished_at", state.finished_ns() == 0
                              ? json(nullptr)
                              : json(FormatTime(WallTime(std::chrono::nanoseconds(state.finished_ns()))))},
          {"problem", state.problem().empty() ? json(nullptr) : json(state.problem())}};
}

Status Get(const RouteCall& call) {
  json services = json::array();
  bool running = false;
  for (const char* service : kRotating) {
    CLOISTER_ASSIGN_OR_RETURN(const v1::KeyRotationState state, StateOf(call, service));
    running = running || state.running();
    services.push_back(StateJson(service, state));
  }
  call.writer.Send(JsonResponse({{"running", running}, {"services", std::move(services)}}));
  return absl::OkStatus();
}

// Of each service the levels that it has and that are asked for; all without `asked`. Errors: kInvalidArgument.
StatusOr<std::map<std::string, std::vector<std::string>>> LevelsOf(
    const RouteCall& call, const std::optional<std::vector<std::string>>& asked) {
  std::map<std::string, std::vector<std::string>> levels;
  std::set<std::string> known;
  for (const char* service : kRotating) {
    CLOISTER_ASSIGN_OR_RETURN(const v1::KeyRotationState state, StateOf(call, service));
    for (const std::string& level : state.levels_known()) {
      known.insert(level);
      if (!asked || std::find(asked->begin(), asked->end(), level) != asked->end()) levels[service].push_back(level);
    }
  }
  const std::vector<std::string> nothing;
  for (const std::string& level : asked ? *asked : nothing) {
    if (!known.contains(level))
      return FieldError("levels", "must be of volumes, rows, documents, subjects and segments");
  }
  if (levels.empty()) return FieldError("levels", "must name at least one level");
  return levels;
}

Status Begin(const RouteCall& call) {
  std::optional<std::vector<std::string>> asked;
  if (!call.request.body.empty()) {
    CLOISTER_ASSIGN_OR_RETURN(const JsonBody body, JsonBody::Parse(call.request));
    CLOISTER_RETURN_IF_ERROR(body.OnlyKnown({"levels"}));
    CLOISTER_ASSIGN_OR_RETURN(asked, body.OptionalStrings("levels"));
  }
  CLOISTER_ASSIGN_OR_RETURN(const auto levels, LevelsOf(call, asked));
  std::set<std::string> named;
  for (const auto& [service, own] : levels) named.insert(own.begin(), own.end());
  const json record{{"level", "data"}, {"levels", named}};
  CLOISTER_RETURN_IF_ERROR(RecordAdmin(call, "key.rotated", record.dump(), "", ""));
  json services = json::array();
  for (const auto& [service, own] : levels) {
    CLOISTER_ASSIGN_OR_RETURN(const v1::KeyRotationState state, Start(call, service, own));
    services.push_back(StateJson(service, state));
  }
  call.writer.Send(JsonResponse({{"running", true}, {"services", std::move(services)}}, 202));
  return absl::OkStatus();
}

// Nothing is destroyed anywhere while a rotation is under way somewhere. A service that fails leaves its former keys and
// those of the services after it; a repeated call goes on there.
StatusOr<json> EndAll(const RouteCall& call) {
  for (const char* service : kRotating) {
    CLOISTER_ASSIGN_OR_RETURN(const v1::KeyRotationState state, StateOf(call, service));
    if (state.running()) {
      return FailedPrecondition("data keys are being rotated; wait for that to end, `cloister keys status` tells");
    }
  }
  const json record{{"level", "former"}};
  CLOISTER_RETURN_IF_ERROR(RecordAdmin(call, "key.rotated", record.dump(), "", ""));
  json services = json::array();
  uint64_t destroyed = 0;
  json out;
  for (const char* service : kRotating) {
    CLOISTER_ASSIGN_OR_RETURN(const v1::EndFormerKeysResponse ended, End(call, service));
    services.push_back({{"service", service}, {"destroyed", ended.destroyed()}, {"renewed", ended.renewed()}});
    destroyed += ended.destroyed();
    out["epoch"] = ended.epoch();
    out["escrow"] = ended.escrow();
    out["for_good"] = ended.for_good();
  }
  out["destroyed"] = destroyed;
  out["services"] = std::move(services);
  return out;
}

}  // namespace

Status HandleAdminKeyRotation(const RouteCall& call) {
  if (call.Is("GET", "/admin/v1/keyring/rotation")) {
    CLOISTER_RETURN_IF_ERROR(RequireRole(call.caller, {kRoleAuditor, kRoleCompliance}));
    return Get(call);
  }
  CLOISTER_RETURN_IF_ERROR(RequireRole(call.caller, {}));
  if (call.Is("POST", "/admin/v1/keyring/rotation")) return Begin(call);
  if (call.Is("DELETE", "/admin/v1/keyring/former")) return SendWhenMade(call, [&] { return EndAll(call); });
  return NoRoute();
}

}  // namespace cloister::services
