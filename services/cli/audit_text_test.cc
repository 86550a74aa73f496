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
  const std::string text = EntryText(51, Release());
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

// A record is made by the appliance, but a value in it may come from outside.
TEST(AuditTextTest, IsHarmlessOnATerminal) {
  json record = Release();
  record["body"]["note"] = "\x1b[2J";
  record["event"] = json::array();
  record["who"] = "nobody";
  EXPECT_THAT(EntryText(1, record), Not(HasSubstr("\x1b")));
  EXPECT_THAT(EntryBrief(1, record, 80), Not(HasSubstr("\x1b")));
  EXPECT_THAT(EntryText(1, json::object()), HasSubstr("entry"));
}

}  // namespace
}  // namespace cloister::services
