// SPDX-License-Identifier: Apache-2.0
#include "services/gateway/ask.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "audit/envelope.h"
#include "common/bytes.h"
#include "common/log.h"
#include "crypto/random.h"
#include "services/gateway/http_error.h"
#include "services/gateway/json_body.h"

namespace cloister::services {
namespace {

using nlohmann::json;

// Confidence leaves the appliance in steps this wide: enough to rank answers, too little to feel one's way along a
// score.
constexpr double kConfidenceStep = 0.05;
constexpr std::chrono::seconds kEmbedderMemory{60};

// One slot of the asks that may be under way.
class Slot {
 public:
  Slot(std::atomic<uint32_t>& running, uint32_t maximum) : running_(running) {
    taken_ = running_.fetch_add(1) < maximum;
    if (!taken_) running_.fetch_sub(1);
  }
  Slot(Slot&& other) noexcept : running_(other.running_), taken_(std::exchange(other.taken_, false)) {}
  ~Slot() {
    if (taken_) running_.fetch_sub(1);
  }
  bool taken() const { return taken_; }

 private:
  std::atomic<uint32_t>& running_;
  bool taken_;
};

Status AuditFailed(const Status& status) {
  LogStatus(LogLevel::kError, "audit.append_failed", status);
  return WithFacts(Unavailable("the audit log did not acknowledge the record, so nothing was released; try again"),
                   {"AUDIT_UNAVAILABLE", "", 0, 5});
}

std::string_view ModeName(v1::SearchMode mode) {
  switch (mode) {
    case v1::SEARCH_MODE_LEXICAL: return "lexical";
    case v1::SEARCH_MODE_DENSE: return "dense";
    default: return "hybrid";
  }
}

double RoundedConfidence(float confidence) {
  const double clamped = std::isfinite(confidence) ? std::clamp<double>(confidence, 0, 1) : 0;
  // The division keeps the number short in JSON: 0.85 and not 0.8500000000000001.
  return std::round(clamped / kConfidenceStep) / std::round(1 / kConfidenceStep);
}

AnswerBand BandOf(v1::Band band) {
  if (band == v1::BAND_ANSWER) return AnswerBand::kAnswer;
  return band == v1::BAND_MAY_HELP ? AnswerBand::kMayHelp : AnswerBand::kRefusal;
}

// An outcome has a section for the person and one for each document quoted. A section holds one document's words only,
// so that they go with that document's key; two documents never share one for want of room.
static_assert(kPassagesPerAsk + 1 <= audit::kSectionsMax);

// Where a quote stands, without any of its text.
json QuotePlace(const AnswerQuote& quote) {
  return {{"document_id", quote.document_id}, {"version_id", quote.version_id}, {"chunk_id", quote.chunk_id},
          {"start", quote.start},             {"end", quote.end}};
}

void AddSection(std::string_view kind, const std::string& subject, const json& content, v1::AppendRequest& record) {
  v1::SectionInput* section = record.add_sections();
  section->set_subject_kind(std::string(kind));
  section->set_subject(subject);
  section->set_content_json(DumpJson(content));
}

// The words of each document in a section of its own; `number` is the quote's place in the answer, from 1.
void AddDocumentSections(const std::vector<AnswerQuote>& quotes, v1::AppendRequest& record) {
  std::vector<std::pair<std::string, json>> by_document;  // In the order of the answer.
  for (size_t i = 0; i < quotes.size(); ++i) {
    const std::string& document = quotes[i].document_id;
    auto found = std::find_if(by_document.begin(), by_document.end(),
                              [&](const auto& entry) { return entry.first == document; });
    if (found == by_document.end()) found = by_document.insert(found, {document, json::array()});
    json quote = QuotePlace(quotes[i]);
    quote["number"] = i + 1;
    quote["text"] = quotes[i].text;
    found->second.push_back(std::move(quote));
  }
  for (const auto& [document, texts] : by_document) AddSection("document", document, {{"quotes", texts}}, record);
}

bool OnCharacterBorder(const std::string& text, uint64_t offset) {
  return offset == text.size() || (static_cast<unsigned char>(text[offset]) & 0xC0) != 0x80;
}

// The quote as text and place. Errors: kInternal when generation names text that is not in the passage.
StatusOr<AnswerQuote> Resolve(const v1::Quote& quote, const std::vector<v1::Passage>& passages) {
  const Status wrong = Internal("generation named a span that is not in the released passages");
  if (quote.passage() >= passages.size()) return wrong;
  const v1::Passage& passage = passages[quote.passage()];
  if (quote.chunk_id() != passage.chunk_id() || quote.start() < passage.start() || quote.end() <= quote.start()) {
    return wrong;
  }
  const uint64_t from = quote.start() - passage.start();
  const uint64_t size = quote.end() - quote.start();
  if (from > passage.text().size() || size > passage.text().size() - from ||
      !OnCharacterBorder(passage.text(), from) || !OnCharacterBorder(passage.text(), from + size)) {
    return wrong;
  }
  AnswerQuote resolved;
  resolved.text = passage.text().substr(from, size);
  resolved.title = passage.title();
  resolved.collection = passage.collection();
  resolved.source = passage.source();
  resolved.section.assign(passage.section().begin(), passage.section().end());
  resolved.start = quote.start();
  resolved.end = quote.end();
  resolved.document_id = HexEncode(passage.document_id());
  resolved.version_id = HexEncode(passage.version_id());
  resolved.chunk_id = HexEncode(passage.chunk_id());
  resolved.effective_from = passage.effective_from();
  resolved.effective_to = passage.effective_to();
  resolved.rank = passage.rank();
  for (const uint32_t index : quote.sentences()) {
    if (index >= static_cast<uint32_t>(passage.sentences_size())) return wrong;
    for (const v1::Box& box : passage.sentences(static_cast<int>(index)).boxes()) {
      resolved.boxes.push_back({box.page(), box.x0(), box.y0(), box.x1(), box.y1()});
    }
  }
  resolved.page_first = passage.page_first();
  resolved.page_last = passage.page_last();
  if (!resolved.boxes.empty()) {  // The sentences' own pages are narrower than the chunk's.
    const auto [low, high] = std::minmax_element(resolved.boxes.begin(), resolved.boxes.end(),
                                                 [](const QuoteBox& a, const QuoteBox& b) { return a.page < b.page; });
    resolved.page_first = low->page;
    resolved.page_last = high->page;
  }
  return resolved;
}

std::vector<NearestTitle> TitlesOf(const std::vector<v1::Hit>& hits) {
  std::vector<NearestTitle> titles;
  std::set<std::pair<std::string, std::string>> seen;
  for (const v1::Hit& hit : hits) {
    if (titles.size() >= kNearestTitlesMax) break;
    if (!seen.emplace(hit.collection(), hit.source()).second) continue;
    titles.push_back({hit.title(), hit.collection(), hit.source()});
  }
  return titles;
}

}  // namespace

std::string_view BandName(AnswerBand band) {
  switch (band) {
    case AnswerBand::kAnswer: return "answer";
    case AnswerBand::kMayHelp: return "may_help";
    case AnswerBand::kRefusal: return "refusal";
  }
  return "refusal";
}

struct AskRunner::Run {
  Run(const Caller& who, std::string why, Slot taken, std::string id, v1::SignedAssertion signed_assertion,
      const Clock& now)
      : caller(who),
        purpose(std::move(why)),
        slot(std::move(taken)),
        ask_id(std::move(id)),
        assertion(std::move(signed_assertion)),
        clock(now),
        started(now.Monotonic()),
        time_ns(now.Now().time_since_epoch().count()) {}

  const Caller& caller;
  std::string purpose;
  Slot slot;
  std::string ask_id;  // 16 bytes.
  v1::SignedAssertion assertion;
  const Clock& clock;
  const std::chrono::nanoseconds started;
  const int64_t time_ns;
  std::string_view stage = "intent";  // For the record of a failure.
  std::string vector;
  std::string embedder_sha256;
  uint64_t tokens_question = 0;
  std::string search_id;
  std::vector<v1::Hit> hits;
  std::vector<v1::Passage> passages;
  uint32_t withheld = 0;
  uint64_t record_intent = 0, record_release = 0, record_outcome = 0;
  AskTiming timing;

  // Runs one step, adds its time to `microseconds`.
  template <class Step>
  Status Timed(std::string_view name, int64_t& microseconds, Step step) {
    stage = name;
    const auto before = clock.Monotonic();
    Status status = step();
    microseconds += std::chrono::duration_cast<std::chrono::microseconds>(clock.Monotonic() - before).count();
    return status;
  }
  int64_t ElapsedUs() const {
    return std::chrono::duration_cast<std::chrono::microseconds>(clock.Monotonic() - started).count();
  }
  // A record about this ask; `personal` goes into the asking person's section.
  v1::AppendRequest Record(std::string_view event, json body, const json& personal) const {
    body["ask_id"] = HexEncode(ask_id);
    v1::AppendRequest record;
    record.set_event(std::string(event));
    record.set_body_json(DumpJson(body));
    record.set_actor_kind("user");
    record.set_actor(caller.user);
    if (!personal.empty()) AddSection("user", caller.user, personal, record);
    return record;
  }
};

StatusOr<AskRunner::Run> AskRunner::Begin(const Caller& caller, const std::string& purpose) {
  CLOISTER_RETURN_IF_ERROR(CheckPurpose(purpose));
  Slot slot(running_, concurrent_max_);
  if (!slot.taken()) {
    return WithFacts(ResourceExhausted("too many asks are under way; try again shortly"),
                     {"TOO_MANY_ASKS", "", concurrent_max_, 1});
  }
  const std::string ask_id = crypto::RandomBytes(kIdBytes);
  return Run(caller, purpose, std::move(slot), ask_id, signer_.Sign(caller, purpose, ask_id), clock_);
}

StatusOr<AskResult> AskRunner::Ask(const Caller& caller, const AskRequest& request) {
  CLOISTER_ASSIGN_OR_RETURN(Run run, Begin(caller, request.purpose));
  AskResult result;
  if (const Status status = RunAsk(run, request, result); !status.ok()) {
    RecordFailure(run, run.stage, status);
    return status;
  }
  result.ask_id = HexEncode(run.ask_id);
  result.time_ns = run.time_ns;
  result.record_intent = run.record_intent;
  result.record_release = run.record_release;
  result.record_outcome = run.record_outcome;
  result.tokens_question = run.tokens_question;
  run.timing.total = run.ElapsedUs();
  result.timing = run.timing;
  return result;
}

Status AskRunner::RunAsk(Run& run, const AskRequest& request, AskResult& result) {
  SearchQuery query;
  query.text = request.search_text.empty() ? request.question : request.search_text;
  query.limit = kPassagesPerAsk;
  query.collection = request.collection;
  query.include_not_in_force = request.include_not_in_force;
  CLOISTER_RETURN_IF_ERROR(run.Timed("intent", run.timing.audit_intent,
                                     [&] { return RecordIntent(run, query, "answer", request.question); }));
  CLOISTER_RETURN_IF_ERROR(run.Timed("embed", run.timing.embed, [&] { return Embed(run, query.text); }));
  CLOISTER_RETURN_IF_ERROR(run.Timed("search", run.timing.search, [&] { return FindHits(run, query); }));
  CLOISTER_RETURN_IF_ERROR(
      run.Timed("release", run.timing.release, [&] { return ReleaseHits(run, kPassagesPerAsk); }));
  if (!run.passages.empty()) {
    CLOISTER_RETURN_IF_ERROR(
        run.Timed("generate", run.timing.generate, [&] { return Generate(run, request, result); }));
  }
  result.nearest_titles = result.band == AnswerBand::kRefusal ? TitlesOf(run.hits) : std::vector<NearestTitle>();
  return run.Timed("outcome", run.timing.audit_outcome, [&] { return RecordOutcome(run, request.question, result); });
}

StatusOr<SearchResult> AskRunner::Search(const Caller& caller, const SearchQuery& query) {
  CLOISTER_ASSIGN_OR_RETURN(Run run, Begin(caller, query.purpose));
  if (const Status status = RunSearch(run, query); !status.ok()) {
    RecordFailure(run, run.stage, status);
    return status;
  }
  run.timing.total = run.ElapsedUs();
  return SearchResult{HexEncode(run.ask_id), std::move(run.hits), std::move(run.passages), run.withheld,
                      run.record_intent,     run.record_release,  run.record_outcome,      run.timing};
}

Status AskRunner::RunSearch(Run& run, const SearchQuery& query) {
  CLOISTER_RETURN_IF_ERROR(run.Timed("intent", run.timing.audit_intent,
                                     [&] { return RecordIntent(run, query, "search", query.text); }));
  if (query.mode != v1::SEARCH_MODE_LEXICAL) {
    CLOISTER_RETURN_IF_ERROR(run.Timed("embed", run.timing.embed, [&] { return Embed(run, query.text); }));
  }
  CLOISTER_RETURN_IF_ERROR(run.Timed("search", run.timing.search, [&] { return FindHits(run, query); }));
  if (query.release) {
    CLOISTER_RETURN_IF_ERROR(
        run.Timed("release", run.timing.release, [&] { return ReleaseHits(run, kReleaseHandlesMax); }));
  }
  return run.Timed("outcome", run.timing.audit_outcome, [&] { return RecordSearchOutcome(run); });
}

Status AskRunner::Embed(Run& run, const std::string& text) {
  v1::EmbedRequest request;
  request.set_kind(v1::EMBED_KIND_QUESTION);
  request.add_texts(text);
  v1::EmbedResponse response;
  Peers::Call call(peers_, kQuickTimeout);
  CLOISTER_RETURN_IF_ERROR(FromPeer(peers_.embedding().Embed(call.context(), request, &response), "embedding"));
  run.embedder_sha256 = EmbedderDigest();
  run.vector = std::move(*response.mutable_vectors());
  run.tokens_question = response.tokens();
  return absl::OkStatus();
}

std::string AskRunner::EmbedderDigest() {
  {
    std::lock_guard lock(mutex_);
    if (!embedder_sha256_.empty() && clock_.Monotonic() - embedder_age_ < kEmbedderMemory) return embedder_sha256_;
  }
  v1::EmbedderInfo info;
  Peers::Call call(peers_, kQuickTimeout);
  if (!peers_.embedding().GetEmbedder(call.context(), {}, &info).ok()) return "";
  std::lock_guard lock(mutex_);
  embedder_sha256_ = info.sha256();
  embedder_age_ = clock_.Monotonic();
  return embedder_sha256_;
}

Status AskRunner::FindHits(Run& run, const SearchQuery& query) {
  v1::SearchRequest request;
  *request.mutable_assertion() = run.assertion;
  request.set_question(query.text);
  request.set_question_vector(run.vector);
  request.set_hits_max(query.limit);
  request.set_mode(query.mode);
  request.set_collection(query.collection);
  request.set_include_not_in_force(query.include_not_in_force);
  request.set_ask_id(run.ask_id);
  v1::SearchResponse response;
  Peers::Call call(peers_, kQuickTimeout);
  CLOISTER_RETURN_IF_ERROR(FromPeer(peers_.retrieval().Search(call.context(), request, &response), "retrieval"));
  run.search_id = response.search_id();
  run.hits.assign(std::make_move_iterator(response.mutable_hits()->begin()),
                  std::make_move_iterator(response.mutable_hits()->end()));
  return absl::OkStatus();
}

Status AskRunner::ReleaseHits(Run& run, uint32_t count) {
  // Nobody may see anything for this: recorded as a denial, in the place of the release, so that an ask has the same
  // three records and the person the same answer whether nothing is permitted or nothing was found.
  if (run.hits.empty()) return RecordDenied(run);
  v1::ReleaseRequest request;
  *request.mutable_assertion() = run.assertion;
  request.set_search_id(run.search_id);
  request.set_ask_id(run.ask_id);
  for (const v1::Hit& hit : run.hits) {
    if (request.handles_size() >= static_cast<int>(count)) break;
    request.add_handles(hit.handle());
  }
  v1::ReleaseResponse response;
  Peers::Call call(peers_, kReleaseTimeout);
  CLOISTER_RETURN_IF_ERROR(FromPeer(peers_.retrieval().Release(call.context(), request, &response), "retrieval"));
  run.passages.assign(std::make_move_iterator(response.mutable_passages()->begin()),
                      std::make_move_iterator(response.mutable_passages()->end()));
  run.withheld = response.withheld();
  run.record_release = response.audit_index();
  return absl::OkStatus();
}

Status AskRunner::Generate(Run& run, const AskRequest& request, AskResult& result) {
  v1::AnswerRequest answer;
  answer.set_question(request.question);
  answer.set_words_max(request.words_max);
  for (const v1::Passage& passage : run.passages) *answer.add_passages() = passage;
  Peers::Call call(peers_, kGenerationTimeout);
  const auto stream = peers_.generation().Answer(call.context(), answer);
  std::optional<v1::Summary> summary;
  v1::AnswerEvent event;
  Status resolved;
  while (stream->Read(&event)) {
    if (event.has_summary()) {
      summary = event.summary();
    } else if (event.has_quote() && resolved.ok()) {
      StatusOr<AnswerQuote> quote = Resolve(event.quote(), run.passages);
      resolved = quote.status();
      if (quote.ok()) result.quotes.push_back(*std::move(quote));
    }
  }
  CLOISTER_RETURN_IF_ERROR(FromPeer(stream->Finish(), "generation"));
  CLOISTER_RETURN_IF_ERROR(resolved);
  if (!summary.has_value()) return Internal("generation ended without saying whether there is an answer");
  result.band = BandOf(summary->band());
  if (result.band == AnswerBand::kRefusal) result.quotes.clear();
  // An answer without words is none.
  if (result.quotes.empty()) result.band = AnswerBand::kRefusal;
  result.confidence = RoundedConfidence(summary->confidence());
  result.model_sha256 = summary->model_sha256();
  result.tokens_evaluated = summary->tokens();
  run.timing.score = static_cast<int64_t>(summary->score_us());
  return absl::OkStatus();
}

Status AskRunner::RecordIntent(Run& run, const SearchQuery& query, std::string_view kind,
                               const std::string& question) {
  json body{{"kind", kind},
            {"purpose", run.purpose},
            {"client_application", run.caller.client_application},
            {"authentication_method", run.caller.authentication_method},
            {"zone", run.caller.zone},
            {"mode", ModeName(query.mode)},
            {"roles", run.caller.roles}};
  if (!query.collection.empty()) body["collection"] = query.collection;
  json personal{{"user", run.caller.user}, {"question", question}};
  if (query.text != question) personal["searched_for"] = query.text;
  const auto index = peers_.audit_log().Append(run.Record("ask.intent", std::move(body), personal));
  if (!index.ok()) return AuditFailed(index.status());
  run.record_intent = *index;
  return absl::OkStatus();
}

Status AskRunner::RecordDenied(Run& run) {
  const json body{{"intent", run.record_intent}, {"reason", "no_permitted_passages"}};
  const auto index = peers_.audit_log().Append(run.Record("ask.denied", body, json::object()));
  if (!index.ok()) return AuditFailed(index.status());
  run.record_release = *index;
  return absl::OkStatus();
}

Status AskRunner::RecordOutcome(Run& run, const std::string& question, const AskResult& result) {
  json body{{"intent", run.record_intent},
            {"release", run.record_release},
            {"outcome", BandName(result.band)},
            {"passages", run.passages.size()},
            {"quotes", result.quotes.size()},
            {"withheld", run.withheld},
            {"latency_us", run.ElapsedUs()},
            {"tokens", run.tokens_question + result.tokens_evaluated}};
  if (!run.embedder_sha256.empty()) body["embedder_sha256"] = run.embedder_sha256;
  if (!result.model_sha256.empty()) body["model_sha256"] = result.model_sha256;
  json places = json::array();
  for (const AnswerQuote& quote : result.quotes) places.push_back(QuotePlace(quote));
  const json personal{{"user", run.caller.user},
                      {"question", question},
                      {"outcome", BandName(result.band)},
                      {"confidence", result.confidence},
                      {"quotes", std::move(places)}};
  v1::AppendRequest record = run.Record("ask.outcome", std::move(body), personal);
  AddDocumentSections(result.quotes, record);
  const auto index = peers_.audit_log().Append(record);
  if (!index.ok()) return AuditFailed(index.status());
  run.record_outcome = *index;
  return absl::OkStatus();
}

Status AskRunner::RecordSearchOutcome(Run& run) {
  json body{{"intent", run.record_intent},
            {"outcome", "search"},
            {"hits", run.hits.size()},
            {"passages", run.passages.size()},
            {"withheld", run.withheld},
            {"latency_us", run.ElapsedUs()}};
  if (!run.embedder_sha256.empty()) body["embedder_sha256"] = run.embedder_sha256;
  if (run.record_release > 0) body["release"] = run.record_release;
  const auto index = peers_.audit_log().Append(run.Record("ask.outcome", std::move(body), json::object()));
  if (!index.ok()) return AuditFailed(index.status());
  run.record_outcome = *index;
  return absl::OkStatus();
}

void AskRunner::RecordFailure(Run& run, std::string_view stage, const Status& failure) {
  Log(LogLevel::kWarning, "ask.failed",
      {{"state", std::string(stage)}, {"code", std::string(CodeName(failure.code()))}});
  if (stage == "intent" || stage == "outcome") return;  // It is the audit log itself that failed.
  const json body{{"intent", run.record_intent},
                  {"outcome", "failed"},
                  {"stage", stage},
                  {"code", CodeName(failure.code())},
                  {"latency_us", run.ElapsedUs()}};
  const auto index = peers_.audit_log().Append(run.Record("ask.outcome", body, json::object()));
  if (!index.ok()) LogStatus(LogLevel::kWarning, "audit.append_failed", index.status());
}

}  // namespace cloister::services
