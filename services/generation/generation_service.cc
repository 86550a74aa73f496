// SPDX-License-Identifier: Apache-2.0
#include "services/generation/generation_service.h"

#include <chrono>
#include <string>
#include <utility>

#include "inference/span_choice.h"
#include "services/server/rpc_status.h"

namespace cloister::services {
namespace {

// Passes scoring on, measures it, and gives up between contexts once the caller has gone or its deadline has
// passed.
class TimedScorer final : public inference::LikelihoodScorer {
 public:
  TimedScorer(inference::LikelihoodScorer& scorer, const grpc::ServerContext& context)
      : scorer_(scorer), context_(context) {}

  StatusOr<std::vector<inference::LikelihoodResult>> Score(
      std::string_view question, const std::vector<std::string>& contexts) override {
    CLOISTER_RETURN_IF_ERROR(inference::CheckScoreRequest(question, contexts));
    const auto begin = std::chrono::steady_clock::now();
    std::vector<inference::LikelihoodResult> results;
    for (const std::string& one : contexts) {
      if (context_.IsCancelled() || std::chrono::system_clock::now() >= context_.deadline()) {
        return Error(StatusCode::kCancelled, "the caller has gone");
      }
      CLOISTER_ASSIGN_OR_RETURN(const auto result, scorer_.Score(question, {one}));
      results.insert(results.end(), result.begin(), result.end());
    }
    elapsed_ += std::chrono::steady_clock::now() - begin;
    return results;
  }
  uint64_t microseconds() const {
    return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(elapsed_).count());
  }

 private:
  inference::LikelihoodScorer& scorer_;
  const grpc::ServerContext& context_;
  std::chrono::steady_clock::duration elapsed_{};
};

// Holds one of kAnswersWaitingMax places.
class Place {
 public:
  explicit Place(std::atomic<int>& taken) : taken_(taken), given_(taken.fetch_add(1) < kAnswersWaitingMax) {}
  ~Place() { taken_.fetch_sub(1); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  bool given() const { return given_; }

 private:
  std::atomic<int>& taken_;
  const bool given_;
};

inference::SpanSentence ToSentence(const v1::Sentence& from) {
  inference::SpanSentence to;
  to.start = from.start();
  to.end = from.end();
  to.kind = static_cast<inference::SentenceKind>(from.kind());
  to.lead_in = from.lead_in();
  to.dense_context = from.dense_context();
  to.dense_alone = from.dense_alone();
  to.lexical = from.lexical();
  return to;
}

inference::SpanPassage ToPassage(const v1::Passage& from) {
  inference::SpanPassage to;
  to.document = from.document_id() + from.version_id();
  to.title = from.title();
  to.section.assign(from.section().begin(), from.section().end());
  to.start = from.start();
  to.text = from.text();
  to.rank = from.rank();
  to.score = from.score();
  to.dense = from.dense();
  to.lexical = from.lexical();
  to.sentences.reserve(static_cast<size_t>(from.sentences_size()));
  for (const v1::Sentence& sentence : from.sentences()) to.sentences.push_back(ToSentence(sentence));
  return to;
}

v1::Band ToBand(inference::AnswerBand band) {
  switch (band) {
    case inference::AnswerBand::kAnswer:
      return v1::BAND_ANSWER;
    case inference::AnswerBand::kMayHelp:
      return v1::BAND_MAY_HELP;
    case inference::AnswerBand::kRefusal:
      return v1::BAND_REFUSAL;
  }
  return v1::BAND_REFUSAL;
}

grpc::Status CheckRequest(const v1::AnswerRequest& request) {
  if (request.question().empty()) {
    return ToGrpc(InvalidArgument("the question is empty"), "QUESTION_EMPTY", "question");
  }
  if (request.question().size() > kAnswerQuestionBytesMax) {
    return ToGrpc(InvalidArgument("the question is over 8 KiB"), "QUESTION_TOO_LONG", "question",
                  kAnswerQuestionBytesMax, "Ask a shorter question.");
  }
  if (request.passages_size() > kAnswerPassagesMax) {
    return ToGrpc(InvalidArgument("more than 64 passages"), "TOO_MANY_PASSAGES", "passages",
                  kAnswerPassagesMax);
  }
  if (request.words_max() > inference::kSpanWordsMax) {
    return ToGrpc(InvalidArgument("words_max is over its limit"), "TOO_MANY_WORDS", "words_max",
                  inference::kSpanWordsMax);
  }
  if (request.candidates_scored() > inference::kSpanCandidatesMax) {
    return ToGrpc(InvalidArgument("candidates_scored is over its limit"), "TOO_MANY_CANDIDATES",
                  "candidates_scored", inference::kSpanCandidatesMax);
  }
  return grpc::Status::OK;
}

v1::AnswerEvent QuoteEvent(const inference::QuotedSpan& span, const v1::AnswerRequest& request) {
  v1::AnswerEvent event;
  v1::Quote* quote = event.mutable_quote();
  quote->set_chunk_id(request.passages(static_cast<int>(span.passage)).chunk_id());
  quote->set_passage(span.passage);
  quote->set_start(span.start);
  quote->set_end(span.end);
  quote->mutable_sentences()->Add(span.sentences.begin(), span.sentences.end());
  return event;
}

}  // namespace

grpc::Status GenerationService::Answer(grpc::ServerContext* context, const v1::AnswerRequest* request,
                                       grpc::ServerWriter<v1::AnswerEvent>* writer) {
  if (const grpc::Status checked = CheckRequest(*request); !checked.ok()) return checked;
  const Place place(waiting_);
  if (!place.given()) {
    return ToGrpc(ResourceExhausted("too many answers are under way"), "QUEUE_FULL", "", kAnswersWaitingMax,
                  "Try again later.");
  }
  std::vector<inference::SpanPassage> passages;
  passages.reserve(static_cast<size_t>(request->passages_size()));
  for (const v1::Passage& passage : request->passages()) passages.push_back(ToPassage(passage));
  inference::SpanChoiceOptions options;
  options.words_max = request->words_max();
  options.candidates_scored =
      request->candidates_scored() != 0 ? request->candidates_scored() : candidates_default_;
  TimedScorer scorer(scorer_, *context);
  const auto choice = inference::ChooseSpans(request->question(), passages, options, scorer);
  if (!choice.ok()) return ToGrpc(choice.status());
  for (const inference::QuotedSpan& span : choice->quotes) {
    if (!writer->Write(QuoteEvent(span, *request))) return grpc::Status::CANCELLED;
  }
  v1::AnswerEvent last;
  v1::Summary* summary = last.mutable_summary();
  summary->set_band(ToBand(choice->band));
  summary->set_confidence(choice->confidence);
  summary->set_scored(choice->scored);
  summary->set_tokens(choice->tokens);
  summary->set_score_us(scorer.microseconds());
  summary->set_model_sha256(info_.sha256);
  return writer->Write(last) ? grpc::Status::OK : grpc::Status::CANCELLED;
}

grpc::Status GenerationService::GetGenerator(grpc::ServerContext*, const v1::GetGeneratorRequest*,
                                             v1::GeneratorInfo* response) {
  response->set_name(info_.name);
  response->set_sha256(info_.sha256);
  response->set_tokens_max(info_.tokens_max);
  return grpc::Status::OK;
}

std::vector<MethodRule> GenerationRules() {
  return {
      {"/cloister.v1.Generation/Answer", {"gateway"}},
      {"/cloister.v1.Generation/GetGenerator", {"gateway", "ingest", "retrieval"}},
  };
}

}  // namespace cloister::services
