// SPDX-License-Identifier: Apache-2.0
#include "retrieval/analyzer.h"

#include <gtest/gtest.h>

#include <thread>

namespace cloister::retrieval {
namespace {

using Terms = std::vector<std::string>;

class AnalyzerTest : public testing::Test {
 protected:
  AnalyzerTest() : analyzer_(*Analyzer::New()) {}
  std::unique_ptr<Analyzer> analyzer_;
};

TEST_F(AnalyzerTest, FoldsCaseAndStems) {
  EXPECT_EQ(analyzer_->Terms("Patients DISCLOSED disclosures"), (Terms{"patient", "disclos", "disclosur"}));
}

TEST_F(AnalyzerTest, KeepsNumbersWhole) {
  EXPECT_EQ(analyzer_->Terms("45 CFR 164.524(a)(1): 60 days"),
            (Terms{"45", "cfr", "164.524", "a", "1", "60", "day"}));
}

TEST_F(AnalyzerTest, FoldsLigaturesAndWidths) {
  EXPECT_EQ(analyzer_->Terms("of\xEF\xAC\x81"
                             "cial"),
            analyzer_->Terms("official"));  // U+FB01, as PDFs have it.
  EXPECT_EQ(analyzer_->Terms("\xEF\xBC\xA3\xEF\xBC\xA6\xEF\xBC\xB2"),
            analyzer_->Terms("CFR"));  // Full-width letters.
  EXPECT_EQ(analyzer_->Terms("STRASSE"), analyzer_->Terms("Stra\xC3\x9F"
                                                          "e"));
}

TEST_F(AnalyzerTest, QuestionsLoseFunctionWordsUnlessNothingIsLeft) {
  EXPECT_EQ(analyzer_->QuestionTerms("What is the dose of insulin?"), (Terms{"dose", "insulin"}));
  EXPECT_EQ(analyzer_->QuestionTerms("What is the"), (Terms{"what", "is", "the"}));
  EXPECT_TRUE(analyzer_->QuestionTerms("?!").empty());
}

TEST_F(AnalyzerTest, CutsLongWordsAtACharacter) {
  std::string word;
  for (int i = 0; i < 100; ++i) word += "\xD0\xB6";  // Two bytes each.
  const Terms terms = analyzer_->Terms("x" + word);
  ASSERT_EQ(terms.size(), 1u);
  EXPECT_LE(terms[0].size(), kTermBytesMax);
  EXPECT_EQ(terms[0].size() % 2, 1u);
}

TEST_F(AnalyzerTest, SurvivesWhatIsNotText) {
  EXPECT_TRUE(analyzer_->Terms("").empty());
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text = "word " + std::string(3, static_cast<char>(byte)) + " word";
    const Terms terms = analyzer_->Terms(text);
    ASSERT_GE(terms.size(), 2u) << byte;
    EXPECT_EQ(terms.front(), "word") << byte;
    EXPECT_EQ(terms.back(), "word") << byte;
  }
}

TEST_F(AnalyzerTest, ManyThreadsGetTheSameTerms) {
  const std::string text = "Each covered entity must provide 45 individuals with access to records";
  const Terms expected = analyzer_->Terms(text);
  std::vector<std::thread> threads;
  std::vector<int> wrong(4);
  for (size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 500; ++i) wrong[t] += analyzer_->Terms(text) != expected;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

}  // namespace
}  // namespace cloister::retrieval
