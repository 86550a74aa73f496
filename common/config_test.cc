// SPDX-License-Identifier: Apache-2.0
#include "common/config.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace cloister {
namespace {

const std::vector<ConfigKey>& Known() {
  static const std::vector<ConfigKey> known = {
      {"gateway.listen", std::string("127.0.0.1:8443"), "address and port"},
      {"gateway.question-bytes_max", int64_t{2048}, "bytes of a question", 16, 8192},
      {"gateway.tls", true, "whether to speak TLS"},
      {"retrieval.weight", 0.5, "share of the dense rank", 0, 1},
      {"ingest.types", std::vector<std::string>{"pdf"}, "file types"},
      {"free", int64_t{1}, "no bounds"},
  };
  return known;
}

std::string Refusal(std::string_view toml, const std::map<std::string, std::string>& environment = {}) {
  const Status status = Config::Parse(toml, Known(), environment).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << toml;
  return MessageOf(status);
}

TEST(ConfigTest, AnEmptyFileGivesTheDefaults) {
  const auto config = Config::Parse("", Known());
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->String("gateway.listen"), "127.0.0.1:8443");
  EXPECT_EQ(config->Int("gateway.question-bytes_max"), 2048);
  EXPECT_TRUE(config->Bool("gateway.tls"));
  EXPECT_EQ(config->Double("retrieval.weight"), 0.5);
  EXPECT_EQ(config->Strings("ingest.types"), std::vector<std::string>{"pdf"});
}

TEST(ConfigTest, TheFileWinsOverTheDefaults) {
  const auto config = Config::Parse(R"(
free = -7
[gateway]
listen = ""
question-bytes_max = 16
tls = false
[retrieval]
weight = 1
[ingest]
types = ["pdf", "md"]
)",
                                    Known());
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->Int("free"), -7);
  EXPECT_EQ(config->String("gateway.listen"), "");
  EXPECT_EQ(config->Int("gateway.question-bytes_max"), 16);
  EXPECT_FALSE(config->Bool("gateway.tls"));
  EXPECT_EQ(config->Double("retrieval.weight"), 1.0);  // A whole number is a number.
  EXPECT_EQ(config->Strings("ingest.types"), (std::vector<std::string>{"pdf", "md"}));
}

TEST(ConfigTest, ASectionWithNothingInItIsFine) {
  EXPECT_TRUE(Config::Parse("[gateway]\n# listen = \"x\"\n[ingest]\n", Known()).ok());
  EXPECT_EQ(Refusal("[gatewy]\n").find("line 1, column 1: unknown key 'gatewy'"), 0u);
}

TEST(ConfigTest, AnUnknownKeyNamesTheNearestWithLineAndColumn) {
  EXPECT_EQ(Refusal("[gateway]\nlisten_at = \"x\"\n"),
            "line 2, column 13: unknown key 'gateway.listen_at'; did you mean 'gateway.listen'?");
  EXPECT_NE(Refusal("[retrieval]\nweigth = 0.5\n").find("did you mean 'retrieval.weight'?"),
            std::string::npos);
  EXPECT_NE(Refusal("fre = 1\n").find("did you mean 'free'?"), std::string::npos);
  EXPECT_NE(Refusal("[gateway.listen]\nx = 1\n").find("'gateway.listen' must be a string"),
            std::string::npos);
}

TEST(ConfigTest, AWrongTypeNamesKeyAndTypeWithLineAndColumn) {
  const std::pair<const char*, const char*> cases[] = {
      {"[gateway]\nlisten = 8443\n", "line 2, column 10: 'gateway.listen' must be a string"},
      {"[gateway]\n\n  tls = \"yes\"\n", "line 3, column 9: 'gateway.tls' must be true or false"},
      {"free = 1.5\n", "line 1, column 8: 'free' must be a whole number"},
      {"free = \"1\"\n", "line 1, column 8: 'free' must be a whole number"},
      {"free = true\n", "line 1, column 8: 'free' must be a whole number"},
      {"[retrieval]\nweight = \"half\"\n", "line 2, column 10: 'retrieval.weight' must be a number"},
      {"[ingest]\ntypes = \"pdf\"\n", "line 2, column 9: 'ingest.types' must be a list of strings"},
      {"[ingest]\ntypes = [\"pdf\", 1]\n", "line 2, column 9: 'ingest.types' must be a list of strings"},
  };
  for (const auto& [toml, message] : cases) EXPECT_EQ(Refusal(toml), message);
}

TEST(ConfigTest, BoundsAreInclusiveAndNamed) {
  for (const char* good :
       {"[gateway]\nquestion-bytes_max = 16\n", "[gateway]\nquestion-bytes_max = 8192\n",
        "[retrieval]\nweight = 0.0\n", "[retrieval]\nweight = 1.0\n", "free = -9223372036854775808\n"}) {
    EXPECT_TRUE(Config::Parse(good, Known()).ok()) << good;
  }
  EXPECT_EQ(
      Refusal("[gateway]\nquestion-bytes_max = 15\n"),
      "line 2, column 22: 'gateway.question-bytes_max' must be between 16 and 8192 (bytes of a question)");
  Refusal("[gateway]\nquestion-bytes_max = 8193\n");
  Refusal("[retrieval]\nweight = 1.0000001\n");
  Refusal("[retrieval]\nweight = -0.1\n");
  Refusal("[retrieval]\nweight = nan\n");
  Refusal("[retrieval]\nweight = inf\n");
}

TEST(ConfigTest, WhatIsNotTomlIsRefusedWithLineAndColumn) {
  EXPECT_EQ(Refusal("[gateway]\nlisten = \n").find("line 2, column "), 0u);
  EXPECT_EQ(Refusal("free = 1\nfree = 2\n").find("line 2, column "), 0u);
  Refusal("free = 99999999999999999999\n");
  Refusal(std::string("free = \xff\n"));
}

TEST(ConfigTest, TheEnvironmentWinsOverTheFile) {
  const auto config = Config::Parse("free = 2\n[gateway]\nlisten = \"file\"\n", Known(),
                                    {{"CLOISTER_GATEWAY_LISTEN", "127.0.0.1:1 \"quoted\""},
                                     {"CLOISTER_GATEWAY_QUESTION_BYTES_MAX", "100"},
                                     {"CLOISTER_GATEWAY_TLS", "false"},
                                     {"CLOISTER_RETRIEVAL_WEIGHT", "0.25"},
                                     {"CLOISTER_INGEST_TYPES", "[\"md\"]"},
                                     {"CLOISTER_SOMETHING_ELSE", "not a key of the file"}});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->String("gateway.listen"), "127.0.0.1:1 \"quoted\"");
  EXPECT_EQ(config->Int("gateway.question-bytes_max"), 100);
  EXPECT_FALSE(config->Bool("gateway.tls"));
  EXPECT_EQ(config->Double("retrieval.weight"), 0.25);
  EXPECT_EQ(config->Strings("ingest.types"), std::vector<std::string>{"md"});
  EXPECT_EQ(config->Int("free"), 2);
}

TEST(ConfigTest, AWrongVariableIsNamed) {
  EXPECT_EQ(Refusal("", {{"CLOISTER_FREE", "many"}}),
            "environment variable CLOISTER_FREE: 'free' must be a whole number");
  EXPECT_EQ(Refusal("", {{"CLOISTER_GATEWAY_QUESTION_BYTES_MAX", "1"}}),
            "environment variable CLOISTER_GATEWAY_QUESTION_BYTES_MAX: 'gateway.question-bytes_max' must be "
            "between "
            "16 and 8192 (bytes of a question)");
  for (const char* bad : {"", "\"1\"", "1.0", "1\nw = 2", "1 # comment\n[x]\ny=1"})
    Refusal("", {{"CLOISTER_FREE", bad}});
}

TEST(ConfigDeathTest, AskingForAnUnknownKeyOrAnotherTypeIsAProgrammerError) {
  const auto config = Config::Parse("", Known());
  ASSERT_TRUE(config.ok());
  EXPECT_DEATH(config->Int("nowhere"), "check failed");
  EXPECT_DEATH(config->Int("gateway.listen"), "check failed");
  EXPECT_DEATH(config->String("free"), "check failed");
}

TEST(CloisterEnvironmentTest, HoldsOurVariablesOnly) {
  ASSERT_EQ(::setenv("CLOISTER_TEST_VARIABLE", "a=b", 1), 0);
  const auto environment = CloisterEnvironment();
  EXPECT_EQ(environment.at("CLOISTER_TEST_VARIABLE"), "a=b");
  for (const auto& [name, value] : environment) EXPECT_TRUE(name.starts_with("CLOISTER_")) << name;
  ::unsetenv("CLOISTER_TEST_VARIABLE");
  EXPECT_FALSE(CloisterEnvironment().contains("CLOISTER_TEST_VARIABLE"));
}

TEST(NearestNameTest, HasTheLeastEditDistance) {
  const std::vector<std::string> names = {"alpha", "beta", "gamma"};
  EXPECT_EQ(NearestName("alpa", names), "alpha");
  EXPECT_EQ(NearestName("betaa", names), "beta");
  EXPECT_EQ(NearestName("gxmma", names), "gamma");
  EXPECT_EQ(NearestName("", names), "beta");
  EXPECT_EQ(NearestName("alpha", {}), "");
}

}  // namespace
}  // namespace cloister
