// SPDX-License-Identifier: Apache-2.0
#include "inference/expected_answer.h"

#include <gtest/gtest.h>

namespace cloister::inference {
namespace {

TEST(ExpectedAnswerTest, TellsWhatAQuestionAsksFor) {
  for (const char* question :
       {"How long must gloves be kept?", "how soon do we have to tell the family",
        "How often is the fridge checked?", "Within what time must a unit of red cells be finished?",
        "How many days of leave are there?", "Since when does the rule apply?",
        "Until when may visitors stay?", "What is the deadline for appeals?",
        "What time does the night shift start?", "On which date did the policy change?",
        "How far back does the record reach?", "What is the time limit for complaints?"}) {
    EXPECT_EQ(ExpectedAnswerOf(question), ExpectedAnswer::kTime) << question;
  }
  for (const char* question :
       {"How many beds are there?", "Up to how much is paid?", "How old must a donor be?",
        "What is the highest dose?", "At what temperature is the vaccine kept?",
        "What percentage is paid for night work?", "What allowance is paid for night work?"}) {
    EXPECT_EQ(ExpectedAnswerOf(question), ExpectedAnswer::kAmount) << question;
  }
  for (const char* question : {"", "how", "Who signs the form?", "What counts as an incident?",
                               "How do I reverse a list?", "When may the door stay open?",
                               "Show me how far the corridor goes", "Which kind of plan is exempt?"}) {
    EXPECT_EQ(ExpectedAnswerOf(question), ExpectedAnswer::kAny) << question;
  }
}

TEST(ExpectedAnswerTest, FindsTimes) {
  for (const char* text : {"within 60 calendar days of discovery", "a 12-month period", "three weeks after",
                           "is checked every shift", "It shall apply from 25 May 2018.",
                           "notify without undue delay", "at 14:30 on weekdays", "reviewed annually",
                           "in force since 2019", "one month of receipt", "Report at once."}) {
    EXPECT_TRUE(Holds(ExpectedAnswer::kTime, text)) << text;
  }
  for (const char* text :
       {"", "paragraph (3) applies", "20 people were there", "5. The officer shall be bound by secrecy",
        "under Article 42", "May they do so?", "one of the days"}) {
    EXPECT_FALSE(Holds(ExpectedAnswer::kTime, text)) << text;
  }
}

TEST(ExpectedAnswerTest, FindsAmounts) {
  for (const char* text :
       {"more than 20,000 people", "up to 4 %", "$5 million or less", "twenty-five percent",
        "\xE2\x82\xAC"
        "40 a night",
        "twice the amount", "at least 16 years old", "a 10-position number", "between 2 and 8 degrees"}) {
    EXPECT_TRUE(Holds(ExpectedAnswer::kAmount, text)) << text;
  }
  // Numbers that point at other text count nothing.
  for (const char* text :
       {"", "2. The officer reports to the board.", "as set out in Article 6", "under 45 CFR",
        "as in 42 U.S.C. 1320d", "sections 4 and 5 apply", "\xC2\xA7 164.404 or 164.410",
        "under paragraph (3)", "no one may enter", "(2) The first copy is free."}) {
    EXPECT_FALSE(Holds(ExpectedAnswer::kAmount, text)) << text;
  }
}

TEST(ExpectedAnswerTest, AnyTextWillDoForOtherQuestions) { EXPECT_TRUE(Holds(ExpectedAnswer::kAny, "")); }

// Bytes as they come: no crash, and never a time or an amount in what has no digit or word for one.
TEST(ExpectedAnswerTest, TakesAnyBytes) {
  uint32_t state = 1;
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (int i = 0; i < 24; ++i) {
      state = state * 1664525u + 1013904223u;
      text.push_back(static_cast<char>(state >> 24));
    }
    ExpectedAnswerOf(text);
    Holds(ExpectedAnswer::kAmount, text);
    Holds(ExpectedAnswer::kTime, text);
  }
  EXPECT_FALSE(Holds(ExpectedAnswer::kAmount, std::string(64, '\xC2')));
}

}  // namespace
}  // namespace cloister::inference
