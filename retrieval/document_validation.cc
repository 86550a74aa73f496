// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cmath>

#include "common/bytes.h"
#include "crypto/hash.h"
#include "retrieval/document_store.h"

namespace cloister::retrieval {
namespace {

Status CheckText(std::string_view text, size_t bytes_max, std::string_view what) {
  if (text.size() > bytes_max) {
    return InvalidArgument(std::string(what) + " has more than " + std::to_string(bytes_max) + " bytes");
  }
  if (!IsUtf8(text)) return InvalidArgument(std::string(what) + " is not UTF-8");
  return absl::OkStatus();
}

// Whether a range can begin or end at `offset` without cutting a character in two.
bool IsBoundary(std::string_view text, uint64_t offset) {
  return offset == text.size() ||
         (offset < text.size() && (static_cast<unsigned char>(text[offset]) & 0xC0) != 0x80);
}

Status CheckRange(std::string_view text, uint64_t start, uint64_t end, std::string_view what) {
  if (start > end || end > text.size() || !IsBoundary(text, start) || !IsBoundary(text, end)) {
    return InvalidArgument(std::string(what) + " has a range outside the text or inside a character");
  }
  return absl::OkStatus();
}

Status CheckVector(const std::vector<float>& vector, size_t size, std::string_view what) {
  if (vector.size() != size) return InvalidArgument(std::string(what) + " has the wrong number of floats");
  for (const float x : vector) {
    if (!std::isfinite(x)) return InvalidArgument(std::string(what) + " is not finite");
  }
  return absl::OkStatus();
}

Status CheckSentence(std::string_view text, const Chunk& chunk, const Sentence& sentence) {
  CLOISTER_RETURN_IF_ERROR(CheckRange(text, sentence.start, sentence.end, "a sentence"));
  if (sentence.start < chunk.start || sentence.end > chunk.end) {
    return InvalidArgument("a sentence lies outside its chunk");
  }
  if (sentence.kind > 3) return InvalidArgument("a sentence has an unknown kind");
  if (sentence.lead_in < -1 || sentence.lead_in >= static_cast<int32_t>(chunk.sentences.size())) {
    return InvalidArgument("a sentence's lead-in is not in its chunk");
  }
  if (sentence.boxes.size() > kBoxesPerSentenceMax) return InvalidArgument("a sentence has too many boxes");
  for (const Box& box : sentence.boxes) {
    if (!(std::isfinite(box.x0) && std::isfinite(box.y0) && std::isfinite(box.x1) && std::isfinite(box.y1))) {
      return InvalidArgument("a box is not finite");
    }
  }
  return absl::OkStatus();
}

Status CheckChunk(std::string_view text, const NewChunk& added, size_t dimension) {
  const Chunk& chunk = added.chunk;
  CLOISTER_RETURN_IF_ERROR(CheckRange(text, chunk.start, chunk.end, "a chunk"));
  if (chunk.sentences.size() > kSentencesPerChunkMax)
    return InvalidArgument("a chunk has too many sentences");
  if (chunk.section.size() > kSectionDepthMax) return InvalidArgument("a chunk's section is nested too deep");
  for (const std::string& heading : chunk.section) {
    CLOISTER_RETURN_IF_ERROR(CheckText(heading, kMetadataBytesMax, "a section heading"));
  }
  for (const Sentence& sentence : chunk.sentences)
    CLOISTER_RETURN_IF_ERROR(CheckSentence(text, chunk, sentence));
  CLOISTER_RETURN_IF_ERROR(CheckVector(added.vector, dimension, "a chunk's vector"));
  if (added.sentence_vectors.empty()) return absl::OkStatus();
  if (dimension == 0) return InvalidArgument("a chunk has sentence vectors and no vector of its own");
  return CheckVector(added.sentence_vectors, chunk.sentences.size() * 2 * dimension,
                     "a chunk's sentence vectors");
}

}  // namespace

Status CheckDate(std::string_view date) {
  const auto digits = [&](size_t at, size_t count) {
    int value = 0;
    for (size_t i = at; i < at + count; ++i) {
      if (date[i] < '0' || date[i] > '9') return -1;
      value = value * 10 + (date[i] - '0');
    }
    return value;
  };
  if (date.size() == 10 && date[4] == '-' && date[7] == '-') {
    const int year = digits(0, 4), month = digits(5, 2), day = digits(8, 2);
    if (year >= 0 && month >= 0 && day >= 0 &&
        (std::chrono::year(year) / month / static_cast<unsigned>(day)).ok()) {
      return absl::OkStatus();
    }
  }
  return InvalidArgument("a date must be a day of the form YYYY-MM-DD");
}

Status Validate(const NewDocument& document) {
  if (!IsCollectionName(document.collection)) {
    return InvalidArgument("a collection name must be 1 to 256 bytes of [a-z0-9._-]");
  }
  if (document.source.empty()) return InvalidArgument("a source is missing");
  CLOISTER_RETURN_IF_ERROR(CheckText(document.source, kSourceBytesMax, "a source"));
  CLOISTER_RETURN_IF_ERROR(CheckText(document.origin, kSourceBytesMax, "an origin"));
  CLOISTER_RETURN_IF_ERROR(CheckText(document.superseded_by, kSourceBytesMax, "a superseding source"));
  if (!document.input_sha256.empty() && document.input_sha256.size() != crypto::kSha256Bytes) {
    return InvalidArgument("the digest of the input has not 32 bytes");
  }
  for (const std::string* field : {&document.media_type, &document.title, &document.owner, &document.language,
                                   &document.embedder_sha256}) {
    CLOISTER_RETURN_IF_ERROR(CheckText(*field, kMetadataBytesMax, "a field about the document"));
  }
  for (const std::string* name : {&document.source, &document.origin, &document.superseded_by}) {
    if (name->find('\0') != std::string::npos) return InvalidArgument("a source holds a zero byte");
  }
  CLOISTER_RETURN_IF_ERROR(CheckText(document.classification, policy::kNameBytesMax, "a classification"));
  for (const std::string* date : {&document.effective_from, &document.effective_to}) {
    if (!date->empty()) CLOISTER_RETURN_IF_ERROR(CheckDate(*date));
  }
  if (document.subjects.size() > kSubjectsMax) return InvalidArgument("a document has too many subjects");
  for (const std::string& subject : document.subjects) {
    if (subject.empty()) return InvalidArgument("a subject is empty");
    CLOISTER_RETURN_IF_ERROR(CheckText(subject, policy::kNameBytesMax, "a subject"));
  }
  if (document.original.size() > kOriginalBytesMax) {
    return InvalidArgument("the original has more than " + std::to_string(kOriginalBytesMax) + " bytes");
  }
  CLOISTER_RETURN_IF_ERROR(CheckText(document.text, kTextBytesMax, "the text"));
  if (document.chunks.size() > kChunksPerDocumentMax)
    return InvalidArgument("a document has too many chunks");
  const size_t dimension = document.chunks.empty() ? 0 : document.chunks.front().vector.size();
  if (dimension > kDimensionMax) return InvalidArgument("a vector has too many dimensions");
  for (const NewChunk& chunk : document.chunks)
    CLOISTER_RETURN_IF_ERROR(CheckChunk(document.text, chunk, dimension));
  return absl::OkStatus();
}

}  // namespace cloister::retrieval
