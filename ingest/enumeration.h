// SPDX-License-Identifier: Apache-2.0
// Markers such as "(a)", "1.", "(iv)" or a bullet at the start of a paragraph, and how deep each stands in the nested
// lists of legal and technical prose, where indentation is often lost. Pure; EnumerationTracker is not thread-safe.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace cloister::ingest {

enum class MarkerStyle : uint8_t {
  kNone,
  kBullet,
  kNumberDot,     // 1.
  kNumberParen,   // (1) or 1)
  kUpperParen,    // (A) or A)
  kLowerParen,    // (a) or a)
  kRomanParen,    // (i)
  kUpperRomanParen,
  kUpperDot,      // A.
  kLowerDot,      // a.
  kRomanDot,      // i. or I.
  kDecimal2,      // 1.2
  kDecimal3,      // 1.2.3 and deeper
};

struct Marker {
  MarkerStyle style = MarkerStyle::kNone;
  uint32_t ordinal = 0;
  // The other reading of a single letter: "(i)" is the ninth letter and the first Roman numeral.
  MarkerStyle roman_style = MarkerStyle::kNone;
  uint32_t roman_ordinal = 0;
  size_t bytes = 0;  // Of the text, with the space after it.
};

// The marker at the start of `text`, or style kNone.
Marker ReadMarker(std::string_view text);
// Bytes of all markers at the start: "(a)(1) Standard" has two.
size_t MarkersBytes(std::string_view text);

// Follows a document block by block and says how deep each block is nested.
class EnumerationTracker {
 public:
  // `indent` is the depth the source shows (block quotes, nested list tags), 0 where it shows none. Returns the
  // nesting level, 0 when the block is no list item. `explicit_item`: the source says it is one.
  uint8_t Next(std::string_view text, uint32_t indent, bool explicit_item);
  void Heading() { open_.clear(); }

 private:
  struct Open {
    uint32_t indent;
    MarkerStyle style;
    uint32_t ordinal;
    bool explicit_item;
  };
  void Enter(const Marker& marker, uint32_t indent, bool explicit_item);
  std::vector<Open> open_;
};

}  // namespace cloister::ingest
