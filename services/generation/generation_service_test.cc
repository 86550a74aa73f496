// SPDX-License-Identifier: Apache-2.0
#include "services/generation/generation_service.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "inference/span_choice.h"
#include "services/server/rpc_client.h"
#include "services/server/rpc_status.h"
#include "services/server/test_authority.h"

namespace cloister::services {
namespace {

constexpr std::chrono::seconds kCallTimeout{60};

// Scores by shared words, and can hold calls back.
class GatedScorer final : public inference::LikelihoodScorer {
 public:
  StatusOr<std::vector<inference::LikelihoodResult>> Score(
      std::string_view question, const std::vector<std::string>& contexts) override {
    std::unique_lock lock(mutex_);
    ++calls_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_; });
    return fake_.Score(question, contexts);
  }
  void Close() {
    const std::lock_guard lock(mutex_);
    open_ = false;
  }
  void Open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void AwaitCalls(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return calls_ >= count; });
  }
  int calls() {
    const std::lock_guard lock(mutex_);
    return calls_;
  }

 private:
  inference::FakeLikelihoodScorer fake_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  int calls_ = 0;
};

struct Answered {
  grpc::Status status;
  std::vector<v1::Quote> quotes;
  std::vector<v1::Summary> summaries;
};

class GenerationServiceTest : public testing::Test {
 protected:
  GenerationServiceTest() : service_(scorer_, Info(), /*candidates_default=*/2) {}

  void SetUp() override {
    RpcServerOptions options;
    options.socket = directory_.path() / "generation.sock";
    options.rules = GenerationRules();
    options.services = {&service_};
    auto server = RpcServer::Start(authority_.For("generation"), options);
    ASSERT_TRUE(server.ok());
    server_ = *std::move(server);
  }
  static inference::ModelInfo Info() {
    inference::ModelInfo info;
    info.name = "scorer";
    info.sha256 = std::string(64, 'c');
    info.tokens_max = 99;
    return info;
  }
  std::unique_ptr<v1::Generation::Stub> StubFor(std::string_view identity) {
    return v1::Generation::NewStub(
        Connect(authority_.For(identity), "generation", directory_.path() / "generation.sock"));
  }
  Answered Answer(const v1::AnswerRequest& request, std::string_view identity = "gateway",
                  std::chrono::milliseconds timeout = kCallTimeout) {
    grpc::ClientContext context;
    SetDeadline(context, timeout);
    const auto stub = StubFor(identity);
    const auto reader = stub->Answer(&context, request);
    Answered answered;
    v1::AnswerEvent event;
    while (reader->Read(&event)) {
      if (event.has_quote()) {
        EXPECT_TRUE(answered.summaries.empty()) << "a quote after the summary";
        answered.quotes.push_back(event.quote());
      } else {
        answered.summaries.push_back(event.summary());
      }
    }
    answered.status = reader->Finish();
    return answered;
  }

  TestAuthority authority_;
  TestDirectory directory_;
  GatedScorer scorer_;
  GenerationService service_;
  std::unique_ptr<RpcServer> server_;
};

// One passage of three sentences; the second answers.
v1::AnswerRequest Request() {
  v1::AnswerRequest request;
  request.set_question("How many days does the clinic keep records?");
  v1::Passage* passage = request.add_passages();
  const std::vector<std::string> sentences = {"The kitchen opens at noon.",
                                              "The clinic must keep records for ninety days.",
                                              "Visitors sign in at the desk."};
  const uint64_t base = 1000;
  std::string text;
  for (size_t i = 0; i < sentences.size(); ++i) {
    v1::Sentence* sentence = passage->add_sentences();
    sentence->set_start(base + text.size());
    text += sentences[i];
    sentence->set_end(base + text.size());
    sentence->set_lead_in(-1);
    sentence->set_dense_context(i == 1 ? 0.9f : 0.4f);
    sentence->set_dense_alone(i == 1 ? 0.9f : 0.4f);
    sentence->set_lexical(i == 1 ? 9.0f : 0.0f);
    text += ' ';
  }
  passage->set_text(text);
  passage->set_start(base);
  passage->set_end(base + text.size());
  passage->set_chunk_id(std::string(16, 'k'));
  passage->set_document_id(std::string(16, 'd'));
  passage->set_version_id(std::string(16, 'v'));
  passage->set_title("Records");
  passage->set_rank(1);
  passage->set_score(1);
  passage->set_dense(0.8f);
  passage->set_lexical(12);
  return request;
}

TEST_F(GenerationServiceTest, QuotesTheAnsweringSentenceAndEndsWithOneSummary) {
  const v1::AnswerRequest request = Request();
  const Answered answered = Answer(request);
  ASSERT_TRUE(answered.status.ok());
  ASSERT_EQ(answered.summaries.size(), 1u);
  const v1::Summary& summary = answered.summaries[0];
  EXPECT_NE(summary.band(), v1::BAND_UNSPECIFIED);
  EXPECT_NE(summary.band(), v1::BAND_REFUSAL);
  EXPECT_GT(summary.confidence(), 0);
  EXPECT_LE(summary.confidence(), 1);
  EXPECT_EQ(summary.model_sha256(), std::string(64, 'c'));
  EXPECT_GT(summary.tokens(), 0u);
  ASSERT_FALSE(answered.quotes.empty());
  const v1::Quote& quote = answered.quotes[0];
  EXPECT_EQ(quote.chunk_id(), std::string(16, 'k'));
  EXPECT_EQ(quote.passage(), 0u);
  const v1::Passage& passage = request.passages(0);
  ASSERT_GE(quote.start(), passage.start());
  ASSERT_LE(quote.end(), passage.end());
  EXPECT_NE(
      passage.text().substr(quote.start() - passage.start(), quote.end() - quote.start()).find("ninety days"),
      std::string::npos);
}

TEST_F(GenerationServiceTest, ScoresAsManyCandidatesAsAskedOrItsDefault) {
  v1::AnswerRequest request = Request();
  EXPECT_EQ(Answer(request).summaries.at(0).scored(), 2u);
  request.set_candidates_scored(3);
  EXPECT_EQ(Answer(request).summaries.at(0).scored(), 3u);
}

TEST_F(GenerationServiceTest, RefusesWithoutPassages) {
  v1::AnswerRequest request = Request();
  request.clear_passages();
  const Answered answered = Answer(request);
  ASSERT_TRUE(answered.status.ok());
  EXPECT_TRUE(answered.quotes.empty());
  ASSERT_EQ(answered.summaries.size(), 1u);
  EXPECT_EQ(answered.summaries[0].band(), v1::BAND_REFUSAL);
}

TEST_F(GenerationServiceTest, RefusesWhatIsOverALimitAndNamesIt) {
  const auto reason = [&](const std::function<void(v1::AnswerRequest&)>& change) {
    v1::AnswerRequest request = Request();
    change(request);
    const grpc::Status status = Answer(request).status;
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    return DetailOf(status).reason;
  };
  EXPECT_EQ(reason([](auto& r) { r.clear_question(); }), "QUESTION_EMPTY");
  EXPECT_EQ(reason([](auto& r) { r.set_question(std::string(kAnswerQuestionBytesMax + 1, 'q')); }),
            "QUESTION_TOO_LONG");
  EXPECT_EQ(reason([](auto& r) {
              for (int i = 0; i < kAnswerPassagesMax; ++i) r.add_passages();
            }),
            "TOO_MANY_PASSAGES");
  EXPECT_EQ(reason([](auto& r) { r.set_words_max(inference::kSpanWordsMax + 1); }), "TOO_MANY_WORDS");
  EXPECT_EQ(reason([](auto& r) { r.set_candidates_scored(inference::kSpanCandidatesMax + 1); }),
            "TOO_MANY_CANDIDATES");
  // A sentence outside its passage is refused by span choice.
  EXPECT_EQ(reason([](auto& r) { r.mutable_passages(0)->mutable_sentences(0)->set_end(1u << 20); }), "");
}

TEST_F(GenerationServiceTest, OnlyTheListedCallersGetThrough) {
  for (const std::string_view identity :
       {"gateway", "ingest", "retrieval", "generation", "audit", "keys", "supervisor", "embedding"}) {
    EXPECT_EQ(Answer(Request(), identity).status.error_code(),
              identity == "gateway" ? grpc::StatusCode::OK : grpc::StatusCode::PERMISSION_DENIED)
        << identity;
    grpc::ClientContext context;
    SetDeadline(context, kCallTimeout);
    v1::GeneratorInfo info;
    const bool may_look = identity == "gateway" || identity == "ingest" || identity == "retrieval";
    EXPECT_EQ(StubFor(identity)->GetGenerator(&context, {}, &info).ok(), may_look) << identity;
    if (may_look) {
      EXPECT_EQ(info.name(), "scorer");
      EXPECT_EQ(info.sha256(), std::string(64, 'c'));
      EXPECT_EQ(info.tokens_max(), 99u);
    }
  }
}

TEST_F(GenerationServiceTest, MoreAnswersThanItHoldsAreTurnedAway) {
  scorer_.Close();
  std::vector<std::thread> callers;
  for (int i = 0; i < kAnswersWaitingMax; ++i) {
    callers.emplace_back([&] { EXPECT_TRUE(Answer(Request()).status.ok()); });
  }
  scorer_.AwaitCalls(kAnswersWaitingMax);
  const grpc::Status status = Answer(Request()).status;
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(DetailOf(status).reason, "QUEUE_FULL");
  scorer_.Open();
  for (std::thread& caller : callers) caller.join();
  EXPECT_TRUE(Answer(Request()).status.ok());
}

TEST_F(GenerationServiceTest, StopsScoringOnceTheDeadlineHasPassed) {
  constexpr std::chrono::seconds kTimeout{5};
  scorer_.Close();
  v1::AnswerRequest request = Request();
  request.set_candidates_scored(3);
  std::thread caller([&] {
    EXPECT_EQ(Answer(request, "gateway", kTimeout).status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  });
  scorer_.AwaitCalls(1);
  // The call had arrived by now, so this is not before its deadline.
  std::this_thread::sleep_for(kTimeout + std::chrono::milliseconds(1));
  scorer_.Open();
  caller.join();
  server_->Shutdown();  // Waits for the handler.
  EXPECT_EQ(scorer_.calls(), 1);
}

}  // namespace
}  // namespace cloister::services
