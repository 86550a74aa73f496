// SPDX-License-Identifier: Apache-2.0
#include "services/ingest/input_digest.h"

#include "common/bytes.h"
#include "crypto/hash.h"
#include "ingest/metadata_codec.h"

namespace cloister::services {

std::string InputDigest(std::string_view original_sha256, const ingest::Metadata* manifest,
                        const InputSettings& settings) {
  ByteWriter out;
  out.String("cloister/ingest-input/1");
  out.U32(ingest::kParserRevision);
  out.String(original_sha256);
  ingest::WriteMetadata(manifest == nullptr ? ingest::Metadata() : *manifest, out);
  out.U32(settings.chunks.tokens_aim);
  out.String(settings.embedder.sha256);
  out.U32(settings.embedder.dimension);
  out.U8(settings.sentence_vectors ? 1 : 0);
  return crypto::Sha256(out.bytes());
}

}  // namespace cloister::services
