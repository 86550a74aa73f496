// SPDX-License-Identifier: Apache-2.0
// The parts of the `cloister keys` group that have a file of their own.
#pragma once

#include "services/cli/commands.h"

namespace cloister::services {

void AddSplitCommand(CLI::App& keys, CliContext& context);    // keys_split.cc
void AddEscrowCommand(CLI::App& keys, CliContext& context);   // keys_escrow.cc
void AddAcceptOlderCommand(CLI::App& keys, CliContext& context);  // keys_accept_older.cc
void AddRecoverCommand(CLI::App& keys, CliContext& context);  // keys_escrow.cc

}  // namespace cloister::services
