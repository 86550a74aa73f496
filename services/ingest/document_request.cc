// SPDX-License-Identifier: Apache-2.0
#include "services/ingest/document_request.h"

#include <algorithm>

#include "ingest/embedding_text.h"

namespace cloister::services {
namespace {

constexpr std::chrono::milliseconds kEmbedTimeout{300'000};  // 64 texts on a busy machine.
constexpr size_t kChunkOverheadBytes = 512;
constexpr size_t kSentenceOverheadBytes = 40;
constexpr size_t kBoxBytes = 28;

// Where each vector goes, in the order of the texts.
struct Target {
  size_t chunk;
  bool sentence;
};

void AppendTexts(const PreparedFile& file, bool sentence_vectors, std::vector<std::string>& texts,
                 std::vector<Target>& targets) {
  const std::string title = ingest::TitleOf(file.document, file.source);
  for (size_t c = 0; c < file.chunks.size(); ++c) {
    const ingest::Chunk& chunk = file.chunks[c];
    texts.push_back(ingest::ChunkEmbeddingText(title, file.document, chunk));
    targets.push_back({c, false});
    if (!sentence_vectors) continue;
    for (const ingest::ChunkSentence& sentence : chunk.sentences) {
      texts.push_back(ingest::SentenceContextText(title, file.document, sentence));
      texts.push_back(ingest::SentenceAloneText(file.document, sentence));
      targets.push_back({c, true});
      targets.push_back({c, true});
    }
  }
}

void AddSentence(const ingest::ChunkSentence& from, v1::ChunkInput& chunk) {
  v1::SentenceInput* to = chunk.add_sentences();
  to->set_start(from.start);
  to->set_end(from.end);
  to->set_kind(static_cast<uint32_t>(from.kind));
  to->set_lead_in(from.lead_in);
  for (const ingest::PageBox& box : from.boxes) {
    v1::Box* b = to->add_boxes();
    b->set_page(box.page);
    b->set_x0(box.x0), b->set_y0(box.y0), b->set_x1(box.x1), b->set_y1(box.y1);
  }
}

v1::ChunkInput Describe(const ingest::Chunk& from) {
  v1::ChunkInput chunk;
  chunk.set_start(from.start);
  chunk.set_end(from.end);
  for (const std::string& heading : from.section) chunk.add_section(heading);
  chunk.set_page_first(from.page_first);
  chunk.set_page_last(from.page_last);
  for (const ingest::ChunkSentence& sentence : from.sentences) AddSentence(sentence, chunk);
  return chunk;
}

}  // namespace

StatusOr<bool> FitsWithSentenceVectors(const PreparedFile& file, uint32_t dimension) {
  const size_t vector_bytes = size_t{dimension} * sizeof(float);
  size_t bytes = file.bytes.size() + file.document.text.size();
  size_t sentences = 0;
  for (const ingest::Chunk& chunk : file.chunks) {
    bytes += vector_bytes + kChunkOverheadBytes;
    for (const std::string& heading : chunk.section) bytes += heading.size() + 4;
    sentences += chunk.sentences.size();
    for (const ingest::ChunkSentence& s : chunk.sentences) bytes += kSentenceOverheadBytes + s.boxes.size() * kBoxBytes;
  }
  if (bytes > kPutBytesMax || file.chunks.size() > kChunksPerDocumentMax) {
    return InvalidArgument("has more text than one document may have; divide it");
  }
  return bytes + sentences * 2 * vector_bytes <= kPutBytesMax;
}

Status EmbedDocument(const PreparedFile& file, const EmbedderInfo& embedder, bool sentence_vectors,
                     v1::Embedding::StubInterface& embedding, const PeerPatience& patience,
                     Halt& halt, std::vector<v1::ChunkInput>& chunks) {
  std::vector<std::string> texts;
  std::vector<Target> targets;
  AppendTexts(file, sentence_vectors, texts, targets);
  for (const ingest::Chunk& chunk : file.chunks) chunks.push_back(Describe(chunk));
  const size_t vector_bytes = size_t{embedder.dimension} * sizeof(float);
  for (size_t from = 0; from < texts.size(); from += kEmbedTextsPerCall) {
    const size_t count = std::min(kEmbedTextsPerCall, texts.size() - from);
    v1::EmbedRequest request;
    request.set_kind(v1::EMBED_KIND_PASSAGE);
    for (size_t i = from; i < from + count; ++i) request.add_texts(std::move(texts[i]));
    v1::EmbedResponse response;
    CLOISTER_RETURN_IF_ERROR(CallPeer(patience, halt, kEmbedTimeout, true, [&](grpc::ClientContext& context) {
      return embedding.Embed(&context, request, &response);
    }));
    if (response.dimension() != embedder.dimension || response.vectors().size() != count * vector_bytes) {
      return Internal("the embedder answered with vectors of another count or length");
    }
    for (size_t i = 0; i < count; ++i) {
      const Target& target = targets[from + i];
      v1::ChunkInput& chunk = chunks[target.chunk];
      std::string* vectors = target.sentence ? chunk.mutable_sentence_vectors() : chunk.mutable_vector();
      vectors->append(response.vectors(), i * vector_bytes, vector_bytes);
    }
  }
  return Status();
}

v1::PutDocumentRequest DescribeDocument(const Destination& destination, const EmbedderInfo& embedder, PreparedFile& file) {
  const ingest::Metadata& metadata = file.document.metadata;
  v1::PutDocumentRequest request;
  request.set_collection(destination.collection);
  request.set_origin(destination.origin);
  request.set_source(file.source);
  request.set_input_sha256(file.input_sha256);
  request.set_media_type(std::string(ingest::MediaTypeName(file.type)));
  request.set_title(ingest::TitleOf(file.document, file.source));
  request.set_owner(metadata.owner);
  request.set_language(metadata.language);
  request.set_effective_from(metadata.effective_from);
  request.set_effective_to(metadata.effective_to);
  request.set_superseded_by(metadata.superseded_by);
  for (const std::string& subject : metadata.subjects) request.add_subjects(subject);
  request.set_classification(metadata.classification);
  request.set_embedder_sha256(embedder.sha256);
  request.set_original(std::move(file.bytes));
  request.set_text(std::move(file.document.text));
  return request;
}

}  // namespace cloister::services
