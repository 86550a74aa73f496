// SPDX-License-Identifier: Apache-2.0
// DATA/run/status.json: what the supervisor last knew, for `cloister status` when nothing answers. Holds no
// personal data. Written by the supervisor alone, whole and atomically.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "services/keys/passphrase_source.h"

namespace cloister::services {

enum class ServiceState {
  kWaiting,   // For what it depends on, or for its restart delay.
  kStarting,  // Runs and is not healthy yet.
  kHealthy,
  kUnresponsive,  // Runs, was healthy, and no longer answers.
  kStopped,       // Ended in order.
};

struct ServiceStatus {
  std::string name;
  ServiceState state = ServiceState::kWaiting;
  pid_t pid = 0;          // 0: no process.
  uint64_t restarts = 0;  // Since the supervisor started.
  int64_t since_ns = 0;   // Unix time of the last change of state.
  std::string last_exit;  // "exit status 1", "signal 9"; empty: never ended.
};

struct ApplianceStatus {
  pid_t supervisor_pid = 0;
  int64_t since_ns = 0;
  PassphraseSource passphrase_source = PassphraseSource::kTyped;
  std::vector<ServiceStatus> services;
};

std::string_view NameOf(ServiceState state);

std::filesystem::path StatusPath(const std::filesystem::path& data_directory);
std::string SerialiseStatus(const ApplianceStatus& status);
// Errors: kDataLoss (not a status file), kFailedPrecondition (of another version).
StatusOr<ApplianceStatus> ParseStatus(std::string_view json);

Status WriteStatus(const std::filesystem::path& data_directory, const ApplianceStatus& status);
// Errors: as ParseStatus; kNotFound (never started).
StatusOr<ApplianceStatus> ReadStatus(const std::filesystem::path& data_directory);

}  // namespace cloister::services
