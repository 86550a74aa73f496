// SPDX-License-Identifier: Apache-2.0
#include "services/gateway/ask_json.h"

#include <algorithm>

#include "common/bytes.h"

namespace cloister::services {
namespace {

using nlohmann::json;

constexpr double kConfidenceHigh = 0.75;
constexpr double kConfidenceMedium = 0.5;
constexpr const char* kMayHelpHeading =
    "The documents do not answer this directly. Passages that may help, not an answer:\n";

json QuoteJson(const AnswerQuote& quote) {
  json boxes = json::array();
  for (const QuoteBox& box : quote.boxes) {
    boxes.push_back({{"page", box.page}, {"x0", box.x0}, {"y0", box.y0}, {"x1", box.x1}, {"y1", box.y1}});
  }
  return {{"text", quote.text},
          {"title", quote.title},
          {"collection", quote.collection},
          {"source", quote.source},
          {"section", quote.section},
          {"page_first", quote.page_first == 0 ? json(nullptr) : json(quote.page_first)},
          {"page_last", quote.page_last == 0 ? json(nullptr) : json(quote.page_last)},
          {"boxes", std::move(boxes)},
          {"start", quote.start},
          {"end", quote.end},
          {"document_id", quote.document_id},
          {"version_id", quote.version_id},
          {"chunk_id", quote.chunk_id},
          {"effective_from", quote.effective_from.empty() ? json(nullptr) : json(quote.effective_from)},
          {"effective_to", quote.effective_to.empty() ? json(nullptr) : json(quote.effective_to)},
          {"rank", quote.rank}};
}

json QuotesJson(const std::vector<AnswerQuote>& quotes) {
  json list = json::array();
  for (const AnswerQuote& quote : quotes) list.push_back(QuoteJson(quote));
  return list;
}

json TimingJson(const AskTiming& timing) {
  return {{"total_us", timing.total},       {"audit_intent_us", timing.audit_intent},
          {"embed_us", timing.embed},       {"search_us", timing.search},
          {"release_us", timing.release},   {"generate_us", timing.generate},
          {"score_us", timing.score},       {"audit_outcome_us", timing.audit_outcome}};
}

json RecordsJson(uint64_t intent, uint64_t release, uint64_t outcome) {
  return {{"intent", intent}, {"release", release}, {"outcome", outcome}};
}

std::string JoinQuotes(const std::vector<AnswerQuote>& quotes) {
  std::string joined;
  for (const AnswerQuote& quote : quotes) joined += (joined.empty() ? "" : "\n") + quote.text;
  return joined;
}

std::string_view ConfidenceBand(double confidence) {
  if (confidence >= kConfidenceHigh) return "high";
  return confidence >= kConfidenceMedium ? "medium" : "low";
}

size_t CodePoints(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

}  // namespace

json AnswerJson(const AskResult& result) {
  json titles = json::array();
  for (const NearestTitle& title : result.nearest_titles) {
    titles.push_back({{"title", title.title}, {"collection", title.collection}, {"source", title.source}});
  }
  const bool answered = result.band == AnswerBand::kAnswer;
  const bool refused = result.band == AnswerBand::kRefusal;
  return {{"ask_id", result.ask_id},
          {"band", BandName(result.band)},
          {"answer", answered ? JoinQuotes(result.quotes) : refused ? std::string(kRefusalText) : std::string()},
          {"quotes", QuotesJson(result.quotes)},
          {"nearest_titles", std::move(titles)},
          {"confidence", result.confidence},
          {"confidence_band", ConfidenceBand(result.confidence)},
          {"records", RecordsJson(result.record_intent, result.record_release, result.record_outcome)},
          {"timing", TimingJson(result.timing)}};
}

json SearchJson(const SearchResult& result) {
  json hits = json::array();
  for (const v1::Hit& hit : result.hits) {
    hits.push_back({{"handle", HexEncode(hit.handle())},
                    {"rank", hit.rank()},
                    {"title", hit.title()},
                    {"collection", hit.collection()},
                    {"source", hit.source()}});
  }
  json passages = json::array();
  for (const v1::Passage& passage : result.passages) {
    passages.push_back({{"handle", HexEncode(passage.handle())},
                        {"rank", passage.rank()},
                        {"title", passage.title()},
                        {"collection", passage.collection()},
                        {"source", passage.source()},
                        {"section", std::vector<std::string>(passage.section().begin(), passage.section().end())},
                        {"page_first", passage.page_first() == 0 ? json(nullptr) : json(passage.page_first())},
                        {"page_last", passage.page_last() == 0 ? json(nullptr) : json(passage.page_last())},
                        {"start", passage.start()},
                        {"end", passage.end()},
                        {"document_id", HexEncode(passage.document_id())},
                        {"version_id", HexEncode(passage.version_id())},
                        {"chunk_id", HexEncode(passage.chunk_id())},
                        {"text", passage.text()}});
  }
  json records{{"intent", result.record_intent}, {"outcome", result.record_outcome}};
  records["release"] = result.record_release == 0 ? json(nullptr) : json(result.record_release);
  return {{"ask_id", result.ask_id}, {"results", std::move(hits)},    {"passages", std::move(passages)},
          {"withheld", result.withheld}, {"records", std::move(records)}, {"timing", TimingJson(result.timing)}};
}

std::vector<TextPiece> AnswerPieces(const AskResult& result) {
  std::vector<TextPiece> pieces;
  if (result.band == AnswerBand::kRefusal) {
    pieces.push_back({kRefusalText, nullptr});
    std::string titles;
    for (const NearestTitle& title : result.nearest_titles) {
      titles += (titles.empty() ? "\nNearest documents: " : "; ") + title.title;
    }
    if (!titles.empty()) pieces.push_back({titles, nullptr});
    return pieces;
  }
  if (result.band == AnswerBand::kMayHelp) pieces.push_back({kMayHelpHeading, nullptr});
  for (size_t i = 0; i < result.quotes.size(); ++i) {
    if (i > 0) pieces.push_back({"\n", nullptr});
    pieces.push_back({result.quotes[i].text, &result.quotes[i]});
  }
  return pieces;
}

json Annotations(const AskResult& result) {
  json annotations = json::array();
  size_t at = 0;
  for (const TextPiece& piece : AnswerPieces(result)) {
    const size_t length = CodePoints(piece.text);
    if (piece.quote != nullptr) {
      const AnswerQuote& quote = *piece.quote;
      std::string url = "cloister:/documents/" + quote.document_id + "/versions/" + quote.version_id +
                        "#chars=" + std::to_string(quote.start) + "-" + std::to_string(quote.end);
      if (quote.page_first > 0) url += "&page=" + std::to_string(quote.page_first);
      annotations.push_back({{"type", "url_citation"},
                             {"url_citation",
                              {{"start_index", at},
                               {"end_index", at + length},
                               {"title", quote.title},
                               {"url", std::move(url)}}}});
    }
    at += length;
  }
  return annotations;
}

}  // namespace cloister::services
