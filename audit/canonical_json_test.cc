// SPDX-License-Identifier: Apache-2.0
#include "audit/canonical_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace cloister::audit {
namespace {

using ::testing::HasSubstr;

TEST(CanonicalJsonTest, SortsKeysAndDropsWhiteSpace) {
  EXPECT_EQ(*CanonicalJson(" { \"b\" : [ 1 , \"x\" ] ,\n\t\"a\": {} , \"B\":-7, \"_\":[]} "),
            "{\"B\":-7,\"_\":[],\"a\":{},\"b\":[1,\"x\"]}");
}

TEST(CanonicalJsonTest, WritesStringsWithTheShortestEscapes) {
  EXPECT_EQ(*CanonicalJson("\"\\u0041\\u00e9\\/\\u0000\\u001F\\b\\f\\n\\r\\t\\\\\\\"\\u007f\\ud83d\\ude00\""),
            "\"A\xc3\xa9/\\u0000\\u001f\\b\\f\\n\\r\\t\\\\\\\"\x7f\xf0\x9f\x98\x80\"");
}

TEST(CanonicalJsonTest, IsItsOwnCanonicalForm) {
  const std::string once = *CanonicalJson("{\"z\":[{\"y\":\"\\u20ac\"},[],-0],\"a\":9007199254740991}");
  EXPECT_EQ(*CanonicalJson(once), once);
  EXPECT_EQ(once, "{\"a\":9007199254740991,\"z\":[{\"y\":\"\xe2\x82\xac\"},[],0]}");
}

TEST(CanonicalJsonTest, TakesIntegersThatEveryLanguageHoldsExactly) {
  EXPECT_TRUE(CanonicalJson("9007199254740991").ok());
  EXPECT_TRUE(CanonicalJson("-9007199254740991").ok());
  for (const char* text : {"9007199254740992", "-9007199254740992", "18446744073709551616", "1e3", "1.0",
                           "0.5", "-0.0", "123456789012345678901234567890"}) {
    const Status status = CanonicalJson(text).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(MessageOf(status), HasSubstr("string")) << text;
  }
}

TEST(CanonicalJsonTest, RefusesWhatAnAuditRecordNeedsNoneOf) {
  for (const char* text : {"null", "true", "false", "{\"a\":null}", "[true]"}) {
    EXPECT_EQ(CanonicalJson(text).status().code(), StatusCode::kInvalidArgument) << text;
  }
}

TEST(CanonicalJsonTest, NamesTheKeyAtFaultAndNoContent) {
  const Status status = CanonicalJson("{\"outer\":{\"score\":0.5,\"name\":\"Jane Roe\"}}").status();
  EXPECT_THAT(MessageOf(status), HasSubstr("outer.score"));
  const Status broken = CanonicalJson("{\"name\":\"Jane Roe\", nonsense").status();
  EXPECT_EQ(broken.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(MessageOf(broken), Not(HasSubstr("Jane")));
}

TEST(CanonicalJsonTest, RefusesBadKeys) {
  for (const char* text :
       {"{\"\":1}", "{\"a\":1,\"a\":2}", "{\"\xc3\xa9\":1}", "{\"a\\n\":1}", "{\"\\u0061\":1,\"a\":1}"}) {
    EXPECT_EQ(CanonicalJson(text).status().code(), StatusCode::kInvalidArgument) << text;
  }
  EXPECT_TRUE(CanonicalJson("{\"" + std::string(kJsonKeyBytesMax, 'k') + "\":1}").ok());
  EXPECT_FALSE(CanonicalJson("{\"" + std::string(kJsonKeyBytesMax + 1, 'k') + "\":1}").ok());
}

TEST(CanonicalJsonTest, RefusesWhatIsNotJsonInUtf8) {
  for (const char* text : {"", "{", "[1,]", "{\"a\" 1}", "1 2", "\"\xff\"", "\"\xed\xa0\x80\"", "\"\\ud800\"",
                           "'a'", "\"tab\there\"", "// c\n1", "\xef\xbb\xbf\xef\xbb\xbf{}"}) {
    EXPECT_EQ(CanonicalJson(text).status().code(), StatusCode::kInvalidArgument) << text;
  }
}

TEST(CanonicalJsonTest, BoundsDepthAndLength) {
  const auto nested = [](int depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(CanonicalJson(nested(kJsonDepthMax)).ok());
  EXPECT_THAT(MessageOf(CanonicalJson(nested(kJsonDepthMax + 1)).status()), HasSubstr("deeper"));
  EXPECT_FALSE(CanonicalJson(nested(100'000)).ok());
  EXPECT_TRUE(CanonicalJson("\"" + std::string(kJsonBytesMax - 2, 'x') + "\"").ok());
  EXPECT_FALSE(CanonicalJson("\"" + std::string(kJsonBytesMax - 1, 'x') + "\"").ok());
}

TEST(CanonicalJsonTest, AnObjectMayBeAskedFor) {
  EXPECT_TRUE(CanonicalJsonObject("{}").ok());
  EXPECT_EQ(CanonicalJsonObject("[]").status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(CanonicalJsonObject("\"{\"").status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace cloister::audit
