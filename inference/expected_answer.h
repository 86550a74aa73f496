// SPDX-License-Identifier: Apache-2.0
// What kind of thing an English question asks for, and whether a sentence holds one: "how long" wants a time,
// "how many" an amount. Does not look for the right one and does not understand the rest of the question.
// Numbers that only point at other text ("Article 6", "paragraph (3)", "2." before an item) count as nothing.
// Pure and thread-safe.
#pragma once

#include <cstdint>
#include <string_view>

namespace cloister::inference {

enum class ExpectedAnswer : uint8_t {
  kAny,     // No particular kind, or none that is recognised.
  kAmount,  // A number: how many, how much, what fine, what temperature.
  kTime,    // A duration, a frequency, a date or a deadline: how long, how often, since when.
};

ExpectedAnswer ExpectedAnswerOf(std::string_view question);

// Whether `text` holds something of that kind; true for kAny.
bool Holds(ExpectedAnswer expected, std::string_view text);

}  // namespace cloister::inference
