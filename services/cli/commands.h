// SPDX-License-Identifier: Apache-2.0
// Every command group of the `cloister` binary: one function and one file per group. A function declares its
// subcommands on `app` and stores what to run in `context.command`; main() runs that after parsing. Commands
// talk to a running appliance through gateway's local socket (services/cli/gateway_client.h) and never to
// another service. What must not pass gateway, a passphrase or PIN, goes to the supervisor's socket.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <string>

#include "common/status.h"

namespace cloister::services {

// Exit status of every command.
constexpr int kExitOk = 0;
constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;
constexpr int kExitWrongPassphrase = 3;

// Outlives every command. Not thread-safe.
class CliContext {
 public:
  CliContext(std::ostream& out, std::ostream& error) : out_(out), error_(error) {}
  std::ostream& out() { return out_; }      // What was asked for: pipes into other programs.
  std::ostream& error() { return error_; }  // Progress and complaints.
  // Absolute. --data, else $CLOISTER_DATA, else ~/.local/share/cloister. Valid once a command runs.
  std::filesystem::path data_directory() const;
  // Where gateway answers the people of this machine over HTTP.
  std::filesystem::path gateway_socket() const { return data_directory() / "run" / "gateway-http.sock"; }
  // Writes "cloister: <message>" and returns the exit status for `status`: for `return context.Fail(...)`.
  int Fail(const Status& status);
  // Whether a person looks at out(): colour and progress bars are for them only.
  bool out_is_terminal() const;

  std::string data_flag;         // Set by --data.
  std::function<int()> command;  // Set by the chosen subcommand's callback; returns the exit status.

 private:
  std::ostream& out_;
  std::ostream& error_;
};

void AddInitCommand(CLI::App& app, CliContext& context);
void AddUpCommand(CLI::App& app, CliContext& context);
void AddStatusCommand(CLI::App& app, CliContext& context);
void AddDownCommand(CLI::App& app, CliContext& context);

void AddAskCommands(CLI::App& app, CliContext& context);
void AddSearchCommands(CLI::App& app, CliContext& context);
void AddIngestCommands(CLI::App& app, CliContext& context);
void AddUserCommands(CLI::App& app, CliContext& context);
void AddKeyCommands(CLI::App& app, CliContext& context);
void AddCollectionCommands(CLI::App& app, CliContext& context);
void AddKeyringCommands(CLI::App& app, CliContext& context);
void AddEraseCommands(CLI::App& app, CliContext& context);
void AddVersionsCommands(CLI::App& app, CliContext& context);
void AddAuditCommands(CLI::App& app, CliContext& context);
void AddBackupCommands(CLI::App& app, CliContext& context);
void AddDoctorCommand(CLI::App& app, CliContext& context);

}  // namespace cloister::services
