// SPDX-License-Identifier: Apache-2.0
#include "services/retrieval/messages.h"

#include <bit>
#include <cstring>
#include <limits>
#include <utility>

namespace cloister::services {
namespace {

StatusOr<retrieval::NewChunk> ChunkFrom(const v1::ChunkInput& input) {
  retrieval::NewChunk added;
  added.chunk.start = input.start();
  added.chunk.end = input.end();
  added.chunk.section.assign(input.section().begin(), input.section().end());
  added.chunk.page_first = input.page_first();
  added.chunk.page_last = input.page_last();
  for (const v1::SentenceInput& from : input.sentences()) {
    retrieval::Sentence sentence;
    sentence.start = from.start();
    sentence.end = from.end();
    if (from.kind() > std::numeric_limits<uint8_t>::max())
      return InvalidArgument("a sentence has an unknown kind");
    sentence.kind = static_cast<uint8_t>(from.kind());
    sentence.lead_in = from.lead_in();
    for (const v1::Box& box : from.boxes())
      sentence.boxes.push_back({box.page(), box.x0(), box.y0(), box.x1(), box.y1()});
    added.chunk.sentences.push_back(std::move(sentence));
  }
  CLOISTER_ASSIGN_OR_RETURN(added.vector, FloatsFrom(input.vector()));
  CLOISTER_ASSIGN_OR_RETURN(added.sentence_vectors, FloatsFrom(input.sentence_vectors()));
  return added;
}

void ToMessage(const retrieval::ReleasedText& text, v1::Passage* passage) {
  passage->set_handle(std::string(text.handle.bytes()));
  passage->set_document_id(std::string(text.info.document.bytes()));
  passage->set_version_id(std::string(text.info.version.bytes()));
  passage->set_chunk_id(std::string(text.chunk.id.bytes()));
  passage->set_rank(text.rank);
  passage->set_score(text.score);
  passage->set_title(text.info.title);
  passage->set_collection(text.info.collection);
  passage->set_source(text.info.source);
  for (const std::string& heading : text.chunk.section) passage->add_section(heading);
  passage->set_page_first(text.chunk.page_first);
  passage->set_page_last(text.chunk.page_last);
  passage->set_start(text.chunk.start);
  passage->set_end(text.chunk.end);
  passage->set_text(text.text);
  passage->set_effective_from(text.info.effective_from);
  passage->set_effective_to(text.info.effective_to);
  passage->set_dense(text.dense);
  passage->set_lexical(text.lexical);
  for (size_t i = 0; i < text.chunk.sentences.size(); ++i) {
    const retrieval::Sentence& from = text.chunk.sentences[i];
    v1::Sentence* sentence = passage->add_sentences();
    sentence->set_start(from.start);
    sentence->set_end(from.end);
    sentence->set_kind(from.kind);
    sentence->set_lead_in(from.lead_in);
    sentence->set_dense_context(text.signals[i].dense_context);
    sentence->set_dense_alone(text.signals[i].dense_alone);
    sentence->set_lexical(text.signals[i].lexical);
    for (const retrieval::Box& box : from.boxes) {
      v1::Box* out = sentence->add_boxes();
      out->set_page(box.page);
      out->set_x0(box.x0), out->set_y0(box.y0), out->set_x1(box.x1), out->set_y1(box.y1);
    }
  }
}

}  // namespace

StatusOr<std::vector<float>> FloatsFrom(std::string_view bytes) {
  static_assert(std::endian::native == std::endian::little);
  if (bytes.size() % sizeof(float) != 0) return InvalidArgument("a vector is not a whole number of floats");
  std::vector<float> floats(bytes.size() / sizeof(float));
  if (!floats.empty()) std::memcpy(floats.data(), bytes.data(), bytes.size());
  return floats;
}

StatusOr<VersionId> VersionFrom(const std::string& bytes) {
  if (bytes.empty()) return VersionId();
  return VersionId::FromBytes(bytes);
}

StatusOr<retrieval::NewDocument> DocumentFrom(v1::PutDocumentRequest& request) {
  retrieval::NewDocument document;
  document.collection = request.collection();
  document.origin = request.origin();
  document.source = request.source();
  document.media_type = request.media_type();
  document.original = std::move(*request.mutable_original());
  document.title = request.title();
  document.owner = request.owner();
  document.language = request.language();
  document.effective_from = request.effective_from();
  document.effective_to = request.effective_to();
  document.superseded_by = request.superseded_by();
  document.classification = request.classification();
  document.embedder_sha256 = request.embedder_sha256();
  document.input_sha256 = request.input_sha256();
  if (request.has_replaces()) {
    CLOISTER_ASSIGN_OR_RETURN(document.replaces, VersionFrom(request.replaces()));
  }
  document.text = std::move(*request.mutable_text());
  document.subjects.assign(request.subjects().begin(), request.subjects().end());
  document.chunks.reserve(static_cast<size_t>(request.chunks_size()));
  for (const v1::ChunkInput& input : request.chunks()) {
    CLOISTER_ASSIGN_OR_RETURN(auto chunk, ChunkFrom(input));
    document.chunks.push_back(std::move(chunk));
  }
  return document;
}

void ToMessage(const retrieval::ReleaseResult& result, v1::ReleaseResponse* response) {
  for (const retrieval::ReleasedText& text : result.passages) ToMessage(text, response->add_passages());
  response->set_withheld(result.withheld);
  response->set_audit_index(result.audit_index);
}

void ToMessage(const retrieval::SearchResult& result, v1::SearchResponse* response) {
  response->set_search_id(std::string(result.id.bytes()));
  response->set_policy_sequence(result.policy_sequence);
  for (const retrieval::SearchHit& from : result.hits) {
    v1::Hit* hit = response->add_hits();
    hit->set_handle(std::string(from.handle.bytes()));
    hit->set_rank(from.rank);
    hit->set_title(from.title);
    hit->set_collection(from.collection);
    hit->set_source(from.source);
  }
}

}  // namespace cloister::services
