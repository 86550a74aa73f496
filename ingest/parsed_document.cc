// SPDX-License-Identifier: Apache-2.0
#include "ingest/parsed_document.h"

#include <cmath>

#include "common/bytes.h"
#include "ingest/metadata.h"
#include "ingest/metadata_codec.h"

namespace cloister::ingest {
namespace {

constexpr std::string_view kMagic = "CLPD";
constexpr uint8_t kFormat = 1;
constexpr uint8_t kDocument = 1;
constexpr uint8_t kRefused = 2;
constexpr uint8_t kFlagExplicitList = 1;

bool OnBorder(std::string_view text, uint32_t offset) {
  return offset == text.size() || (offset < text.size() && (text[offset] & 0xC0) != 0x80);
}

bool ReadBlocks(ByteReader& in, ParsedDocument& d) {
  const uint32_t count = in.Count(11);
  if (count > kBlocksMax) return false;
  d.blocks.resize(count);
  uint32_t last_end = 0;
  for (Block& block : d.blocks) {
    const uint8_t kind = in.U8();
    block.level = in.U8();
    const uint8_t flags = in.U8();
    block.start = in.U32();
    block.end = in.U32();
    if (in.failed() || kind < 1 || kind > 5 || block.level > kLevelMax || flags > kFlagExplicitList) return false;
    if (block.start < last_end || block.end <= block.start || block.end > d.text.size()) return false;
    if (!OnBorder(d.text, block.start) || !OnBorder(d.text, block.end)) return false;
    block.kind = static_cast<BlockKind>(kind);
    block.explicit_list = flags == kFlagExplicitList;
    last_end = block.end;
  }
  return true;
}

bool ReadWords(ByteReader& in, ParsedDocument& d) {
  const uint32_t count = in.Count(28);
  if (count > kWordsMax) return false;
  d.words.resize(count);
  uint32_t last_end = 0;
  size_t block = 0;
  for (WordBox& word : d.words) {
    word.start = in.U32();
    word.end = in.U32();
    word.page = in.U32();
    word.x0 = in.F32(), word.y0 = in.F32(), word.x1 = in.F32(), word.y1 = in.F32();
    if (in.failed() || word.start < last_end || word.end <= word.start || word.end > d.text.size()) return false;
    if (word.page < 1 || word.page > d.pages) return false;
    if (!OnBorder(d.text, word.start) || !OnBorder(d.text, word.end)) return false;
    while (block < d.blocks.size() && d.blocks[block].end <= word.start) ++block;
    if (block == d.blocks.size() || word.start < d.blocks[block].start || word.end > d.blocks[block].end) return false;
    for (float v : {word.x0, word.y0, word.x1, word.y1}) {
      if (!std::isfinite(v)) return false;
    }
    if (word.x1 < word.x0 || word.y1 < word.y0) return false;
    last_end = word.end;
  }
  return true;
}

bool ReadNotes(ByteReader& in, ParsedDocument& d) {
  const uint32_t count = in.Count(5);
  if (count > kNotesMax) return false;
  d.notes.resize(count);
  for (Note& note : d.notes) {
    const uint8_t code = in.U8();
    if (code < 1 || code > 5) return false;
    note.code = static_cast<NoteCode>(code);
    note.detail = in.U32();
  }
  return !in.failed();
}

Status Malformed() { return DataLoss("the parse process answered with malformed bytes"); }

}  // namespace

std::string NoteMessage(const Note& note) {
  const auto& keys = MetadataKeys();
  const std::string key(keys[(note.detail & 0xFF) % keys.size()]);
  const std::string line = std::to_string(note.detail >> 8);
  switch (note.code) {
    case NoteCode::kUnknownMetadataKey:
      return "an unknown key in the metadata, line " + line + ", was ignored; the nearest known one is " + key;
    case NoteCode::kInvalidMetadataValue:
      return "the value of " + key + " in the metadata, line " + line + ", is not valid and was ignored";
    case NoteCode::kCharactersReplaced:
      return std::to_string(note.detail) + " bytes are not text in the file's character set and were replaced";
    case NoteCode::kPagesWithoutText:
      return std::to_string(note.detail) + " pages have no text (scanned images?) and cannot be searched";
    case NoteCode::kMetadataNotClosed:
      return "the metadata block at the top has no closing line; it was read as text";
  }
  return "unknown note";
}

std::string EncodeParseResult(const ParseResult& result) {
  ByteWriter out;
  out.Raw(kMagic);
  out.U8(kFormat);
  out.U8(result.refused ? kRefused : kDocument);
  if (result.refused) {
    out.U8(static_cast<uint8_t>(result.refusal));
    return out.Take();
  }
  const ParsedDocument& d = result.document;
  WriteMetadata(d.metadata, out);
  out.U32(d.pages);
  out.String(d.text);
  out.U32(static_cast<uint32_t>(d.blocks.size()));
  for (const Block& block : d.blocks) {
    out.U8(static_cast<uint8_t>(block.kind));
    out.U8(block.level);
    out.U8(block.explicit_list ? kFlagExplicitList : 0);
    out.U32(block.start);
    out.U32(block.end);
  }
  out.U32(static_cast<uint32_t>(d.words.size()));
  for (const WordBox& word : d.words) {
    out.U32(word.start);
    out.U32(word.end);
    out.U32(word.page);
    out.F32(word.x0), out.F32(word.y0), out.F32(word.x1), out.F32(word.y1);
  }
  out.U32(static_cast<uint32_t>(d.notes.size()));
  for (const Note& note : d.notes) {
    out.U8(static_cast<uint8_t>(note.code));
    out.U32(note.detail);
  }
  return out.Take();
}

StatusOr<ParseResult> DecodeParseResult(std::string_view bytes) {
  if (bytes.size() > kEncodedBytesMax) return Malformed();
  ByteReader in(bytes);
  if (in.Raw(kMagic.size()) != kMagic) return Malformed();
  if (const uint8_t format = in.U8(); !in.failed() && format != kFormat) {
    return FailedPrecondition("the parse process speaks format " + std::to_string(format) +
                              ", this one format 1; install both from one build");
  }
  ParseResult result;
  const uint8_t kind = in.U8();
  if (kind == kRefused) {
    const uint8_t refusal = in.U8();
    if (refusal < 1 || refusal > 10 || !in.Finish("parse result").ok()) return Malformed();
    result.refused = true;
    result.refusal = static_cast<Refusal>(refusal);
    return result;
  }
  if (kind != kDocument) return Malformed();
  ParsedDocument& d = result.document;
  if (!ReadMetadata(in, d.metadata)) return Malformed();
  d.pages = in.U32();
  const std::string_view text = in.String();
  if (in.failed() || d.pages > kPagesMax || text.size() > kTextBytesMax || !IsUtf8(text)) return Malformed();
  d.text = text;
  if (!ReadBlocks(in, d) || !ReadWords(in, d) || !ReadNotes(in, d)) return Malformed();
  if (d.blocks.empty() || !in.Finish("parse result").ok()) return Malformed();
  return result;
}

}  // namespace cloister::ingest
