// SPDX-License-Identifier: Apache-2.0
// What a document is made from, as one digest: when it is the same, making the document again would change
// nothing. Does not read files. Pure and thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "ingest/chunker.h"
#include "ingest/parsed_document.h"
#include "services/ingest/document_request.h"

namespace cloister::services {

// What is the same for all files of a job.
struct InputSettings {
  ingest::ChunkOptions chunks;
  EmbedderInfo embedder;
  bool sentence_vectors = true;
};

// 32 bytes over the file's digest, what the manifest says of it (null: nothing), the settings and the
// revision of the parsers, so that a new release of those brings files in again although they have not
// changed.
std::string InputDigest(std::string_view original_sha256, const ingest::Metadata* manifest,
                        const InputSettings& settings);

}  // namespace cloister::services
