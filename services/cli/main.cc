// SPDX-License-Identifier: Apache-2.0
// The `cloister` binary: every command, and the supervisor behind `cloister up`.
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "crypto/secret.h"
#include "services/cli/commands.h"

int main(int argc, char** argv) {
  using namespace cloister::services;
  // Passphrases pass through here.
  if (!cloister::crypto::ForbidCoreDumps()) {
    std::cerr << "cloister: the kernel does not let this process forbid core dumps" << std::endl;
    return kExitFailed;
  }
  ::umask(077);
  CLI::App app("Cloister: a private knowledge appliance");
  app.require_subcommand(1);
  app.fallthrough();  // --data may stand after the command.
  CliContext context(std::cout, std::cerr);
  app.add_option("--data", context.data_flag,
                 "data directory [$CLOISTER_DATA, else ~/.local/share/cloister]");
  AddInitCommand(app, context);
  AddUpCommand(app, context);
  AddStatusCommand(app, context);
  AddDownCommand(app, context);
  AddAskCommands(app, context);
  AddSearchCommands(app, context);
  AddIngestCommands(app, context);
  AddUserCommands(app, context);
  AddKeyCommands(app, context);
  AddCollectionCommands(app, context);
  AddKeyringCommands(app, context);
  AddEraseCommands(app, context);
  AddVersionsCommands(app, context);
  AddAuditCommands(app, context);
  AddBackupCommands(app, context);
  AddDoctorCommand(app, context);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  return context.command ? context.command() : kExitUsage;
}
