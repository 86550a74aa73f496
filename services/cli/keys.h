// SPDX-License-Identifier: Apache-2.0
// The parts of the `cloister keys` group that have a file of their own.
#pragma once

#include <nlohmann/json.hpp>
#include <ostream>

#include "services/cli/commands.h"

namespace cloister::services {

void AddSplitCommand(CLI::App& keys, CliContext& context);    // keys_split.cc
void AddEscrowCommand(CLI::App& keys, CliContext& context);   // keys_escrow.cc
void AddAcceptOlderCommand(CLI::App& keys, CliContext& context);  // keys_accept_older.cc
void AddRotateDataCommand(CLI::App& rotate, CliContext& context);   // keys_rotate_data.cc
void AddDestroyFormerCommand(CLI::App& keys, CliContext& context);  // keys_rotate_data.cc
// What GET /admin/v1/keyring/rotation returned, when something is under way. keys_rotate_data.cc
void PrintKeyRotation(const nlohmann::json& state, std::ostream& out);
void AddRecoverCommand(CLI::App& keys, CliContext& context);  // keys_escrow.cc

}  // namespace cloister::services
