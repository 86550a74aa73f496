// SPDX-License-Identifier: Apache-2.0
// Retention classes: what becomes of superseded and deleted versions of a collection. Does not keep or delete
// anything; see document_store.h. Plain values, pure and thread-safe. SPEC: docs/formats/documents.md "Kept
// versions"
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/status.h"

namespace cloister::retrieval {

constexpr uint32_t kRetentionDaysMax = 36'500;  // A hundred years.

struct Retention {
  enum class Kind : uint8_t { kShred = 0, kKeep = 1, kKeepDays = 2 };
  Kind kind = Kind::kShred;
  uint32_t days = 0;  // Of kKeepDays: 1 to kRetentionDaysMax. Otherwise 0.
  bool operator==(const Retention&) const = default;
};

// "shred" (so is the empty text), "keep" and "keep-N-days". Errors: kInvalidArgument, which says what there
// is.
StatusOr<Retention> ParseRetention(std::string_view text);
std::string NameOf(const Retention& retention);
// Whether it has a kind that exists and the days of that kind.
bool IsValid(const Retention& retention);
// From when on nothing keeps a version any more that was superseded or deleted at `since_ns`; nothing: for
// good. Unix time in nanoseconds.
std::optional<int64_t> EndOf(const Retention& retention, int64_t since_ns);

}  // namespace cloister::retrieval
