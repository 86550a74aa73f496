// SPDX-License-Identifier: Apache-2.0
#include "retrieval/retention.h"

#include <algorithm>
#include <chrono>

namespace cloister::retrieval {
namespace {

constexpr std::string_view kShredName = "shred", kKeepName = "keep", kKeepPrefix = "keep-",
                           kDaysSuffix = "-days";
constexpr size_t kDaysDigitsMax = 5;  // Of kRetentionDaysMax.

Status NoSuchClass() {
  return InvalidArgument("a retention class is \"shred\", \"keep\" or \"keep-N-days\" with N from 1 to " +
                         std::to_string(kRetentionDaysMax));
}

}  // namespace

bool IsValid(const Retention& retention) {
  switch (retention.kind) {
    case Retention::Kind::kShred:
    case Retention::Kind::kKeep:
      return retention.days == 0;
    case Retention::Kind::kKeepDays:
      return retention.days >= 1 && retention.days <= kRetentionDaysMax;
  }
  return false;
}

StatusOr<Retention> ParseRetention(std::string_view text) {
  if (text.empty() || text == kShredName) return Retention{};
  if (text == kKeepName) return Retention{Retention::Kind::kKeep, 0};
  if (!text.starts_with(kKeepPrefix) || !text.ends_with(kDaysSuffix) ||
      text.size() <= kKeepPrefix.size() + kDaysSuffix.size()) {
    return NoSuchClass();
  }
  text.remove_prefix(kKeepPrefix.size());
  text.remove_suffix(kDaysSuffix.size());
  const bool digits = std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  // One way to write each class, so that what is shown is what was typed.
  if (!digits || text.size() > kDaysDigitsMax || text.front() == '0') return NoSuchClass();
  Retention retention{Retention::Kind::kKeepDays, 0};
  for (const char c : text) retention.days = retention.days * 10 + static_cast<uint32_t>(c - '0');
  if (!IsValid(retention)) return NoSuchClass();
  return retention;
}

std::string NameOf(const Retention& retention) {
  switch (retention.kind) {
    case Retention::Kind::kShred:
      return std::string(kShredName);
    case Retention::Kind::kKeep:
      return std::string(kKeepName);
    case Retention::Kind::kKeepDays:
      return std::string(kKeepPrefix) + std::to_string(retention.days) + std::string(kDaysSuffix);
  }
  return "unknown";
}

std::optional<int64_t> EndOf(const Retention& retention, int64_t since_ns) {
  if (retention.kind == Retention::Kind::kShred) return since_ns;
  if (retention.kind != Retention::Kind::kKeepDays || !IsValid(retention)) return std::nullopt;
  // A hundred years from now are far below what 63 bits hold.
  return since_ns + std::chrono::nanoseconds(std::chrono::hours(24) * retention.days).count();
}

}  // namespace cloister::retrieval
