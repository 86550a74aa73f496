// SPDX-License-Identifier: Apache-2.0
// The life of an ask (docs: ARCHITECTURE.md): intent recorded, question embedded, searched, passages released,
// spans chosen, outcome recorded, and only then an answer. Does not authenticate, and never decides access: that
// is retrieval's. Any audit record that is not acknowledged fails the ask, and nothing leaves.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/status.h"
#include "services/gateway/assertion.h"
#include "services/gateway/caller.h"
#include "services/gateway/peers.h"

namespace cloister::services {

constexpr uint32_t kPassagesPerAsk = 12;   // Released to the generator.
constexpr uint32_t kNearestTitlesMax = 3;
constexpr uint32_t kSearchHitsMax = 1000;
constexpr uint32_t kReleaseHandlesMax = 64;
constexpr const char* kRefusalText = "The documents you may see do not answer this.";

enum class AnswerBand { kAnswer, kMayHelp, kRefusal };
std::string_view BandName(AnswerBand band);  // "answer", "may_help", "refusal".

struct AskRequest {
  std::string question;
  // What is searched for when it is not the question itself: a short follow-up with the question before it.
  std::string search_text;
  std::string purpose = kDefaultPurpose;
  std::string collection;            // Empty: all that are permitted.
  bool include_not_in_force = false;
  uint32_t words_max = 0;            // 0: the default of generation.
};

struct QuoteBox {
  uint32_t page;
  float x0, y0, x1, y1;  // Points from the page's top left.
};

// Verbatim text of a released passage, with where it stands.
struct AnswerQuote {
  std::string text;
  std::string title, collection, source;
  std::vector<std::string> section;
  uint32_t page_first = 0, page_last = 0;  // 0 for formats without pages.
  std::vector<QuoteBox> boxes;
  uint64_t start = 0, end = 0;             // UTF-8 bytes of the version's stored text.
  std::string document_id, version_id, chunk_id;  // Hexadecimal.
  std::string effective_from, effective_to;
  uint32_t rank = 0;
};

struct NearestTitle {
  std::string title, collection, source;
};

// Microseconds.
struct AskTiming {
  int64_t total = 0, audit_intent = 0, embed = 0, search = 0, release = 0, generate = 0, score = 0,
          audit_outcome = 0;
};

struct AskResult {
  std::string ask_id;  // Hexadecimal.
  int64_t time_ns = 0; // When it was asked.
  AnswerBand band = AnswerBand::kRefusal;
  double confidence = 0;             // Calibrated, in steps of 0.05; raw scores stay inside.
  std::vector<AnswerQuote> quotes;   // An answer, or passages that may help; empty for a refusal.
  std::vector<NearestTitle> nearest_titles;
  uint64_t record_intent = 0, record_release = 0, record_outcome = 0;
  AskTiming timing;
  std::string model_sha256;
  uint64_t tokens_question = 0, tokens_evaluated = 0;
};

struct SearchQuery {
  std::string text;
  v1::SearchMode mode = v1::SEARCH_MODE_HYBRID;
  uint32_t limit = 12;
  std::string purpose = kDefaultPurpose;
  std::string collection;
  bool include_not_in_force = false;
  bool release = false;  // Also the text, through Release; at most kReleaseHandlesMax hits.
};
struct SearchResult {
  std::string ask_id;
  std::vector<v1::Hit> hits;
  std::vector<v1::Passage> passages;  // With `release`.
  uint32_t withheld = 0;
  uint64_t record_intent = 0, record_release = 0, record_outcome = 0;
  AskTiming timing;
};

// Thread-safe. Blocks.
class AskRunner {
 public:
  // All must outlive the runner.
  AskRunner(Peers& peers, const AssertionSigner& signer, const Clock& clock, uint32_t concurrent_max)
      : peers_(peers), signer_(signer), clock_(clock), concurrent_max_(concurrent_max) {}

  // Errors: kResourceExhausted (too many asks at once; retry_after), kUnavailable (a service or the audit log, reason
  // AUDIT_UNAVAILABLE), kInvalidArgument, kInternal (a quote that does not stand in its passage).
  StatusOr<AskResult> Ask(const Caller& caller, const AskRequest& request);
  // The same two doors without the generator. Errors: as Ask.
  StatusOr<SearchResult> Search(const Caller& caller, const SearchQuery& query);
  const AssertionSigner& signer() const { return signer_; }

 private:
  struct Run;  // One ask under way.
  Status Embed(Run& run, const std::string& text);
  Status FindHits(Run& run, const SearchQuery& query);
  Status ReleaseHits(Run& run, uint32_t count);
  Status Generate(Run& run, const AskRequest& request, AskResult& result);
  Status RecordIntent(Run& run, const SearchQuery& query, std::string_view kind, const std::string& question);
  Status RecordDenied(Run& run);
  // The question, the band and where the quotes stand go into the person's section, the quotes' words into one section
  // for each document, so that they go when that document's key does.
  Status RecordOutcome(Run& run, const std::string& question, const AskResult& result);
  Status RecordSearchOutcome(Run& run);
  // Best effort: the ask has failed already, and says so whether or not this is recorded.
  void RecordFailure(Run& run, std::string_view stage, const Status& failure);
  // Digest of the embedding model, asked for again when the answer is old; empty when it cannot be had.
  std::string EmbedderDigest();
  Status RunAsk(Run& run, const AskRequest& request, AskResult& result);
  Status RunSearch(Run& run, const SearchQuery& query);
  StatusOr<Run> Begin(const Caller& caller, const std::string& purpose);

  Peers& peers_;
  const AssertionSigner& signer_;
  const Clock& clock_;
  const uint32_t concurrent_max_;
  std::atomic<uint32_t> running_{0};
  std::mutex mutex_;
  std::string embedder_sha256_;               // Guarded by mutex_.
  std::chrono::nanoseconds embedder_age_{0};  // Monotonic time of the answer. Guarded by mutex_.
};

}  // namespace cloister::services
