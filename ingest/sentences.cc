// SPDX-License-Identifier: Apache-2.0
#include "ingest/sentences.h"

#include <unicode/ubrk.h>
#include <unicode/utext.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>

#include "common/status.h"
#include "ingest/enumeration.h"

namespace cloister::ingest {
namespace {

constexpr size_t kClauseWordsMin = 6;

bool IsSpace(char c) { return c == ' ' || c == '\n'; }
bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c & 0x80) != 0; }
bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Lower case, without the full stop. Sorted.
constexpr std::array<std::string_view, 84> kAbbreviations = {
    "a.k.a", "al",   "app",  "approx", "apr",  "art",   "arts", "assn", "aug",  "ave",  "b.s",   "blvd", "bros", "c.f.r",
    "ca",    "cert", "cf",   "ch",     "cir",  "cl",    "co",   "col",  "corp", "ct",   "d.c",   "dec",  "dept", "dr",
    "e.g",   "ed",   "eds",  "eq",     "esp",  "est",   "ext",  "f.r",  "feb",  "fed",  "fig",   "figs", "fri",  "g.l",
    "gen",   "gov",  "hon",  "i.e",    "inc",  "incl",  "jan",  "jr",   "jul",  "jun",  "lt",    "ltd",  "m.d",  "max",
    "min",   "mon",  "mr",   "mrs",    "ms",   "mt",    "no",   "nos",  "nov",  "oct",  "p",     "para", "ph.d", "pp",
    "prof",  "pub",  "reg",  "rev",    "sec",  "sep",   "sept", "sr",   "st",   "stat", "u.s",   "u.s.c", "viz", "vs"};
// Abbreviations that end a sentence as often as not when a capital follows: only a digit or lower case joins.
constexpr std::array<std::string_view, 22> kOftenLast = {"approx", "ave",  "co",   "col", "corp", "d.c",  "dept", "ext",
                                                         "fri",    "inc",  "jr",   "ltd", "m.d",  "max",  "min",  "mon",
                                                         "no",     "p",    "ph.d", "sr",  "u.s",  "app"};

// The word before the full stop at `stop`, in lower case.
std::string WordBefore(std::string_view text, size_t stop) {
  size_t start = stop;
  while (start > 0 && !IsSpace(text[start - 1]) && text[start - 1] != '(' && text[start - 1] != '[' && stop - start < 12) {
    --start;
  }
  std::string word(text.substr(start, stop - start));
  for (char& c : word) c = IsUpper(c) ? static_cast<char>(c + 32) : c;
  return word;
}

template <size_t N>
bool Contains(const std::array<std::string_view, N>& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

bool IsOnlyMarkers(std::string_view text) {
  constexpr size_t kMarkersBytesMax = 48;
  if (text.size() > kMarkersBytesMax) return false;
  const std::string spaced = std::string(text) + ' ';  // As it stands before what it marks.
  return MarkersBytes(spaced) >= spaced.size();
}

// Words that begin a sentence far more often than a name ("U.S. Department" against "in the U.S. The").
bool StartsSentence(std::string_view text) {
  constexpr std::array<std::string_view, 22> kStarters = {"The", "A", "An", "In", "It", "This", "That", "These", "Those", "If", "When", "For",
                                                          "However", "We", "Our", "No", "As", "On", "At", "They", "There", "Such"};
  return Contains(kStarters, text.substr(0, text.find(' ')));
}

// Whether a break between `end` of the text before and `next`, the start of the text after, is false.
bool IsFalseBreak(std::string_view text, size_t sentence_start, size_t end, size_t next) {
  if (next >= text.size()) return false;
  const std::string_view sentence = text.substr(sentence_start, end - sentence_start);
  // "1. Where processing": the marker belongs to what follows.
  if (IsOnlyMarkers(sentence)) return true;
  if (sentence.back() != '.') return false;
  const std::string word = WordBefore(text, end - 1);
  const char after = text[next];
  const bool continues = IsDigit(after) || (after >= 'a' && after <= 'z') || after == '(' || after == ',' || after == ';';
  if (word == "u.s") return continues || !StartsSentence(text.substr(next));
  if (Contains(kOftenLast, word)) return continues;
  if (Contains(kAbbreviations, word)) return true;
  // A lone initial: "J. Smith". "vitamin C. The" is rarer in the documents at hand.
  if (word.size() == 1 && IsLetter(word[0]) && IsUpper(text[end - 2]) && word != "i") return IsUpper(after) || IsDigit(after);
  // "section 3.2. of", "§ 164. 512": a digit or lower case letter does not start a sentence after a number.
  if (!word.empty() && IsDigit(word.back()) && after >= 'a' && after <= 'z') return true;
  // Lower case after a full stop is a repair of ours only after an abbreviation with inner stops ("a.s. is").
  return word.find('.') != std::string::npos && word.size() <= 6 && continues;
}

std::vector<Range> RawSentences(std::string_view text) {
  UErrorCode error = U_ZERO_ERROR;
  // Opening one costs more than running it over a paragraph.
  thread_local const std::unique_ptr<UBreakIterator, decltype(&ubrk_close)> breaks(
      ubrk_open(UBRK_SENTENCE, "en", nullptr, 0, &error), ubrk_close);
  CLOISTER_CHECK(U_SUCCESS(error));  // The rules are compiled into ICU.
  UText utext = UTEXT_INITIALIZER;
  utext_openUTF8(&utext, text.data(), static_cast<int64_t>(text.size()), &error);
  ubrk_setUText(breaks.get(), &utext, &error);
  CLOISTER_CHECK(U_SUCCESS(error));
  std::vector<Range> ranges;
  int32_t start = ubrk_first(breaks.get());
  for (int32_t end = ubrk_next(breaks.get()); end != UBRK_DONE; start = end, end = ubrk_next(breaks.get())) {
    ranges.push_back({static_cast<uint32_t>(start), static_cast<uint32_t>(end)});
  }
  utext_close(&utext);
  return ranges;
}

void TrimRange(std::string_view text, Range& range) {
  while (range.start < range.end && IsSpace(text[range.start])) ++range.start;
  while (range.end > range.start && IsSpace(text[range.end - 1])) --range.end;
}

size_t CountWords(std::string_view text) {
  size_t words = 0;
  bool inside = false;
  for (const char c : text) {
    const bool space = IsSpace(c);
    words += !space && !inside ? 1 : 0;
    inside = !space;
  }
  return words;
}

// Divides an overlong sentence after semicolons, so that a quotation can be a clause of it.
void AppendClauses(std::string_view text, Range range, std::vector<Range>& out) {
  const std::string_view sentence = text.substr(range.start, range.end - range.start);
  if (CountWords(sentence) <= kSentenceWordsMax) {
    out.push_back(range);
    return;
  }
  size_t words_left = CountWords(sentence), words = 1;
  uint32_t start = range.start;
  for (uint32_t i = range.start; i + 1 < range.end; ++i) {
    if (!IsSpace(text[i + 1])) continue;
    if (text[i] == ';' && words >= kClauseWordsMin && words_left - words >= kClauseWordsMin) {
      out.push_back({start, i + 1});
      start = i + 2;
      words_left -= words;
      words = 0;
    }
    ++words;
  }
  out.push_back({start, range.end});
}

// Cuts what is too long to be quoted or embedded as one.
void AppendPieces(std::string_view text, Range range, std::vector<Range>& out) {
  while (range.end - range.start > kSentenceBytesMax) {
    const std::string_view window = text.substr(range.start, kSentenceBytesMax);
    size_t cut = window.rfind('\n');
    if (cut == std::string_view::npos || cut == 0) cut = window.rfind(' ');
    if (cut == std::string_view::npos || cut == 0) {
      cut = kSentenceBytesMax;
      while (cut > 1 && (text[range.start + cut] & 0xC0) == 0x80) --cut;
    }
    Range piece{range.start, range.start + static_cast<uint32_t>(cut)};
    TrimRange(text, piece);
    if (piece.start < piece.end) out.push_back(piece);
    range.start += static_cast<uint32_t>(cut);
    TrimRange(text, range);
  }
  if (range.start < range.end) out.push_back(range);
}

bool HasContent(std::string_view text) {
  if (IsOnlyMarkers(text)) return false;
  const std::string_view rest = text.substr(std::min(text.size(), MarkersBytes(text)));
  return std::any_of(rest.begin(), rest.end(), [](char c) { return IsLetter(c) || IsDigit(c); });
}

bool EndsOpen(std::string_view text) {
  while (!text.empty() && (text.back() == ')' || text.back() == '"' || text.back() == '\'')) text.remove_suffix(1);
  return text.empty() || (text.back() != '.' && text.back() != '!' && text.back() != '?');
}

class SentenceFinder {
 public:
  explicit SentenceFinder(const ParsedDocument& document) : document_(document) {}

  std::vector<Sentence> Run() {
    for (uint32_t i = 0; i < document_.blocks.size(); ++i) AddBlock(i);
    return std::move(sentences_);
  }

 private:
  std::string_view TextOf(uint32_t start, uint32_t end) const {
    return std::string_view(document_.text).substr(start, end - start);
  }

  void AddBlock(uint32_t index) {
    const Block& block = document_.blocks[index];
    const std::string_view text = TextOf(block.start, block.end);
    switch (block.kind) {
      case BlockKind::kHeading:
        Add(block.start, block.end, SentenceKind::kHeading, index, -1);
        parents_.clear();
        header_row_ = -1;
        return;
      case BlockKind::kTableRow:
        // The first row of a table names the columns of the others.
        Add(block.start, block.end, SentenceKind::kTableRow, index, header_row_);
        if (header_row_ < 0) header_row_ = Last();
        return;
      case BlockKind::kCode:
        Add(block.start, block.end, SentenceKind::kSentence, index, -1);
        break;
      case BlockKind::kParagraph:
      case BlockKind::kListItem:
        AddProse(index, text);
        break;
    }
    header_row_ = -1;
  }

  void AddProse(uint32_t index, std::string_view text) {
    const Block& block = document_.blocks[index];
    const bool item = block.kind == BlockKind::kListItem;
    std::erase_if(parents_, [&](const Parent& parent) { return parent.level >= block.level; });
    const int32_t lead_in = item ? LeadIn(block) : -1;
    bool first = true;
    if (HasContent(text)) {
      for (const Range& range : SplitSentences(text)) {
        Add(block.start + range.start, block.start + range.end,
            item && first ? SentenceKind::kListItem : SentenceKind::kSentence, index, first ? lead_in : -1);
        first = false;
      }
    }
    // A bare marker passes on what it hangs on itself.
    parents_.push_back({block.level, first ? lead_in : Last()});
  }

  int32_t LeadIn(const Block& block) const {
    if (parents_.empty() || parents_.back().sentence < 0) return -1;
    const int32_t candidate = parents_.back().sentence;
    const Sentence& parent = sentences_[static_cast<size_t>(candidate)];
    const bool open = EndsOpen(TextOf(parent.start, parent.end));
    // A list in the source hangs on the paragraph right before it even when that ends with a full stop; in prose
    // with markers an item under a finished sentence stands alone.
    return open || block.explicit_list ? candidate : -1;
  }

  int32_t Last() const { return static_cast<int32_t>(sentences_.size()) - 1; }

  void Add(uint32_t start, uint32_t end, SentenceKind kind, uint32_t block, int32_t lead_in) {
    std::vector<Range> pieces;
    AppendPieces(document_.text, {start, end}, pieces);
    for (const Range& piece : pieces) sentences_.push_back({piece.start, piece.end, kind, block, lead_in});
  }

  struct Parent {
    uint8_t level;
    int32_t sentence;  // -1: none.
  };

  const ParsedDocument& document_;
  std::vector<Sentence> sentences_;
  std::vector<Parent> parents_;  // Of growing level.
  int32_t header_row_ = -1;
};

}  // namespace

std::vector<Range> SplitSentences(std::string_view text) {
  std::vector<Range> merged;
  for (Range range : RawSentences(text)) {
    TrimRange(text, range);
    if (range.start == range.end) continue;
    if (!merged.empty() && IsFalseBreak(text, merged.back().start, merged.back().end, range.start)) {
      merged.back().end = range.end;
    } else {
      merged.push_back(range);
    }
  }
  std::vector<Range> clauses, result;
  for (const Range& range : merged) AppendClauses(text, range, clauses);
  for (const Range& range : clauses) AppendPieces(text, range, result);
  return result;
}

std::vector<Sentence> FindSentences(const ParsedDocument& document) { return SentenceFinder(document).Run(); }

}  // namespace cloister::ingest
