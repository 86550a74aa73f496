// SPDX-License-Identifier: Apache-2.0
#include "services/gateway/ask.h"

#include "common/bytes.h"
#include "services/gateway/test_fixture.h"

namespace cloister::services {
namespace {

using AskTest = GatewayFixture;

// Anything of a document: text, title, path.
void ExpectNoContent(const std::string& body) {
  for (const char* piece : {"ward opens", "Visitors", "Visiting rules", "visiting.md"}) {
    EXPECT_EQ(body.find(piece), std::string::npos) << piece;
  }
}

TEST_F(AskTest, RecordsIntentReleaseAndOutcomeInThatOrder) {
  const KeepingWriter reply = SendAsUser("POST", "/v1/ask", R"({"question":"When does the ward open?"})");
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(audit.Events(), (std::vector<std::string>{"ask.intent", "ask.release", "ask.outcome"}));
  const auto records = reply.json()["records"];
  EXPECT_EQ(records["intent"], 0);
  EXPECT_EQ(records["release"], 1);
  EXPECT_EQ(records["outcome"], 2);
}

TEST_F(AskTest, AnAuditFailureAtAnyStepLetsNoContentOut) {
  for (const std::string path : {"/v1/ask", "/v1/chat/completions", "stream", "/v1/search"}) {
    for (int step = 0; step < 3; ++step) {
      SCOPED_TRACE(path + " step " + std::to_string(step));
      audit.records.clear();
      audit.fail_at = step;
      KeepingWriter reply;
      if (path == "/v1/ask") reply = SendAsUser("POST", path, R"({"question":"When?"})");
      if (path == "/v1/search") reply = SendAsUser("POST", path, R"({"query":"When?","release":true})");
      if (path == "/v1/chat/completions") reply = SendAsUser("POST", path, Chat("When?"));
      if (path == "stream") reply = SendAsUser("POST", "/v1/chat/completions", Chat("When?", {{"stream", true}}));
      EXPECT_EQ(reply.status, 503);
      ExpectNoContent(reply.body);
      EXPECT_TRUE(reply.json().contains("error"));
    }
  }
}

TEST_F(AskTest, NothingIsSearchedBeforeTheIntentIsDurable) {
  audit.fail_at = 0;
  SendAsUser("POST", "/v1/ask", R"({"question":"When?"})");
  EXPECT_TRUE(embedding.texts.empty());
  EXPECT_TRUE(retrieval.search.question().empty());
}

TEST_F(AskTest, QuestionAndAnswerStandOnlyInSections) {
  ASSERT_EQ(SendAsUser("POST", "/v1/ask", R"({"question":"When does the ward open?"})").status, 200);
  for (const auto& record : audit.records) {
    if (record.event() == "ask.release") continue;  // Retrieval's.
    for (const char* secret : {"ward", "opens", "a.weber", "visiting", "Visiting"}) {
      EXPECT_EQ(record.body_json().find(secret), std::string::npos) << record.body_json();
    }
    EXPECT_EQ(record.actor(), "a.weber");
    ASSERT_EQ(record.sections_size(), record.event() == "ask.outcome" ? 2 : 1);
    EXPECT_EQ(record.sections(0).subject_kind(), "user");
    EXPECT_EQ(record.sections(0).subject(), "a.weber");
  }
  EXPECT_NE(audit.records[0].sections(0).content_json().find("When does the ward open?"), std::string::npos);
  // The person's section says where the quotes stand; their words are the document's.
  ExpectNoContent(audit.records[2].sections(0).content_json());
  const auto person = nlohmann::json::parse(audit.records[2].sections(0).content_json());
  EXPECT_EQ(person["question"], "When does the ward open?");
  EXPECT_EQ(person["outcome"], "answer");
  EXPECT_NEAR(person["confidence"].get<double>(), 0.85, 1e-9);
  const nlohmann::json place = {{"document_id", HexEncode(std::string(16, 'd'))},
                                {"version_id", HexEncode(std::string(16, 'v'))},
                                {"chunk_id", HexEncode(std::string(16, 'c'))},
                                {"start", 100},
                                {"end", 123}};
  EXPECT_EQ(person["quotes"], nlohmann::json::array({place}));
  EXPECT_EQ(audit.records[2].sections(1).subject_kind(), "document");
  EXPECT_EQ(audit.records[2].sections(1).subject(), HexEncode(std::string(16, 'd')));
  EXPECT_NE(audit.records[2].sections(1).content_json().find("The ward opens at nine."), std::string::npos);
}

// What is quoted of one document goes with its key, and what is quoted of another stays.
TEST_F(AskTest, EachDocumentsWordsStandInASectionOfItsOwn) {
  retrieval.second_document = true;
  v1::Quote other;
  other.set_passage(1);
  other.set_chunk_id(std::string(16, 'f'));
  other.set_start(124);
  other.set_end(150);
  v1::Quote again = generation.quote;
  again.set_end(108);
  generation.more = {other, again};
  const auto answer = SendAsUser("POST", "/v1/ask", R"({"question":"When?"})").json();
  ASSERT_EQ(answer["quotes"].size(), 3u) << answer;
  const auto& outcome = audit.records[2];
  ASSERT_EQ(outcome.sections_size(), 3);
  EXPECT_EQ(nlohmann::json::parse(outcome.sections(0).content_json())["quotes"].size(), 3u);
  ExpectNoContent(outcome.sections(0).content_json());
  EXPECT_EQ(outcome.sections(1).subject(), HexEncode(std::string(16, 'd')));
  const auto first = nlohmann::json::parse(outcome.sections(1).content_json())["quotes"];
  ASSERT_EQ(first.size(), 2u);
  EXPECT_EQ(first[0]["number"], 1);
  EXPECT_EQ(first[0]["text"], "The ward opens at nine.");
  EXPECT_EQ(first[0]["start"], 100);
  EXPECT_EQ(first[1]["number"], 3);
  EXPECT_EQ(first[1]["text"], "The ward");
  EXPECT_EQ(outcome.sections(2).subject(), HexEncode(std::string(16, 'e')));
  const auto second = nlohmann::json::parse(outcome.sections(2).content_json())["quotes"];
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0]["number"], 2);
  EXPECT_EQ(second[0]["text"], "Visitors wash their hands.");
  EXPECT_EQ(outcome.sections(1).content_json().find("Visitors"), std::string::npos);
}

TEST_F(AskTest, ARefusalLeavesNoDocumentSection) {
  generation.band = v1::BAND_REFUSAL;
  SendAsUser("POST", "/v1/ask", R"({"question":"When?"})");
  ASSERT_EQ(audit.records[2].sections_size(), 1);
  ExpectNoContent(audit.records[2].sections(0).content_json());
}

TEST_F(AskTest, PublicPartsHoldOnlyStringsAndIntegers) {
  ASSERT_EQ(SendAsUser("POST", "/v1/ask", R"({"question":"When?"})").status, 200);
  for (const auto& record : audit.records) {
    if (record.event() == "ask.release") continue;
    const auto body = nlohmann::json::parse(record.body_json());
    for (const auto& [name, value] : body.items()) {
      EXPECT_FALSE(value.is_number_float()) << name;
      EXPECT_TRUE(value.is_string() || value.is_number_integer() || value.is_array()) << name;
    }
  }
  const auto outcome = nlohmann::json::parse(audit.records[2].body_json());
  EXPECT_EQ(outcome["model_sha256"], "abcd");
  EXPECT_EQ(outcome["embedder_sha256"], "e3b0");
  EXPECT_EQ(outcome["outcome"], "answer");
}

TEST_F(AskTest, AQuoteSaysWhereItStands) {
  const auto answer = SendAsUser("POST", "/v1/ask", R"({"question":"When?"})").json();
  EXPECT_EQ(answer["band"], "answer");
  EXPECT_EQ(answer["answer"], "The ward opens at nine.");
  const auto quote = answer["quotes"][0];
  EXPECT_EQ(quote["text"], "The ward opens at nine.");
  EXPECT_EQ(quote["title"], "Visiting rules");
  EXPECT_EQ(quote["source"], "visiting.md");
  EXPECT_EQ(quote["section"], nlohmann::json::array({"Hours"}));
  EXPECT_EQ(quote["page_first"], 2);
  EXPECT_EQ(quote["page_last"], 2);  // The sentence's own, not the chunk's.
  EXPECT_EQ(quote["start"], 100);
  EXPECT_EQ(quote["end"], 123);
  EXPECT_EQ(quote["boxes"].size(), 1u);
  EXPECT_EQ(quote["document_id"], HexEncode(std::string(16, 'd')));
  EXPECT_EQ(answer["timing"]["score_us"], 1234);
}

TEST_F(AskTest, ConfidenceLeavesInSteps) {
  const auto answer = SendAsUser("POST", "/v1/ask", R"({"question":"When?"})").json();
  EXPECT_NEAR(answer["confidence"].get<double>(), 0.85, 1e-9);
  EXPECT_EQ(answer["confidence_band"], "high");
}

TEST_F(AskTest, NothingPermittedLooksLikeNothingFound) {
  generation.band = v1::BAND_REFUSAL;
  const auto not_found = SendAsUser("POST", "/v1/ask", R"({"question":"When?"})").json();
  audit.records.clear();
  retrieval.permitted = false;
  const auto denied = SendAsUser("POST", "/v1/ask", R"({"question":"When?"})").json();
  EXPECT_EQ(audit.Events(), (std::vector<std::string>{"ask.intent", "ask.denied", "ask.outcome"}));
  EXPECT_EQ(denied["band"], "refusal");
  EXPECT_EQ(denied["answer"], kRefusalText);
  EXPECT_EQ(denied["answer"], not_found["answer"]);
  EXPECT_EQ(denied["records"], not_found["records"]);
  EXPECT_EQ(denied["quotes"], nlohmann::json::array());
  std::vector<std::string> fields, others;
  for (const auto& [name, value] : denied.items()) fields.push_back(name);
  for (const auto& [name, value] : not_found.items()) others.push_back(name);
  EXPECT_EQ(fields, others);
}

TEST_F(AskTest, ARefusalShowsTitlesAndNoText) {
  generation.band = v1::BAND_REFUSAL;
  const auto answer = SendAsUser("POST", "/v1/ask", R"({"question":"When?"})").json();
  EXPECT_EQ(answer["quotes"], nlohmann::json::array());
  EXPECT_EQ(answer["nearest_titles"][0]["title"], "Visiting rules");
  EXPECT_EQ(answer.dump().find("opens at nine"), std::string::npos);
}

TEST_F(AskTest, PassagesThatMayHelpAreNeverCalledAnAnswer) {
  generation.band = v1::BAND_MAY_HELP;
  const auto answer = SendAsUser("POST", "/v1/ask", R"({"question":"When?"})").json();
  EXPECT_EQ(answer["band"], "may_help");
  EXPECT_EQ(answer["answer"], "");
  EXPECT_EQ(answer["quotes"].size(), 1u);
}

TEST_F(AskTest, ASpanOutsideThePassageFailsTheAsk) {
  const auto spoil = [&](auto change) {
    generation.quote = FakeGeneration().quote;
    change(generation.quote);
    const KeepingWriter reply = SendAsUser("POST", "/v1/ask", R"({"question":"When?"})");
    EXPECT_EQ(reply.status, 500);
    ExpectNoContent(reply.body);
  };
  spoil([](v1::Quote& q) { q.set_start(99); });
  spoil([](v1::Quote& q) { q.set_end(1'000'000); });
  spoil([](v1::Quote& q) { q.set_end(q.start()); });
  spoil([](v1::Quote& q) { q.set_start(UINT64_MAX); });
  spoil([](v1::Quote& q) { q.set_passage(1); });
  spoil([](v1::Quote& q) { q.set_chunk_id(std::string(16, 'x')); });
  spoil([](v1::Quote& q) { q.add_sentences(2); });
}

TEST_F(AskTest, AGeneratorThatFailsOrSaysNothingFailsTheAskAndIsRecorded) {
  generation.fail = true;
  EXPECT_EQ(SendAsUser("POST", "/v1/ask", R"({"question":"When?"})").status, 500);
  EXPECT_EQ(audit.Events().back(), "ask.outcome");
  EXPECT_EQ(nlohmann::json::parse(audit.records.back().body_json())["stage"], "generate");
  generation.fail = false;
  generation.omit_summary = true;
  EXPECT_EQ(SendAsUser("POST", "/v1/ask", R"({"question":"When?"})").status, 500);
}

TEST_F(AskTest, ABusyEmbedderIs429AndAClosedIndex503) {
  embedding.fail = true;
  EXPECT_EQ(SendAsUser("POST", "/v1/ask", R"({"question":"When?"})").status, 429);
  embedding.fail = false;
  retrieval.fail_search = true;
  EXPECT_EQ(SendAsUser("POST", "/v1/ask", R"({"question":"When?"})").status, 503);
}

TEST_F(AskTest, MoreAsksThanSlotsAreTurnedAway) {
  AskRunner none(server->peers(), *signer, clock, 0);
  AskRequest request;
  request.question = "When?";
  const auto result = none.Ask(Caller{"a.weber", {}, "api", "api-key", "local"}, request);
  EXPECT_EQ(result.status().code(), StatusCode::kResourceExhausted);
  EXPECT_TRUE(audit.records.empty());
  for (int i = 0; i < 20; ++i) {  // Slots come back.
    EXPECT_EQ(SendAsUser("POST", "/v1/ask", R"({"question":"When?"})").status, 200);
  }
}

TEST_F(AskTest, TheAssertionIsSignedShortLivedAndSaysWhoAndWhy) {
  HttpRequest request = Request("POST", "/v1/ask", R"({"question":"When?"})");
  request.headers.emplace_back("authorization", "Bearer " + token);
  request.headers.emplace_back("x-cloister-purpose", "TREAT");
  ASSERT_EQ(Send(request).status, 200);
  v1::PrincipalAssertion assertion;
  ASSERT_TRUE(assertion.ParseFromString(retrieval.search.assertion().assertion()));
  EXPECT_EQ(assertion.user(), "a.weber");
  EXPECT_EQ(assertion.purpose(), "TREAT");
  EXPECT_EQ(assertion.client_application(), "api");
  EXPECT_EQ(assertion.authentication_method(), "api-key");
  EXPECT_EQ(assertion.groups_size(), 0);
  EXPECT_LE(assertion.not_after_ns() - assertion.issued_at_ns(), 60'000'000'000);
  EXPECT_EQ(assertion.session_id().size(), 16u);
  EXPECT_EQ(retrieval.search.assertion().signature().size(), 64u);
}

TEST_F(AskTest, AnUnknownPurposeIs400) {
  for (const char* purpose : {"", "treat", "ETREAT", "BTG", "X"}) {
    HttpRequest request = Request("POST", "/v1/ask", R"({"question":"When?"})");
    request.headers.emplace_back("authorization", "Bearer " + token);
    request.headers.emplace_back("x-cloister-purpose", purpose);
    EXPECT_EQ(Send(request).status, 400) << purpose;
  }
  EXPECT_TRUE(audit.records.empty());
}

TEST_F(AskTest, SearchGivesHandlesAndTextOnlyThroughRelease) {
  const auto found = SendAsUser("POST", "/v1/search", R"({"query":"visitors","mode":"lexical"})").json();
  EXPECT_EQ(found["results"][0]["source"], "visiting.md");
  EXPECT_EQ(found["results"][0]["handle"], HexEncode(std::string(16, 'h')));
  EXPECT_EQ(found["passages"], nlohmann::json::array());
  EXPECT_TRUE(embedding.texts.empty());  // Lexical needs no vector.
  EXPECT_EQ(audit.Events(), (std::vector<std::string>{"ask.intent", "ask.outcome"}));
  const auto released = SendAsUser("POST", "/v1/search", R"({"query":"visitors","release":true})").json();
  EXPECT_EQ(released["passages"][0]["text"], FakeRetrieval::kText);
}

TEST_F(AskTest, SearchChecksItsArguments) {
  for (const char* body : {R"({"query":""})", R"({"query":"x","mode":"fuzzy"})", R"({"query":"x","limit":0})",
                           R"({"query":"x","limit":1001})", R"({"query":"x","limit":65,"release":true})",
                           R"({"query":"x","limit":-1})", R"({"query":"x","qery":"y"})", R"({"query":7})"}) {
    EXPECT_EQ(SendAsUser("POST", "/v1/search", body).status, 400) << body;
  }
}

}  // namespace
}  // namespace cloister::services
