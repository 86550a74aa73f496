// SPDX-License-Identifier: Apache-2.0
// Canonical JSON for what is hashed: objects with ASCII keys, strings, integers and arrays. Does not accept
// floats, booleans or null: each has more than one spelling or reading across languages, and an audit record
// needs none of them (write 0 and 1, or leave the key out). Pure and thread-safe. SPEC: RFC 8785, restricted
// as docs/formats/audit.md says.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/status.h"

namespace cloister::audit {

constexpr int kJsonDepthMax = 16;
constexpr size_t kJsonBytesMax = 1024 * 1024;
constexpr size_t kJsonKeyBytesMax = 128;
constexpr int64_t kJsonIntegerMax =
    (int64_t{1} << 53) - 1;  // Inclusive, either sign: exact in every language.

// The one canonical spelling of `json`: keys sorted, no white space, the shortest escapes.
// Errors: kInvalidArgument naming the position or the key at fault: not JSON, not UTF-8, a key that is
// doubled, empty, longer than kJsonKeyBytesMax or not printable ASCII, a float, boolean or null, an integer
// out of range, deeper than `depth_max`, longer than kJsonBytesMax.
StatusOr<std::string> CanonicalJson(std::string_view json, int depth_max = kJsonDepthMax);

// The same, and the value must be an object.
StatusOr<std::string> CanonicalJsonObject(std::string_view json, int depth_max = kJsonDepthMax);

// Appends `text`, which must be UTF-8, as a canonical JSON string with its quotes.
void AppendJsonString(std::string_view text, std::string& out);

}  // namespace cloister::audit
