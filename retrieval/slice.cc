// SPDX-License-Identifier: Apache-2.0
#include "retrieval/slice.h"

#include <cstring>
#include <map>

#include "common/bytes.h"

namespace cloister::retrieval {
namespace {

constexpr uint8_t kSliceFormat = 1;

void WriteU32s(ByteWriter& out, const std::vector<uint32_t>& values) {
  for (const uint32_t value : values) out.U32(value);
}

Status CheckPostings(const std::vector<Posting>& postings, size_t chunks) {
  for (size_t i = 0; i < postings.size(); ++i) {
    if (postings[i].chunk >= chunks || postings[i].frequency == 0 ||
        (i > 0 && postings[i].chunk <= postings[i - 1].chunk)) {
      return DataLoss("index segment has postings out of order");
    }
  }
  return absl::OkStatus();
}

}  // namespace

IndexSlice SliceOf(const DocumentInfo& info, DocumentStore::ForIndex content, const Analyzer& analyzer) {
  IndexSlice slice;
  slice.dimension = info.dimension;
  slice.documents.push_back(
      {info.document, info.version, info.sequence, static_cast<uint32_t>(content.chunks.size())});
  slice.vectors = std::move(content.vectors);
  std::map<std::string, std::vector<Posting>> postings;
  for (uint32_t i = 0; i < content.chunks.size(); ++i) {
    std::vector<std::string> terms = analyzer.Terms(content.chunks[i].text);
    slice.lengths.push_back(static_cast<uint32_t>(terms.size()));
    slice.sentences.push_back(content.chunks[i].sentences);
    for (std::string& term : terms) {
      std::vector<Posting>& list = postings[std::move(term)];
      if (list.empty() || list.back().chunk != i) list.push_back({i, 0});
      ++list.back().frequency;
    }
  }
  slice.postings.reserve(postings.size());
  for (auto& [term, list] : postings) slice.postings.emplace_back(term, std::move(list));
  return slice;
}

std::string Serialise(const IndexSlice& slice) {
  ByteWriter out;
  out.U8(kSliceFormat);
  out.U32(slice.dimension);
  out.U32(static_cast<uint32_t>(slice.documents.size()));
  for (const SliceDocument& document : slice.documents) {
    out.Raw(document.document.bytes());
    out.Raw(document.version.bytes());
    out.U64(document.sequence);
    out.U32(document.chunks);
  }
  WriteU32s(out, slice.lengths);
  WriteU32s(out, slice.sentences);
  out.Raw({reinterpret_cast<const char*>(slice.vectors.data()), slice.vectors.size() * sizeof(float)});
  out.U32(static_cast<uint32_t>(slice.postings.size()));
  for (const auto& [term, list] : slice.postings) {
    out.String(term);
    out.U32(static_cast<uint32_t>(list.size()));
    for (const Posting& posting : list) out.U32(posting.chunk), out.U32(posting.frequency);
  }
  return out.Take();
}

StatusOr<IndexSlice> ParseSlice(std::string_view bytes) {
  ByteReader in(bytes);
  if (const uint8_t format = in.U8(); !in.failed() && format != kSliceFormat) {
    return FailedPrecondition("index segment has format version " + std::to_string(format) +
                              "; this build reads version " + std::to_string(kSliceFormat));
  }
  IndexSlice slice;
  slice.dimension = in.U32();
  slice.documents.resize(in.Count(2 * kIdBytes + 12));
  uint64_t chunks = 0;
  for (SliceDocument& document : slice.documents) {
    const std::string_view document_id = in.Raw(kIdBytes), version_id = in.Raw(kIdBytes);
    document.sequence = in.U64();
    chunks += document.chunks = in.U32();
    if (in.failed()) break;
    document.document = *DocumentId::FromBytes(document_id);
    document.version = *VersionId::FromBytes(version_id);
  }
  // Lengths and sentences take eight bytes a chunk, so that bounds `chunks` before anything is reserved.
  if (in.failed() || slice.dimension > kDimensionMax || chunks > in.remaining() / 8) {
    return DataLoss("index segment is truncated");
  }
  slice.lengths.resize(chunks);
  slice.sentences.resize(chunks);
  for (uint32_t& length : slice.lengths) length = in.U32();
  for (uint32_t& count : slice.sentences) count = in.U32();
  const std::string_view raw = in.Raw(chunks * slice.dimension * sizeof(float));
  if (in.failed()) return DataLoss("index segment is truncated");
  slice.vectors.resize(raw.size() / sizeof(float));
  std::memcpy(slice.vectors.data(), raw.data(), raw.size());
  slice.postings.resize(in.Count(8));
  for (auto& [term, list] : slice.postings) {
    term = in.String();
    list.resize(in.Count(8));
    for (Posting& posting : list) posting.chunk = in.U32(), posting.frequency = in.U32();
    CLOISTER_RETURN_IF_ERROR(CheckPostings(list, chunks));
  }
  CLOISTER_RETURN_IF_ERROR(in.Finish("index segment"));
  return slice;
}

}  // namespace cloister::retrieval
