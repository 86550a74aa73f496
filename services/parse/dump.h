// SPDX-License-Identifier: Apache-2.0
// A parsed document with its chunks and sentences as JSON, for developers and quality benches. Not used by the
// appliance.
#pragma once

#include <string>
#include <string_view>

#include "ingest/chunker.h"
#include "ingest/parsed_document.h"

namespace cloister::services {

// One JSON object: source, media_type, title, metadata, pages, notes, blocks, text, chunks (with embedding_text,
// sentences and their context_text and alone_text).
std::string DumpJson(std::string_view source, std::string_view media_type, const ingest::ParsedDocument& document,
                     const ingest::ChunkOptions& options);

}  // namespace cloister::services
