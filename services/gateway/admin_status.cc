// SPDX-License-Identifier: Apache-2.0
// /admin/v1/status: what runs, how much is in it, and in plain sentences what is not protected.
#include <nlohmann/json.hpp>

#include "services/gateway/gateway.h"
#include "services/gateway/json_body.h"
#include "services/gateway/keyring_json.h"

namespace cloister::services {
namespace {

using nlohmann::json;

constexpr std::chrono::milliseconds kStatusTimeout{2'000};

// What one peer says, or null when it does not answer: status must work when something is broken.
template <class Response, class Rpc>
std::optional<Response> Fetch(Peers& peers, Rpc rpc) {
  Peers::Call call(peers, kStatusTimeout);
  Response response;
  if (!rpc(call.context(), &response).ok()) return std::nullopt;
  return response;
}

void AddSentences(json& sentences, const google::protobuf::RepeatedPtrField<std::string>& more) {
  for (const std::string& sentence : more) sentences.push_back(sentence);
}

json KeyringPart(Peers& peers, json& not_protected) {
  const auto keyring = Fetch<v1::KeyringStatus>(
      peers, [&](auto* context, auto* response) { return peers.keys().GetKeyringStatus(context, {}, response); });
  if (!keyring.has_value()) return nullptr;
  AddSentences(not_protected, keyring->not_protected());
  return KeyringJson(*keyring);
}

json LogJson(Peers& peers, json& not_protected) {
  const auto log = Fetch<v1::LogStatus>(
      peers, [&](auto* context, auto* response) { return peers.audit().GetLogStatus(context, {}, response); });
  if (!log.has_value()) return nullptr;
  AddSentences(not_protected, log->not_protected());
  json witnesses = json::array();
  for (const v1::WitnessStatus& witness : log->witnesses()) {
    witnesses.push_back({{"name", witness.name()},
                         {"size", witness.size()},
                         {"cosigned_at", witness.cosigned_at()},
                         {"problem", witness.problem()}});
  }
  return {{"origin", log->origin()},
          {"witnesses", std::move(witnesses)},
          {"witnessed", log->witnessed()},
          {"verifier_key", log->verifier_key()},
          {"size", log->size()},
          {"checkpoint_size", log->checkpoint_size()}};
}

json IndexJson(Peers& peers) {
  const auto index = Fetch<v1::IndexStatus>(peers, [&](auto* context, auto* response) {
    return peers.documents().GetIndexStatus(context, {}, response);
  });
  if (!index.has_value()) return nullptr;
  return {{"documents", index->documents()},
          {"chunks", index->chunks()},
          {"classes", index->classes()},
          {"commit_sequence", index->commit_sequence()},
          {"segments", index->segments()},
          {"quarantined", index->quarantined()},
          {"unreadable_documents", index->unreadable_documents()}};
}

json ModelsJson(Peers& peers) {
  json models{{"embedder", nullptr}, {"generator", nullptr}};
  const auto embedder = Fetch<v1::EmbedderInfo>(
      peers, [&](auto* context, auto* response) { return peers.embedding().GetEmbedder(context, {}, response); });
  if (embedder.has_value()) {
    models["embedder"] = {{"name", embedder->name()},
                          {"sha256", embedder->sha256()},
                          {"dimension", embedder->dimension()},
                          {"tokens_max", embedder->tokens_max()}};
  }
  const auto generator = Fetch<v1::GeneratorInfo>(
      peers, [&](auto* context, auto* response) { return peers.generation().GetGenerator(context, {}, response); });
  if (generator.has_value()) {
    models["generator"] = {
        {"name", generator->name()}, {"sha256", generator->sha256()}, {"tokens_max", generator->tokens_max()}};
  }
  return models;
}

}  // namespace

Status HandleAdminStatus(const RouteCall& call) {
  CLOISTER_RETURN_IF_ERROR(RequireRole(call.caller, {kRoleKnowledgeManager, kRoleAuditor, kRoleCompliance}));
  if (!call.Is("GET", "/admin/v1/status")) return NoRoute();
  Peers& peers = call.parts.peers;
  json services{{"gateway", true}};
  for (const char* name : kPeerNames) services[name] = peers.IsHealthy(name);
  json not_protected = json::array();
  json keyring = KeyringPart(peers, not_protected);
  json log = LogJson(peers, not_protected);
  call.writer.Send(JsonResponse({{"services", std::move(services)},
                                 {"keyring", std::move(keyring)},
                                 {"audit", std::move(log)},
                                 {"index", IndexJson(peers)},
                                 {"models", ModelsJson(peers)},
                                 {"not_protected", std::move(not_protected)}}));
  return absl::OkStatus();
}

}  // namespace cloister::services
