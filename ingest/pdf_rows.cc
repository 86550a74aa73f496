// SPDX-License-Identifier: Apache-2.0
#include "ingest/pdf_rows.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "ingest/enumeration.h"

namespace cloister::ingest {
namespace {

constexpr float kCellGapEm = 1.7f;       // A wider gap separates cells, or columns.
constexpr float kCurrencyGapEm = 0.7f;
constexpr float kGutterPointsMin = 7.0f;
constexpr size_t kColumnRowsMin = 4;
constexpr size_t kColumnCharactersMin = 16;  // On average, of a line of a column of prose.
constexpr size_t kEdgeRows = 3;          // Headers and footers are among these many rows at the top and bottom.
constexpr float kRepeatedShare = 0.4f;
constexpr int kColumnDepthMax = 4;

size_t Characters(const Segment& segment) {
  size_t count = 0;
  for (const UprightWord& word : segment.words) count += word.word->text.size() + 1;
  return count;
}

bool IsJoiner(const std::string& text) { return text == "$" || text == "€" || text == "£" || text == "(" || text == "$("; }
bool IsTail(const std::string& text) { return text == "%" || text == ")" || text == ")%" || text == "%)"; }

// A marker with its gap ("•     text", "(a)    text") is not a cell of its own.
bool IsMarkerOnly(const Segment& segment) {
  if (segment.words.size() != 1) return false;
  const std::string text = segment.words[0].word->text + " ";
  const Marker marker = ReadMarker(text);
  return marker.style != MarkerStyle::kNone && marker.bytes >= text.size();
}

void Extend(Segment& segment, const UprightWord& word) {
  segment.words.push_back(word);
  segment.x1 = std::max(segment.x1, word.x1);
}

void SplitIntoSegments(std::vector<UprightWord>& words, Row& row) {
  std::sort(words.begin(), words.end(), [](const UprightWord& a, const UprightWord& b) { return a.x0 < b.x0; });
  for (const UprightWord& word : words) {
    const std::string& text = word.word->text;
    const bool first = row.segments.empty();
    const float gap = first ? 0 : word.x0 - row.segments.back().x1;
    // A currency sign apart from what is before it starts a cell.
    const float near_em = IsJoiner(text) && text != "(" ? kCurrencyGapEm : kCellGapEm;
    const bool near = !first && gap <= near_em * std::max(word.word->font_size, 4.0f);
    const bool tied = !first && (IsJoiner(row.segments.back().words.back().word->text) || IsTail(text) ||
                                 (row.segments.size() == 1 && IsMarkerOnly(row.segments.back())));
    if (near || tied) {
      Extend(row.segments.back(), word);
    } else {
      row.segments.push_back({{word}, word.x0, word.x1});
    }
  }
}

void DescribeRow(const std::vector<UprightWord>& words, Row& row) {
  std::map<float, size_t> sizes;
  row.bold = true;
  row.y0 = words[0].y0, row.y1 = words[0].y1;
  for (const UprightWord& word : words) {
    sizes[std::round(word.word->font_size * 2) / 2] += word.word->text.size();
    row.bold = row.bold && word.word->bold;
    row.y0 = std::min(row.y0, word.y0);
    row.y1 = std::max(row.y1, word.y1);
  }
  const auto most = std::max_element(sizes.begin(), sizes.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  row.font_size = most->first;
}

UprightWord Upright(const LayoutWord& w) {
  switch (w.turns) {
    case 1: return {&w, w.y0, -w.x1, w.y1, -w.x0};   // Reads downwards.
    case 2: return {&w, -w.x1, -w.y1, -w.x0, -w.y0};
    case 3: return {&w, -w.y1, w.x0, -w.y0, w.x1};   // Reads upwards.
    default: return {&w, w.x0, w.y0, w.x1, w.y1};
  }
}

// The gaps of a row as intervals, the margins left out.
struct Gap {
  float x0, x1;
};

std::vector<Gap> GapsOf(const Row& row) {
  std::vector<Gap> gaps;
  for (size_t i = 1; i < row.segments.size(); ++i) gaps.push_back({row.segments[i - 1].x1, row.segments[i].x0});
  return gaps;
}

// Narrows `gutter` to what stays free in `row`; false when the row crosses it.
bool Narrow(const Row& row, Gap& gutter) {
  if (row.x1() <= gutter.x0 + 1 || row.x0() >= gutter.x1 - 1) {
    // All of the row on one side: keeps the gutter at the side's edge.
    if (row.x1() <= gutter.x1) gutter.x0 = std::max(gutter.x0, row.x1());
    if (row.x0() >= gutter.x0) gutter.x1 = std::min(gutter.x1, row.x0());
    return gutter.x1 - gutter.x0 >= kGutterPointsMin;
  }
  for (const Gap& gap : GapsOf(row)) {
    const Gap shared{std::max(gap.x0, gutter.x0), std::min(gap.x1, gutter.x1)};
    if (shared.x1 - shared.x0 >= kGutterPointsMin) {
      gutter = shared;
      return true;
    }
  }
  return false;
}

struct Run {
  size_t end = 0;
  Gap gutter{0, 0};
};

// How far below row `from` its gap stays free.
Run Follow(const std::vector<Row>& rows, size_t from, Gap gap) {
  Run run{from, gap};
  for (size_t i = from; i < rows.size(); ++i) {
    Gap narrowed = run.gutter;
    if (!Narrow(rows[i], narrowed)) break;
    run = {i + 1, narrowed};
  }
  return run;
}

// Whether rows [from, run.end) are prose on both sides of the gutter, and not a table.
bool AreColumns(const std::vector<Row>& rows, size_t from, const Run& run) {
  size_t both = 0, left_lines = 0, right_lines = 0, left_characters = 0, right_characters = 0, cells = 0;
  for (size_t i = from; i < run.end; ++i) {
    bool left = false, right = false;
    for (const Segment& segment : rows[i].segments) {
      const bool is_left = segment.x1 <= run.gutter.x0 + 1;
      (is_left ? left : right) = true;
      (is_left ? left_characters : right_characters) += Characters(segment);
      ++cells;
    }
    left_lines += left ? 1 : 0;
    right_lines += right ? 1 : 0;
    both += left && right ? 1 : 0;
  }
  if (both < kColumnRowsMin || both * 2 < std::min(left_lines, right_lines)) return false;
  // Cells beyond one a side make it a table, unless each is long (three columns).
  if (cells * 10 > (left_lines + right_lines) * 13 && (left_characters + right_characters) / cells < kColumnCharactersMin * 3 / 2) {
    return false;
  }
  return left_characters / left_lines >= kColumnCharactersMin && right_characters / right_lines >= kColumnCharactersMin;
}

std::vector<Row> OneSide(const std::vector<Row>& rows, size_t from, const Run& run, bool left) {
  std::vector<Row> side;
  for (size_t i = from; i < run.end; ++i) {
    Row row = rows[i];
    row.segments.clear();
    std::vector<UprightWord> words;
    for (const Segment& segment : rows[i].segments) {
      if ((segment.x1 <= run.gutter.x0 + 1) != left) continue;
      row.segments.push_back(segment);
      words.insert(words.end(), segment.words.begin(), segment.words.end());
    }
    if (words.empty()) continue;
    DescribeRow(words, row);
    side.push_back(std::move(row));
  }
  return side;
}

void Order(std::vector<Row> rows, int depth, std::vector<Row>& out) {
  for (size_t i = 0; i < rows.size();) {
    Run best;
    if (depth < kColumnDepthMax) {
      for (const Gap& gap : GapsOf(rows[i])) {
        const Run run = Follow(rows, i, gap);
        if (run.end > best.end && AreColumns(rows, i, run)) best = run;
      }
    }
    if (best.end <= i) {
      out.push_back(std::move(rows[i++]));
      continue;
    }
    Order(OneSide(rows, i, best, true), depth + 1, out);
    Order(OneSide(rows, i, best, false), depth + 1, out);
    i = best.end;
  }
}

// A row's text with digits made alike, so that "Page 3 of 9" repeats.
std::string RepeatKey(const Row& row) {
  std::string key;
  for (const char c : RowText(row)) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit || key.empty() || key.back() != '#') key += digit ? '#' : c;
  }
  return key;
}

bool IsPageNumber(const std::string& key) {
  static const std::set<std::string> known = {"#", "- # -", "– # –", "Page #", "page #", "Page # of #", "# / #", "#/#", "# of #",
                                              "[#]", "| #"};
  return known.count(key) > 0;
}

// "Northern Hospital   Page 2 of 9": a line that ends by counting pages. At the edge of a page it is no content, even
// in a document too short for anything to repeat.
bool EndsWithPageNumber(const std::string& key) {
  // In capitals only: "see page 3" can end a line of prose.
  return key.ends_with(" Page #") || key.ends_with(" Page # of #");
}

}  // namespace

std::string RowText(const Row& row) {
  std::string text;
  for (const Segment& segment : row.segments) {
    for (const UprightWord& word : segment.words) (text += text.empty() ? "" : " ") += word.word->text;
  }
  return text;
}

std::vector<Row> MakeRows(const LayoutPage& page, uint32_t number, int turns) {
  std::vector<UprightWord> words;
  for (const LayoutWord& word : page.words) {
    if (word.turns == turns && !word.text.empty()) words.push_back(Upright(word));
  }
  std::sort(words.begin(), words.end(), [](const UprightWord& a, const UprightWord& b) {
    const float ca = a.y0 + a.y1, cb = b.y0 + b.y1;
    return ca != cb ? ca < cb : a.x0 < b.x0;
  });
  std::vector<Row> rows;
  std::vector<UprightWord> open;
  float y0 = 0, y1 = 0;
  const auto close = [&] {
    if (open.empty()) return;
    Row row;
    row.page = number;
    DescribeRow(open, row);
    SplitIntoSegments(open, row);
    rows.push_back(std::move(row));
    open.clear();
  };
  for (const UprightWord& word : words) {
    const float overlap = std::min(y1, word.y1) - std::max(y0, word.y0);
    const float height = std::min(y1 - y0, word.y1 - word.y0);
    if (!open.empty() && overlap < 0.55f * height) close();
    if (open.empty()) {
      y0 = word.y0, y1 = word.y1;
    } else if (word.y1 - word.y0 > y1 - y0) {
      y0 = word.y0, y1 = word.y1;  // The tallest word decides, so that superscripts do not drag the row along.
    }
    open.push_back(word);
  }
  close();
  return rows;
}

std::vector<Row> OrderColumns(std::vector<Row> rows) {
  std::vector<Row> ordered;
  Order(std::move(rows), 0, ordered);
  return ordered;
}

void RemoveRepeated(std::vector<std::vector<Row>>& pages) {
  std::map<std::string, size_t> seen;
  const auto is_edge = [](const std::vector<Row>& rows, size_t i) { return i < kEdgeRows || i + kEdgeRows >= rows.size(); };
  size_t with_text = 0;
  for (const auto& rows : pages) {
    std::set<std::string> here;
    for (size_t i = 0; i < rows.size(); ++i) {
      if (is_edge(rows, i)) here.insert(RepeatKey(rows[i]));
    }
    for (const std::string& key : here) ++seen[key];
    with_text += rows.empty() ? 0 : 1;
  }
  const auto repeated = [&](const std::string& key) {
    const size_t count = seen[key];
    const bool often = static_cast<float>(count) >= kRepeatedShare * static_cast<float>(with_text);
    return with_text >= 2 && often && count >= (IsPageNumber(key) ? 2u : 3u);
  };
  for (auto& rows : pages) {
    std::vector<Row> kept;
    for (size_t i = 0; i < rows.size(); ++i) {
      const std::string key = RepeatKey(rows[i]);
      const bool outermost = rows.size() > 1 && (i == 0 || i + 1 == rows.size());
      const bool furniture = (is_edge(rows, i) && repeated(key)) || (outermost && EndsWithPageNumber(key));
      if (!furniture) kept.push_back(std::move(rows[i]));
    }
    rows = std::move(kept);
  }
}

}  // namespace cloister::ingest
