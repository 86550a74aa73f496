// SPDX-License-Identifier: Apache-2.0
#include "ingest/token_estimate.h"

namespace cloister::ingest {
namespace {

constexpr uint32_t kWordLetters = 7;
constexpr uint32_t kPieceLetters = 4;
constexpr uint32_t kPieceDigits = 3;

}  // namespace

uint32_t EstimateTokens(std::string_view text) {
  uint32_t tokens = 0, letters = 0, digits = 0;
  const auto end_run = [&] {
    if (letters > 0) {
      tokens += 1;
      if (letters > kWordLetters) tokens += (letters - kWordLetters + kPieceLetters - 1) / kPieceLetters;
    }
    tokens += (digits + kPieceDigits - 1) / kPieceDigits;
    letters = digits = 0;
  };
  for (const char raw : text) {
    const auto c = static_cast<unsigned char>(raw);
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= 0xC3 && c <= 0xDF)) {
      if (digits > 0) end_run();
      ++letters;
    } else if (c >= '0' && c <= '9') {
      if (letters > 0) end_run();
      ++digits;
    } else if (c >= 0xE0 || c == 0xC2) {
      end_run();
      ++tokens;  // Signs such as "§", punctuation, or scripts written without spaces.
    } else if (c < 0x80) {
      end_run();
      tokens += c > ' ' ? 1 : 0;
    }
  }
  end_run();
  return tokens;
}

}  // namespace cloister::ingest
