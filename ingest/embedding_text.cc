// SPDX-License-Identifier: Apache-2.0
#include "ingest/embedding_text.h"

#include "ingest/enumeration.h"

namespace cloister::ingest {
namespace {

std::string_view Slice(const ParsedDocument& document, uint32_t start, uint32_t end) {
  return std::string_view(document.text).substr(start, end - start);
}

std::string_view WithoutMarkers(std::string_view text) {
  const size_t markers = MarkersBytes(text);
  return markers < text.size() ? text.substr(markers) : text;
}

std::string Cut(std::string text) {
  if (text.size() <= kEmbeddingTextBytesMax) return text;
  size_t end = kEmbeddingTextBytesMax;
  while (end > 0 && (text[end] & 0xC0) == 0x80) --end;
  text.resize(end);
  return text;
}

}  // namespace

std::string ChunkEmbeddingText(std::string_view title, const ParsedDocument& document, const Chunk& chunk) {
  std::string text(title);
  for (size_t i = 0; i < chunk.section.size(); ++i) (text += i == 0 ? "\n" : " > ") += chunk.section[i];
  (text += '\n') += Slice(document, chunk.start, chunk.end);
  return Cut(std::move(text));
}

std::string SentenceContextText(std::string_view title, const ParsedDocument& document, const ChunkSentence& sentence) {
  std::string text(title);
  if (sentence.context.start < sentence.context.end) {
    (text += '\n') += WithoutMarkers(Slice(document, sentence.context.start, sentence.context.end));
  }
  (text += '\n') += WithoutMarkers(Slice(document, sentence.start, sentence.end));
  return Cut(std::move(text));
}

std::string SentenceAloneText(const ParsedDocument& document, const ChunkSentence& sentence) {
  return Cut(std::string(WithoutMarkers(Slice(document, sentence.start, sentence.end))));
}

}  // namespace cloister::ingest
