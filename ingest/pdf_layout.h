// SPDX-License-Identifier: Apache-2.0
// Words with places on pages to blocks in reading order: rows, columns, tables, paragraphs, headings; repeated headers
// and footers are left out, hyphenated words are joined. Knows nothing of PDF. Pure and thread-safe.
#pragma once

#include <string>
#include <vector>

#include "ingest/document_builder.h"

namespace cloister::ingest {

struct LayoutWord {
  std::string text;  // UTF-8 without white space at the ends.
  float x0 = 0, y0 = 0, x1 = 0, y1 = 0;  // Points from the top left of the page as displayed.
  float font_size = 0;
  bool bold = false;
  // Quarter turns clockwise against the page as displayed, 0 to 3. Words that are turned are laid out by themselves,
  // after the others of their page; their boxes stay as displayed.
  int turns = 0;
};

struct LayoutPage {
  float width = 0, height = 0;
  std::vector<LayoutWord> words;
};

void LayOutPages(const std::vector<LayoutPage>& pages, DocumentBuilder& out);

}  // namespace cloister::ingest
