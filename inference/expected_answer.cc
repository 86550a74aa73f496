// SPDX-License-Identifier: Apache-2.0
#include "inference/expected_answer.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace cloister::inference {
namespace {

using std::string_view_literals::operator""sv;

struct Token {
  std::string text;  // Lower case; a word, a number, or one of % $ and the signs for section, euro and pound.
  bool in_brackets = false;  // "(3)" and nothing else between the brackets.
  bool is_item = false;      // First in the text and followed by "." or ")", as in "2. ...".
};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool IsWordByte(char c) { return IsDigit(c) || IsLetter(c) || static_cast<unsigned char>(c) >= 0x80; }

constexpr std::array kSigns = {"%"sv, "$"sv, "\xC2\xA7"sv, "\xE2\x82\xAC"sv, "\xC2\xA3"sv};
constexpr std::string_view kSectionSign = kSigns[2];

std::string_view SignAt(std::string_view text, size_t at) {
  for (const std::string_view sign : kSigns) {
    if (text.substr(at, sign.size()) == sign) return sign;
  }
  return {};
}

// The end of the word that begins at `at`: marks between digits or letters belong to it ("1,500", "12:30",
// "don't").
size_t WordEnd(std::string_view text, size_t at) {
  while (at < text.size()) {
    const bool mark = text[at] == '.' || text[at] == ',' || text[at] == ':' || text[at] == '\'';
    const bool inside = mark && at + 1 < text.size() && IsDigit(text[at - 1]) == IsDigit(text[at + 1]) &&
                        IsWordByte(text[at + 1]);
    if (!(IsWordByte(text[at]) && SignAt(text, at).empty()) && !inside) break;
    ++at;
  }
  return at;
}

std::vector<Token> Tokens(std::string_view text) {
  std::vector<Token> tokens;
  for (size_t at = 0; at < text.size();) {
    const std::string_view sign = SignAt(text, at);
    if (sign.empty() && !IsWordByte(text[at])) {
      ++at;
      continue;
    }
    const size_t end = sign.empty() ? std::max(WordEnd(text, at + 1), at + 1) : at + sign.size();
    Token token{std::string(text.substr(at, end - at))};
    std::transform(token.text.begin(), token.text.end(), token.text.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    const char before = at > 0 ? text[at - 1] : ' ', after = end < text.size() ? text[end] : ' ';
    token.in_brackets = before == '(' && after == ')';
    token.is_item = tokens.empty() && (after == '.' || after == ')');
    tokens.push_back(std::move(token));
    at = end;
  }
  return tokens;
}

template <size_t N>
bool IsOneOf(std::string_view word, const std::array<std::string_view, N>& words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// "days" and "day" alike.
std::string_view Singular(std::string_view word) {
  if (word.size() > 3 && word.back() == 's') word.remove_suffix(1);
  return word;
}

constexpr std::array kTimeUnits = {"second"sv,  "minute"sv, "hour"sv,   "day"sv,   "week"sv, "month"sv,
                                   "quarter"sv, "year"sv,   "decade"sv, "night"sv, "shift"sv};
constexpr std::array kMonths = {"january"sv,   "february"sv, "march"sv,    "april"sv,
                                "may"sv,       "june"sv,     "july"sv,     "august"sv,
                                "september"sv, "october"sv,  "november"sv, "december"sv};
// "One" is left out: it mostly stands for a person or a thing.
constexpr std::array kNumberWords = {
    "two"sv,     "three"sv,     "four"sv,     "five"sv,     "six"sv,      "seven"sv,    "eight"sv,
    "nine"sv,    "ten"sv,       "eleven"sv,   "twelve"sv,   "thirteen"sv, "fourteen"sv, "fifteen"sv,
    "sixteen"sv, "seventeen"sv, "eighteen"sv, "nineteen"sv, "twenty"sv,   "thirty"sv,   "forty"sv,
    "fifty"sv,   "sixty"sv,     "seventy"sv,  "eighty"sv,   "ninety"sv,   "hundred"sv,  "thousand"sv,
    "million"sv, "billion"sv,   "dozen"sv,    "half"sv,     "once"sv,     "twice"sv,    "double"sv,
    "percent"sv, "none"sv,      "zero"sv};
constexpr std::array kPointers = {"article"sv,      "art"sv,     "section"sv,   "paragraph"sv,  "para"sv,
                                  "subparagraph"sv, "part"sv,    "subpart"sv,   "chapter"sv,    "annex"sv,
                                  "point"sv,        "recital"sv, "clause"sv,    "rule"sv,       "no"sv,
                                  "title"sv,        "item"sv,    "step"sv,      "page"sv,       "figure"sv,
                                  "table"sv,        "version"sv, "directive"sv, "regulation"sv, "appendix"sv,
                                  "schedule"sv,     "form"sv,    "room"sv,      "cfr"sv,        "u.s.c"sv};
constexpr std::array kTimeAdverbs = {"immediately"sv, "promptly"sv,     "forthwith"sv,  "hourly"sv,
                                     "daily"sv,       "nightly"sv,      "weekly"sv,     "monthly"sv,
                                     "quarterly"sv,   "yearly"sv,       "annually"sv,   "annual"sv,
                                     "overnight"sv,   "indefinitely"sv, "permanently"sv};

bool IsUnit(std::string_view word) { return IsOneOf(Singular(word), kTimeUnits); }

bool IsNumber(const Token& token) { return IsDigit(token.text.front()) || IsOneOf(token.text, kNumberWords); }

// A number that names a place in a text instead of counting something.
bool IsPointer(const std::vector<Token>& tokens, size_t i) {
  if (!IsDigit(tokens[i].text.front())) return false;
  if (tokens[i].in_brackets || tokens[i].is_item) return true;
  if (i + 1 < tokens.size() && (tokens[i + 1].text == "cfr" || tokens[i + 1].text == "u.s.c")) return true;
  if (i == 0) return false;
  const std::string& before = tokens[i - 1].text;
  if (before == kSectionSign || IsOneOf(before, kPointers) || IsOneOf(Singular(before), kPointers))
    return true;
  const bool joined = before == "and" || before == "or" || before == "to" || before == "through";
  return joined && i >= 2 && IsDigit(tokens[i - 2].text.front()) && IsPointer(tokens, i - 2);
}

bool HoldsAmount(const std::vector<Token>& tokens) {
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i].text == "%" || tokens[i].text == "$") return true;
    if (IsNumber(tokens[i]) && !IsPointer(tokens, i)) return true;
    if (tokens[i].text == "one" && i + 1 < tokens.size() && IsUnit(tokens[i + 1].text)) return true;
  }
  return false;
}

bool IsYear(std::string_view word) {
  return word.size() == 4 && std::all_of(word.begin(), word.end(), IsDigit) &&
         (word.substr(0, 2) == "19" || word.substr(0, 2) == "20");
}

bool IsClock(std::string_view word) {
  const size_t colon = word.find(':');
  return colon != std::string_view::npos && colon > 0 && colon <= 2 && word.size() == colon + 3;
}

// Whether a unit of time stands among the `reach` tokens after `i`: "60 calendar days".
bool UnitFollows(const std::vector<Token>& tokens, size_t i, size_t reach) {
  for (size_t k = i + 1; k <= i + reach && k < tokens.size(); ++k) {
    if (IsUnit(tokens[k].text)) return true;
  }
  return false;
}

bool IsTimeAt(const std::vector<Token>& tokens, size_t i) {
  const std::string& word = tokens[i].text;
  const std::string_view next =
      i + 1 < tokens.size() ? std::string_view(tokens[i + 1].text) : std::string_view();
  if (IsOneOf(word, kTimeAdverbs) || IsClock(word)) return true;
  if (word == "without" && (next == "delay" || (i + 2 < tokens.size() && tokens[i + 2].text == "delay")))
    return true;
  if (word == "at" && next == "once") return true;
  if (word == "as" && next == "soon") return true;
  if (word == "each" || word == "every" || word == "per" || word == "one") return UnitFollows(tokens, i, 2);
  if (!IsNumber(tokens[i]) || IsPointer(tokens, i)) return false;
  if (IsYear(word) || UnitFollows(tokens, i, 3)) return true;
  return IsDigit(word.front()) && (IsOneOf(next, kMonths) || (i > 0 && IsOneOf(tokens[i - 1].text, kMonths)));
}

bool HoldsTime(const std::vector<Token>& tokens) {
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (IsTimeAt(tokens, i)) return true;
  }
  return false;
}

constexpr std::array kHowTime = {"long"sv, "soon"sv,       "often"sv, "quickly"sv,
                                 "fast"sv, "frequently"sv, "late"sv,  "early"sv};
constexpr std::array kHowAmount = {"many"sv,  "much"sv, "large"sv, "high"sv, "low"sv,   "big"sv,
                                   "small"sv, "old"sv,  "far"sv,   "deep"sv, "wide"sv,  "tall"sv,
                                   "heavy"sv, "hot"sv,  "warm"sv,  "cold"sv, "strong"sv};
constexpr std::array kWhatTime = {"time"sv,      "date"sv,     "deadline"sv, "period"sv,
                                  "frequency"sv, "interval"sv, "duration"sv};
constexpr std::array kWhatAmount = {
    "amount"sv, "percentage"sv,  "percent"sv, "share"sv,     "rate"sv,   "dose"sv,
    "dosage"sv, "temperature"sv, "fee"sv,     "fine"sv,      "price"sv,  "cost"sv,
    "salary"sv, "allowance"sv,   "limit"sv,   "threshold"sv, "cap"sv,    "age"sv,
    "weight"sv, "maximum"sv,     "minimum"sv, "lowest"sv,    "highest"sv};
constexpr size_t kWhatReach = 4;  // "What is the current cap ...".

// What "how ..." at `i` asks for.
ExpectedAnswer AfterHow(const std::vector<Token>& tokens, size_t i) {
  if (i + 1 >= tokens.size()) return ExpectedAnswer::kAny;
  const std::string& next = tokens[i + 1].text;
  if (IsOneOf(next, kHowTime)) return ExpectedAnswer::kTime;
  if (!IsOneOf(next, kHowAmount)) return ExpectedAnswer::kAny;
  const std::string_view then =
      i + 2 < tokens.size() ? std::string_view(tokens[i + 2].text) : std::string_view();
  if (next == "far") return then == "back" || then == "ahead" ? ExpectedAnswer::kTime : ExpectedAnswer::kAny;
  if (next == "much" && (then == "time" || then == "longer")) return ExpectedAnswer::kTime;
  if (next == "many" && UnitFollows(tokens, i + 1, 2)) return ExpectedAnswer::kTime;
  return ExpectedAnswer::kAmount;
}

ExpectedAnswer AfterWhat(const std::vector<Token>& tokens, size_t i) {
  for (size_t k = i + 1; k <= i + kWhatReach && k < tokens.size(); ++k) {
    if (IsOneOf(tokens[k].text, kWhatTime)) return ExpectedAnswer::kTime;
    if (!IsOneOf(tokens[k].text, kWhatAmount)) continue;
    const bool of_time = k + 1 < tokens.size() && IsOneOf(tokens[k + 1].text, kWhatTime);
    return of_time ? ExpectedAnswer::kTime : ExpectedAnswer::kAmount;
  }
  return ExpectedAnswer::kAny;
}

}  // namespace

ExpectedAnswer ExpectedAnswerOf(std::string_view question) {
  const std::vector<Token> tokens = Tokens(question);
  for (size_t i = 0; i < tokens.size(); ++i) {
    const std::string& word = tokens[i].text;
    ExpectedAnswer expected = ExpectedAnswer::kAny;
    if (word == "how") expected = AfterHow(tokens, i);
    if (word == "what" || word == "which") expected = AfterWhat(tokens, i);
    const bool bounded = word == "since" || word == "until" || word == "by" || word == "from";
    if (bounded && i + 1 < tokens.size() && tokens[i + 1].text == "when") expected = ExpectedAnswer::kTime;
    if (expected != ExpectedAnswer::kAny) return expected;
  }
  return ExpectedAnswer::kAny;
}

bool Holds(ExpectedAnswer expected, std::string_view text) {
  switch (expected) {
    case ExpectedAnswer::kAny:
      return true;
    case ExpectedAnswer::kAmount:
      return HoldsAmount(Tokens(text));
    case ExpectedAnswer::kTime:
      return HoldsTime(Tokens(text));
  }
  return true;
}

}  // namespace cloister::inference
