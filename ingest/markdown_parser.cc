// SPDX-License-Identifier: Apache-2.0
#include "ingest/markdown_parser.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "ingest/markdown_inline.h"
#include "ingest/metadata.h"
#include "ingest/text_normaliser.h"

namespace cloister::ingest {
namespace {

constexpr uint32_t kQuoteDepthMax = 24;
constexpr size_t kListDepthMax = 24;
constexpr size_t kLinkLabelsMax = 10'000;

std::string_view Trim(std::string_view s) {
  const size_t first = s.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return s.substr(first, s.find_last_not_of(" \t") - first + 1);
}

bool StartsWith(std::string_view s, std::string_view prefix) { return s.substr(0, prefix.size()) == prefix; }

// Columns of white space at the start, a tab reaching to the next multiple of four.
size_t Indent(std::string_view line) {
  size_t columns = 0;
  for (const char c : line) {
    if (c == ' ') {
      ++columns;
    } else if (c == '\t') {
      columns += 4 - columns % 4;
    } else {
      break;
    }
  }
  return columns;
}

bool IsThematicBreak(std::string_view line) {
  char mark = 0;
  int count = 0;
  for (const char c : line) {
    if (c == ' ' || c == '\t') continue;
    if ((c != '-' && c != '*' && c != '_') || (mark != 0 && c != mark)) return false;
    mark = c;
    ++count;
  }
  return count >= 3;
}

// Bytes of "- " or "12. " with the spaces after it; 0 when `content` does not start a list item.
size_t ListMarkerBytes(std::string_view content, bool& ordered) {
  size_t i = 0;
  ordered = false;
  if (!content.empty() && (content[0] == '-' || content[0] == '*' || content[0] == '+')) {
    i = 1;
  } else {
    while (i < content.size() && i < 9 && content[i] >= '0' && content[i] <= '9') ++i;
    if (i == 0 || i >= content.size() || (content[i] != '.' && content[i] != ')')) return 0;
    ordered = true;
    ++i;
  }
  if (i >= content.size() || content[i] != ' ') return 0;
  while (i < content.size() && content[i] == ' ') ++i;
  return i < content.size() ? i : 0;
}

std::vector<std::string_view> SplitRow(std::string_view line) {
  line = Trim(line);
  if (!line.empty() && line.front() == '|') line.remove_prefix(1);
  if (!line.empty() && line.back() == '|') line.remove_suffix(1);
  std::vector<std::string_view> cells;
  size_t from = 0;
  for (size_t i = 0; i <= line.size(); ++i) {
    if (i < line.size() && line[i] == '\\') {
      ++i;
    } else if (i == line.size() || line[i] == '|') {
      cells.push_back(Trim(line.substr(from, i - from)));
      from = i + 1;
    }
  }
  return cells;
}

bool IsTableDelimiter(std::string_view line) {
  if (line.find('-') == std::string_view::npos || line.find('|') == std::string_view::npos) return false;
  return line.find_first_not_of("|-: \t") == std::string_view::npos;
}

// The label of "[label]: target" in lower case, or empty.
std::string DefinedLabel(std::string_view line) {
  line = Trim(line);
  if (line.empty() || line.front() != '[') return {};
  const size_t close = line.find("]:");
  if (close == std::string_view::npos || close < 2 || close > 200 || line[1] == '^') return {};
  std::string label(line.substr(1, close - 1));
  for (char& c : label) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return label;
}

class MarkdownReader {
 public:
  MarkdownReader(std::string_view text, DocumentBuilder& out) : out_(out) {
    while (!text.empty()) {
      const size_t end = text.find('\n');
      lines_.push_back(text.substr(0, end));
      text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    }
    for (const std::string_view line : lines_) {
      if (labels_.size() >= kLinkLabelsMax) break;
      if (std::string label = DefinedLabel(line); !label.empty()) labels_.insert(std::move(label));
    }
  }

  void Run() {
    while (at_ < lines_.size() && !out_.full()) Line();
    Flush();
  }

 private:
  void Line() {
    std::string_view line = lines_[at_];
    const uint32_t quotes = StripQuotes(line);
    const std::string_view content = Trim(line);
    if (content.empty()) {
      Flush();
      after_blank_ = true;
      ++at_;
      return;
    }
    if (quotes != quotes_ && (after_blank_ || quotes > quotes_ || paragraph_.empty())) {
      Flush();
      items_.clear();
      quotes_ = quotes;
    }
    if (after_blank_) {
      while (!items_.empty() && Indent(line) < items_.back()) items_.pop_back();
    }
    if (!Special(line, content)) Text(line, content);
    after_blank_ = false;
  }

  uint32_t StripQuotes(std::string_view& line) const {
    uint32_t depth = 0;
    while (depth < kQuoteDepthMax) {
      const size_t mark = line.find_first_not_of(' ');
      if (mark == std::string_view::npos || mark > 3 || line[mark] != '>') break;
      line.remove_prefix(mark + 1);
      if (!line.empty() && line[0] == ' ') line.remove_prefix(1);
      ++depth;
    }
    return depth;
  }

  // Everything that is not a paragraph or a list item. Advances past what it takes.
  bool Special(std::string_view line, std::string_view content) {
    if (StartsWith(content, "```") || StartsWith(content, "~~~")) return Fence(content);
    if (StartsWith(content, "<!--")) return Skip("-->");
    if (StartsWith(content, "<script")) return Skip("</script>");
    if (StartsWith(content, "<style")) return Skip("</style>");
    if (content[0] == '#' && AtxHeading(content)) return true;
    if (!paragraph_.empty() && items_.empty() && Setext(content)) return true;
    if (IsThematicBreak(content)) {
      Flush();
      ++at_;
      return true;
    }
    if (paragraph_.empty() && !DefinedLabel(content).empty()) {
      ++at_;
      return true;
    }
    if (content.find('|') != std::string_view::npos && at_ + 1 < lines_.size()) {
      std::string_view next = lines_[at_ + 1];
      StripQuotes(next);
      if (IsTableDelimiter(Trim(next))) return Table();
    }
    if (after_blank_ && paragraph_.empty() && items_.empty() && Indent(line) >= 4) return IndentedCode();
    return false;
  }

  bool Fence(std::string_view content) {
    Flush();
    size_t length = 0;
    while (length < content.size() && content[length] == content[0]) ++length;
    const std::string fence(length, content[0]);
    std::string code;
    for (++at_; at_ < lines_.size(); ++at_) {
      std::string_view line = lines_[at_];
      StripQuotes(line);
      const std::string_view trimmed = Trim(line);
      if (StartsWith(trimmed, fence) && trimmed.find_first_not_of(content[0]) == std::string_view::npos) {
        ++at_;
        break;
      }
      code.append(line) += '\n';
    }
    out_.AddCode(code);
    return true;
  }

  bool IndentedCode() {
    std::string code;
    for (; at_ < lines_.size(); ++at_) {
      std::string_view line = lines_[at_];
      if (StripQuotes(line) != quotes_) break;
      if (Trim(line).empty()) break;
      if (Indent(line) < 4) break;
      code.append(line) += '\n';
    }
    out_.AddCode(code);
    return true;
  }

  bool Skip(std::string_view end) {
    Flush();
    while (at_ < lines_.size() && lines_[at_].find(end) == std::string_view::npos) ++at_;
    ++at_;
    return true;
  }

  bool AtxHeading(std::string_view content) {
    size_t level = 0;
    while (level < content.size() && content[level] == '#') ++level;
    if (level > 6 || (level < content.size() && content[level] != ' ' && content[level] != '\t')) return false;
    Flush();
    items_.clear();
    std::string_view text = Trim(content.substr(level));
    const size_t last = text.find_last_not_of('#');
    if (last == std::string_view::npos) {
      text = {};
    } else if (last + 1 < text.size() && text[last] == ' ') {
      text = Trim(text.substr(0, last));
    }
    out_.AddHeading(static_cast<uint8_t>(level), Inline(text));
    ++at_;
    return true;
  }

  bool Setext(std::string_view content) {
    const bool first = content.find_first_not_of('=') == std::string_view::npos;
    const bool second = content.find_first_not_of('-') == std::string_view::npos;
    if (!first && !second) return false;
    out_.AddHeading(first ? 1 : 2, Inline(paragraph_));
    paragraph_.clear();
    ++at_;
    return true;
  }

  bool Table() {
    Flush();
    for (size_t row = 0; at_ < lines_.size(); ++at_, ++row) {
      std::string_view line = lines_[at_];
      StripQuotes(line);
      if (Trim(line).empty() || line.find('|') == std::string_view::npos) break;
      if (row == 1) continue;
      std::vector<std::string> cells;
      for (const std::string_view cell : SplitRow(line)) cells.push_back(Inline(cell));
      out_.AddTableRow(cells);
    }
    return true;
  }

  void Text(std::string_view line, std::string_view content) {
    bool ordered = false;
    const size_t marker = ListMarkerBytes(content, ordered);
    // "1986. A year" inside a paragraph is not a list; a list may interrupt a paragraph with "1." or a bullet.
    const bool interrupts = paragraph_.empty() || !ordered || StartsWith(content, "1") || item_;
    if (marker > 0 && interrupts) {
      Flush();
      const size_t indent = Indent(line);
      while (!items_.empty() && indent < items_.back()) items_.pop_back();
      if (items_.size() < kListDepthMax) items_.push_back(indent + marker);
      item_ = true;
      // The number belongs to the text, because others refer to it; a bullet does not.
      paragraph_ = ordered ? content : content.substr(marker);
    } else {
      if (!paragraph_.empty()) paragraph_ += ' ';
      paragraph_ += content;
    }
    ++at_;
  }

  void Flush() {
    if (!paragraph_.empty()) {
      const std::string text = Inline(paragraph_);
      const uint32_t depth = quotes_ + static_cast<uint32_t>(items_.size());
      if (item_) {
        out_.AddListItem(text, depth > 0 ? depth - 1 : 0);
      } else {
        out_.AddParagraph(text, depth);
      }
    }
    paragraph_.clear();
    item_ = false;
  }

  std::string Inline(std::string_view text) const { return MarkdownInlineText(text, labels_); }

  DocumentBuilder& out_;
  std::vector<std::string_view> lines_;
  std::set<std::string, std::less<>> labels_;
  size_t at_ = 0;
  std::string paragraph_;
  bool item_ = false;           // Whether paragraph_ is the first of a list item.
  bool after_blank_ = true;
  uint32_t quotes_ = 0;
  std::vector<size_t> items_;   // Column of the content of each open list item.
};

}  // namespace

ParseResult ParseMarkdown(std::string_view bytes, const ParseLimits& limits) {
  const DecodedText decoded = DecodeText(bytes);
  if (decoded.binary) return Refuse(Refusal::kNotText);
  DocumentBuilder out(limits);
  if (decoded.replaced > 0) out.notes().push_back({NoteCode::kCharactersReplaced, decoded.replaced});
  std::string_view text = decoded.text;
  text.remove_prefix(ReadFrontMatter(text, out.metadata(), out.notes()));
  MarkdownReader(text, out).Run();
  return out.Finish();
}

}  // namespace cloister::ingest
