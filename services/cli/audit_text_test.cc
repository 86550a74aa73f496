// SPDX-License-Identifier: Apache-2.0
#include "services/cli/audit_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cloister::services {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kId(32, 'a');

json Release() {
  return {{"event", "ask.release"},
          {"time", "2026-11-22T18:07:09.082701004Z"},
          {"who", {{"kind", "user"}, {"pseudonym", "ce58195ca1f104b52832c13a7e6407d3"}}},
          {"subjects", json::array({"p"})},
          {"sections", json::array()},
          {"body",
           {{"ask", kId},
            {"passages", json::array({{{"document", "a"}, {"chunk", "1"}},
                                      {{"document", "a"}, {"chunk", "2"}},
                                      {{"document", "b"}, {"chunk", "3"}}})},
            {"place", {{"node_region", "local"}, {"zone", "ward"}}},
            {"roles", json::array()},
            {"withheld", 2}}}};
}

TEST(AuditTextTest, SaysWhatARecordSays) {
  const std::string text = EntryText("51", Release());
  EXPECT_THAT(text, HasSubstr("entry                 51\n"));
  EXPECT_THAT(text, HasSubstr("event                 ask.release\n"));
  EXPECT_THAT(text, HasSubstr("time                  2026-11-22T18:07:09Z, by this machine's clock\n"));
  EXPECT_THAT(text, HasSubstr("who                   user ce58195ca1f104b52832c13a7e6407d3 (a pseudonym)\n"));
  EXPECT_THAT(text, HasSubstr("data subjects         1\n"));
  EXPECT_THAT(text, HasSubstr("passages              3, of 2 documents\n"));
  EXPECT_THAT(text, HasSubstr("place node region     local\n"));
  EXPECT_THAT(text, HasSubstr("roles                 none\n"));
  EXPECT_THAT(text, HasSubstr("ask                   " + kId + "\n"));
}

TEST(AuditTextTest, LeavesIdsOutInBrief) {
  const std::string text = EntryBrief(51, Release(), 80);
  EXPECT_THAT(text, HasSubstr("51  2026-11-22T18:07:09Z  ask.release  user ce58195ca1f1\n"));
  EXPECT_THAT(text, HasSubstr("withheld 2"));
  EXPECT_THAT(text, Not(HasSubstr(kId)));
}

json Section(const std::string& kind, const std::string& subject, json content) {
  return {{"section_id", "s"},
          {"subject_kind", kind},
          {"subject", subject},
          {"content", std::move(content)},
          {"error", nullptr}};
}

json Quote(uint64_t number, const std::string& text) {
  return {{"number", number},
          {"text", text},
          {"version_id", "v"},
          {"start", 10 * number},
          {"end", 10 * number + 5}};
}

json Place(const std::string& document, uint64_t number) {
  return {{"document_id", document}, {"version_id", "v"}, {"start", 10 * number}, {"end", 10 * number + 5}};
}

const json kClosed = {{"section_id", "s"},
                      {"subject_kind", ""},
                      {"subject", ""},
                      {"content", nullptr},
                      {"error", "its key was destroyed"}};

TEST(AuditTextTest, PutsAnAnswerTogetherFromTheSectionsOfItsDocuments) {
  const json sections = {
      Section("user", "anna",
              {{"question", "When?"}, {"quotes", {Place("d1", 1), Place("d2", 2), Place("d1", 3)}}}),
      Section("document", "d1", {{"quotes", {Quote(1, "At nine."), Quote(3, "Not later.")}}}),
      Section("document", "d2", {{"quotes", json::array({Quote(2, "Every day.")})}})};
  EXPECT_EQ(UnsealedText(sections, 80),
            "user anna\n  question: When?\nquotes\n"
            "  1. At nine.\n     document d1, version v, bytes 10 to 15\n"
            "  2. Every day.\n     document d2, version v, bytes 20 to 25\n"
            "  3. Not later.\n     document d1, version v, bytes 30 to 35\n");
}

TEST(AuditTextTest, SaysWhereAQuoteStoodWhoseKeyWasDestroyed) {
  const json sections = {Section("user", "anna", {{"quotes", {Place("d1", 1), Place("d2", 2)}}}), kClosed,
                         Section("document", "d2", {{"quotes", json::array({Quote(2, "Every day.")})}})};
  const std::string text = UnsealedText(sections, 80);
  EXPECT_THAT(text, HasSubstr("stays closed: its key was destroyed\n"));
  EXPECT_THAT(text,
              HasSubstr("  1. closed: its key was destroyed\n     document d1, version v, bytes 10 to 15\n"));
  EXPECT_THAT(text, HasSubstr("  2. Every day.\n"));
}

TEST(AuditTextTest, ShowsWhatIsLeftWhenThePersonWasForgotten) {
  const std::string text = UnsealedText(
      {kClosed, Section("document", "d1", {{"quotes", json::array({Quote(1, "At \x1b[2Jnine.")})}})}, 80);
  EXPECT_THAT(text, HasSubstr("stays closed: its key was destroyed\n"));
  EXPECT_THAT(text, HasSubstr("  1. At [2Jnine.\n     document d1, version v, bytes 10 to 15\n"));
}

// A record is made by the appliance, but a value in it may come from outside.
TEST(AuditTextTest, IsHarmlessOnATerminal) {
  json record = Release();
  record["body"]["note"] = "\x1b[2J";
  record["event"] = json::array();
  record["who"] = "nobody";
  EXPECT_THAT(EntryText("1", record), Not(HasSubstr("\x1b")));
  EXPECT_THAT(EntryBrief(1, record, 80), Not(HasSubstr("\x1b")));
  EXPECT_THAT(EntryText("1", json::object()), HasSubstr("entry"));
  EXPECT_EQ(UnsealedText("no list", 80), "");
  EXPECT_EQ(UnsealedText(json::array({7}), 80), "");
}

}  // namespace
}  // namespace cloister::services
