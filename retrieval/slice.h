// SPDX-License-Identifier: Apache-2.0
// A slice of the index: some documents' vectors, term postings and lengths, as they are appended to the index
// and as they are written to a segment file. Plain values; does not search, seal or store. SPEC:
// docs/formats/segments.md
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/id.h"
#include "common/status.h"
#include "retrieval/analyzer.h"
#include "retrieval/document_store.h"

namespace cloister::retrieval {

struct Posting {
  uint32_t chunk = 0;  // Ordinal: in a slice, counted over its documents in order.
  uint32_t frequency = 0;
  bool operator==(const Posting&) const = default;
};

struct SliceDocument {
  DocumentId document;
  VersionId version;
  uint64_t sequence = 0;
  uint32_t chunks = 0;
  bool operator==(const SliceDocument&) const = default;
};

struct IndexSlice {
  uint32_t dimension = 0;  // 0: no vectors.
  std::vector<SliceDocument> documents;
  std::vector<uint32_t> lengths;                                       // Terms of each chunk.
  std::vector<uint32_t> sentences;                                     // Sentences of each chunk.
  std::vector<float> vectors;                                          // Chunks x dimension.
  std::vector<std::pair<std::string, std::vector<Posting>>> postings;  // Terms sorted; postings by chunk.
  bool operator==(const IndexSlice&) const = default;
};

// One document as a slice.
IndexSlice SliceOf(const DocumentInfo& info, DocumentStore::ForIndex content, const Analyzer& analyzer);

std::string Serialise(const IndexSlice& slice);
// Errors: kDataLoss (malformed, or numbers that do not fit together), kFailedPrecondition (unknown version).
StatusOr<IndexSlice> ParseSlice(std::string_view bytes);

}  // namespace cloister::retrieval
