// SPDX-License-Identifier: Apache-2.0
#include "ingest/text_parser.h"

#include <algorithm>
#include <string>
#include <vector>

#include "ingest/metadata.h"
#include "ingest/text_normaliser.h"

namespace cloister::ingest {
namespace {

constexpr size_t kHeadingBytesMax = 120;

std::string_view Trim(std::string_view s) {
  const size_t first = s.find_first_not_of(" \t\f");
  if (first == std::string_view::npos) return {};
  return s.substr(first, s.find_last_not_of(" \t\f") - first + 1);
}

// The level of the heading that `line` underlines: 1 for "=====", 2 for "-----", 0 for none.
uint8_t UnderlineLevel(std::string_view line) {
  if (line.size() < 3) return 0;
  if (line.find_first_not_of('=') == std::string_view::npos) return 1;
  if (line.find_first_not_of('-') == std::string_view::npos) return 2;
  return 0;
}

// A short line alone, in capitals: how headings look where there is nothing but letters.
bool IsCapitalHeading(std::string_view line) {
  if (line.size() < 4 || line.size() > 80 || line.back() == '.' || line.back() == ',') return false;
  int upper = 0;
  for (const char c : line) {
    if (c >= 'a' && c <= 'z') return false;
    upper += c >= 'A' && c <= 'Z' ? 1 : 0;
  }
  return upper >= 4;
}

void AddRow(std::string_view line, DocumentBuilder& out) {
  std::vector<std::string> cells;
  while (true) {
    const size_t tab = line.find('\t');
    cells.emplace_back(line.substr(0, tab));
    if (tab == std::string_view::npos) break;
    line.remove_prefix(tab + 1);
  }
  out.AddTableRow(cells);
}

// Whether each line is a paragraph of its own, as in exports: lines that no editor wrapped, or most of which end a
// sentence.
bool AreParagraphs(const std::vector<std::string_view>& lines) {
  constexpr size_t kWrappedBytesMax = 160;
  size_t longest = 0, ended = 0;
  for (const std::string_view line : lines) {
    const std::string_view text = Trim(line);
    longest = std::max(longest, text.size());
    ended += !text.empty() && std::string_view(".!?;").find(text.back()) != std::string_view::npos ? 1 : 0;
  }
  return longest > kWrappedBytesMax || (lines.size() >= 3 && ended * 5 >= lines.size() * 3);
}

// One run of lines without a blank one between.
void AddParagraphLines(const std::vector<std::string_view>& lines, DocumentBuilder& out) {
  if (lines.size() == 1 && IsCapitalHeading(Trim(lines[0]))) {
    out.AddHeading(2, lines[0]);
    return;
  }
  const bool table = std::all_of(lines.begin(), lines.end(), [](std::string_view line) {
    return Trim(line).find('\t') != std::string_view::npos;
  });
  const bool apart = AreParagraphs(lines);
  std::string paragraph;
  const auto flush = [&] {
    out.AddParagraph(paragraph);
    paragraph.clear();
  };
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string_view line = Trim(lines[i]);
    const uint8_t underlined = i + 1 < lines.size() && line.size() <= kHeadingBytesMax && paragraph.empty()
                                   ? UnderlineLevel(Trim(lines[i + 1]))
                                   : uint8_t{0};
    if (underlined > 0) {
      out.AddHeading(underlined, line);
      ++i;
    } else if (table) {
      AddRow(lines[i], out);
    } else if (UnderlineLevel(line) == 0) {
      if (apart || ReadMarker(line).style != MarkerStyle::kNone) flush();
      if (!paragraph.empty()) paragraph += ' ';
      paragraph += line;
    }
  }
  flush();
}

}  // namespace

ParseResult ParseText(std::string_view bytes, const ParseLimits& limits) {
  const DecodedText decoded = DecodeText(bytes);
  if (decoded.binary) return Refuse(Refusal::kNotText);
  DocumentBuilder out(limits);
  if (decoded.replaced > 0) out.notes().push_back({NoteCode::kCharactersReplaced, decoded.replaced});
  std::string_view rest = decoded.text;
  rest.remove_prefix(ReadFrontMatter(rest, out.metadata(), out.notes()));
  std::vector<std::string_view> lines;
  while (!rest.empty() && !out.full()) {
    const size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    if (Trim(line).empty()) {
      AddParagraphLines(lines, out);
      lines.clear();
    } else {
      lines.push_back(line);
    }
  }
  AddParagraphLines(lines, out);
  return out.Finish();
}

}  // namespace cloister::ingest
