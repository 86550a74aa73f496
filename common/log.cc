// SPDX-License-Identifier: Apache-2.0
#include "common/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <memory>
#include <mutex>

#include "common/bytes.h"
#include "common/clock.h"

namespace cloister {
namespace {

// What may be said of anything. Adding a name here is a decision about privacy, not about convenience.
constexpr std::array<std::string_view, 32> kAllowedFields = {
    "attempt",    "bytes",       "chunks",   "code",       "column_family", "count",      "documents", "duration_us",
    "errno",      "exit_status", "id",       "identity",   "index",         "limit",      "listen",    "message",
    "method",     "model",       "path_kind", "pid",       "queue",         "reason",     "rounds",    "sequence",
    "service",    "signal",      "size",     "state",      "status",        "version",    "threads",   "kind"};

constexpr size_t kValueBytesMax = 400;  // Room for what to do about it.

struct LogState {
  std::shared_ptr<spdlog::logger> logger = spdlog::stderr_logger_mt("cloister");
  std::string service = "cloister";
  LogState() { logger->set_pattern("%v"); }
};

// The logger is the process's stderr: one per process by nature.
LogState& State() {
  static LogState state;
  return state;
}

// The longest start of `text` within the limit that does not end inside a character.
std::string_view Cut(std::string_view text) {
  if (text.size() <= kValueBytesMax) return text;
  size_t end = kValueBytesMax;
  while (end > 0 && (text[end] & 0xc0) == 0x80) --end;
  return text.substr(0, end);
}

// One line of valid JSON that moves no terminal's cursor, whatever comes in.
std::string Escape(std::string_view text) {
  text = Cut(text);
  const bool utf8 = IsUtf8(text);
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    // U+0080 to U+009F are control characters, too.
    const bool c1 = utf8 && c == 0xc2 && static_cast<unsigned char>(text[i + 1]) < 0xa0;
    if (c < 0x20 || c == 0x7f || c1) {
      out.push_back(' ');
      if (c1) ++i;
    } else if (c >= 0x80 && !utf8) {
      out.push_back('?');
    } else {
      if (c == '"' || c == '\\') out.push_back('\\');
      out.push_back(static_cast<char>(c));
    }
  }
  return out;
}

std::string_view LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return "debug";
    case LogLevel::kInfo: return "info";
    case LogLevel::kWarning: return "warning";
    case LogLevel::kError: return "error";
  }
  return "error";
}

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: return spdlog::level::info;
    case LogLevel::kWarning: return spdlog::level::warn;
    case LogLevel::kError: return spdlog::level::err;
  }
  return spdlog::level::err;
}

}  // namespace

void StartLog(std::string_view service, LogLevel least) {
  State().service = std::string(service);
  State().logger->set_level(ToSpdlog(least));
}

void Log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  LogState& state = State();
  if (!state.logger->should_log(ToSpdlog(level))) return;
  std::string line = "{\"time\":\"" + FormatTime(SystemClock().Now()) + "\",\"level\":\"" +
                     std::string(LevelName(level)) + "\",\"service\":\"" + state.service + "\",\"event\":\"" +
                     Escape(event) + "\"";
  for (const LogField& field : fields) {
    line += ",\"" + Escape(field.name) + "\":";
    const bool allowed =
        std::find(kAllowedFields.begin(), kAllowedFields.end(), field.name) != kAllowedFields.end();
    if (!allowed) {
      line += "\"(withheld)\"";
    } else if (const auto* number = std::get_if<int64_t>(&field.value)) {
      line += std::to_string(*number);
    } else {
      line += "\"" + Escape(std::get<std::string>(field.value)) + "\"";
    }
  }
  state.logger->log(ToSpdlog(level), line + "}");
}

void LogStatus(LogLevel level, std::string_view event, const Status& status) {
  Log(level, event, {{"code", std::string(CodeName(status.code()))}, {"message", MessageOf(status)}});
}

}  // namespace cloister
