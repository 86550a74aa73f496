// SPDX-License-Identifier: Apache-2.0
// For tests: short ways to look at parsed documents.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/bytes.h"
#include "ingest/chunker.h"
#include "ingest/parsed_document.h"
#include "ingest/sentences.h"

namespace cloister::ingest {

inline std::string TextOf(const ParsedDocument& document, const Block& block) {
  return document.text.substr(block.start, block.end - block.start);
}

// "kind level text" of every block; kinds as h, p, l, r, c.
inline std::vector<std::string> Outline(const ParsedDocument& document) {
  std::vector<std::string> out;
  for (const Block& block : document.blocks) {
    out.push_back(std::string(1, " hplrc"[static_cast<size_t>(block.kind)]) + std::to_string(block.level) + " " +
                  TextOf(document, block));
  }
  return out;
}

inline bool IsTrimmed(const std::string& text) {
  const auto space = [](char c) { return c == ' ' || c == '\n' || c == '\t'; };
  return !text.empty() && !space(text.front()) && !space(text.back());
}

// What must hold for every document, however it was made.
inline void CheckInvariants(const ParsedDocument& document, const ChunkOptions& options = {}) {
  ASSERT_TRUE(IsUtf8(document.text));
  ParseResult result;
  result.document = document;
  const auto decoded = DecodeParseResult(EncodeParseResult(result));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  ASSERT_TRUE(decoded->document == document);
  for (const Block& block : document.blocks) ASSERT_TRUE(IsTrimmed(TextOf(document, block)));

  const std::vector<Sentence> sentences = FindSentences(document);
  uint32_t last_end = 0;
  for (size_t i = 0; i < sentences.size(); ++i) {
    const Sentence& s = sentences[i];
    ASSERT_GE(s.start, last_end);
    ASSERT_LT(s.start, s.end);
    ASSERT_LE(s.end - s.start, kSentenceBytesMax);
    ASSERT_TRUE(IsTrimmed(document.text.substr(s.start, s.end - s.start)));
    ASSERT_LT(s.lead_in, static_cast<int32_t>(i));
    ASSERT_GE(s.start, document.blocks[s.block].start);
    ASSERT_LE(s.end, document.blocks[s.block].end);
    last_end = s.end;
  }

  const std::vector<Chunk> chunks = ChunkDocument(document, options);
  ASSERT_FALSE(chunks.empty());
  size_t next = 0;
  uint32_t chunk_end = 0;
  for (const Chunk& chunk : chunks) {
    ASSERT_GE(chunk.start, chunk_end);
    ASSERT_LT(chunk.start, chunk.end);
    ASSERT_TRUE(IsUtf8(document.text.substr(chunk.start, chunk.end - chunk.start)));
    for (size_t i = 0; i < chunk.sentences.size(); ++i) {
      const ChunkSentence& s = chunk.sentences[i];
      ASSERT_LT(next, sentences.size());
      ASSERT_EQ(s.start, sentences[next].start);
      ASSERT_EQ(s.end, sentences[next].end);
      ASSERT_GE(s.start, chunk.start);
      ASSERT_LE(s.end, chunk.end);
      ASSERT_LT(s.lead_in, static_cast<int32_t>(i));
      ASSERT_LE(s.boxes.size(), kBoxesPerSentenceMax);
      ASSERT_LE(s.context.end, document.text.size());
      ++next;
    }
    chunk_end = chunk.end;
  }
  ASSERT_EQ(next, sentences.size());
}

}  // namespace cloister::ingest
