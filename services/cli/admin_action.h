// SPDX-License-Identifier: Apache-2.0
// A subcommand that makes one call as an administrator and prints its reply, for a person or as JSON. Knows no command.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>

#include "common/status.h"
#include "services/cli/commands.h"
#include "services/cli/gateway_client.h"

namespace cloister::services {

using AdminAction = std::function<StatusOr<nlohmann::json>(GatewayClient&)>;
using AdminPrinter = std::function<void(const nlohmann::json&, std::ostream&)>;

// Adds `name` with --json and --key-file to `group`; `action` and `print` run when it was chosen.
CLI::App* AddAdminAction(CLI::App& group, CliContext& context, const char* name, const char* help, AdminAction action,
                         AdminPrinter print);

// The strings of an array with commas in between, harmless for a terminal; "-" when there is none.
std::string Joined(const nlohmann::json& strings);
// A member as text, harmless for a terminal; "-" when it is absent or null.
std::string Text(const nlohmann::json& object, const char* name);

}  // namespace cloister::services
