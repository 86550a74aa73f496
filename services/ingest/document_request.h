// SPDX-License-Identifier: Apache-2.0
// A parsed file as the message that stores it, with its vectors. Does not read files and does not store.
#pragma once

#include <string>
#include <vector>

#include "cloister/v1/embedding.grpc.pb.h"
#include "cloister/v1/retrieval.pb.h"
#include "common/status.h"
#include "ingest/chunker.h"
#include "ingest/media_type.h"
#include "ingest/parsed_document.h"
#include "services/ingest/peer_call.h"

namespace cloister::services {

constexpr size_t kEmbedTextsPerCall = 64;  // Questions wait for no more than one such call.
constexpr size_t kPutBytesMax = 88 * 1024 * 1024;  // Under the message limit of the chassis, with room for framing.
constexpr size_t kChunksPerDocumentMax = 65'536;

struct PreparedFile {
  std::string source;
  std::string input_sha256;  // See input_digest.h.
  ingest::MediaType type = ingest::MediaType::kUnsupported;
  std::string bytes;
  ingest::ParsedDocument document;
  std::vector<ingest::Chunk> chunks;
};

struct EmbedderInfo {
  std::string sha256;
  uint32_t dimension = 0;
};

// Whether sentences get vectors of their own: not when the message would be too long with them.
// Errors: kInvalidArgument (too long without them, too; the message says what to do).
StatusOr<bool> FitsWithSentenceVectors(const PreparedFile& file, uint32_t dimension);

// Where documents go and what they are called there.
struct Destination {
  std::string collection;
  std::string origin;
};

// The request without vectors. Takes the bytes and text out of `file`.
v1::PutDocumentRequest DescribeDocument(const Destination& destination, const EmbedderInfo& embedder, PreparedFile& file);

// Embeds chunks, and sentences in context and alone, and adds the vectors to `request`. Call before
// DescribeDocument takes the text. Blocks; stops when `halt` is set.
// Errors: kInternal (the embedder answered with vectors of another count or length), others as CallPeer.
Status EmbedDocument(const PreparedFile& file, const EmbedderInfo& embedder, bool sentence_vectors,
                     v1::Embedding::StubInterface& embedding, const PeerPatience& patience,
                     Halt& halt, std::vector<v1::ChunkInput>& chunks);

}  // namespace cloister::services
