// SPDX-License-Identifier: Apache-2.0
#include "ingest/document_builder.h"

#include <algorithm>

#include "ingest/text_normaliser.h"

namespace cloister::ingest {

ParseResult Refuse(Refusal refusal) {
  ParseResult result;
  result.refused = true;
  result.refusal = refusal;
  return result;
}

void DocumentBuilder::Separate(BlockKind kind) {
  if (document_.blocks.empty()) return;
  const BlockKind before = document_.blocks.back().kind;
  const bool tight = before == kind && (kind == BlockKind::kListItem || kind == BlockKind::kTableRow);
  document_.text += tight ? "\n" : "\n\n";
}

bool DocumentBuilder::Append(BlockKind kind, uint8_t level, bool explicit_list, const std::string& text) {
  if (full_ || text.empty()) return false;
  if (document_.text.size() + text.size() + 2 > limits_.text_bytes_max || document_.blocks.size() >= kBlocksMax) {
    full_ = true;
    return false;
  }
  Separate(kind);
  Block block;
  block.kind = kind;
  block.level = std::min(level, kLevelMax);
  block.explicit_list = explicit_list;
  block.start = static_cast<uint32_t>(document_.text.size());
  document_.text += text;
  block.end = static_cast<uint32_t>(document_.text.size());
  document_.blocks.push_back(block);
  return true;
}

void DocumentBuilder::AddHeading(uint8_t level, std::string_view text) {
  if (Append(BlockKind::kHeading, std::max<uint8_t>(level, 1), false, NormaliseText(text, Whitespace::kCollapse))) {
    lists_.Heading();
  }
}

void DocumentBuilder::AddParagraph(std::string_view text, uint32_t indent) {
  const std::string clean = NormaliseText(text, Whitespace::kCollapse);
  if (clean.empty()) return;
  const uint8_t level = lists_.Next(clean, indent, false);
  Append(level > 0 ? BlockKind::kListItem : BlockKind::kParagraph, level, false, clean);
}

void DocumentBuilder::AddListItem(std::string_view text, uint32_t indent) {
  const std::string clean = NormaliseText(text, Whitespace::kCollapse);
  if (clean.empty()) return;
  const uint8_t level = lists_.Next(clean, indent, true);
  Append(BlockKind::kListItem, level, true, clean);
}

void DocumentBuilder::AddTableRow(const std::vector<std::string>& cells) {
  std::string row;
  size_t pending = 0;
  for (size_t i = 0; i < cells.size(); ++i) {
    const std::string cell = NormaliseText(cells[i], Whitespace::kCollapse);
    if (i > 0) ++pending;
    if (cell.empty()) continue;
    for (; pending > 0; --pending) row += row.empty() ? "| " : " | ";
    row += cell;
  }
  // A row with nothing before its first cell would start with bars.
  const size_t first = row.find_first_not_of("| ");
  if (first == std::string::npos) return;
  Append(BlockKind::kTableRow, 0, false, row.substr(first));
}

void DocumentBuilder::AddCode(std::string_view text) {
  const std::string lines = NormaliseText(text, Whitespace::kLines);
  // Indentation that all lines share means nothing; what the first line has beyond it goes, too, because blocks do
  // not begin with white space.
  size_t shared = std::string::npos;
  for (size_t start = 0; start < lines.size(); start = lines.find('\n', start) + 1) {
    const size_t first = lines.find_first_not_of(' ', start);
    if (first != std::string::npos && lines[first] != '\n') shared = std::min(shared, first - start);
    if (lines.find('\n', start) == std::string::npos) break;
  }
  std::string code;
  for (size_t start = 0; start < lines.size();) {
    const size_t end = std::min(lines.find('\n', start), lines.size());
    if (!code.empty()) code += '\n';
    if (end - start > shared) code.append(lines, start + shared, end - start - shared);
    start = end + 1;
  }
  code.erase(0, std::min(code.find_first_not_of(" \n"), code.size()));
  Append(BlockKind::kCode, 0, false, code);
}

void DocumentBuilder::AddWords(BlockKind kind, uint8_t level, const std::vector<PlacedWord>& words) {
  std::string text;
  std::vector<WordBox> boxes;
  for (const PlacedWord& word : words) {
    const std::string clean = NormaliseText(word.text, Whitespace::kCollapse);
    if (clean.empty()) continue;
    if (!text.empty() && !word.joined) text += ' ';
    WordBox box;
    box.start = static_cast<uint32_t>(text.size());
    text += clean;
    box.end = static_cast<uint32_t>(text.size());
    box.page = word.page;
    box.x0 = word.x0, box.y0 = word.y0, box.x1 = word.x1, box.y1 = word.y1;
    boxes.push_back(box);
  }
  if (text.empty()) return;
  if (document_.words.size() + boxes.size() > kWordsMax) {
    full_ = true;
    return;
  }
  if (kind == BlockKind::kHeading) {
    lists_.Heading();
  } else if (kind == BlockKind::kParagraph) {
    level = lists_.Next(text, 0, false);
    if (level > 0) kind = BlockKind::kListItem;
  }
  if (!Append(kind, level, false, text)) return;
  const uint32_t start = document_.blocks.back().start;
  for (WordBox& box : boxes) {
    box.start += start;
    box.end += start;
    document_.words.push_back(box);
  }
}

ParseResult DocumentBuilder::Finish() {
  if (full_) return Refuse(Refusal::kTextTooLong);
  if (document_.blocks.empty()) return Refuse(Refusal::kEmpty);
  if (document_.notes.size() > kNotesMax) document_.notes.resize(kNotesMax);
  ParseResult result;
  result.document = std::move(document_);
  return result;
}

}  // namespace cloister::ingest
