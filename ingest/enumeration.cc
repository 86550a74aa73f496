// SPDX-License-Identifier: Apache-2.0
#include "ingest/enumeration.h"

#include <algorithm>
#include <optional>
#include <string>

namespace cloister::ingest {
namespace {

constexpr uint32_t kOrdinalMax = 199;  // "2016. In that year" is prose.
constexpr size_t kOpenMax = 64;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }
bool IsSpace(char c) { return c == ' ' || c == '\n'; }

std::optional<uint32_t> RomanValue(std::string_view body) {
  uint32_t value = 0, last = 0;
  for (auto it = body.rbegin(); it != body.rend(); ++it) {
    const char c = IsUpper(*it) ? static_cast<char>(*it + 32) : *it;
    const uint32_t digit = c == 'i' ? 1 : c == 'v' ? 5 : c == 'x' ? 10 : c == 'l' ? 50 : c == 'c' ? 100 : 0;
    if (digit == 0) return std::nullopt;
    value = digit < last ? value - digit : value + digit;
    last = std::max(last, digit);
  }
  return value > 0 && value <= kOrdinalMax ? std::optional(value) : std::nullopt;
}

std::string_view Body(std::string_view text, size_t from) {
  size_t end = from;
  while (end < text.size() && end - from < 8 && (IsDigit(text[end]) || IsLower(text[end]) || IsUpper(text[end]))) ++end;
  return text.substr(from, end - from);
}

Marker Numeric(std::string_view body, MarkerStyle style, size_t bytes) {
  uint32_t value = 0;
  if (body.size() > 3) return {};
  for (const char c : body) value = value * 10 + static_cast<uint32_t>(c - '0');
  if (value == 0 || value > kOrdinalMax) return {};
  return {style, value, MarkerStyle::kNone, 0, bytes};
}

Marker Alphabetic(std::string_view body, bool paren, size_t bytes) {
  const bool lower = std::all_of(body.begin(), body.end(), IsLower);
  const bool upper = std::all_of(body.begin(), body.end(), IsUpper);
  if (!lower && !upper) return {};
  Marker marker;
  marker.bytes = bytes;
  if (const auto roman = RomanValue(body)) {
    marker.roman_style = !paren  ? MarkerStyle::kRomanDot
                         : lower ? MarkerStyle::kRomanParen
                                 : MarkerStyle::kUpperRomanParen;
    marker.roman_ordinal = *roman;
  }
  const char base = lower ? 'a' : 'A';
  const bool doubled = body.size() == 2 && body[0] == body[1];
  if (body.size() == 1 || doubled) {
    marker.style = paren ? (lower ? MarkerStyle::kLowerParen : MarkerStyle::kUpperParen)
                         : (lower ? MarkerStyle::kLowerDot : MarkerStyle::kUpperDot);
    marker.ordinal = static_cast<uint32_t>(body[0] - base) + 1 + (doubled ? 26 : 0);
  } else if (marker.roman_style != MarkerStyle::kNone) {
    marker.style = marker.roman_style;
    marker.ordinal = marker.roman_ordinal;
    marker.roman_style = MarkerStyle::kNone;
  } else {
    return {};
  }
  return marker;
}

Marker Letters(std::string_view body, bool paren, size_t bytes) {
  if (body.empty()) return {};
  if (std::all_of(body.begin(), body.end(), IsDigit)) {
    return Numeric(body, paren ? MarkerStyle::kNumberParen : MarkerStyle::kNumberDot, bytes);
  }
  // "A. Smith" and "I. " start names as often as lists; only a paren makes a lone capital a marker.
  if (!paren && body.size() == 1 && IsUpper(body[0])) return {};
  return Alphabetic(body, paren, bytes);
}

Marker Bullet(std::string_view text) {
  for (const std::string_view mark : {"•", "◦", "▪", "‣", "●", "○", "■", "–", "—", "-", "*", "\xEF\x82\xB7", "·"}) {
    if (text.size() > mark.size() && text.substr(0, mark.size()) == mark && IsSpace(text[mark.size()])) {
      return {MarkerStyle::kBullet, 0, MarkerStyle::kNone, 0, mark.size() + 1};
    }
  }
  return {};
}

// "1.2" or "1.2.3" followed by a space and a capital: a numbered clause.
Marker Decimal(std::string_view text) {
  size_t i = 0, dots = 0, ordinal = 0;
  while (i < text.size() && i < 16 && (IsDigit(text[i]) || (text[i] == '.' && i > 0 && IsDigit(text[i - 1])))) {
    if (text[i] == '.') {
      ++dots, ordinal = 0;
    } else {
      ordinal = ordinal * 10 + static_cast<size_t>(text[i] - '0');
    }
    ++i;
  }
  if (i > 0 && text[i - 1] == '.') --dots;
  if (dots == 0 || i + 1 >= text.size() || text[i] != ' ' || !IsUpper(text[i + 1]) || ordinal > kOrdinalMax) return {};
  return {dots == 1 ? MarkerStyle::kDecimal2 : MarkerStyle::kDecimal3, static_cast<uint32_t>(ordinal),
          MarkerStyle::kNone, 0, i + 1};
}

}  // namespace

Marker ReadMarker(std::string_view text) {
  if (text.empty()) return {};
  if (const Marker bullet = Bullet(text); bullet.style != MarkerStyle::kNone) return bullet;
  const bool opened = text[0] == '(';
  const std::string_view body = Body(text, opened ? 1 : 0);
  const size_t close = (opened ? 1 : 0) + body.size();
  if (close >= text.size()) return Decimal(text);
  const bool paren = text[close] == ')';
  if (!paren && (opened || text[close] != '.')) return Decimal(text);
  const bool at_end = close + 1 == text.size();
  // "(b)" alone is a marker whose text follows in other blocks; "y." alone is a word.
  if (at_end && !opened) return {};
  // "(a)(1)" and "(1)(A)": a marker may follow at once.
  const bool another = opened && paren && !at_end && text[close + 1] == '(';
  if (!at_end && !another && !IsSpace(text[close + 1])) return Decimal(text);
  return Letters(body, paren, close + 1 + (at_end || another ? 0 : 1));
}

size_t MarkersBytes(std::string_view text) {
  size_t bytes = 0;
  for (int i = 0; i < 6; ++i) {
    const Marker marker = ReadMarker(text.substr(bytes));
    if (marker.style == MarkerStyle::kNone) break;
    bytes += marker.bytes;
  }
  return bytes;
}

void EnumerationTracker::Enter(const Marker& marker, uint32_t indent, bool explicit_item) {
  MarkerStyle style = marker.style;
  uint32_t ordinal = marker.ordinal;
  if (marker.roman_style != MarkerStyle::kNone) {
    // A letter that may be Roman: believe the list that it continues; a fresh "(i)" starts a Roman one.
    bool continues = false, continues_roman = false;
    for (const Open& open : open_) {
      if (open.indent != indent) continue;
      continues |= open.style == marker.style && open.ordinal + 1 == marker.ordinal;
      continues_roman |= open.style == marker.roman_style && open.ordinal + 1 == marker.roman_ordinal;
    }
    if (continues_roman || (!continues && marker.roman_ordinal == 1)) {
      style = marker.roman_style;
      ordinal = marker.roman_ordinal;
    }
  }
  const auto same = std::find_if(open_.begin(), open_.end(), [&](const Open& open) {
    // Items the source marks are siblings at the same depth, whatever their marks.
    return open.indent == indent && (open.style == style || (explicit_item && open.explicit_item));
  });
  open_.erase(same, open_.end());
  if (open_.size() < kOpenMax) open_.push_back({indent, style, ordinal, explicit_item});
}

uint8_t EnumerationTracker::Next(std::string_view text, uint32_t indent, bool explicit_item) {
  std::erase_if(open_, [&](const Open& open) { return open.indent > indent; });
  Marker marker = ReadMarker(text);
  if (marker.style == MarkerStyle::kNone) {
    if (!explicit_item) {
      // A plain paragraph ends the lists it is not indented into.
      if (indent == 0) open_.clear();
      return 0;
    }
    marker.style = MarkerStyle::kBullet;
  }
  for (int i = 0; i < 6 && marker.style != MarkerStyle::kNone; ++i) {
    Enter(marker, indent, explicit_item);
    text.remove_prefix(marker.bytes);
    marker = explicit_item ? Marker{} : ReadMarker(text);
  }
  return static_cast<uint8_t>(std::min<size_t>(open_.size(), 32));
}

}  // namespace cloister::ingest
