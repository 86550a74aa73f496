// SPDX-License-Identifier: Apache-2.0
// The texts that chunks and sentences are embedded as. Ingest and quality benches must agree on them, so they are
// here and nowhere else. Does not embed. Pure and thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "ingest/chunker.h"

namespace cloister::ingest {

constexpr size_t kEmbeddingTextBytesMax = 16 * 1024;  // As cloister.v1.EmbedRequest; longer ones are cut.

// Title, section path and text of the chunk, each on its own line.
std::string ChunkEmbeddingText(std::string_view title, const ParsedDocument& document, const Chunk& chunk);

// Title, the sentence's context (lead-in or predecessor) and the sentence.
std::string SentenceContextText(std::string_view title, const ParsedDocument& document, const ChunkSentence& sentence);

// The sentence alone, without the marker of a list item.
std::string SentenceAloneText(const ParsedDocument& document, const ChunkSentence& sentence);

}  // namespace cloister::ingest
