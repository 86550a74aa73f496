// SPDX-License-Identifier: Apache-2.0
#include "services/cli/admin_action.h"

#include <memory>
#include <utility>

#include "services/cli/terminal_text.h"

namespace cloister::services {
namespace {

using nlohmann::json;

int Run(CliContext& context, const CredentialFlags& credentials, bool as_json, const AdminAction& action,
        const AdminPrinter& print) {
  StatusOr<GatewayClient> client = MakeClient(context, credentials, false);
  if (!client.ok()) return context.Fail(client.status());
  const StatusOr<json> reply = action(*client);
  if (!reply.ok()) return context.Fail(reply.status());
  if (as_json) {
    context.out() << reply->dump(2) << std::endl;
  } else {
    print(*reply, context.out());
    context.out() << std::flush;
  }
  return kExitOk;
}

}  // namespace

CLI::App* AddAdminAction(CLI::App& group, CliContext& context, const char* name, const char* help, AdminAction action,
                         AdminPrinter print) {
  CLI::App* command = group.add_subcommand(name, help);
  auto as_json = std::make_shared<bool>(false);
  command->add_flag("--json", *as_json, "for programs");
  auto credentials = std::make_shared<CredentialFlags>();
  command->add_option("--key-file", credentials->key_file,
                      "file with an administrator's API key; without it, the owner of the data directory acts");
  command->callback([&context, as_json, credentials, action = std::move(action), print = std::move(print)] {
    context.command = [&context, as_json, credentials, action, print] {
      return Run(context, *credentials, *as_json, action, print);
    };
  });
  return command;
}

std::string Joined(const json& strings) {
  std::string joined;
  for (const json& value : strings) {
    if (value.is_string()) joined += (joined.empty() ? "" : ", ") + Printable(value.get<std::string>());
  }
  return joined.empty() ? "-" : joined;
}

std::string Text(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return "-";
  return found->is_string() ? Printable(found->get<std::string>()) : found->dump();
}

}  // namespace cloister::services
