// SPDX-License-Identifier: Apache-2.0
#include "services/parse/dump.h"

#include <nlohmann/json.hpp>

#include "ingest/embedding_text.h"

namespace cloister::services {
namespace {

using Json = nlohmann::ordered_json;

std::string_view KindName(ingest::BlockKind kind) {
  switch (kind) {
    case ingest::BlockKind::kHeading: return "heading";
    case ingest::BlockKind::kParagraph: return "paragraph";
    case ingest::BlockKind::kListItem: return "list_item";
    case ingest::BlockKind::kTableRow: return "table_row";
    case ingest::BlockKind::kCode: return "code";
  }
  return "unknown";
}

Json SentenceJson(std::string_view title, const ingest::ParsedDocument& document, const ingest::ChunkSentence& s) {
  Json boxes = Json::array();
  for (const ingest::PageBox& box : s.boxes) boxes.push_back({box.page, box.x0, box.y0, box.x1, box.y1});
  return {{"start", s.start},
          {"end", s.end},
          {"kind", static_cast<int>(s.kind)},
          {"lead_in", s.lead_in},
          {"text", document.text.substr(s.start, s.end - s.start)},
          {"context_text", ingest::SentenceContextText(title, document, s)},
          {"alone_text", ingest::SentenceAloneText(document, s)},
          {"boxes", std::move(boxes)}};
}

Json MetadataJson(const ingest::Metadata& m) {
  return {{"title", m.title},
          {"owner", m.owner},
          {"language", m.language},
          {"subjects", m.subjects},
          {"effective_from", m.effective_from},
          {"effective_to", m.effective_to},
          {"superseded_by", m.superseded_by},
          {"classification", m.classification}};
}

}  // namespace

std::string DumpJson(std::string_view source, std::string_view media_type, const ingest::ParsedDocument& document,
                     const ingest::ChunkOptions& options) {
  const std::string title = ingest::TitleOf(document, source);
  Json out = {{"source", source},
              {"media_type", media_type},
              {"title", title},
              {"metadata", MetadataJson(document.metadata)},
              {"pages", document.pages},
              {"notes", Json::array()},
              {"text", document.text},
              {"blocks", Json::array()},
              {"chunks", Json::array()}};
  for (const ingest::Note& note : document.notes) out["notes"].push_back(ingest::NoteMessage(note));
  for (const ingest::Block& b : document.blocks) {
    out["blocks"].push_back({{"kind", KindName(b.kind)}, {"level", b.level}, {"start", b.start}, {"end", b.end}});
  }
  for (const ingest::Chunk& chunk : ingest::ChunkDocument(document, options)) {
    Json sentences = Json::array();
    for (const ingest::ChunkSentence& s : chunk.sentences) sentences.push_back(SentenceJson(title, document, s));
    out["chunks"].push_back({{"start", chunk.start},
                             {"end", chunk.end},
                             {"section", chunk.section},
                             {"page_first", chunk.page_first},
                             {"page_last", chunk.page_last},
                             {"text", document.text.substr(chunk.start, chunk.end - chunk.start)},
                             {"embedding_text", ingest::ChunkEmbeddingText(title, document, chunk)},
                             {"sentences", std::move(sentences)}});
  }
  return out.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace cloister::services
