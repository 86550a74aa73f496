// SPDX-License-Identifier: Apache-2.0
// The reading half of the document store: rows of one snapshot back to values.
#include <algorithm>

#include "retrieval/document_store.h"

namespace cloister::retrieval {
namespace {

// A part that the document row promises and that is not there is lost, not absent.
Status LostIfAbsent(const Status& status) {
  return status.code() == StatusCode::kNotFound ? DataLoss("a part of a document is missing") : status;
}

}  // namespace

std::string IndexedText(std::string_view title, const Chunk& chunk, std::string_view text) {
  std::string out(title);
  for (const std::string& heading : chunk.section) out.append("\n").append(heading);
  return out.append("\n").append(text);
}

StatusOr<DocumentInfo> DocumentStore::InfoAt(const storage::Snapshot& snapshot, const DocumentId& document,
                                             const VersionId& version) const {
  CLOISTER_ASSIGN_OR_RETURN(const std::string bytes,
                            rows_.Get(snapshot, kDocumentsFamily, VersionKey(document, version)));
  CLOISTER_ASSIGN_OR_RETURN(DocumentInfo info, ParseDocumentInfo(bytes));
  if (info.document != document || info.version != version)
    return DataLoss("a document row names another document");
  return info;
}

StatusOr<DocumentInfo> DocumentStore::AnyInfoAt(const storage::Snapshot& snapshot, const DocumentId& document,
                                                const VersionId& version) const {
  auto current = InfoAt(snapshot, document, version);
  if (current.status().code() != StatusCode::kNotFound) return current;
  CLOISTER_ASSIGN_OR_RETURN(const std::string bytes,
                            rows_.Get(snapshot, kKeptVersionsFamily, VersionKey(document, version)));
  CLOISTER_ASSIGN_OR_RETURN(KeptRow row, ParseKeptRow(bytes));
  if (row.info.document != document || row.info.version != version)
    return DataLoss("a kept version row names another version");
  return std::move(row.info);
}

StatusOr<std::string> DocumentStore::TextAt(const storage::Snapshot& snapshot, const DocumentInfo& info,
                                            uint64_t start, uint64_t end) const {
  if (start > end || end > info.text_bytes) return DataLoss("a range lies outside its document's text");
  std::string text;
  for (uint64_t row = start / kTextRowBytes; row * kTextRowBytes < end; ++row) {
    const auto part =
        rows_.Get(snapshot, kTextFamily, PartKey(info.document, info.version, static_cast<uint32_t>(row)));
    if (!part.ok()) return LostIfAbsent(part.status());
    const uint64_t base = row * kTextRowBytes;
    const uint64_t from = std::max(start, base) - base, to = std::min<uint64_t>(end - base, kTextRowBytes);
    if (to > part->size()) return DataLoss("a text row is shorter than its document says");
    text.append(*part, from, to - from);
  }
  return text;
}

StatusOr<std::string> DocumentStore::OriginalAt(const storage::Snapshot& snapshot,
                                                const DocumentInfo& info) const {
  auto original = rows_.Get(snapshot, kOriginalsFamily, VersionKey(info.document, info.version));
  if (!original.ok()) return LostIfAbsent(original.status());
  return original;
}

StatusOr<ChunkContent> DocumentStore::ChunkAt(const storage::Snapshot& snapshot, const DocumentInfo& info,
                                              uint32_t chunk) const {
  if (chunk >= info.chunks) return DataLoss("a chunk number lies outside its document");
  const auto table =
      rows_.Get(snapshot, kChunksFamily, PartKey(info.document, info.version, chunk / kChunksPerRow));
  if (!table.ok()) return LostIfAbsent(table.status());
  CLOISTER_ASSIGN_OR_RETURN(std::vector<Chunk> chunks, ParseChunks(*table));
  if (chunk % kChunksPerRow >= chunks.size())
    return DataLoss("a chunk row is shorter than its document says");
  ChunkContent content;
  content.chunk = std::move(chunks[chunk % kChunksPerRow]);
  CLOISTER_ASSIGN_OR_RETURN(content.text, TextAt(snapshot, info, content.chunk.start, content.chunk.end));
  if (!info.sentence_vectors) return content;
  const auto bytes = rows_.Get(snapshot, kSentenceVectorsFamily,
                               PartKey(info.document, info.version, chunk / kChunksPerSentenceRow));
  if (!bytes.ok()) return LostIfAbsent(bytes.status());
  CLOISTER_ASSIGN_OR_RETURN(const VectorRow row, ParseVectorRow(*bytes));
  const size_t at = chunk % kChunksPerSentenceRow;
  if (row.dimension != info.dimension || at >= row.counts.size())
    return DataLoss("a row of sentence vectors is malformed");
  size_t first = 0;
  for (size_t i = 0; i < at; ++i) first += row.counts[i];
  if (row.counts[at] != 0 && row.counts[at] != 2 * content.chunk.sentences.size()) {
    return DataLoss("a row of sentence vectors does not match its chunk");
  }
  const auto begin = row.floats.begin() + static_cast<ptrdiff_t>(first * row.dimension);
  content.sentence_vectors.assign(begin,
                                  begin + static_cast<ptrdiff_t>(size_t{row.counts[at]} * row.dimension));
  return content;
}

StatusOr<DocumentStore::ForIndex> DocumentStore::ReadForIndex(const storage::Snapshot& snapshot,
                                                              const DocumentInfo& info) const {
  ForIndex out;
  CLOISTER_ASSIGN_OR_RETURN(const std::string text, TextAt(snapshot, info, 0, info.text_bytes));
  for (uint32_t row = 0; row < RowsFor(info.chunks, kChunksPerRow); ++row) {
    const std::string key = PartKey(info.document, info.version, row);
    const auto table = rows_.Get(snapshot, kChunksFamily, key);
    if (!table.ok()) return LostIfAbsent(table.status());
    CLOISTER_ASSIGN_OR_RETURN(const auto chunks, ParseChunks(*table));
    for (const Chunk& chunk : chunks) {
      if (chunk.start > chunk.end || chunk.end > text.size())
        return DataLoss("a chunk lies outside its text");
      const std::string_view own = std::string_view(text).substr(chunk.start, chunk.end - chunk.start);
      out.chunks.push_back(
          {IndexedText(info.title, chunk, own), static_cast<uint32_t>(chunk.sentences.size())});
    }
    if (info.dimension == 0) continue;
    const auto bytes = rows_.Get(snapshot, kVectorsFamily, key);
    if (!bytes.ok()) return LostIfAbsent(bytes.status());
    CLOISTER_ASSIGN_OR_RETURN(const VectorRow vectors, ParseVectorRow(*bytes));
    out.vectors.insert(out.vectors.end(), vectors.floats.begin(), vectors.floats.end());
  }
  if (out.chunks.size() != info.chunks || out.vectors.size() != size_t{info.chunks} * info.dimension) {
    return DataLoss("a document's rows do not match what it says of itself");
  }
  return out;
}

}  // namespace cloister::retrieval
