// SPDX-License-Identifier: Apache-2.0
// Bytes to regular text: character sets to UTF-8, then Unicode NFC with regular white space. What cannot be seen and
// has no place in a quotation goes: control characters, zero-width and direction marks, tag characters. Pure and
// thread-safe. SPEC: Unicode UAX #15
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace cloister::ingest {

enum class Whitespace {
  kCollapse,  // Every run becomes one space; none at the ends.
  kLines,     // Line breaks and indentation stay; none at the ends of lines or of the text.
};

// `text` should be UTF-8; what is not becomes U+FFFD. Latin ligatures are written out. The result is valid UTF-8.
std::string NormaliseText(std::string_view text, Whitespace whitespace);

struct DecodedText {
  std::string text;       // UTF-8, line ends as "\n".
  uint32_t replaced = 0;  // Input sequences that were not text.
  bool binary = false;    // The bytes are not text in any character set.
};

// Chooses the character set: byte order mark, `charset_hint` (may be empty), valid UTF-8, then by statistics over the
// first 64 KiB. An unknown hint is ignored.
DecodedText DecodeText(std::string_view bytes, std::string_view charset_hint = {});

// Appends one code point as UTF-8; what is no character becomes U+FFFD.
void AppendUtf8(uint32_t code_point, std::string& out);

}  // namespace cloister::ingest
