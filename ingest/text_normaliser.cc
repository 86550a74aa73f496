// SPDX-License-Identifier: Apache-2.0
#include "ingest/text_normaliser.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/ucnv.h>
#include <unicode/ucsdet.h>
#include <unicode/unistr.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <memory>

#include "common/bytes.h"

namespace cloister::ingest {
namespace {

constexpr size_t kDetectBytes = 64 * 1024;
constexpr uint32_t kReplacement = 0xFFFD;

bool IsDropped(uint32_t c) {
  if (c < 0x20 || (c >= 0x7F && c <= 0x9F)) return c != '\n' && c != '\t' && c != 0x85;
  if (c == 0xAD || c == 0x200B || c == 0x200E || c == 0x200F || c == 0xFEFF) return true;
  if ((c >= 0x202A && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F)) return true;
  if ((c >= 0xFDD0 && c <= 0xFDEF) || (c & 0xFFFE) == 0xFFFE) return true;
  return c >= 0xE0000 && c <= 0xE007F;
}

bool IsSpace(uint32_t c) {
  return c == ' ' || c == '\t' || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

bool IsLineBreak(uint32_t c) { return c == '\n' || c == 0x85 || c == 0x2028 || c == 0x2029; }

std::string_view Ligature(uint32_t c) {
  static constexpr std::string_view kLetters[] = {"ff", "fi", "fl", "ffi", "ffl", "st", "st"};
  return c >= 0xFB00 && c <= 0xFB06 ? kLetters[c - 0xFB00] : std::string_view();
}

void TrimEnd(std::string& out, bool lines_too) {
  while (!out.empty() && (out.back() == ' ' || (lines_too && out.back() == '\n'))) out.pop_back();
}

// Everything but composition.
std::string Regularise(std::string_view text, Whitespace whitespace) {
  std::string out;
  out.reserve(text.size());
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  const size_t size = text.size();
  for (size_t i = 0; i < size;) {
    UChar32 c;
    U8_NEXT(bytes, i, size, c);
    if (c < 0) c = kReplacement;
    const uint32_t u = static_cast<uint32_t>(c);
    if (IsLineBreak(u) && whitespace == Whitespace::kLines) {
      TrimEnd(out, false);
      if (!out.empty()) out += '\n';
    } else if (IsSpace(u) || IsLineBreak(u)) {
      const bool at_start = out.empty();
      const bool repeated = !at_start && out.back() == ' ' && whitespace == Whitespace::kCollapse;
      if (u == '\t' && whitespace == Whitespace::kLines) {
        out += "    ";
      } else if (whitespace == Whitespace::kLines || (!at_start && !repeated)) {
        out += ' ';
      }
    } else if (const std::string_view letters = Ligature(u); !letters.empty()) {
      out += letters;
    } else if (!IsDropped(u)) {
      AppendUtf8(u, out);
    }
  }
  TrimEnd(out, true);
  return out;
}

std::string ComposeNfc(std::string text) {
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2* nfc = icu::Normalizer2::getNFCInstance(error);
  if (U_FAILURE(error)) return text;
  const icu::StringPiece piece(text.data(), static_cast<int32_t>(text.size()));
  if (nfc->isNormalizedUTF8(piece, error) && U_SUCCESS(error)) return text;
  error = U_ZERO_ERROR;
  std::string composed;
  icu::StringByteSink<std::string> sink(&composed);
  nfc->normalizeUTF8(0, piece, sink, nullptr, error);
  return U_SUCCESS(error) ? composed : text;
}

bool LooksBinary(std::string_view utf8) {
  size_t controls = 0;
  const std::string_view sample = utf8.substr(0, kDetectBytes);
  for (const unsigned char c : sample) controls += (c < 0x20 && c != '\n' && c != '\t' && c != '\f' && c != 0x1B) ? 1 : 0;
  return controls * 50 > sample.size();
}

std::string LineEndsToLf(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r') {
      out += text[i];
    } else if (i + 1 == text.size() || text[i + 1] != '\n') {
      out += '\n';
    }
  }
  return out;
}

bool Convert(std::string_view bytes, const std::string& charset, DecodedText& result) {
  UErrorCode error = U_ZERO_ERROR;
  std::unique_ptr<UConverter, decltype(&ucnv_close)> converter(ucnv_open(charset.c_str(), &error), ucnv_close);
  if (U_FAILURE(error)) return false;
  std::u16string wide(bytes.size() + 16, u'\0');
  int32_t length = ucnv_toUChars(converter.get(), wide.data(), static_cast<int32_t>(wide.size()), bytes.data(),
                                 static_cast<int32_t>(bytes.size()), &error);
  if (U_FAILURE(error) && error != U_BUFFER_OVERFLOW_ERROR) return false;
  if (error == U_BUFFER_OVERFLOW_ERROR) {
    error = U_ZERO_ERROR;
    wide.assign(static_cast<size_t>(length) + 1, u'\0');
    length = ucnv_toUChars(converter.get(), wide.data(), static_cast<int32_t>(wide.size()), bytes.data(),
                           static_cast<int32_t>(bytes.size()), &error);
    if (U_FAILURE(error)) return false;
  }
  wide.resize(static_cast<size_t>(length));
  result.replaced = static_cast<uint32_t>(std::count(wide.begin(), wide.end(), u'\xFFFD'));
  std::string utf8;
  icu::UnicodeString(false, wide.data(), length).toUTF8String(utf8);
  result.text = LineEndsToLf(utf8);
  result.binary = LooksBinary(result.text);
  return true;
}

std::string Detect(std::string_view bytes) {
  UErrorCode error = U_ZERO_ERROR;
  std::unique_ptr<UCharsetDetector, decltype(&ucsdet_close)> detector(ucsdet_open(&error), ucsdet_close);
  const std::string_view sample = bytes.substr(0, kDetectBytes);
  ucsdet_setText(detector.get(), sample.data(), static_cast<int32_t>(sample.size()), &error);
  const UCharsetMatch* match = U_SUCCESS(error) ? ucsdet_detect(detector.get(), &error) : nullptr;
  const char* name = match != nullptr && U_SUCCESS(error) ? ucsdet_getName(match, &error) : nullptr;
  // Below this the guess is worse than the commonest encoding of Western text that is not UTF-8.
  constexpr int32_t kConfidenceMin = 25;
  if (name == nullptr || ucsdet_getConfidence(match, &error) < kConfidenceMin) return "windows-1252";
  return std::string(name) == "ISO-8859-1" ? "windows-1252" : name;
}

}  // namespace

void AppendUtf8(uint32_t code_point, std::string& out) {
  if (code_point > 0x10FFFF || (code_point >= 0xD800 && code_point <= 0xDFFF)) code_point = kReplacement;
  uint8_t buffer[4];
  int32_t length = 0;
  U8_APPEND_UNSAFE(buffer, length, code_point);
  out.append(reinterpret_cast<const char*>(buffer), static_cast<size_t>(length));
}

std::string NormaliseText(std::string_view text, Whitespace whitespace) {
  return ComposeNfc(Regularise(text, whitespace));
}

DecodedText DecodeText(std::string_view bytes, std::string_view charset_hint) {
  DecodedText result;
  const auto starts = [&](std::string_view mark) { return bytes.substr(0, mark.size()) == mark; };
  const auto is_utf8 = [&](std::string_view utf8) {
    result.text = LineEndsToLf(utf8);
    result.binary = LooksBinary(result.text);
    return result;
  };
  if (starts("\xEF\xBB\xBF") && IsUtf8(bytes.substr(3))) return is_utf8(bytes.substr(3));
  if (starts("\xFF\xFE") && Convert(bytes.substr(2), "UTF-16LE", result)) return result;
  if (starts("\xFE\xFF") && Convert(bytes.substr(2), "UTF-16BE", result)) return result;
  const bool valid = IsUtf8(bytes);
  if (!charset_hint.empty() && charset_hint.size() <= 64) {
    // A page that is valid UTF-8 with other than ASCII in it is UTF-8 whatever it claims, and never UTF-16.
    const std::string hint(charset_hint);
    const bool claims_wide = hint.find("16") != std::string::npos || hint.find("32") != std::string::npos;
    if (!valid && !claims_wide && Convert(bytes, hint, result)) return result;
  }
  if (valid && bytes.find('\0') == std::string_view::npos) return is_utf8(bytes);
  if (Convert(bytes, Detect(bytes), result) || Convert(bytes, "windows-1252", result)) return result;
  result.binary = true;
  return result;
}

}  // namespace cloister::ingest
