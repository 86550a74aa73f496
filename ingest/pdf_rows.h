// SPDX-License-Identifier: Apache-2.0
// The geometry under pdf_layout.h: words to rows, rows to columns, and which rows are headers and footers. Pure and
// thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ingest/pdf_layout.h"

namespace cloister::ingest {

// A word where it would stand if the page were turned so that it is upright.
struct UprightWord {
  const LayoutWord* word = nullptr;
  float x0 = 0, y0 = 0, x1 = 0, y1 = 0;
};

// Words of one row that stand close together.
struct Segment {
  std::vector<UprightWord> words;  // Left to right.
  float x0 = 0, x1 = 0;
};

struct Row {
  uint32_t page = 0;  // From 1.
  float y0 = 0, y1 = 0;
  float font_size = 0;  // Of most of its characters.
  bool bold = false;    // All of it.
  std::vector<Segment> segments;  // Left to right; more than one: cells.
  float x0() const { return segments.front().x0; }
  float x1() const { return segments.back().x1; }
};

std::string RowText(const Row& row);

// Rows of the words of one page that are turned by `turns`, from top to bottom; words are kept by pointer.
std::vector<Row> MakeRows(const LayoutPage& page, uint32_t number, int turns);

// Puts the rows of a page in reading order: where two columns of prose stand side by side, the left one first.
std::vector<Row> OrderColumns(std::vector<Row> rows);

// Removes rows at the top and bottom of pages that repeat on many pages, page numbers aside, and outermost rows that
// end by counting pages.
void RemoveRepeated(std::vector<std::vector<Row>>& pages);

}  // namespace cloister::ingest
