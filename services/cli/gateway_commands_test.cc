// SPDX-License-Identifier: Apache-2.0
// The commands that talk to gateway, over a real HTTP server that answers with what each test lays out.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <map>
#include <mutex>
#include <sstream>

#include "common/bytes.h"
#include "common/file.h"
#include "services/cli/commands.h"
#include "services/cli/gateway_client.h"
#include "services/cli/terminal_text.h"
#include "services/http/http_server.h"

namespace cloister::services {
namespace {

using nlohmann::json;

class GatewayCommandsTest : public ::testing::Test {
 protected:
  GatewayCommandsTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "cloister-cli-XXXXXX").string();
    data_ = ::mkdtemp(pattern.data());
    std::filesystem::create_directories(data_ / "run");
    key_file_ = data_ / "key";
    std::ofstream(key_file_) << "clk_test\n";
    ::chmod(key_file_.c_str(), 0600);
  }
  ~GatewayCommandsTest() override {
    server_.reset();
    std::filesystem::remove_all(data_);
  }
  void Serve() {
    HttpServerOptions options;
    options.socket = data_ / "run" / "gateway-http.sock";
    auto server = HttpServer::Start(options, [this](const HttpRequest& request, HttpWriter& writer) {
      std::lock_guard lock(mutex_);
      requests_.push_back(request);
      const auto found = replies_.find(request.method + " " + request.path);
      if (found == replies_.end()) return writer.Send({404, "application/json", R"({"error":{"message":"no"}})", {}});
      if (!found->second.stream) return writer.Send({found->second.status, "application/json", found->second.body, {}});
      writer.StartStream({});
      // Pieces that do not end where lines do.
      for (size_t at = 0; at < found->second.body.size(); at += 7) writer.Write(found->second.body.substr(at, 7));
    });
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  int Run(std::vector<std::string> arguments) {
    CLI::App app("cloister");
    app.require_subcommand(1);
    out_.str("");
    error_.str("");
    CliContext context(out_, error_);
    context.data_flag = data_.string();
    for (auto add : {AddAskCommands, AddSearchCommands, AddIngestCommands, AddUserCommands, AddKeyCommands,
                     AddCollectionCommands, AddAuditCommands, AddEraseCommands, AddVersionsCommands}) {
      add(app, context);
    }
    std::reverse(arguments.begin(), arguments.end());
    try {
      app.parse(arguments);
    } catch (const CLI::ParseError& parse_error) {
      return parse_error.get_exit_code() == 0 ? kExitOk : kExitUsage;
    }
    return context.command();
  }
  int Ask(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments{"ask", "When?", "--key-file", key_file_.string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Run(arguments);
  }
  // What was printed, however its lines were broken.
  std::string Squeezed() const {
    std::string squeezed;
    for (const char c : out_.str()) {
      const bool space = c == ' ' || c == '\n';
      if (!space || squeezed.empty() || squeezed.back() != ' ') squeezed.push_back(space ? ' ' : c);
    }
    return squeezed;
  }
  json Body(size_t index) { return json::parse(requests_.at(index).body); }

  struct Reply {
    int status = 200;
    std::string body;
    bool stream = false;
  };
  static Reply Ok(const json& body) { return {200, body.dump(), false}; }

  std::filesystem::path data_, key_file_;
  std::mutex mutex_;
  std::map<std::string, Reply> replies_;
  std::vector<HttpRequest> requests_;
  std::unique_ptr<HttpServer> server_;
  std::ostringstream out_, error_;
};

const json kQuote{{"text", "The ward opens at nine."}, {"title", "Visiting rules"}, {"collection", "ward"},
                  {"source", "visiting.pdf"}, {"section", {"Hours"}}, {"page_first", 2}, {"page_last", 2},
                  {"start", 100}, {"end", 123}, {"effective_from", "2025-01-01"}};
const json kAnswer{{"band", "answer"}, {"answer", "The ward opens at nine."}, {"quotes", {kQuote}},
                   {"confidence_band", "high"}, {"records", {{"intent", 1}, {"release", 2}, {"outcome", 3}}},
                   {"timing", {{"total_us", 1234567}}}};

TEST_F(GatewayCommandsTest, WithoutAnApplianceSaysWhatToDo) {
  EXPECT_EQ(Run({"user", "list"}), kExitFailed);
  EXPECT_NE(error_.str().find("cloister up"), std::string::npos);
  // A socket that nobody listens on any more.
  Serve();
  server_.reset();
  EXPECT_EQ(Run({"user", "list"}), kExitFailed);
  EXPECT_NE(error_.str().find("cloister up"), std::string::npos);
}

TEST_F(GatewayCommandsTest, AskShowsQuotesAndWhereTheyStand) {
  replies_["POST /v1/ask"] = Ok(kAnswer);
  Serve();
  EXPECT_EQ(Ask({"--timing", "--purpose", "TREAT", "--collection", "ward"}), kExitOk);
  for (const char* piece : {"The ward opens at nine.", "Visiting rules, page 2, Hours.", "ward/visiting.pdf",
                            "characters 100-123", "in force from 2025-01-01", "Records 1, 2, 3. Confidence high.",
                            "1234.6 ms"}) {
    EXPECT_NE(Squeezed().find(piece), std::string::npos) << piece << "\n" << out_.str();
  }
  EXPECT_EQ(**requests_[0].Header("authorization"), "Bearer clk_test");
  EXPECT_EQ(**requests_[0].Header("x-cloister-purpose"), "TREAT");
  EXPECT_EQ(Body(0)["collection"], "ward");
}

TEST_F(GatewayCommandsTest, AskNeverCallsPassagesThatMayHelpAnAnswer) {
  json reply = kAnswer;
  reply["band"] = "may_help";
  replies_["POST /v1/ask"] = Ok(reply);
  Serve();
  EXPECT_EQ(Ask(), kExitOk);
  EXPECT_NE(Squeezed().find("not an answer"), std::string::npos);
}

TEST_F(GatewayCommandsTest, AskShowsARefusalWithTitles) {
  replies_["POST /v1/ask"] = Ok({{"band", "refusal"}, {"answer", "The documents you may see do not answer this."},
                                 {"nearest_titles", {{{"title", "Fire"}, {"collection", "ward"}, {"source", "f.txt"}}}}});
  Serve();
  EXPECT_EQ(Ask(), kExitOk);
  EXPECT_NE(out_.str().find("do not answer this."), std::string::npos);
  EXPECT_NE(out_.str().find("Fire. ward/f.txt"), std::string::npos);
}

TEST_F(GatewayCommandsTest, AskPrintsJsonForPrograms) {
  replies_["POST /v1/ask"] = Ok(kAnswer);
  Serve();
  EXPECT_EQ(Ask({"--json"}), kExitOk);
  EXPECT_EQ(json::parse(out_.str()), kAnswer);
}

TEST_F(GatewayCommandsTest, AskNeedsSomebody) {
  Serve();
  EXPECT_EQ(Run({"ask", "When?"}), kExitFailed);
  EXPECT_NE(error_.str().find("--key-file"), std::string::npos);
  EXPECT_TRUE(requests_.empty());
}

TEST_F(GatewayCommandsTest, AKeyFileOthersMayReadIsRefused) {
  Serve();
  ::chmod(key_file_.c_str(), 0644);
  EXPECT_EQ(Ask(), kExitFailed);
  EXPECT_NE(error_.str().find("chmod"), std::string::npos);
  EXPECT_TRUE(requests_.empty());
}

TEST_F(GatewayCommandsTest, APasswordComesFromAFile) {
  replies_["POST /v1/ask"] = Ok(kAnswer);
  Serve();
  EXPECT_EQ(Run({"ask", "When?", "--user", "a.weber", "--password-file", key_file_.string()}), kExitOk);
  EXPECT_EQ(**requests_[0].Header("authorization"), "Basic " + Base64Encode("a.weber:clk_test"));
}

TEST_F(GatewayCommandsTest, WhatGatewayRefusesIsSaid) {
  replies_["POST /v1/ask"] = {401, R"({"error":{"message":"the credentials are not valid"}})", false};
  Serve();
  EXPECT_EQ(Ask(), kExitFailed);
  EXPECT_NE(error_.str().find("the credentials are not valid"), std::string::npos);
  replies_["POST /v1/ask"] = {500, "not json", false};
  EXPECT_EQ(Ask(), kExitFailed);
  EXPECT_NE(error_.str().find("500"), std::string::npos);
  replies_["POST /v1/ask"] = {200, "not json", false};
  EXPECT_EQ(Ask(), kExitFailed);
}

TEST_F(GatewayCommandsTest, ADocumentCannotRepaintTheTerminal) {
  json reply = kAnswer;
  reply["quotes"][0]["text"] = "safe \x1b]0;title\x07\x1b[2J\xc2\x9b" "31m \xe2\x80\xae" "text";
  replies_["POST /v1/ask"] = Ok(reply);
  Serve();
  EXPECT_EQ(Ask(), kExitOk);
  for (const char* harmful : {"\x1b", "\x07", "\xc2\x9b", "\xe2\x80\xae"}) {
    EXPECT_EQ(out_.str().find(harmful), std::string::npos);
  }
}

TEST_F(GatewayCommandsTest, IngestFollowsTheJobAndListsFailures) {
  const json done{{"id", "ab"}, {"state", "done"}, {"collection", "ward"}, {"files_found", 9}, {"files_done", 1},
                  {"files_unchanged", 7}, {"files_failed", 1}, {"chunks", 12}, {"bytes", 1500},
                  {"failures", {{{"source", "bad.pdf"}, {"reason", "cut off"}}}}};
  replies_["POST /admin/v1/jobs"] = {202, R"({"id":"ab","state":"running"})", false};
  replies_["GET /admin/v1/jobs/ab"] = Ok(done);
  Serve();
  EXPECT_EQ(Run({"ingest", "/srv/docs", "--collection", "ward", "--prune"}), kExitFailed);  // One file failed.
  EXPECT_NE(out_.str().find("ward: 9 files: 1 added or changed, 7 unchanged, 1 failed; 12 chunks, 1.5 kB"),
            std::string::npos)
      << out_.str();
  EXPECT_NE(error_.str().find("bad.pdf: cut off"), std::string::npos);
  EXPECT_EQ(Body(0), (json{{"folder", "/srv/docs"}, {"collection", "ward"}, {"prune", true}}));
  json clean = done;
  clean["files_failed"] = 0;
  clean["failures"] = json::array();
  replies_["GET /admin/v1/jobs/ab"] = Ok(clean);
  EXPECT_EQ(Run({"ingest", "/srv/docs", "--collection", "ward"}), kExitOk);
  clean["state"] = "failed";
  clean["error"] = "the collection does not exist";
  replies_["GET /admin/v1/jobs/ab"] = Ok(clean);
  EXPECT_EQ(Run({"ingest", "/srv/docs", "--collection", "ward"}), kExitFailed);
  EXPECT_NE(error_.str().find("does not exist"), std::string::npos);
}

TEST_F(GatewayCommandsTest, UserAddChangesOneThatIsThere) {
  replies_["POST /admin/v1/users"] = {409, R"({"error":{"message":"there"}})", false};
  replies_["PUT /admin/v1/users/a.weber"] = Ok({{"name", "a.weber"}, {"groups", {"ward"}}, {"roles", json::array()}});
  Serve();
  EXPECT_EQ(Run({"user", "add", "a.weber", "--group", "ward", "--group", "lab"}), kExitOk);
  EXPECT_EQ(Body(1)["groups"], (json{"ward", "lab"}));
  EXPECT_FALSE(Body(1).contains("password"));
}

TEST_F(GatewayCommandsTest, AKeyIsPrintedAlone) {
  replies_["POST /admin/v1/keys"] = {201, R"({"key":"clk_1_2","id":"1"})", false};
  Serve();
  EXPECT_EQ(Run({"key", "create", "a.weber"}), kExitOk);
  EXPECT_EQ(out_.str(), "clk_1_2\n");
  EXPECT_EQ(Run({"key", "create", "--user", "a.weber"}), kExitOk);
  EXPECT_EQ(Body(1)["user"], "a.weber");
}

TEST_F(GatewayCommandsTest, CollectionPutSetsReaders) {
  replies_["PUT /admin/v1/collections/ward"] = {201, R"({"name":"ward","created":true,"reader_groups":["a","b"]})", false};
  Serve();
  EXPECT_EQ(Run({"collection", "put", "ward", "--reader-group", "a", "--reader-group", "b"}), kExitOk);
  EXPECT_EQ(Body(0)["reader_groups"], (json{"a", "b"}));
  EXPECT_NE(out_.str().find("ward made: readers a, b"), std::string::npos);
}

TEST_F(GatewayCommandsTest, ARetentionClassIsSentWhenItIsGivenAndShown) {
  const json ward{{"name", "ward"}, {"retention", "keep-365-days"}};
  replies_["PUT /admin/v1/collections/ward"] = Ok(ward);
  replies_["GET /admin/v1/collections"] = Ok({{"collections", {ward}}});
  Serve();
  EXPECT_EQ(Run({"collection", "put", "ward", "--retention", "keep-365-days"}), kExitOk);
  EXPECT_EQ(Body(0)["retention"], "keep-365-days");
  EXPECT_NE(out_.str().find("former versions: keep-365-days"), std::string::npos);
  EXPECT_EQ(Run({"collection", "put", "ward", "--reader-group", "a"}), kExitOk);
  EXPECT_FALSE(Body(1).contains("retention"));  // Left out it stays.
  EXPECT_EQ(Run({"collection", "list"}), kExitOk);
  EXPECT_NE(out_.str().find("keep-365-days"), std::string::npos);
}

TEST_F(GatewayCommandsTest, VersionsAreListedByNameOrId) {
  const std::string former(32, 'f');
  replies_["GET /admin/v1/versions"] = Ok(
      {{"document", std::string(32, 'd')},
       {"collection", "ward"},
       {"source", "a.md"},
       {"versions",
        {{{"version", std::string(32, 'c')}, {"current", true}, {"stored_at", "2026-11-22T12:00:00Z"}, {"text_bytes", 9}},
         {{"version", former}, {"current", false}, {"superseded_at", "2026-11-22T12:00:00Z"}, {"deleted", true},
          {"kept_until", "2027-11-22T12:00:00Z"}, {"text_bytes", 8}},
         {{"version", former}, {"current", false}, {"kept_until", nullptr}}}}});
  Serve();
  EXPECT_EQ(Run({"versions", "list", "ward", "dir/a.md", "--origin", "/srv"}), kExitOk);
  EXPECT_EQ(requests_[0].query.at("collection"), "ward");
  EXPECT_EQ(requests_[0].query.at("source"), "dir/a.md");
  EXPECT_EQ(requests_[0].query.at("origin"), "/srv");
  for (const char* piece : {"document dddddddddddddddddddddddddddddddd", "current", "(deleted)",
                            "until 2027-11-22T12:00:00", "for good"}) {
    EXPECT_NE(out_.str().find(piece), std::string::npos) << piece;
  }
  EXPECT_NE(out_.str().find(former), std::string::npos);
  EXPECT_EQ(Run({"versions", "list", "--id", "00ff"}), kExitOk);
  EXPECT_EQ(requests_[1].query.at("id"), "00ff");
  EXPECT_EQ(Run({"versions", "list", "ward"}), kExitFailed);
  EXPECT_NE(error_.str().find("--id"), std::string::npos);
  EXPECT_EQ(requests_.size(), 2u);
}

TEST_F(GatewayCommandsTest, AVersionIsReadWithAReasonAndPrintedHarmlessly) {
  replies_["POST /admin/v1/versions/read"] = Ok({{"title", "T"}, {"text", "One.\n\nTwo\x1b[2J.\n"}, {"audit_index", 7}});
  Serve();
  EXPECT_EQ(Run({"versions", "read", "dd", "ff"}), kExitUsage);
  EXPECT_TRUE(requests_.empty());
  EXPECT_EQ(Run({"versions", "read", "dd", "ff", "--reason", "complaint 17"}), kExitOk);
  EXPECT_EQ(Body(0), (json{{"document", "dd"}, {"version", "ff"}, {"reason", "complaint 17"}}));
  EXPECT_EQ(out_.str(), "One.\n\nTwo[2J.\n");
}

TEST_F(GatewayCommandsTest, AnswersAffectedNamesTheVersionsInFull) {
  const std::string document(32, 'd'), one(32, '1'), two(32, '2');
  const auto release = [&](int index, const std::string& version) {
    return json{{"index", index}, {"user", "a.weber"}, {"versions", {{{"document", document}, {"version", version}}}}};
  };
  replies_["POST /admin/v1/answers-affected"] =
      Ok({{"releases", {release(9, one), release(5, two), release(2, one)}}, {"total", 3}, {"recipients", 1}});
  Serve();
  EXPECT_EQ(Run({"answers", "affected", "ward", "a.md"}), kExitOk);
  EXPECT_NE(Squeezed().find(document + " " + one + " 2"), std::string::npos) << out_.str();
  EXPECT_NE(Squeezed().find(document + " " + two + " 1"), std::string::npos);
  EXPECT_NE(out_.str().find("cloister versions read"), std::string::npos);
}

// A record of a former log is named as `cloister audit` takes it, and what was not read is said.
TEST_F(GatewayCommandsTest, AnswersAffectedSaysWhichLogARecordIsOfAndWhatOfTheOthersIsMissing) {
  const auto release = [&](int generation, int index) {
    return json{{"generation", generation}, {"index", index}, {"user", "a.weber"}};
  };
  replies_["POST /admin/v1/answers-affected"] =
      Ok({{"releases", {release(3, 41), release(1, 7)}}, {"total", 2}, {"recipients", 1}, {"generation", 3},
          {"former_logs", {{{"generation", 1}, {"problem", nullptr}},
                           {{"generation", 2}, {"problem", "is not on this disk"}}}}});
  Serve();
  EXPECT_EQ(Run({"answers", "affected", "ward", "a.md"}), kExitOk);
  EXPECT_NE(Squeezed().find(" 41 - a.weber"), std::string::npos) << Squeezed();
  EXPECT_NE(Squeezed().find(" 1/7 - a.weber"), std::string::npos) << Squeezed();
  EXPECT_NE(Squeezed().find("the log of generation 2 is not on this disk"), std::string::npos) << Squeezed();
  EXPECT_EQ(Squeezed().find("generation 1 "), std::string::npos) << Squeezed();
}

std::string ExportLine(const std::string& path, uint64_t offset, const std::string& content) {
  return json{{"path", path}, {"offset", offset}, {"content", Base64Encode(content)}}.dump() + "\n";
}

TEST_F(GatewayCommandsTest, AnExportIsWrittenWhole) {
  replies_["POST /admin/v1/audit/export"] = {
      200,
      ExportLine("checkpoint", 0, "abc") + ExportLine("tile/0/x001/000", 0, "de") +
          ExportLine("tile/0/x001/000", 2, "f") + R"({"end":true,"files":2,"bytes":6})" "\n",
      true};
  Serve();
  ASSERT_EQ(Run({"audit", "export", (data_ / "out").string()}), kExitOk) << error_.str();
  EXPECT_EQ(*ReadFile(data_ / "out" / "checkpoint", 100), "abc");
  EXPECT_EQ(*ReadFile(data_ / "out" / "tile" / "0" / "x001" / "000", 100), "def");
  EXPECT_EQ(Run({"audit", "export", (data_ / "out").string()}), kExitFailed);  // Not empty any more.
}

TEST_F(GatewayCommandsTest, AnExportThatIsNotWholeOrLeavesItsFolderFails) {
  const std::string end = R"({"end":true,"files":1,"bytes":3})" "\n";
  int number = 0;
  for (const std::string& body :
       {ExportLine("checkpoint", 0, "abc"), ExportLine("checkpoint", 0, "ab") + end,
        ExportLine("checkpoint", 0, "abc") + R"({"end":true,"files":2,"bytes":3})" "\n",
        ExportLine("checkpoint", 1, "abc") + end, ExportLine("../out", 0, "abc") + end,
        ExportLine("/tmp/out", 0, "abc") + end, ExportLine("a/../../b", 0, "abc") + end, ExportLine("", 0, "abc") + end,
        ExportLine("a\nb", 0, "abc") + end, ExportLine("a", 0, "ab") + ExportLine("a", 0, "c") + end,
        std::string("nonsense\n"), std::string(R"({"error":{"message":"broke"}})" "\n"), std::string()}) {
    replies_["POST /admin/v1/audit/export"] = {200, body, true};
    if (server_ == nullptr) Serve();
    EXPECT_EQ(Run({"audit", "export", (data_ / ("x" + std::to_string(number++))).string()}), kExitFailed) << body;
  }
  EXPECT_FALSE(std::filesystem::exists(data_ / "out"));
  EXPECT_FALSE(std::filesystem::exists(data_ / "b"));
}

TEST_F(GatewayCommandsTest, AuditShowsProvesAndOpens) {
  replies_["GET /admin/v1/audit/entries"] =
      Ok({{"entries", {{{"index", 7}, {"entry", {{"event", "ask.intent"}, {"time", "2026-11-22T13:40:25.0Z"}}},
                        {"canonical", "{}"}}}}, {"size", 8}});
  replies_["GET /admin/v1/audit/receipts/7"] = Ok({{"receipt", "c2sp.org/tlog-proof@v1\n"}});
  replies_["GET /admin/v1/status"] = Ok({{"audit", {{"verifier_key", "log+0+k"}}}});
  replies_["POST /admin/v1/audit/entries/7/unseal"] =
      Ok({{"sections", {{{"subject_kind", "user"}, {"subject", "a.weber"}, {"content", {{"question", "When?"}}},
                         {"error", nullptr}}}}, {"audit_index", 9}});
  Serve();
  EXPECT_EQ(Run({"audit", "show", "--last", "3"}), kExitOk);
  EXPECT_EQ(requests_.back().query["last"], "3");
  EXPECT_NE(out_.str().find("7  2026-11-22T13:40:25Z  ask.intent"), std::string::npos);
  EXPECT_EQ(Run({"audit", "show", "7", "--json"}), kExitOk);
  EXPECT_EQ(requests_.back().query["first"], "7");
  EXPECT_EQ(json::parse(out_.str())["index"], 7);
  EXPECT_EQ(Run({"audit", "receipt", "7", "--out", (data_ / "receipt").string()}), kExitOk);
  EXPECT_EQ(*ReadFile(data_ / "receipt", 1000), "c2sp.org/tlog-proof@v1\n");
  EXPECT_EQ(Run({"audit", "key"}), kExitOk);
  EXPECT_EQ(out_.str(), "log+0+k\n");
  EXPECT_EQ(Run({"audit", "unseal", "7", "--reason", "complaint 17"}), kExitOk);
  EXPECT_NE(out_.str().find("question: When?"), std::string::npos);
  EXPECT_NE(out_.str().find("entry 9 of the log"), std::string::npos);
  EXPECT_EQ(Run({"audit", "unseal", "7"}), kExitUsage);
}

TEST_F(GatewayCommandsTest, AnEntryOfAFormerLogIsNamedByGenerationAndIndex) {
  replies_["GET /admin/v1/audit/entries"] =
      Ok({{"entries", {{{"index", 7}, {"entry", {{"event", "ask.intent"}}}, {"canonical", "{}"}}}}, {"size", 8}});
  replies_["GET /admin/v1/audit/receipts/7"] = Ok({{"receipt", "c2sp.org/tlog-proof@v1\n"}});
  replies_["POST /admin/v1/audit/entries/7/unseal"] = Ok({{"sections", json::array()}, {"audit_index", 9}});
  Serve();
  EXPECT_EQ(Run({"audit", "show", "2/7"}), kExitOk);
  EXPECT_EQ(requests_.back().query["first"], "7");
  EXPECT_EQ(requests_.back().query["generation"], "2");
  EXPECT_NE(out_.str().find("cloister audit show 2/7 --json"), std::string::npos);
  EXPECT_EQ(Run({"audit", "receipt", "2/7"}), kExitOk);
  EXPECT_EQ(requests_.back().query["generation"], "2");
  EXPECT_EQ(Run({"audit", "unseal", "2/7", "--reason", "complaint 17"}), kExitOk);
  EXPECT_EQ(json::parse(requests_.back().body), (json{{"reason", "complaint 17"}, {"generation", 2}}));
  const size_t asked = requests_.size();
  for (const char* bad : {"2/", "/7", "0/7", "2/7/1", "x", "-1", "7x"}) {
    EXPECT_EQ(Run({"audit", "receipt", bad}), kExitUsage) << bad;
  }
  EXPECT_EQ(requests_.size(), asked);
}

TEST(TerminalTextTest, WrapsAtSpacesAndCountsCharacters) {
  EXPECT_EQ(Wrap("one two three four", 14, "  "), "  one two\n  three four\n");
  EXPECT_EQ(Bullet("one two three four", 16), "  - one two\n    three four\n");
  EXPECT_EQ(Wrap("ééé ééé ééé", 13, "  "), "  ééé ééé ééé\n");
  EXPECT_EQ(Wrap("a-word-longer-than-the-line b", 12, ""), "a-word-longer-than-the-line\nb\n");
}

TEST(TerminalTextTest, PrintableKeepsTextAndDropsControls) {
  EXPECT_EQ(Printable("é 漢字 😀\n\tx"), "é 漢字 😀  x");
  EXPECT_EQ(Printable("a\x1b[1mb\x7f\xff"), "a[1mb?");
}

TEST(TerminalTextTest, SizesAndTimesAreForPeople) {
  EXPECT_EQ(HumanBytes(999), "999 B");
  EXPECT_EQ(HumanBytes(1'500'000), "1.5 MB");
  EXPECT_EQ(HumanSeconds(3.44), "3.4 s");
  EXPECT_EQ(HumanSeconds(65), "1 min 5 s");
}

TEST(GatewayClientTest, SegmentsOfPathsAreEncoded) { EXPECT_EQ(PathSegment("a/b c@d.e"), "a%2Fb%20c%40d.e"); }

}  // namespace
}  // namespace cloister::services
