// SPDX-License-Identifier: Apache-2.0
// Puts a ParsedDocument together block by block: normalises text, finds list items, keeps the limits. Every parser
// ends here. Not thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/enumeration.h"
#include "ingest/parsed_document.h"

namespace cloister::ingest {

struct ParseLimits {
  size_t text_bytes_max = kTextBytesMax;
  uint32_t pages_max = kPagesMax;
};

// A word of a paged format with its place, before normalisation.
struct PlacedWord {
  std::string text;
  bool joined = false;  // No space before it: the rest of a word hyphenated at the end of a line.
  uint32_t page = 0;
  float x0 = 0, y0 = 0, x1 = 0, y1 = 0;
};

class DocumentBuilder {
 public:
  explicit DocumentBuilder(const ParseLimits& limits) : limits_(limits) {}

  Metadata& metadata() { return document_.metadata; }
  std::vector<Note>& notes() { return document_.notes; }
  void set_pages(uint32_t pages) { document_.pages = pages; }

  // `level` 1 is the outermost.
  void AddHeading(uint8_t level, std::string_view text);
  // A paragraph, or a list item when its text starts with a marker. `indent`: see EnumerationTracker.
  void AddParagraph(std::string_view text, uint32_t indent = 0);
  void AddListItem(std::string_view text, uint32_t indent);
  // Cells are joined by " | "; empty cells at the end are left out.
  void AddTableRow(const std::vector<std::string>& cells);
  void AddCode(std::string_view text);
  // The same for words with places; `kind` is a heading (of `level`), a paragraph or a table row.
  void AddWords(BlockKind kind, uint8_t level, const std::vector<PlacedWord>& words);

  // Whether a limit was hit; what is added afterwards is ignored.
  bool full() const { return full_; }
  // A refusal (kEmpty, kTextTooLong) or the document. The builder is spent.
  ParseResult Finish();

 private:
  // Appends normalised text as a block with a separator in front; false when empty or full.
  bool Append(BlockKind kind, uint8_t level, bool explicit_list, const std::string& text);
  void Separate(BlockKind kind);

  ParseLimits limits_;
  ParsedDocument document_;
  EnumerationTracker lists_;
  bool full_ = false;
};

ParseResult Refuse(Refusal refusal);

}  // namespace cloister::ingest
