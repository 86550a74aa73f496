// SPDX-License-Identifier: Apache-2.0
// What one file became after parsing: normalised text, blocks, pages and word boxes, and the strict binary form in
// which it crosses from the sandboxed parse process. Does not parse files. Plain values; functions are pure and
// thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

namespace cloister::ingest {

// Raised whenever the same file would become another document or other chunks, so that files are brought in again.
constexpr uint32_t kParserRevision = 1;
constexpr size_t kTextBytesMax = 32 * 1024 * 1024;
constexpr uint32_t kBlocksMax = 1'000'000;
constexpr uint32_t kWordsMax = 3'000'000;
constexpr uint32_t kPagesMax = 5'000;
constexpr uint32_t kNotesMax = 64;
constexpr uint32_t kSubjectsMax = 64;
constexpr size_t kMetadataBytesMax = 512;   // Of one value.
constexpr size_t kNameBytesMax = 256;       // Of a subject or a classification.
constexpr uint8_t kLevelMax = 32;           // Deeper nesting counts as this level.
constexpr size_t kEncodedBytesMax = 128 * 1024 * 1024;

// What a document says about itself. Dates are ISO 8601 days; everything may be empty.
struct Metadata {
  std::string title;
  std::string owner;
  std::string language;  // BCP 47
  std::vector<std::string> subjects;
  std::string effective_from;
  std::string effective_to;
  std::string superseded_by;  // Source of the document that replaces it.
  std::string classification;
  bool operator==(const Metadata&) const = default;
};

enum class BlockKind : uint8_t { kHeading = 1, kParagraph = 2, kListItem = 3, kTableRow = 4, kCode = 5 };

struct Block {
  BlockKind kind = BlockKind::kParagraph;
  // Headings: 1 is the outermost. Other kinds: how deep in nested lists, 0 outside of any.
  uint8_t level = 0;
  // Whether the source marks it as a list ("- x", <li>), not only its text does ("(a) x").
  bool explicit_list = false;
  uint32_t start = 0;  // UTF-8 bytes of ParsedDocument::text.
  uint32_t end = 0;    // Exclusive; end > start.
  bool operator==(const Block&) const = default;
};

// A word on a page. Points from the top left of the page as displayed.
struct WordBox {
  uint32_t start = 0;  // UTF-8 bytes of ParsedDocument::text.
  uint32_t end = 0;
  uint32_t page = 0;   // From 1.
  float x0 = 0, y0 = 0, x1 = 0, y1 = 0;
  bool operator==(const WordBox&) const = default;
};

enum class NoteCode : uint8_t {
  kUnknownMetadataKey = 1,    // detail: line << 8 | index of the nearest of MetadataKeys().
  kInvalidMetadataValue = 2,  // detail: line << 8 | index of the key in MetadataKeys().
  kCharactersReplaced = 3,    // detail: how many bytes were not text in the file's character set.
  kPagesWithoutText = 4,      // detail: how many.
  kMetadataNotClosed = 5,     // The front matter has no end; it was read as text.
};
// Something a person should know about a document that was read all the same.
struct Note {
  NoteCode code = NoteCode::kUnknownMetadataKey;
  uint32_t detail = 0;
  bool operator==(const Note&) const = default;
};
// One sentence, without content of the document.
std::string NoteMessage(const Note& note);

// Blocks are in reading order and do not overlap; between two of them there is only white space. Words, present
// for formats with pages only, are ordered by `start` and each lies inside a block.
struct ParsedDocument {
  Metadata metadata;
  std::string text;  // UTF-8, NFC.
  std::vector<Block> blocks;
  std::vector<WordBox> words;
  uint32_t pages = 0;  // 0: the format has none.
  std::vector<Note> notes;
  bool operator==(const ParsedDocument&) const = default;
};

// Why the parse process gave no document. The values cross the process boundary and are stable.
enum class Refusal : uint8_t {
  kEncrypted = 1,
  kNoText = 2,       // Pages, but no text on any (scanned images).
  kEmpty = 3,
  kDamaged = 4,      // Not readable as its format.
  kTooManyPages = 5,
  kTextTooLong = 6,
  kUnsupported = 7,  // A format this version does not read.
  kTooDeep = 8,      // Nested deeper than any honest document.
  kMemory = 9,
  kNotText = 10,     // Named as text, but binary.
};

// What the parse process says: a document or a refusal.
struct ParseResult {
  bool refused = false;
  Refusal refusal = Refusal::kDamaged;  // Meaningful when refused.
  ParsedDocument document;              // Meaningful otherwise.
};

// Layout: "CLPD" | format 1 | kind 1 (1 document, 2 refusal) | body. See the source for the body.
std::string EncodeParseResult(const ParseResult& result);
// Safe on hostile bytes: every count, offset, order, character border and float is checked before use.
// Errors: kDataLoss (malformed, or against a limit), kFailedPrecondition (another format version).
StatusOr<ParseResult> DecodeParseResult(std::string_view bytes);

}  // namespace cloister::ingest
