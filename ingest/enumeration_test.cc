// SPDX-License-Identifier: Apache-2.0
#include "ingest/enumeration.h"

#include <gtest/gtest.h>

#include <string>
#include <tuple>

namespace cloister::ingest {
namespace {

TEST(ReadMarkerTest, KnowsTheStyles) {
  const std::vector<std::tuple<const char*, MarkerStyle, uint32_t, size_t>> cases = {
      {"(a) x", MarkerStyle::kLowerParen, 1, 4}, {"a) x", MarkerStyle::kLowerParen, 1, 3},
      {"(12) x", MarkerStyle::kNumberParen, 12, 5}, {"1. x", MarkerStyle::kNumberDot, 1, 3},
      {"(B) x", MarkerStyle::kUpperParen, 2, 4}, {"(iv) x", MarkerStyle::kRomanParen, 4, 5},
      {"(XII) x", MarkerStyle::kUpperRomanParen, 12, 6}, {"(aa) x", MarkerStyle::kLowerParen, 27, 5},
      {"- x", MarkerStyle::kBullet, 0, 2}, {"\xE2\x80\xA2 x", MarkerStyle::kBullet, 0, 4},
      {"1.2 Scope", MarkerStyle::kDecimal2, 2, 4}, {"1.2.3 Scope", MarkerStyle::kDecimal3, 3, 6},
      {"(b)", MarkerStyle::kLowerParen, 2, 3}, {"(a)(1) x", MarkerStyle::kLowerParen, 1, 3}};
  for (const auto& [text, style, ordinal, bytes] : cases) {
    const Marker marker = ReadMarker(text);
    EXPECT_EQ(marker.style, style) << text;
    EXPECT_EQ(marker.ordinal, ordinal) << text;
    EXPECT_EQ(marker.bytes, bytes) << text;
  }
}

TEST(ReadMarkerTest, LeavesProseAlone) {
  for (const char* text : {"", "Text", "A. Smith wrote", "2016. In that year", "3.5 percent", "(see below) x", "(a)x", "e.g. this",
                           "-5 degrees", "42 CFR", "0. x", "(iiii", "[1] x"}) {
    EXPECT_EQ(ReadMarker(text).style, MarkerStyle::kNone) << text;
  }
}

TEST(MarkersBytesTest, CountsMarkersInARow) {
  EXPECT_EQ(MarkersBytes("(a)(1) Standard"), 7u);
  EXPECT_EQ(MarkersBytes("1. (b) text"), 7u);
  EXPECT_EQ(MarkersBytes("text (a)"), 0u);
}

std::vector<int> Levels(const std::vector<std::pair<std::string, uint32_t>>& blocks) {
  EnumerationTracker tracker;
  std::vector<int> levels;
  for (const auto& [text, indent] : blocks) levels.push_back(tracker.Next(text, indent, false));
  return levels;
}

TEST(EnumerationTrackerTest, NestsByStyleWhereIndentationIsLost) {
  EXPECT_EQ(Levels({{"1. One", 0}, {"(a) x", 0}, {"(b) y", 0}, {"2. Two", 0}, {"(a) z", 0}, {"Prose.", 0}, {"(a) w", 0}}),
            (std::vector<int>{1, 2, 2, 1, 2, 0, 1}));
}

TEST(EnumerationTrackerTest, NestsByIndentationWhereThereIsSome) {
  // The same style at two depths, as in "(a)(1)(i)(A)(1)".
  EXPECT_EQ(Levels({{"(a) x", 0}, {"(1) x", 1}, {"(i) x", 2}, {"(A) x", 3}, {"(1) x", 4}, {"(B) x", 3}, {"(2) x", 1}, {"(b)", 0}, {"(1) x", 1}}),
            (std::vector<int>{1, 2, 3, 4, 5, 4, 2, 1, 2}));
}

TEST(EnumerationTrackerTest, TellsLettersFromRomanNumerals) {
  std::vector<std::pair<std::string, uint32_t>> letters;
  for (char c = 'a'; c <= 'k'; ++c) letters.push_back({std::string("(") + c + ") x", 0});
  EXPECT_EQ(Levels(letters), std::vector<int>(11, 1));
  EXPECT_EQ(Levels({{"(a) x", 0}, {"(i) y", 0}, {"(ii) y", 0}, {"(b) x", 0}}), (std::vector<int>{1, 2, 2, 1}));
  EXPECT_EQ(Levels({{"(iv) y", 0}, {"(v) y", 0}, {"(vi) y", 0}}), (std::vector<int>{1, 1, 1}));
}

TEST(EnumerationTrackerTest, OpensALevelForEachMarkerInARow) {
  EXPECT_EQ(Levels({{"(a)(1) x", 0}, {"(2) x", 0}, {"(b) x", 0}}), (std::vector<int>{2, 2, 1}));
}

TEST(EnumerationTrackerTest, StaysBoundedOnEndlessNesting) {
  EnumerationTracker tracker;
  uint8_t deepest = 0;
  for (uint32_t i = 0; i < 1000; ++i) deepest = std::max(deepest, tracker.Next("(a) x", i, false));
  EXPECT_EQ(deepest, 32);
}

}  // namespace
}  // namespace cloister::ingest
