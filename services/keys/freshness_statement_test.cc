// SPDX-License-Identifier: Apache-2.0
#include "services/keys/freshness_statement.h"

#include <gtest/gtest.h>

#include "common/bytes.h"
#include "common/document_example.h"

namespace cloister::services {
namespace {

FreshnessStatement Example() {
  FreshnessStatement statement;
  statement.appliance = *DatabaseId::FromBytes(std::string(16, '\xb0'));
  statement.number = 42;
  statement.keyring = 117;
  statement.made_ns = 1795355627000000000;
  statement.counter = "01810022";
  statement.count = 9;
  statement.stores[{"audit", "sections"}] = {*DatabaseId::FromBytes(std::string(16, '\x01')), 1234};
  statement.stores[{"retrieval", "db"}] = {*DatabaseId::FromBytes(std::string(16, '\x02')), 0};
  statement.log = FreshLog{"clinic/main/1", 789, std::string(32, '\x7f')};
  return statement;
}

TEST(FreshnessStatementTest, SaysWhatItWasMadeFrom) {
  for (const bool with_counter : {true, false}) {
    for (const bool with_log : {true, false}) {
      FreshnessStatement statement = Example();
      if (!with_counter) statement.counter.clear(), statement.count = 0;
      if (!with_log) statement.log.reset();
      const auto parsed = ParseStatementText(StatementText(statement));
      ASSERT_TRUE(parsed.ok()) << parsed.status();
      EXPECT_EQ(*parsed, statement);
    }
  }
}

TEST(FreshnessStatementTest, TheDocumentsExampleIsReproduced) {
  const auto example = DocumentExample(CLOISTER_SOURCE_DIR "/docs/formats/freshness.md", "freshness");
  ASSERT_FALSE(example.empty());
  std::string note;
  const std::string& written = example.at("note");
  for (size_t i = 0; i < written.size(); ++i) {
    const bool line_break = written.substr(i, 2) == "\\n";
    note += line_break ? '\n' : written[i];
    i += line_break ? 1 : 0;
  }
  const auto signer =
      audit::NoteSigner::New(FreshnessKeyName(Example().appliance), ExampleBytes(example, "seed"));
  ASSERT_TRUE(signer.ok()) << signer.status();
  EXPECT_EQ(signer->verifier_key(), example.at("verifier_key"));
  EXPECT_EQ(signer->Sign(StatementText(Example())), note);
}

// Whatever is not the one spelling of a statement is damage: no line may be dropped, doubled, moved or
// written otherwise.
TEST(FreshnessStatementTest, OneSpellingAlone) {
  const std::string text = StatementText(Example());
  for (size_t length = 0; length < text.size(); ++length) {
    const auto shorter = ParseStatementText(text.substr(0, length));
    // Without its last whole lines it is another statement, which the signature keeps apart.
    EXPECT_EQ(shorter.ok(), length >= text.find("counter") && text[length - 1] == '\n') << length;
    EXPECT_FALSE(shorter.ok() && *shorter == Example()) << length;
  }
  const auto with = [&](std::string_view from, std::string_view to) {
    std::string out = text;
    out.replace(out.find(from), from.size(), to);
    return out;
  };
  for (const std::string& bad :
       {text + "\n", text + "more 1\n", with("number 42", "number 042"), with("number 42", "number +42"),
        with("number 42", "number 42 "), with("number 42\n", "number 42\nnumber 42\n"),
        with("number 42\n", ""), with("keyring 117\n", ""), with("b0b0", "B0B0"),
        with("audit/sections", "audit/Sections"), with("audit/sections", "sections"),
        with("log clinic", "log clin ic"), with(" 789 ", " -1 ")}) {
    EXPECT_EQ(ParseStatementText(bad).status().code(), StatusCode::kDataLoss) << bad;
  }
  const size_t first = text.find("store"), second = text.find("store", first + 1), log = text.find("log");
  const std::string exchanged = text.substr(0, first) + text.substr(second, log - second) +
                                text.substr(first, second - first) + text.substr(log);
  EXPECT_EQ(ParseStatementText(exchanged).status().code(), StatusCode::kDataLoss);
}

TEST(FreshnessStatementTest, ALaterFormatIsNamed) {
  const auto later = ParseStatementText("cloister/freshness/v2\n");
  EXPECT_EQ(later.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(MessageOf(later.status()).find("v2"), std::string::npos);
}

}  // namespace
}  // namespace cloister::services
