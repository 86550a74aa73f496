// SPDX-License-Identifier: Apache-2.0
// The rows of retrieval's database as values, and their bytes. Does not seal or store them. Pure and
// thread-safe. Offsets are UTF-8 bytes of the stored text; boxes are points from the page's top left; pages
// count from 1. SPEC: docs/formats/documents.md
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/id.h"
#include "common/status.h"
#include "policy/access_class.h"
#include "retrieval/retention.h"

namespace cloister::retrieval {

// Rows that belong together are kept in records of about this much, so that a release opens little.
constexpr uint32_t kChunksPerRow = 32;         // Of the chunk table and of chunk vectors.
constexpr uint32_t kChunksPerSentenceRow = 8;  // Of sentence vectors.
constexpr size_t kTextRowBytes = 256 * 1024;

struct Box {
  uint32_t page = 0;
  float x0 = 0, y0 = 0, x1 = 0, y1 = 0;
  bool operator==(const Box&) const = default;
};

struct Sentence {
  uint64_t start = 0, end = 0;
  uint8_t kind = 0;      // 0 sentence, 1 list item, 2 heading, 3 table row.
  int32_t lead_in = -1;  // Index in its chunk of the sentence a list item hangs on; -1: none.
  std::vector<Box> boxes;
  bool operator==(const Sentence&) const = default;
};

struct Chunk {
  ChunkId id;
  uint64_t start = 0, end = 0;
  std::vector<std::string> section;  // Headings from the outermost.
  uint32_t page_first = 0, page_last = 0;
  std::vector<Sentence> sentences;
  bool operator==(const Chunk&) const = default;
};

// What names a document to people and to ingest. Unique together.
struct SourceName {
  std::string collection;
  std::string origin;  // Where it was brought in from, such as a folder; sources of two origins never meet.
  std::string source;  // Path inside the origin.
  bool operator==(const SourceName&) const = default;
};

// What is known of one version of one document, without its text.
struct DocumentInfo {
  DocumentId document;
  VersionId version;
  ClassId access_class;
  uint64_t sequence = 0;  // Commit sequence of the batch that wrote it.
  int64_t put_at_ns = 0;  // Unix time.
  std::string collection, origin, source, media_type, title, owner, language;
  std::string effective_from, effective_to;  // ISO 8601 dates or empty.
  std::string superseded_by;                 // Source of the same collection and origin, or empty.
  std::vector<std::string> subjects;
  std::string embedder_sha256;  // Hexadecimal; empty without vectors.
  uint32_t dimension = 0;       // Of all its vectors; 0: it has none.
  bool sentence_vectors = false;
  uint32_t chunks = 0;
  uint64_t text_bytes = 0;
  uint64_t original_bytes = 0;
  std::string original_sha256;  // 32 bytes.
  std::string input_sha256;     // 32 bytes or empty: what the ingester made it from, see PutDocumentRequest.
  std::string content_sha256;   // 32 bytes: over everything that was put, save the vectors.
  bool operator==(const DocumentInfo&) const = default;
};

struct User {
  std::string name;
  std::vector<std::string> groups, roles;  // Sorted, unique.
  bool operator==(const User&) const = default;
};

struct Collection {
  std::string name;
  std::vector<std::string> reader_groups, reader_users;  // Sorted, unique.
  std::string classification = "internal";
  bool no_sentence_vectors = false;
  Retention retention = {};  // Of superseded and deleted versions of its documents.
  bool operator==(const Collection&) const = default;
};

// A version that is not the current one and is kept. Takes the place of its document row, so that neither damage nor the
// loss of a row makes a former version the current one.
struct KeptRow {
  int64_t superseded_at_ns = 0;  // Unix time.
  bool deleted = false;          // The document was deleted, not replaced.
  DocumentInfo info;
  bool operator==(const KeptRow&) const = default;
};

struct ClassRow {
  uint64_t sequence = 0;  // Commit sequence of its last change.
  policy::AccessClass access_class;
  bool operator==(const ClassRow&) const = default;
};

// All of these: bytes begin with a format version. Errors of parsing: kDataLoss (malformed),
// kFailedPrecondition (unknown format version; the message names it).
std::string Serialise(const DocumentInfo& info);
StatusOr<DocumentInfo> ParseDocumentInfo(std::string_view bytes);
std::string Serialise(const User& user);
StatusOr<User> ParseUser(std::string_view bytes);
std::string Serialise(const Collection& collection);
StatusOr<Collection> ParseCollection(std::string_view bytes);
std::string Serialise(const KeptRow& row);
StatusOr<KeptRow> ParseKeptRow(std::string_view bytes);
std::string Serialise(const ClassRow& row);
StatusOr<ClassRow> ParseClassRow(std::string_view bytes);
std::string SerialiseChunks(const Chunk* chunks, size_t count);
StatusOr<std::vector<Chunk>> ParseChunks(std::string_view bytes);

// `counts[i]` vectors of `dimension` floats for the i-th chunk of the row, one after the other in `floats`.
// Chunk vectors have counts of 1; sentence vectors have two for each sentence: in context, then alone.
struct VectorRow {
  uint32_t dimension = 0;
  std::vector<uint32_t> counts;
  std::vector<float> floats;
  bool operator==(const VectorRow&) const = default;
};
std::string Serialise(const VectorRow& row);
StatusOr<VectorRow> ParseVectorRow(std::string_view bytes);

// How many rows of `per_row` hold `count`.
constexpr uint32_t RowsFor(uint64_t count, uint64_t per_row) {
  return static_cast<uint32_t>((count + per_row - 1) / per_row);
}

// Row keys. `part` numbers the rows of one kind of one version from 0.
std::string VersionKey(const DocumentId& document, const VersionId& version);
std::string PartKey(const DocumentId& document, const VersionId& version, uint32_t part);

}  // namespace cloister::retrieval
