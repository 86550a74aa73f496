// SPDX-License-Identifier: Apache-2.0
// Divides a document into chunks: the passages that are searched, released and quoted. Borders fall on headings,
// paragraphs and sentences, never across a top-level section and rarely between a list and what it hangs on. Changes
// no text. Pure and thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ingest/parsed_document.h"
#include "ingest/sentences.h"

namespace cloister::ingest {

struct ChunkOptions {
  uint32_t tokens_aim = 200;  // By EstimateTokens; 32 to tokens_max.
  // No chunk has more unless a single sentence does; leaves room for title and section in a window of 512.
  uint32_t tokens_max = 400;
};

constexpr size_t kSectionDepthMax = 8;
constexpr size_t kSectionBytesMax = 300;  // Of one heading in a section path; longer ones are cut at a space.

// Points from the page's top left after rotation; one box a line.
struct PageBox {
  uint32_t page = 0;
  float x0 = 0, y0 = 0, x1 = 0, y1 = 0;
};

constexpr size_t kBoxesPerSentenceMax = 512;  // What comes after on the same page widens the last one.

struct ChunkSentence {
  uint32_t start = 0;  // UTF-8 bytes of ParsedDocument::text, inside the chunk, in order, without overlap.
  uint32_t end = 0;
  SentenceKind kind = SentenceKind::kSentence;
  int32_t lead_in = -1;  // Index inside this chunk; -1: none, or it is in another chunk.
  std::vector<PageBox> boxes;
  // What gives the sentence context when it is embedded: its lead-in, else the sentence before it in the same
  // section. May lie outside this chunk; start == end: none.
  Range context;
};

struct Chunk {
  uint32_t start = 0;
  uint32_t end = 0;
  std::vector<std::string> section;  // Headings from the outermost, without the document's title.
  uint32_t page_first = 0;           // 0 for formats without pages.
  uint32_t page_last = 0;
  std::vector<ChunkSentence> sentences;
};

// Chunks in order that together hold every sentence exactly once. Empty only for a document without blocks.
std::vector<Chunk> ChunkDocument(const ParsedDocument& document, const ChunkOptions& options);

// What the document is called: the metadata's title, else the first heading when it opens the document, else the file
// name of `source` made readable ("160-306-complaints.md" is "160 306 complaints"). At most kMetadataBytesMax.
std::string TitleOf(const ParsedDocument& document, std::string_view source);

}  // namespace cloister::ingest
