// SPDX-License-Identifier: Apache-2.0
// /admin/v1: users, API keys, collections. Every change is recorded before it is made.
#include <nlohmann/json.hpp>

#include "services/gateway/gateway.h"
#include "services/gateway/http_error.h"
#include "services/gateway/json_body.h"

namespace cloister::services {
namespace {

using nlohmann::json;

constexpr const char* kDirectoryChanged = "directory.changed";
constexpr const char* kDefaultApplication = "api";
constexpr size_t kGroupsMax = 256;

struct UserInput {
  std::optional<std::vector<std::string>> groups;
  std::optional<std::set<std::string>> roles;
  std::optional<std::string> password_phc;
};

StatusOr<std::vector<std::string>> Names(const JsonBody& body, std::string_view field, std::string_view what) {
  CLOISTER_ASSIGN_OR_RETURN(auto names, body.OptionalStrings(field));
  if (!names.has_value()) return std::vector<std::string>();
  if (names->size() > kGroupsMax) return FieldError(field, "may hold at most " + std::to_string(kGroupsMax));
  for (const std::string& name : *names) CLOISTER_RETURN_IF_ERROR(CheckName(what, name));
  std::sort(names->begin(), names->end());
  names->erase(std::unique(names->begin(), names->end()), names->end());
  return *std::move(names);
}

StatusOr<UserInput> ReadUser(const JsonBody& body, const crypto::Argon2Cost& cost) {
  UserInput input;
  if (body.object().contains("groups")) {
    CLOISTER_ASSIGN_OR_RETURN(input.groups, Names(body, "groups", "group"));
  }
  CLOISTER_ASSIGN_OR_RETURN(const auto roles, body.OptionalStrings("roles"));
  if (roles.has_value()) {
    CLOISTER_ASSIGN_OR_RETURN(input.roles, CheckRoles(*roles));
  }
  CLOISTER_ASSIGN_OR_RETURN(auto password, body.OptionalString("password"));
  if (password.has_value()) {
    StatusOr<std::string> phc = HashUserPassword(*password, cost);
    crypto::Wipe(password->data(), password->size());
    CLOISTER_RETURN_IF_ERROR(phc.status());
    input.password_phc = *std::move(phc);
  }
  return input;
}

StatusOr<v1::ListUsersResponse> DirectoryUsers(const RouteCall& call) {
  v1::ListUsersResponse response;
  Peers::Call rpc(call.parts.peers, kQuickTimeout);
  const auto status = call.parts.peers.directory().ListUsers(rpc.context(), {}, &response);
  CLOISTER_RETURN_IF_ERROR(FromPeer(status, "retrieval"));
  return response;
}

json UserJson(const std::string& name, const std::vector<std::string>& groups, const std::set<std::string>& roles,
              bool has_password, size_t keys) {
  return {{"name", name}, {"groups", groups}, {"roles", roles}, {"password", has_password}, {"keys", keys}};
}

Status ListUsers(const RouteCall& call) {
  CLOISTER_RETURN_IF_ERROR(RequireRole(call.caller, {}));
  CLOISTER_ASSIGN_OR_RETURN(const v1::ListUsersResponse directory, DirectoryUsers(call));
  std::map<std::string, size_t> keys;
  for (const ApiKey& key : call.parts.credentials.ListKeys()) ++keys[key.user];
  json users = json::array();
  for (const v1::User& user : directory.users()) {
    const auto credentials = call.parts.credentials.FindUser(user.name());
    users.push_back(UserJson(user.name(), {user.groups().begin(), user.groups().end()},
                             {user.roles().begin(), user.roles().end()},
                             credentials.has_value() && !credentials->password_phc.empty(), keys[user.name()]));
  }
  call.writer.Send(JsonResponse({{"users", std::move(users)}}));
  return absl::OkStatus();
}

// Directory first: a user that only the directory knows cannot log in, and the same request may simply be repeated.
Status StoreUser(const RouteCall& call, const std::string& name, const UserInput& input, const char* action) {
  const json body{{"action", action}, {"roles", *input.roles}, {"groups", input.groups->size()},
                  {"password_set", input.password_phc.has_value() ? 1 : 0}};
  const json section{{"user", name}, {"groups", *input.groups}, {"roles", *input.roles}, {"by", call.caller.user}};
  CLOISTER_RETURN_IF_ERROR(RecordAdmin(call, kDirectoryChanged, DumpJson(body), name, DumpJson(section)));
  v1::PutUserRequest request;
  request.mutable_user()->set_name(name);
  for (const std::string& group : *input.groups) request.mutable_user()->add_groups(group);
  for (const std::string& role : *input.roles) request.mutable_user()->add_roles(role);
  v1::PutUserResponse response;
  Peers::Call rpc(call.parts.peers, kQuickTimeout);
  CLOISTER_RETURN_IF_ERROR(
      FromPeer(call.parts.peers.directory().PutUser(rpc.context(), request, &response), "retrieval"));
  return call.parts.credentials.PutUser(name, *input.roles, input.password_phc);
}

Status CreateUser(const RouteCall& call) {
  CLOISTER_RETURN_IF_ERROR(RequireRole(call.caller, {}));
  CLOISTER_ASSIGN_OR_RETURN(const JsonBody body, JsonBody::Parse(call.request));
  CLOISTER_RETURN_IF_ERROR(body.OnlyKnown({"name", "groups", "roles", "password"}));
  CLOISTER_ASSIGN_OR_RETURN(const std::string name, body.RequiredString("name"));
  CLOISTER_RETURN_IF_ERROR(CheckName("user", name));
  if (call.parts.credentials.FindUser(name).has_value()) return AlreadyExists("there is a user of this name");
  CLOISTER_ASSIGN_OR_RETURN(UserInput input, ReadUser(body, call.parts.options.password_cost));
  if (!input.groups.has_value()) input.groups.emplace();
  if (!input.roles.has_value()) input.roles.emplace();
  CLOISTER_RETURN_IF_ERROR(StoreUser(call, name, input, "user.created"));
  call.writer.Send(
      JsonResponse(UserJson(name, *input.groups, *input.roles, input.password_phc.has_value(), 0), 201));
  return absl::OkStatus();
}

Status UpdateUser(const RouteCall& call, const std::string& name) {
  CLOISTER_RETURN_IF_ERROR(RequireRole(call.caller, {}));
  CLOISTER_ASSIGN_OR_RETURN(const JsonBody body, JsonBody::Parse(call.request));
  CLOISTER_RETURN_IF_ERROR(body.OnlyKnown({"groups", "roles", "password"}));
  const auto credentials = call.parts.credentials.FindUser(name);
  if (!credentials.has_value()) return NotFound("there is no such user");
  CLOISTER_ASSIGN_OR_RETURN(UserInput input, ReadUser(body, call.parts.options.password_cost));
  if (!input.roles.has_value()) input.roles = credentials->roles;
  if (!input.groups.has_value()) {
    CLOISTER_ASSIGN_OR_RETURN(const v1::ListUsersResponse directory, DirectoryUsers(call));
    input.groups.emplace();
    for (const v1::User& user : directory.users()) {
      if (user.name() == name) input.groups->assign(user.groups().begin(), user.groups().end());
    }
  }
  CLOISTER_RETURN_IF_ERROR(StoreUser(call, name, input, "user.changed"));
  const bool has_password = input.password_phc.has_value() || !credentials->password_phc.empty();
  call.writer.Send(JsonResponse(UserJson(name, *input.groups, *input.roles, has_password, 0)));
  return absl::OkStatus();
}

// Credentials first: from then on the person cannot log in, whatever happens next.
Status DeleteUser(const RouteCall& call, const std::string& name) {
  CLOISTER_RETURN_IF_ERROR(RequireRole(call.caller, {}));
  CLOISTER_RETURN_IF_ERROR(CheckName("user", name));
  const json section{{"user", name}, {"by", call.caller.user}};
  CLOISTER_RETURN_IF_ERROR(
      RecordAdmin(call, kDirectoryChanged, DumpJson({{"action", "user.deleted"}}), name, DumpJson(section)));
  CLOISTER_ASSIGN_OR_RETURN(const bool had_credentials, call.parts.credentials.DeleteUser(name));
  v1::DeleteUserRequest request;
  request.set_name(name);
  v1::DeleteUserResponse response;
  Peers::Call rpc(call.parts.peers, kQuickTimeout);
  CLOISTER_RETURN_IF_ERROR(
      FromPeer(call.parts.peers.directory().DeleteUser(rpc.context(), request, &response), "retrieval"));
  if (!had_credentials && !response.existed()) return NotFound("there is no such user");
  call.writer.Send(JsonResponse({{"deleted", true}}));
  return absl::OkStatus();
}

json KeyJson(const ApiKey& key) {
  return {{"id", key.id},
          {"user", key.user},
          {"application", key.application},
          {"created_at", FormatTime(WallTime(std::chrono::nanoseconds(key.created_at_ns)))}};
}

Status ListKeys(const RouteCall& call) {
  CLOISTER_RETURN_IF_ERROR(RequireRole(call.caller, {}));
  const auto user = call.request.query.find("user");
  json keys = json::array();
  for (const ApiKey& key : call.parts.credentials.ListKeys()) {
    if (user == call.request.query.end() || user->second == key.user) keys.push_back(KeyJson(key));
  }
  call.writer.Send(JsonResponse({{"keys", std::move(keys)}}));
  return absl::OkStatus();
}

Status CreateKey(const RouteCall& call) {
  CLOISTER_RETURN_IF_ERROR(RequireRole(call.caller, {}));
  CLOISTER_ASSIGN_OR_RETURN(const JsonBody body, JsonBody::Parse(call.request));
  CLOISTER_RETURN_IF_ERROR(body.OnlyKnown({"user", "application"}));
  CLOISTER_ASSIGN_OR_RETURN(const std::string user, body.RequiredString("user"));
  if (!call.parts.credentials.FindUser(user).has_value()) return NotFound("there is no such user");
  CLOISTER_ASSIGN_OR_RETURN(const auto given, body.OptionalString("application"));
  const std::string application = given.value_or(kDefaultApplication);
  CLOISTER_RETURN_IF_ERROR(CheckName("client application", application));
  const json section{{"user", user}, {"by", call.caller.user}};
  CLOISTER_RETURN_IF_ERROR(RecordAdmin(call, kDirectoryChanged,
                                       DumpJson({{"action", "key.created"}, {"application", application}}), user,
                                       DumpJson(section)));
  CLOISTER_ASSIGN_OR_RETURN(const NewApiKey made, call.parts.credentials.CreateKey(user, application));
  json answer = KeyJson(made.key);
  answer["key"] = made.token.view();
  call.writer.Send(JsonResponse(answer, 201));
  return absl::OkStatus();
}

Status RevokeKey(const RouteCall& call, const std::string& id) {
  CLOISTER_RETURN_IF_ERROR(RequireRole(call.caller, {}));
  std::string user;
  for (const ApiKey& key : call.parts.credentials.ListKeys()) {
    if (key.id == id) user = key.user;
  }
  if (user.empty()) return NotFound("there is no such key");
  const json section{{"user", user}, {"key", id}, {"by", call.caller.user}};
  CLOISTER_RETURN_IF_ERROR(
      RecordAdmin(call, kDirectoryChanged, DumpJson({{"action", "key.revoked"}}), user, DumpJson(section)));
  CLOISTER_ASSIGN_OR_RETURN(const bool existed, call.parts.credentials.RevokeKey(id));
  if (!existed) return NotFound("there is no such key");
  call.writer.Send(JsonResponse({{"revoked", true}}));
  return absl::OkStatus();
}

json CollectionJson(const v1::Collection& collection) {
  return {{"name", collection.name()},
          {"reader_groups",
           std::vector<std::string>(collection.reader_groups().begin(), collection.reader_groups().end())},
          {"reader_users",
           std::vector<std::string>(collection.reader_users().begin(), collection.reader_users().end())},
          {"classification", collection.classification()},
          {"no_sentence_vectors", collection.no_sentence_vectors()},
          {"retention", collection.retention().empty() ? "shred" : collection.retention()}};
}

StatusOr<v1::ListCollectionsResponse> DirectoryCollections(const RouteCall& call) {
  v1::ListCollectionsResponse response;
  Peers::Call rpc(call.parts.peers, kQuickTimeout);
  CLOISTER_RETURN_IF_ERROR(
      FromPeer(call.parts.peers.directory().ListCollections(rpc.context(), {}, &response), "retrieval"));
  return response;
}

// What is left out stays as it is, unlike readers: whoever changes those must not destroy former versions by it.
StatusOr<std::string> RetentionFrom(const RouteCall& call, const JsonBody& body, const std::string& name) {
  CLOISTER_ASSIGN_OR_RETURN(const auto retention, body.OptionalString("retention"));
  if (retention) return *retention;
  CLOISTER_ASSIGN_OR_RETURN(const v1::ListCollectionsResponse directory, DirectoryCollections(call));
  for (const v1::Collection& collection : directory.collections()) {
    if (collection.name() == name) return collection.retention();
  }
  return std::string();
}

Status ListCollections(const RouteCall& call) {
  CLOISTER_RETURN_IF_ERROR(RequireRole(call.caller, {kRoleKnowledgeManager}));
  CLOISTER_ASSIGN_OR_RETURN(const v1::ListCollectionsResponse response, DirectoryCollections(call));
  json collections = json::array();
  for (const v1::Collection& collection : response.collections()) collections.push_back(CollectionJson(collection));
  call.writer.Send(JsonResponse({{"collections", std::move(collections)}}));
  return absl::OkStatus();
}

Status PutCollection(const RouteCall& call, const std::string& name) {
  CLOISTER_RETURN_IF_ERROR(RequireRole(call.caller, {kRoleKnowledgeManager}));
  CLOISTER_RETURN_IF_ERROR(CheckName("collection", name));
  CLOISTER_ASSIGN_OR_RETURN(const JsonBody body, JsonBody::Parse(call.request));
  CLOISTER_RETURN_IF_ERROR(
      body.OnlyKnown({"reader_groups", "reader_users", "classification", "no_sentence_vectors", "retention"}));
  v1::PutCollectionRequest request;
  v1::Collection& collection = *request.mutable_collection();
  collection.set_name(name);
  CLOISTER_ASSIGN_OR_RETURN(const auto groups, Names(body, "reader_groups", "group"));
  CLOISTER_ASSIGN_OR_RETURN(const auto users, Names(body, "reader_users", "user"));
  for (const std::string& group : groups) collection.add_reader_groups(group);
  for (const std::string& user : users) collection.add_reader_users(user);
  CLOISTER_ASSIGN_OR_RETURN(const auto classification, body.OptionalString("classification"));
  collection.set_classification(classification.value_or("internal"));
  CLOISTER_RETURN_IF_ERROR(CheckName("classification", collection.classification()));
  CLOISTER_ASSIGN_OR_RETURN(const bool words_only, body.Bool("no_sentence_vectors", false));
  collection.set_no_sentence_vectors(words_only);
  CLOISTER_ASSIGN_OR_RETURN(*collection.mutable_retention(), RetentionFrom(call, body, name));
  // Which classes there are is retrieval's to say; the record that comes before that takes no free text.
  if (!collection.retention().empty() && !CheckName("retention class", collection.retention()).ok()) {
    return FieldError("retention", "must be \"shred\", \"keep\" or \"keep-N-days\"");
  }
  const json record{{"action", "collection.put"},
                    {"collection", name},
                    {"reader_groups", groups},
                    {"reader_users", users.size()},
                    {"classification", collection.classification()},
                    {"retention", collection.retention().empty() ? "shred" : collection.retention()}};
  const json section{{"reader_users", users}, {"by", call.caller.user}};
  CLOISTER_RETURN_IF_ERROR(
      RecordAdmin(call, kDirectoryChanged, DumpJson(record), users.empty() ? "" : call.caller.user,
                  DumpJson(section)));
  v1::PutCollectionResponse response;
  Peers::Call rpc(call.parts.peers, kQuickTimeout);
  CLOISTER_RETURN_IF_ERROR(
      FromPeer(call.parts.peers.directory().PutCollection(rpc.context(), request, &response), "retrieval"));
  json answer = CollectionJson(collection);
  answer["created"] = response.created();
  call.writer.Send(JsonResponse(answer, response.created() ? 201 : 200));
  return absl::OkStatus();
}

}  // namespace

Status HandleAdmin(const RouteCall& call) {
  if (call.Is("GET", "/admin/v1/users")) return ListUsers(call);
  if (call.Is("POST", "/admin/v1/users")) return CreateUser(call);
  if (call.Is("PUT", "/admin/v1/users/*")) return UpdateUser(call, call.segments[3]);
  if (call.Is("DELETE", "/admin/v1/users/*")) return DeleteUser(call, call.segments[3]);
  if (call.Is("GET", "/admin/v1/keys")) return ListKeys(call);
  if (call.Is("POST", "/admin/v1/keys")) return CreateKey(call);
  if (call.Is("DELETE", "/admin/v1/keys/*")) return RevokeKey(call, call.segments[3]);
  if (call.Is("GET", "/admin/v1/collections")) return ListCollections(call);
  if (call.Is("PUT", "/admin/v1/collections/*")) return PutCollection(call, call.segments[3]);
  return NoRoute();
}

}  // namespace cloister::services
