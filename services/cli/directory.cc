// SPDX-License-Identifier: Apache-2.0
// `cloister user`, `cloister key` and `cloister collection`: who there is, and who may read what.
#include <memory>
#include <ostream>

#include "services/cli/admin_action.h"
#include "services/cli/commands.h"
#include "services/cli/gateway_client.h"
#include "services/cli/passphrase.h"
#include "services/cli/terminal_text.h"

namespace cloister::services {
namespace {

using nlohmann::json;

void PrintUsers(const json& reply, std::ostream& out) {
  std::vector<std::vector<std::string>> rows{{"USER", "GROUPS", "ROLES", "PASSWORD", "KEYS"}};
  for (const json& user : reply.value("users", json::array())) {
    rows.push_back({Printable(user.value("name", "")), Joined(user.value("groups", json::array())),
                    Joined(user.value("roles", json::array())), user.value("password", false) ? "yes" : "no",
                    user.value("keys", json(0)).dump()});
  }
  PrintTable(out, rows);
}

struct UserFlags {
  std::string name;
  std::vector<std::string> groups;
  std::vector<std::string> roles;
  bool password = false;
  std::string password_file;
};

StatusOr<json> AddUser(GatewayClient& client, const UserFlags& flags) {
  json body{{"groups", flags.groups}, {"roles", flags.roles}};
  if (flags.password || !flags.password_file.empty()) {
    StatusOr<crypto::Secret> password = flags.password_file.empty()
                                            ? AskPassphrase("New password of " + flags.name + ": ", true)
                                            : ReadSecretFile(flags.password_file, kPassword);
    CLOISTER_RETURN_IF_ERROR(password.status());
    body["password"] = password->view();
  }
  json create = body;
  create["name"] = flags.name;
  StatusOr<json> reply = client.Call("POST", "/admin/v1/users", create);
  if (reply.status().code() != StatusCode::kAlreadyExists) return reply;
  return client.Call("PUT", "/admin/v1/users/" + PathSegment(flags.name), body);
}

void AddUserGroup(CLI::App& user, CliContext& context) {
  auto flags = std::make_shared<UserFlags>();
  CLI::App* add = AddAdminAction(
      user, context, "add", "Add a user, or set groups, roles and password of one there is",
      [flags](GatewayClient& client) { return AddUser(client, *flags); },
      [](const json& reply, std::ostream& out) {
        out << reply.value("name", "") << ": groups " << Joined(reply.value("groups", json::array())) << "; roles "
            << Joined(reply.value("roles", json::array())) << "\n";
      });
  add->add_option("name", flags->name, "a-z, 0-9, dot, underscore, at, hyphen")->required();
  add->add_option("--group", flags->groups, "a group the user is in; repeat for more")->allow_extra_args(false);
  add->add_option("--role", flags->roles,
                  "administrator, knowledge-manager, auditor or compliance; repeat for more")
      ->allow_extra_args(false);
  auto* ask = add->add_flag("--password", flags->password, "ask for a password on the terminal");
  add->add_option("--password-file", flags->password_file, "file with the password, readable by its owner only")
      ->excludes(ask);
  AddAdminAction(user, context, "list", "List users",
            [](GatewayClient& client) { return client.Get("/admin/v1/users"); }, PrintUsers);
  auto name = std::make_shared<std::string>();
  AddAdminAction(
      user, context, "remove", "Remove a user and revoke all of the user's keys",
      [name](GatewayClient& client) {
        return client.Call("DELETE", "/admin/v1/users/" + PathSegment(*name), nullptr);
      },
      [name](const json&, std::ostream& out) { out << "removed " << *name << "\n"; })
      ->add_option("name", *name, "user to remove")
      ->required();
}

void PrintKeys(const json& reply, std::ostream& out) {
  std::vector<std::vector<std::string>> rows{{"KEY", "USER", "APPLICATION", "CREATED"}};
  for (const json& key : reply.value("keys", json::array())) {
    rows.push_back({key.value("id", ""), Printable(key.value("user", "")), key.value("application", ""),
                    key.value("created_at", "").substr(0, 19) + "Z"});
  }
  PrintTable(out, rows);
}

void AddKeyGroup(CLI::App& key, CliContext& context) {
  auto user = std::make_shared<std::string>();
  auto application = std::make_shared<std::string>();
  CLI::App* create = AddAdminAction(
      key, context, "create", "Make an API key; it is shown once, alone on its line",
      [user, application](GatewayClient& client) {
        json body{{"user", *user}};
        if (!application->empty()) body["application"] = *application;
        return client.Call("POST", "/admin/v1/keys", body);
      },
      [](const json& reply, std::ostream& out) { out << reply.value("key", "") << "\n"; });
  create->add_option("user,--user", *user, "whose key it is")->required();
  create->add_option("--application", *application, "client application it is for, as the log shows it [api]");
  auto of = std::make_shared<std::string>();
  AddAdminAction(
      key, context, "list", "List API keys, without their secrets",
      [of](GatewayClient& client) {
        return client.Get(of->empty() ? std::string("/admin/v1/keys") : "/admin/v1/keys?user=" + PathSegment(*of));
      },
      PrintKeys)
      ->add_option("user", *of, "only this user's");
  auto id = std::make_shared<std::string>();
  AddAdminAction(
      key, context, "revoke", "Revoke an API key at once",
      [id](GatewayClient& client) {
        return client.Call("DELETE", "/admin/v1/keys/" + PathSegment(*id), nullptr);
      },
      [id](const json&, std::ostream& out) { out << "revoked " << *id << "\n"; })
      ->add_option("id", *id, "id from `cloister key list`")
      ->required();
}

struct CollectionFlags {
  std::string name;
  std::vector<std::string> groups;
  std::vector<std::string> users;
  std::string classification = "internal";
  bool no_sentence_vectors = false;
  std::string retention;  // Empty: as it is; of a new collection, shred.
};

void PrintCollections(const json& reply, std::ostream& out) {
  std::vector<std::vector<std::string>> rows{{"COLLECTION", "READER GROUPS", "READER USERS", "CLASSIFICATION", "RETENTION"}};
  for (const json& collection : reply.value("collections", json::array())) {
    rows.push_back({collection.value("name", ""), Joined(collection.value("reader_groups", json::array())),
                    Joined(collection.value("reader_users", json::array())), collection.value("classification", ""),
                    Text(collection, "retention")});
  }
  PrintTable(out, rows);
}

void AddCollectionGroup(CLI::App& collection, CliContext& context) {
  auto flags = std::make_shared<CollectionFlags>();
  CLI::App* put = AddAdminAction(
      collection, context, "put", "Make a collection, or set who may read it; nobody else may",
      [flags](GatewayClient& client) {
        json body{{"reader_groups", flags->groups},
                  {"reader_users", flags->users},
                  {"classification", flags->classification},
                  {"no_sentence_vectors", flags->no_sentence_vectors}};
        if (!flags->retention.empty()) body["retention"] = flags->retention;
        return client.Call("PUT", "/admin/v1/collections/" + PathSegment(flags->name), body);
      },
      [](const json& reply, std::ostream& out) {
        out << reply.value("name", "") << (reply.value("created", false) ? " made" : " changed") << ": readers "
            << Joined(reply.value("reader_groups", json::array())) << "; users "
            << Joined(reply.value("reader_users", json::array())) << "; former versions: " << Text(reply, "retention")
            << "\n";
      });
  put->alias("create");
  put->add_option("name", flags->name, "a-z, 0-9, dot, underscore, hyphen")->required();
  put->add_option("--reader-group,--group", flags->groups, "a group that may read it; repeat for more")
      ->allow_extra_args(false);
  put->add_option("--reader-user", flags->users, "a user who may read it; repeat for more")->allow_extra_args(false);
  put->add_option("--classification", flags->classification, "of its documents, unless they say otherwise")
      ->capture_default_str();
  put->add_flag("--no-sentence-vectors", flags->no_sentence_vectors,
                "for search only: smaller, but answers are chosen by words alone");
  put->add_option("--retention", flags->retention,
                  "what becomes of superseded and deleted versions: shred, keep or keep-N-days [as it is; of a new one, "
                  "shred]");
  AddAdminAction(collection, context, "list", "List collections and who may read them",
            [](GatewayClient& client) { return client.Get("/admin/v1/collections"); }, PrintCollections);
}

}  // namespace

void AddUserCommands(CLI::App& app, CliContext& context) {
  CLI::App* user = app.add_subcommand("user", "Users: who may log in and what they may administer");
  user->require_subcommand(1);
  AddUserGroup(*user, context);
}

void AddKeyCommands(CLI::App& app, CliContext& context) {
  CLI::App* key = app.add_subcommand("key", "API keys: how programs ask as a user");
  key->require_subcommand(1);
  AddKeyGroup(*key, context);
}

void AddCollectionCommands(CLI::App& app, CliContext& context) {
  CLI::App* collection = app.add_subcommand("collection", "Collections: documents that share who may read them");
  collection->require_subcommand(1);
  AddCollectionGroup(*collection, context);
}

}  // namespace cloister::services
