// SPDX-License-Identifier: Apache-2.0
#include "services/gateway/gateway.h"

#include "common/bytes.h"
#include "services/gateway/test_fixture.h"

namespace cloister::services {
namespace {

using nlohmann::json;
using AuthenticationTest = GatewayFixture;
using OpenAiTest = GatewayFixture;
using AdminTest = GatewayFixture;

HttpRequest WithAuthorization(HttpRequest request, const std::string& value) {
  request.headers.emplace_back("authorization", value);
  return request;
}
std::string Basic(const std::string& pair) { return "Basic " + Base64Encode(pair); }

TEST_F(AuthenticationTest, HealthNeedsNoCredentialsAndEverythingElseDoes) {
  EXPECT_EQ(Send(Request("GET", "/healthz")).status, 200);
  for (const char* path : {"/metrics", "/v1/models", "/admin/v1/users", "/admin/v1/status", "/nowhere"}) {
    const KeepingWriter reply = Send(Request("GET", path));
    EXPECT_EQ(reply.status, 401) << path;
    EXPECT_TRUE(reply.json()["error"].is_object());
  }
}

TEST_F(AuthenticationTest, AcceptsAKeyAndAPassword) {
  EXPECT_EQ(Send(WithAuthorization(Request("GET", "/v1/models"), "Bearer " + token)).status, 200);
  EXPECT_EQ(Send(WithAuthorization(Request("GET", "/v1/models"), "bearer  " + token)).status, 200);
  EXPECT_EQ(Send(WithAuthorization(Request("GET", "/v1/models"), Basic("a.weber:correct horse battery"))).status, 200);
}

TEST_F(AuthenticationTest, WrongCredentialsAreAllTheSame401) {
  std::set<std::string> bodies;
  for (const std::string& value :
       {std::string("Bearer nonsense"), "Bearer " + token + "0", std::string("Basic !!!"), Basic("a.weber"),
        Basic("a.weber:wrong password"), Basic("nobody:correct horse battery"), Basic(":"), Basic("A B:x"),
        Basic("a.weber:" + std::string(2000, 'x')), Basic(std::string("a.weber\0:x", 10))}) {
    const KeepingWriter reply = Send(WithAuthorization(Request("GET", "/v1/models"), value));
    EXPECT_EQ(reply.status, 401) << value;
    bodies.insert(reply.body);
  }
  EXPECT_EQ(bodies.size(), 1u);
  EXPECT_EQ(Send(WithAuthorization(Request("GET", "/v1/models"), "Digest x")).status, 401);
  EXPECT_EQ(Send(WithAuthorization(Request("GET", "/v1/models"), "Bearer")).status, 401);
}

TEST_F(AuthenticationTest, TwoAuthorizationHeadersAreRefused) {
  HttpRequest request = WithAuthorization(Request("GET", "/v1/models"), "Bearer " + token);
  request.headers.emplace_back("authorization", "Bearer " + token);
  EXPECT_EQ(Send(request).status, 400);
}

TEST_F(AuthenticationTest, FiveWrongPasswordsLockTheNameEvenForTheRightOne) {
  const auto attempt = [&](const std::string& pair) {
    return Send(WithAuthorization(Request("GET", "/v1/models"), Basic(pair)));
  };
  for (int i = 0; i < 5; ++i) EXPECT_EQ(attempt("a.weber:wrong password").status, 401);
  const KeepingWriter locked = attempt("a.weber:correct horse battery");
  EXPECT_EQ(locked.status, 429);
  ASSERT_EQ(locked.headers.size(), 1u);
  EXPECT_EQ(locked.headers[0], (std::pair<std::string, std::string>{"Retry-After", "30"}));
  EXPECT_EQ(audit.Events(), (std::vector<std::string>{"auth.failed", "auth.failed", "auth.failed", "auth.failed",
                                                      "auth.locked"}));
  // Somebody who does not exist is locked alike; the API key of a.weber still works.
  for (int i = 0; i < 5; ++i) attempt("nobody:wrong password");
  EXPECT_EQ(attempt("nobody:wrong password").status, 429);
  EXPECT_EQ(SendAsUser("GET", "/v1/models").status, 200);
  clock.Advance(std::chrono::seconds(31));
  EXPECT_EQ(attempt("a.weber:correct horse battery").status, 200);
}

TEST_F(AuthenticationTest, ARememberedPasswordIsForgottenWhenItChanges) {
  const std::string header = Basic("a.weber:correct horse battery");
  EXPECT_EQ(Send(WithAuthorization(Request("GET", "/v1/models"), header)).status, 200);
  ASSERT_TRUE(credentials->PutUser("a.weber", {}, *HashUserPassword("another long password", kTestCost)).ok());
  EXPECT_EQ(Send(WithAuthorization(Request("GET", "/v1/models"), header)).status, 401);
}

TEST_F(AuthenticationTest, AFloodOfBadKeysFillsTheLogSlowly) {
  for (int i = 0; i < 500; ++i) {
    EXPECT_EQ(Send(WithAuthorization(Request("GET", "/v1/models"), "Bearer clk_" + std::to_string(i))).status, 401);
  }
  EXPECT_EQ(audit.records.size(), 50u);
  clock.Advance(std::chrono::seconds(1));
  Send(WithAuthorization(Request("GET", "/v1/models"), "Bearer x"));
  EXPECT_EQ(json::parse(audit.records.back().body_json())["suppressed_before"], 450);
}

TEST_F(AuthenticationTest, WhatWasTriedIsNotInTheLog) {
  Send(WithAuthorization(Request("GET", "/v1/models"), Basic("hunter2hunter2:x")));
  Send(WithAuthorization(Request("GET", "/v1/models"), "Bearer clk_secretsecret"));
  for (const auto& record : audit.records) {
    EXPECT_EQ(record.ShortDebugString().find("hunter2"), std::string::npos);
    EXPECT_EQ(record.ShortDebugString().find("secret"), std::string::npos);
  }
}

TEST_F(AuthenticationTest, OnlyTheOwnerOrRootIsTheLocalAdministrator) {
  EXPECT_EQ(SendAsOwner("GET", "/admin/v1/users").status, 200);
  HttpRequest request = Request("GET", "/admin/v1/users");
  request.local = true;
  request.peer_uid = 0;
  EXPECT_EQ(Send(request).status, 200);
  request.peer_uid = kOwnerUid + 1;
  EXPECT_EQ(Send(request).status, 401);
  request.peer_uid.reset();
  EXPECT_EQ(Send(request).status, 401);
  request.peer_uid = kOwnerUid;
  request.local = false;  // Not a Unix socket, whatever else it says.
  EXPECT_EQ(Send(request).status, 401);
}

TEST_F(AuthenticationTest, TheLocalAdministratorAsksAsNobodyInAGroup) {
  SendAsOwner("POST", "/v1/ask", R"({"question":"When?"})");
  v1::PrincipalAssertion assertion;
  ASSERT_TRUE(assertion.ParseFromString(retrieval.search.assertion().assertion()));
  EXPECT_EQ(assertion.user(), kLocalAdministrator);
  EXPECT_EQ(assertion.groups_size(), 0);
  EXPECT_FALSE(CheckName("user", assertion.user()).ok());  // No user can be named so.
}

TEST_F(AuthenticationTest, PagesOfOtherOriginsAreRefused) {
  HttpRequest request = WithAuthorization(Request("GET", "/v1/models"), "Bearer " + token);
  request.headers.emplace_back("host", "localhost:8443");
  request.headers.emplace_back("origin", "https://localhost:8443");
  EXPECT_EQ(Send(request).status, 200);
  request.headers.back().second = "https://evil.example";
  EXPECT_EQ(Send(request).status, 403);
}

TEST_F(OpenAiTest, ACompletionHasTheShapeClientsExpect) {
  const json reply = SendAsUser("POST", "/v1/chat/completions", Chat("When does the ward open?")).json();
  EXPECT_EQ(reply["object"], "chat.completion");
  EXPECT_TRUE(reply["id"].get<std::string>().starts_with("chatcmpl-"));
  EXPECT_EQ(reply["model"], "cloister");
  EXPECT_TRUE(reply["created"].is_number_integer());
  const json choice = reply["choices"][0];
  EXPECT_EQ(choice["index"], 0);
  EXPECT_EQ(choice["finish_reason"], "stop");
  EXPECT_EQ(choice["message"]["role"], "assistant");
  EXPECT_EQ(choice["message"]["content"], "The ward opens at nine.");
  const json citation = choice["message"]["annotations"][0];
  EXPECT_EQ(citation["type"], "url_citation");
  EXPECT_EQ(citation["url_citation"]["title"], "Visiting rules");
  EXPECT_EQ(citation["url_citation"]["start_index"], 0);
  EXPECT_EQ(citation["url_citation"]["end_index"], 23);
  EXPECT_EQ(reply["usage"]["total_tokens"], 57);
  EXPECT_EQ(reply["cloister"]["band"], "answer");
}

TEST_F(OpenAiTest, AStreamCarriesTheSameAndEndsWithDone) {
  const KeepingWriter reply = SendAsUser("POST", "/v1/chat/completions",
                                         Chat("When?", {{"stream", true}, {"stream_options", {{"include_usage", true}}}}));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.content_type, "text/event-stream");
  EXPECT_TRUE(reply.body.ends_with("data: [DONE]\n\n"));
  std::vector<json> events;
  for (size_t at = 0; (at = reply.body.find("data: {", at)) != std::string::npos; ++at) {
    events.push_back(json::parse(reply.body.substr(at + 6, reply.body.find("\n\n", at) - at - 6)));
  }
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[0]["choices"][0]["delta"]["role"], "assistant");
  EXPECT_EQ(events[1]["choices"][0]["delta"]["content"], "The ward opens at nine.");
  EXPECT_EQ(events[2]["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(events[2]["choices"][0]["delta"]["annotations"].size(), 1u);
  EXPECT_EQ(events[2]["cloister"]["quotes"].size(), 1u);
  EXPECT_EQ(events[3]["choices"], json::array());
  EXPECT_EQ(events[3]["usage"]["completion_tokens"], 0);
  for (const json& event : events) EXPECT_EQ(event["object"], "chat.completion.chunk");
}

TEST_F(OpenAiTest, PassagesThatMayHelpAreLabelledInTheContent) {
  generation.band = v1::BAND_MAY_HELP;
  const json message = SendAsUser("POST", "/v1/chat/completions", Chat("When?")).json()["choices"][0]["message"];
  const std::string content = message["content"];
  EXPECT_NE(content.find("not an answer"), std::string::npos);
  const json citation = message["annotations"][0]["url_citation"];
  EXPECT_EQ(content.substr(citation["start_index"], citation["end_index"].get<int>() - citation["start_index"].get<int>()),
            "The ward opens at nine.");
}

TEST_F(OpenAiTest, ModelsAreListedAndOthersNotFound) {
  EXPECT_EQ(SendAsUser("GET", "/v1/models").json()["data"][0]["id"], "cloister");
  EXPECT_EQ(SendAsUser("GET", "/v1/models/cloister").json()["object"], "model");
  const KeepingWriter missing = SendAsUser("GET", "/v1/models/gpt");
  EXPECT_EQ(missing.status, 404);
  const KeepingWriter reply = SendAsUser("POST", "/v1/chat/completions",
                                         R"({"model":"gpt","messages":[{"role":"user","content":"When?"}]})");
  EXPECT_EQ(reply.status, 404);
  EXPECT_EQ(reply.json()["error"]["code"], "model_not_found");
  EXPECT_EQ(reply.json()["error"]["type"], "invalid_request_error");
}

TEST_F(OpenAiTest, AQuestionOverTheLimitGets400WithTheLimit) {
  const KeepingWriter reply = SendAsUser("POST", "/v1/chat/completions", Chat(std::string(2049, 'x')));
  EXPECT_EQ(reply.status, 400);
  EXPECT_NE(reply.json()["error"]["message"].get<std::string>().find("2048"), std::string::npos);
  EXPECT_EQ(reply.json()["error"]["code"], "question_too_long");
  EXPECT_EQ(reply.json()["error"]["param"], "messages[0].content");
  EXPECT_EQ(SendAsUser("POST", "/v1/chat/completions", Chat(std::string(2048, 'x'))).status, 200);
}

TEST_F(OpenAiTest, WhatIsNotSupportedIsRefusedByName) {
  const std::vector<std::pair<std::string, json>> refused = {
      {"tools", json::array({{{"type", "function"}}})}, {"n", 2}, {"logprobs", true}, {"stop", "x"},
      {"response_format", {{"type", "json_object"}}}, {"modalities", {"audio"}}, {"audio", json::object({{"voice", "a"}})},
      {"tool_choice", "required"}, {"max_tokens", 0}, {"max_tokens", "many"}, {"stream", "yes"},
      {"cloister", {{"colection", "ward"}}}};
  for (const auto& [name, value] : refused) {
    const KeepingWriter reply = SendAsUser("POST", "/v1/chat/completions", Chat("When?", {{name, value}}));
    EXPECT_EQ(reply.status, 400) << name;
    EXPECT_TRUE(reply.json()["error"]["param"].is_string()) << name;
  }
  const json image = {{"model", "cloister"},
                      {"messages", {{{"role", "user"}, {"content", {{{"type", "image_url"}, {"image_url", json::object()}}}}}}}};
  EXPECT_EQ(SendAsUser("POST", "/v1/chat/completions", image.dump()).status, 400);
  EXPECT_TRUE(audit.records.empty());
}

TEST_F(OpenAiTest, SamplingParametersAndTextPartsAreTaken) {
  const json body = {{"model", "cloister"}, {"temperature", 0.3}, {"top_p", 1}, {"seed", 7}, {"user", "u"}, {"n", 1},
                     {"tools", json::array()}, {"stop", nullptr}, {"max_completion_tokens", 60},
                     {"messages", {{{"role", "system"}, {"content", "Be kind."}},
                                   {{"role", "user"}, {"content", {{{"type", "text"}, {"text", "When does it open?"}}}}}}}};
  EXPECT_EQ(SendAsUser("POST", "/v1/chat/completions", body.dump()).status, 200);
  EXPECT_EQ(generation.asked.question(), "When does it open?");
  EXPECT_EQ(generation.asked.words_max(), 45u);
}

TEST_F(OpenAiTest, MalformedBodiesAre400AndNeverCrash) {
  for (const char* body : {"{", "[]", "{}", "null", "\"x\"", R"({"model":"cloister"})", R"({"model":7,"messages":[]})",
                           R"({"model":"cloister","messages":[]})", R"({"model":"cloister","messages":"x"})",
                           R"({"model":"cloister","messages":[7]})", R"({"model":"cloister","messages":[{}]})",
                           R"({"model":"cloister","messages":[{"role":"user"}]})",
                           R"({"model":"cloister","messages":[{"role":"user","content":7}]})",
                           R"({"model":"cloister","messages":[{"role":"user","content":[7]}]})",
                           R"({"model":"cloister","messages":[{"role":"user","content":"  "}]})",
                           R"({"model":"cloister","messages":[{"role":"assistant","content":"x"}]})",
                           R"({"model":"cloister","messages":[{"role":"tool","content":"x"},{"role":"user","content":"x"}]})",
                           R"({"model":"cloister","model":"x","messages":[{"role":"user","content":"x"}]})",
                           R"({"model":"cloister","stream_options":3,"messages":[{"role":"user","content":"x"}]})",
                           R"({"model":"cloister","response_format":3,"messages":[{"role":"user","content":"x"}]})",
                           "{\"model\":\"cloister\",\"messages\":[{\"role\":\"user\",\"content\":\"\xff\"}]}",
                           R"({"model":"cloister","messages":[{"role":"user","content":"a\u0000b"}]})"}) {
    const KeepingWriter reply = SendAsUser("POST", "/v1/chat/completions", body);
    EXPECT_EQ(reply.status, 400) << body;
    EXPECT_TRUE(reply.json()["error"]["message"].is_string()) << body;
  }
  EXPECT_EQ(SendAsUser("POST", "/v1/chat/completions", std::string(100'000, '[')).status, 400);
}

TEST_F(OpenAiTest, OnlyJsonIsRead) {
  HttpRequest request = WithAuthorization(Request("POST", "/v1/ask"), "Bearer " + token);
  request.body = R"({"question":"When?"})";
  EXPECT_EQ(Send(request).status, 415);
  request.headers.emplace_back("content-type", "text/plain");
  EXPECT_EQ(Send(request).status, 415);
  request.headers.back().second = "Application/JSON; charset=utf-8";
  EXPECT_EQ(Send(request).status, 200);
}

TEST_F(OpenAiTest, EarlierTurnsAreNeverEvidence) {
  const json body = {{"model", "cloister"},
                     {"messages", {{{"role", "user"}, {"content", "When does the ward open?"}},
                                   {{"role", "assistant"}, {"content", "It opens at four in the morning."}},
                                   {{"role", "user"}, {"content", "And on Sundays?"}}}}};
  ASSERT_EQ(SendAsUser("POST", "/v1/chat/completions", body.dump()).status, 200);
  EXPECT_EQ(generation.asked.question(), "And on Sundays?");
  EXPECT_EQ(retrieval.search.question(), "When does the ward open? And on Sundays?");
  EXPECT_EQ(embedding.texts, (std::vector<std::string>{"When does the ward open? And on Sundays?"}));
  for (const auto& passage : generation.asked.passages()) EXPECT_EQ(passage.text(), FakeRetrieval::kText);
  EXPECT_NE(audit.records[0].sections(0).content_json().find("searched_for"), std::string::npos);
}

TEST_F(OpenAiTest, ALongLastQuestionStandsAlone) {
  const json body = {{"model", "cloister"},
                     {"messages", {{{"role", "user"}, {"content", "When does the ward open?"}},
                                   {{"role", "user"}, {"content", "What must visitors do before they enter a room?"}}}}};
  ASSERT_EQ(SendAsUser("POST", "/v1/chat/completions", body.dump()).status, 200);
  EXPECT_EQ(retrieval.search.question(), "What must visitors do before they enter a room?");
}

TEST_F(AdminTest, AUserIsMadeListedChangedAndRemoved) {
  const KeepingWriter made = SendAsOwner(
      "POST", "/admin/v1/users",
      R"({"name":"b.cole","groups":["ward","ward","lab"],"roles":["auditor"],"password":"a long password"})");
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(directory.users["b.cole"].groups_size(), 2);
  EXPECT_EQ(audit.Events(), std::vector<std::string>{"directory.changed"});
  EXPECT_EQ(audit.records[0].body_json().find("b.cole"), std::string::npos);
  EXPECT_EQ(SendAsOwner("POST", "/admin/v1/users", R"({"name":"b.cole"})").status, 409);
  const json users = SendAsOwner("GET", "/admin/v1/users").json()["users"];
  EXPECT_EQ(users[0]["name"], "b.cole");
  EXPECT_EQ(users[0]["password"], true);
  ASSERT_EQ(SendAsOwner("PUT", "/admin/v1/users/b.cole", R"({"groups":["lab"]})").status, 200);
  EXPECT_EQ(directory.users["b.cole"].groups_size(), 1);
  EXPECT_EQ(directory.users["b.cole"].roles(0), "auditor");  // Kept.
  ASSERT_EQ(SendAsOwner("PUT", "/admin/v1/users/b.cole", R"({"roles":[]})").status, 200);
  EXPECT_EQ(directory.users["b.cole"].groups(0), "lab");  // Kept.
  EXPECT_EQ(SendAsOwner("PUT", "/admin/v1/users/nobody", R"({"groups":[]})").status, 404);
  EXPECT_EQ(SendAsOwner("DELETE", "/admin/v1/users/b.cole").status, 200);
  EXPECT_EQ(SendAsOwner("DELETE", "/admin/v1/users/b.cole").status, 404);
  EXPECT_FALSE(directory.users.contains("b.cole"));
}

TEST_F(AdminTest, NothingChangesWhenTheAuditLogDoesNotAcknowledge) {
  audit.fail_all = true;
  EXPECT_EQ(SendAsOwner("POST", "/admin/v1/users", R"({"name":"b.cole"})").status, 503);
  EXPECT_EQ(SendAsOwner("DELETE", "/admin/v1/users/a.weber").status, 503);
  EXPECT_EQ(SendAsOwner("POST", "/admin/v1/keys", R"({"user":"a.weber"})").status, 503);
  EXPECT_EQ(SendAsOwner("PUT", "/admin/v1/collections/ward", R"({"reader_groups":["ward"]})").status, 503);
  EXPECT_TRUE(directory.users.empty());
  EXPECT_TRUE(directory.collections.empty());
  EXPECT_EQ(credentials->ListKeys().size(), 1u);
  EXPECT_TRUE(credentials->FindUser("a.weber").has_value());
}

TEST_F(AdminTest, AUserTheDirectoryDidNotTakeCannotLogIn) {
  directory.fail = true;
  EXPECT_EQ(SendAsOwner("POST", "/admin/v1/users", R"({"name":"b.cole","password":"a long password"})").status, 503);
  EXPECT_FALSE(credentials->FindUser("b.cole").has_value());
  directory.fail = false;
  EXPECT_EQ(SendAsOwner("POST", "/admin/v1/users", R"({"name":"b.cole","password":"a long password"})").status, 201);
}

TEST_F(AdminTest, AKeyIsShownOnceAndWorksUntilRevoked) {
  const json made = SendAsOwner("POST", "/admin/v1/keys", R"({"user":"a.weber","application":"desk"})").json();
  const std::string key = made["key"];
  EXPECT_EQ(Send(WithAuthorization(Request("GET", "/v1/models"), "Bearer " + key)).status, 200);
  const KeepingWriter list = SendAsOwner("GET", "/admin/v1/keys?user=a.weber");
  EXPECT_EQ(list.json()["keys"].size(), 2u);
  EXPECT_EQ(list.body.find(key.substr(21)), std::string::npos);
  EXPECT_EQ(SendAsOwner("DELETE", "/admin/v1/keys/" + made["id"].get<std::string>()).status, 200);
  EXPECT_EQ(Send(WithAuthorization(Request("GET", "/v1/models"), "Bearer " + key)).status, 401);
  EXPECT_EQ(SendAsOwner("DELETE", "/admin/v1/keys/" + made["id"].get<std::string>()).status, 404);
  EXPECT_EQ(SendAsOwner("POST", "/admin/v1/keys", R"({"user":"nobody"})").status, 404);
}

TEST_F(AdminTest, BadInputNamesTheField) {
  for (const auto& [method, path, body] : std::vector<std::tuple<std::string, std::string, std::string>>{
           {"POST", "/admin/v1/users", R"({"name":"A B"})"},
           {"POST", "/admin/v1/users", R"({"name":"b","groups":"x"})"},
           {"POST", "/admin/v1/users", R"({"name":"b","groups":["A"]})"},
           {"POST", "/admin/v1/users", R"({"name":"b","roles":["root"]})"},
           {"POST", "/admin/v1/users", R"({"name":"b","password":"short"})"},
           {"POST", "/admin/v1/users", R"({"name":"b","grups":[]})"},
           {"PUT", "/admin/v1/collections/A%20B", "{}"},
           {"PUT", "/admin/v1/collections/ward", R"({"reader_users":["local administrator"]})"},
           {"POST", "/admin/v1/jobs", R"({"folder":"relative","collection":"ward"})"},
           {"POST", "/admin/v1/jobs", R"({"folder":"/x"})"},
           {"GET", "/admin/v1/audit/entries?first=x", ""},
           {"GET", "/admin/v1/audit/entries?count=1001", ""},
           {"GET", "/admin/v1/audit/receipts/-1", ""}}) {
    const KeepingWriter reply = SendAsOwner(method, path, body);
    EXPECT_EQ(reply.status, 400) << path << body;
    EXPECT_TRUE(reply.json()["error"]["message"].is_string());
  }
  const json error = SendAsOwner("POST", "/admin/v1/users", R"({"name":"b","grups":[]})").json()["error"];
  EXPECT_NE(error["message"].get<std::string>().find("'groups'"), std::string::npos);
  EXPECT_TRUE(directory.users.empty());
}

TEST_F(AdminTest, RolesOpenOnlyTheirParts) {
  struct Row {
    const char* method;
    const char* path;
    const char* body;
    std::set<std::string> roles;  // Besides administrator.
  };
  const std::vector<Row> rows = {{"GET", "/admin/v1/users", "", {}},
                                 {"GET", "/admin/v1/keys", "", {}},
                                 {"GET", "/admin/v1/collections", "", {"knowledge-manager"}},
                                 {"PUT", "/admin/v1/collections/x", "{}", {"knowledge-manager"}},
                                 {"POST", "/admin/v1/jobs", R"({"folder":"/x","collection":"x"})", {"knowledge-manager"}},
                                 {"GET", "/admin/v1/audit/entries", "", {"auditor", "compliance"}},
                                 {"GET", "/admin/v1/audit/receipts/1", "", {"auditor", "compliance"}},
                                 {"POST", "/admin/v1/audit/export", "", {"auditor", "compliance"}},
                                 {"POST", "/admin/v1/erasures", R"({"subject":"p","dry_run":true})", {"compliance"}},
                                 {"GET", "/admin/v1/holds", "", {"compliance"}},
                                 {"GET", "/metrics", "", {"auditor"}}};
  for (const char* role : {"none", "administrator", "knowledge-manager", "auditor", "compliance"}) {
    std::set<std::string> roles;
    if (std::string(role) != "none") roles.insert(role);
    ASSERT_TRUE(credentials->PutUser("a.weber", roles, std::nullopt).ok());
    for (const Row& row : rows) {
      const bool allowed = std::string(role) == "administrator" || row.roles.contains(role);
      const int status = SendAsUser(row.method, row.path, row.body).status;
      EXPECT_EQ(status != 403, allowed) << role << " " << row.path;
      EXPECT_EQ(status < 300, allowed) << role << " " << row.path;
    }
  }
}

TEST_F(AdminTest, TheLogIsReadProvenExportedAndOpened) {
  ASSERT_EQ(SendAsUser("POST", "/v1/ask", R"({"question":"When?"})").status, 200);
  const json entries = SendAsOwner("GET", "/admin/v1/audit/entries?last=2").json();
  ASSERT_EQ(entries["entries"].size(), 2u);
  EXPECT_EQ(entries["entries"][1]["index"], 2);
  EXPECT_EQ(entries["entries"][1]["entry"]["event"], "ask.outcome");
  EXPECT_EQ(SendAsOwner("GET", "/admin/v1/audit/receipts/1").json()["receipt"], "c2sp.org/tlog-proof@v1\n");
  EXPECT_EQ(SendAsOwner("GET", "/admin/v1/audit/receipts/100").status, 503);
  const KeepingWriter opened =
      SendAsOwner("POST", "/admin/v1/audit/entries/1/unseal", R"({"reason":"complaint 17"})");
  EXPECT_EQ(opened.json()["sections"][0]["content"]["question"], "q");
  EXPECT_EQ(SendAsOwner("POST", "/admin/v1/audit/entries/1/unseal", "{}").status, 400);
}

TEST_F(AdminTest, AnEntryOfAFormerLogIsAskedForByItsGeneration) {
  EXPECT_EQ(SendAsOwner("GET", "/admin/v1/audit/entries?first=1&count=1").status, 200);
  EXPECT_EQ(audit.generation, 0u);
  EXPECT_EQ(SendAsOwner("GET", "/admin/v1/audit/entries?first=1&count=1&generation=2").status, 200);
  EXPECT_EQ(audit.generation, 2u);
  EXPECT_EQ(SendAsOwner("GET", "/admin/v1/audit/receipts/1?generation=3").status, 200);
  EXPECT_EQ(audit.generation, 3u);
  EXPECT_EQ(SendAsOwner("POST", "/admin/v1/audit/entries/1/unseal", R"({"reason":"complaint 17","generation":4})").status,
            200);
  EXPECT_EQ(audit.generation, 4u);
  EXPECT_EQ(SendAsOwner("GET", "/admin/v1/audit/entries?last=2&generation=1").status, 400);
  EXPECT_EQ(SendAsOwner("GET", "/admin/v1/audit/receipts/1?generation=x").status, 400);
  EXPECT_EQ(SendAsOwner("POST", "/admin/v1/audit/entries/1/unseal", R"({"reason":"complaint 17","generation":"1"})").status,
            400);
}

TEST_F(AdminTest, AnExportSaysWhetherItIsWhole) {
  const auto lines = [&] {
    std::vector<json> parsed;
    const std::string body = SendAsOwner("POST", "/admin/v1/audit/export").body;
    for (size_t at = 0; at < body.size();) {
      const size_t end = body.find('\n', at);
      parsed.push_back(json::parse(body.substr(at, end - at)));
      at = end + 1;
    }
    return parsed;
  };
  auto whole = lines();
  ASSERT_EQ(whole.size(), 4u);
  EXPECT_EQ(whole[0]["path"], "checkpoint");
  EXPECT_EQ(whole[0]["content"], Base64Encode("abc"));
  EXPECT_EQ(whole.back(), (json{{"end", true}, {"files", 2}, {"bytes", 6}}));
  audit.export_breaks = true;
  EXPECT_TRUE(lines().back().contains("error"));
}

TEST_F(AdminTest, JobsAreStartedAndShown) {
  const KeepingWriter started =
      SendAsOwner("POST", "/admin/v1/jobs", R"({"folder":"/srv/docs","collection":"ward","prune":true})");
  EXPECT_EQ(started.status, 202);
  EXPECT_TRUE(ingest.started.prune());
  EXPECT_EQ(ingest.started.requested_by(), kLocalAdministrator);
  const json job = SendAsOwner("GET", "/admin/v1/jobs/" + started.json()["id"].get<std::string>()).json();
  EXPECT_EQ(job["state"], "done");
  EXPECT_EQ(job["failures"][0]["reason"], "cut off");
  EXPECT_EQ(SendAsOwner("GET", "/admin/v1/jobs/" + std::string(32, '0')).status, 404);
  EXPECT_EQ(SendAsOwner("GET", "/admin/v1/jobs/nonsense").status, 404);
}

TEST_F(AdminTest, KeyringRoutesAreForAdministratorsAndCheckTheirFields) {
  EXPECT_EQ(SendAsUser("GET", "/admin/v1/keyring", "").status, 403);
  EXPECT_EQ(SendAsUser("POST", "/admin/v1/keyring/rotate", "").status, 403);
  EXPECT_EQ(SendAsUser("POST", "/admin/v1/keyring/escrow", R"({"copy":true})").status, 403);
  const std::string id(32, 'a'), key(64, 'b');
  const auto put = [&](const json& body) { return SendAsOwner("PUT", "/admin/v1/keyring/recovery", body.dump()).status; };
  EXPECT_EQ(put({{"set_id", "short"}, {"public_key", key}, {"threshold", 2}, {"shares", 3}}), 400);
  EXPECT_EQ(put({{"set_id", id}, {"public_key", id}, {"threshold", 2}, {"shares", 3}}), 400);
  EXPECT_EQ(put({{"set_id", id}, {"public_key", key}, {"threshold", 1}, {"shares", 3}}), 400);
  EXPECT_EQ(put({{"set_id", id}, {"public_key", key}, {"threshold", 2}, {"shares", 300}}), 400);
  EXPECT_EQ(put({{"set_id", id}, {"public_key", key}, {"threshold", 2}, {"shares", 3}, {"secret", "x"}}), 400);
  EXPECT_EQ(SendAsOwner("DELETE", "/admin/v1/keyring/recovery").status, 404);
}

TEST_F(AdminTest, StatusWorksWhenAServiceIsDownAndSaysWhatIsNotProtected) {
  const json status = SendAsOwner("GET", "/admin/v1/status").json();
  EXPECT_EQ(status["audit"]["verifier_key"], "log+00000000+key");
  EXPECT_TRUE(status["keyring"].is_null());  // The fixture has no keys service.
  EXPECT_EQ(status["models"]["embedder"]["name"], "fake-embedder");
  EXPECT_EQ(status["not_protected"].size(), 1u);
}

TEST_F(AdminTest, MetricsCountAndNameNobody) {
  SendAsUser("POST", "/v1/ask", R"({"question":"When?"})");
  const KeepingWriter reply = SendAsOwner("GET", "/metrics");
  EXPECT_NE(reply.body.find("cloister_asks_total{outcome=\"answer\"} 1"), std::string::npos);
  EXPECT_EQ(reply.body.find("weber"), std::string::npos);
}

TEST_F(AdminTest, UnknownRoutesAre404) {
  for (const char* path : {"/admin/v1/nothing", "/admin/v1/users/a/b", "/admin", "/v1/nothing", "/x"}) {
    EXPECT_EQ(SendAsOwner("GET", path).status, 404) << path;
  }
}

}  // namespace
}  // namespace cloister::services
