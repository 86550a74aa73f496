// SPDX-License-Identifier: Apache-2.0
// Where the sentences of a document are: exact UTF-8 byte ranges, what each is, and the sentence that a list item
// hangs on. Changes no text. Pure and thread-safe. SPEC: Unicode UAX #29 section 5, repaired for abbreviations, legal
// references and enumerations.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "ingest/parsed_document.h"

namespace cloister::ingest {

// Values as in cloister.v1.Sentence.
enum class SentenceKind : uint8_t { kSentence = 0, kListItem = 1, kHeading = 2, kTableRow = 3 };

struct Sentence {
  uint32_t start = 0;  // UTF-8 bytes of ParsedDocument::text; never white space at the ends.
  uint32_t end = 0;
  SentenceKind kind = SentenceKind::kSentence;
  uint32_t block = 0;     // Index in ParsedDocument::blocks.
  // Index of the sentence this one needs to make sense: what ends with ":" before a list, the header row of a
  // table; -1: none. Always before this one.
  int32_t lead_in = -1;
};

constexpr size_t kSentenceWordsMax = 60;  // A longer one is divided at semicolons, as clauses.

// Nothing is longer: code, rows and text without punctuation are cut at a line end or a space before this.
constexpr size_t kSentenceBytesMax = 1500;

struct Range {
  uint32_t start = 0;
  uint32_t end = 0;
};
// The sentences of one paragraph of `text`, offsets from its start.
std::vector<Range> SplitSentences(std::string_view text);

// All sentences of a document in order. A block that is only a marker ("(b)") has none.
std::vector<Sentence> FindSentences(const ParsedDocument& document);

}  // namespace cloister::ingest
