// SPDX-License-Identifier: Apache-2.0
#include "ingest/pdf_layout.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <optional>
#include <set>

#include "ingest/pdf_rows.h"

namespace cloister::ingest {
namespace {

constexpr float kHeadingSizeRatio = 1.12f;
constexpr size_t kHeadingBytesMax = 200;
constexpr size_t kHeadingRowsMax = 3;
constexpr float kParagraphPitch = 1.28f;   // Times the usual distance of lines.
constexpr float kShortLineShare = 0.75f;   // A line that ends a paragraph by not reaching this far.

bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsLetter(char c) { return IsLower(c) || (c >= 'A' && c <= 'Z') || (c & 0x80) != 0; }

std::string LowerWord(const std::string& text) {
  std::string word;
  for (const char c : text) {
    if (IsLetter(c) || c == '-') word += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  }
  return word;
}

bool EndsSentence(const std::string& text) {
  size_t end = text.size();
  while (end > 0 && (text[end - 1] == ')' || text[end - 1] == '"')) --end;
  return end > 0 && (text[end - 1] == '.' || text[end - 1] == '!' || text[end - 1] == '?' || text[end - 1] == ':' || text[end - 1] == ';');
}

// What is usual in this document.
struct Usual {
  float font_size = 10;
  bool bold = false;
  float pitch = 1.2f;  // Distance of lines in font sizes.
  std::map<int, uint8_t> levels;  // Heading sizes in half points, largest first.
  std::set<std::string> words;  // In lower case, from inside lines.
};

int HalfPoints(float size) { return static_cast<int>(std::lround(size * 2)); }

Usual Survey(const std::vector<std::vector<Row>>& pages) {
  Usual usual;
  std::map<int, size_t> sizes;
  std::map<int, size_t> pitches;
  size_t bold = 0, all = 0;
  for (const auto& rows : pages) {
    for (size_t i = 0; i < rows.size(); ++i) {
      for (const Segment& segment : rows[i].segments) {
        for (size_t w = 0; w < segment.words.size(); ++w) {
          const LayoutWord& word = *segment.words[w].word;
          sizes[HalfPoints(word.font_size)] += word.text.size();
          bold += word.bold ? word.text.size() : 0;
          all += word.text.size();
          if (w + 1 < segment.words.size()) usual.words.insert(LowerWord(word.text));
        }
      }
      if (i == 0 || rows[i].font_size <= 0) continue;
      const float pitch = (rows[i].y1 - rows[i - 1].y1) / rows[i].font_size;
      const bool same = HalfPoints(rows[i].font_size) == HalfPoints(rows[i - 1].font_size);
      if (same && pitch > 0.8f && pitch < 3) ++pitches[static_cast<int>(std::lround(pitch * 20))];
    }
  }
  const auto by_count = [](const auto& a, const auto& b) { return a.second < b.second; };
  if (!sizes.empty()) usual.font_size = static_cast<float>(std::max_element(sizes.begin(), sizes.end(), by_count)->first) / 2;
  if (!pitches.empty()) usual.pitch = static_cast<float>(std::max_element(pitches.begin(), pitches.end(), by_count)->first) / 20;
  usual.bold = bold * 2 > all;
  for (auto it = sizes.rbegin(); it != sizes.rend(); ++it) {
    if (static_cast<float>(it->first) / 2 < usual.font_size * kHeadingSizeRatio) break;
    usual.levels[it->first] = static_cast<uint8_t>(std::min<size_t>(usual.levels.size() + 1, 5));
  }
  return usual;
}

// Rows of one paragraph, or one heading.
struct Paragraph {
  std::vector<Row> rows;
};

class LayoutWriter {
 public:
  LayoutWriter(const Usual& usual, DocumentBuilder& out) : usual_(usual), out_(out) {}

  void Page(const std::vector<Row>& rows) {
    right_ = RightEdge(rows);
    for (size_t i = 0; i < rows.size(); ++i) {
      if (rows[i].segments.size() > 1) {
        Flush();
        TableRow(rows[i]);
      } else {
        Line(rows[i]);
      }
    }
  }

  void Flush() {
    if (open_.rows.empty()) return;
    std::vector<PlacedWord> words;
    for (const Row& row : open_.rows) AppendRow(row, words);
    if (const uint8_t level = HeadingLevel(); level > 0) {
      out_.AddWords(BlockKind::kHeading, level, words);
    } else {
      out_.AddWords(BlockKind::kParagraph, 0, words);
    }
    open_.rows.clear();
  }

 private:
  static PlacedWord Place(const LayoutWord& word, uint32_t page) {
    PlacedWord placed;
    placed.text = word.text;
    placed.page = page;
    placed.x0 = word.x0, placed.y0 = word.y0, placed.x1 = word.x1, placed.y1 = word.y1;
    return placed;
  }

  static float RightEdge(const std::vector<Row>& rows) {
    // The right edge most lines come near: lines that end there were broken by the margin.
    std::map<int, int> edges;
    for (const Row& row : rows) {
      if (row.segments.size() == 1) ++edges[static_cast<int>(row.x1() / 8)];
    }
    float right = 0;
    for (const Row& row : rows) {
      const int bin = static_cast<int>(row.x1() / 8);
      if (row.segments.size() == 1 && edges[bin] >= 3) right = std::max(right, row.x1());
    }
    return right;
  }

  void Line(const Row& row) {
    if (!open_.rows.empty() && StartsParagraph(open_.rows.back(), row)) Flush();
    open_.rows.push_back(row);
  }

  bool StartsParagraph(const Row& before, const Row& row) const {
    const std::string text_before = RowText(before), text = RowText(row);
    if (text.empty() || text_before.empty()) return true;
    if (std::fabs(before.font_size - row.font_size) > 0.08f * std::max(before.font_size, row.font_size)) return true;
    if (before.bold != row.bold) return before.bold || EndsSentence(text_before) || !IsLower(text[0]);
    if (ReadMarker(text).style != MarkerStyle::kNone) return true;
    const bool jump = before.page != row.page || row.y0 < before.y0;  // A new page or column.
    if (jump) return EndsSentence(text_before) || !(IsLower(text[0]) || text_before.back() == ',' || text_before.back() == '-');
    const float pitch = (row.y1 - before.y1) / std::max(row.font_size, 1.0f);
    if (pitch > usual_.pitch * kParagraphPitch) return true;
    const bool ended = EndsSentence(text_before);
    const bool indented = row.x0() > before.x0() + 0.8f * row.font_size && open_.rows.size() > 1;
    if (indented && ended) return true;
    // A line that stops well before the margin ended its paragraph.
    const float width = right_ - before.x0();
    return ended && width > 0 && before.x1() - before.x0() < kShortLineShare * width;
  }

  uint8_t HeadingLevel() const {
    if (open_.rows.size() > kHeadingRowsMax) return 0;
    size_t bytes = 0, letters = 0;
    std::string last;
    for (const Row& row : open_.rows) {
      last = RowText(row);
      bytes += last.size();
      letters += static_cast<size_t>(std::count_if(last.begin(), last.end(), IsLetter));
    }
    if (bytes > kHeadingBytesMax || letters < 3 || last.back() == ',' || last.back() == ';') return 0;
    if (RowText(open_.rows.front())[0] == '(') return 0;  // "(In millions)"
    const Row& first = open_.rows.front();
    const auto level = usual_.levels.find(HalfPoints(first.font_size));
    if (level != usual_.levels.end()) return last.back() == '.' && bytes > 60 ? uint8_t{0} : level->second;
    const bool bold = std::all_of(open_.rows.begin(), open_.rows.end(), [](const Row& row) { return row.bold; });
    if (!bold || usual_.bold || last.back() == '.' || last.back() == ':') return 0;
    return static_cast<uint8_t>(std::min<size_t>(usual_.levels.size() + 1, 6));
  }

  void AppendRow(const Row& row, std::vector<PlacedWord>& words) const {
    bool first = true;
    for (const Segment& segment : row.segments) {
      for (const UprightWord& word : segment.words) {
        PlacedWord placed = Place(*word.word, row.page);
        if (first && !words.empty()) JoinHyphen(words.back(), placed);
        words.push_back(std::move(placed));
        first = false;
      }
    }
  }

  // "infor-" + "mation" is one word; "health-" + "related" keeps its hyphen when the document writes it so elsewhere.
  void JoinHyphen(PlacedWord& before, PlacedWord& word) const {
    const std::string& text = before.text;
    if (text.size() < 3 || text.back() != '-' || !IsLetter(text[text.size() - 2]) || !IsLower(word.text[0])) return;
    word.joined = true;
    const std::string whole = LowerWord(text.substr(0, text.size() - 1)) + LowerWord(word.text);
    const std::string hyphenated = LowerWord(text) + LowerWord(word.text);
    if (usual_.words.count(hyphenated) == 0 || usual_.words.count(whole) > 0) before.text.pop_back();
  }

  void TableRow(const Row& row) {
    std::vector<PlacedWord> words;
    for (const Segment& segment : row.segments) {
      if (!words.empty()) {
        PlacedWord bar = words.back();
        bar.text = "|";
        bar.x0 = bar.x1;
        words.push_back(bar);
      }
      for (const UprightWord& word : segment.words) words.push_back(Place(*word.word, row.page));
    }
    out_.AddWords(BlockKind::kTableRow, 0, words);
  }

  const Usual& usual_;
  DocumentBuilder& out_;
  Paragraph open_;
  float right_ = 0;
};

}  // namespace

void LayOutPages(const std::vector<LayoutPage>& pages, DocumentBuilder& out) {
  std::vector<std::vector<Row>> rows, turned;
  for (size_t i = 0; i < pages.size(); ++i) {
    const auto number = static_cast<uint32_t>(i + 1);
    rows.push_back(MakeRows(pages[i], number, 0));
    for (int turns = 1; turns < 4; ++turns) {
      std::vector<Row> more = MakeRows(pages[i], number, turns);
      if (turns == 1) turned.emplace_back();
      // A page set sideways as a whole is a page like any other.
      auto& target = rows.back().empty() ? rows.back() : turned.back();
      target.insert(target.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
    }
  }
  RemoveRepeated(rows);
  const Usual usual = Survey(rows);
  LayoutWriter writer(usual, out);
  for (size_t i = 0; i < pages.size() && !out.full(); ++i) {
    writer.Page(OrderColumns(std::move(rows[i])));
    if (turned[i].empty()) continue;
    writer.Flush();
    writer.Page(OrderColumns(std::move(turned[i])));
    writer.Flush();
  }
  writer.Flush();
}

}  // namespace cloister::ingest
