// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "services/cli/commands.h"

namespace cloister::services {

std::filesystem::path CliContext::data_directory() const {
  if (!data_flag.empty()) return std::filesystem::absolute(data_flag).lexically_normal();
  if (const char* set = std::getenv("CLOISTER_DATA"); set != nullptr && *set != '\0') {
    return std::filesystem::absolute(set).lexically_normal();
  }
  const char* home = std::getenv("HOME");
  return std::filesystem::path(home == nullptr ? "/root" : home) / ".local" / "share" / "cloister";
}

int CliContext::Fail(const Status& status) {
  error_ << "cloister: " << MessageOf(status) << std::endl;
  return status.code() == StatusCode::kUnauthenticated ? kExitWrongPassphrase : kExitFailed;
}

bool CliContext::out_is_terminal() const { return &out_ == &std::cout && ::isatty(STDOUT_FILENO) == 1; }

}  // namespace cloister::services
