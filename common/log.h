// SPDX-License-Identifier: Apache-2.0
// Operational log: one JSON object a line on stderr. Only named events with fields from a fixed list of names
// get out, so that document text, prompts, names and keys cannot. This is not the audit log; see audit/.
// Thread-safe.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

#include "common/status.h"

namespace cloister {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

struct LogField {
  std::string_view name;  // Must be on the allow-list in log.cc, or the value is written as "(withheld)".
  std::variant<int64_t, std::string> value;
};

// Names the process in every line and sets the least level written. Call once, from main().
void StartLog(std::string_view service, LogLevel least);

// `event` is a stable dotted name such as "audit.append_failed". Values of string fields are cut to 400 bytes
// and stripped of control characters.
void Log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields = {});

// Logs the code of an error and its message. Messages name no content; see status.h.
void LogStatus(LogLevel level, std::string_view event, const Status& status);

}  // namespace cloister
