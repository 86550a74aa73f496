// SPDX-License-Identifier: Apache-2.0
// Runs the services of one data directory: issues their identities, starts them in the order of their
// dependencies, starts them again when they end, stops them in reverse. Knows nothing of what they do, and
// needs no init system. A command on this machine may have it change the passphrase or PIN while everything
// runs (services/supervisor/control_socket.h).
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "crypto/secret.h"
#include "services/keys/passphrase_source.h"
#include "services/server/signals.h"

namespace cloister::services {

struct ServiceSpec {
  std::string name;            // The program is cloister-<name>, the identity <name>.
  int wave = 0;                // All of one wave are healthy before the next one starts.
  bool opens_keyring = false;  // Is given the passphrase.
};

// keys; relay, where there is something to relay; audit; embedding and generation; retrieval; ingest; gateway.
std::vector<ServiceSpec> ApplianceServices(bool with_relay);

struct SupervisorOptions {
  std::filesystem::path data_directory;  // Absolute, with an initialised keyring.
  std::filesystem::path binary_directory;
  PassphraseSource passphrase_source = PassphraseSource::kTyped;
  std::vector<ServiceSpec> services = ApplianceServices(false);
  std::chrono::milliseconds stop_grace{15'000};  // From SIGTERM to SIGKILL, for each wave.
  std::function<void(std::string_view line)> say = [](std::string_view) {
  };  // To a person. Called by Start and Stop.
};

// How often a service may end before it was healthy for the first time until the whole start is given up.
constexpr int kStartAttemptsMax = 5;

// DATA/run/supervisor.lock: held while the appliance runs, and holds the supervisor's process number.
std::filesystem::path LockPath(const std::filesystem::path& data_directory);

// The process number of the supervisor that holds the lock. Errors: kNotFound (none runs).
StatusOr<pid_t> RunningSupervisor(const std::filesystem::path& data_directory);

// Owned by one thread, which must live as long as the services. Writes DATA/run/status.json at every change.
class Supervisor {
 public:
  // Takes the lock and makes the certificate authority of this run.
  // Errors: kFailedPrecondition (runs already, never initialised), kInvalidArgument (the path of the data
  // directory is too long for sockets; the configuration file is wrong), kUnavailable.
  static StatusOr<std::unique_ptr<Supervisor>> New(SupervisorOptions options, crypto::Secret passphrase);
  // Stops what still runs.
  ~Supervisor();
  // Blocks until every service is healthy, or a stop is requested.
  // Errors: kUnauthenticated (wrong passphrase), kUnavailable (a service does not start; the message says
  // which and why), kNotFound (a program is missing).
  Status Start(const StopSignal& stop);
  // Keeps the services running until a stop is requested. Errors: kUnauthenticated (the keyring no longer
  // opens).
  Status Watch(const StopSignal& stop);
  // In reverse order; a service that does not end in time is killed.
  void Stop();

 private:
  class Impl;
  explicit Supervisor(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace cloister::services
