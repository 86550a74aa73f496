// SPDX-License-Identifier: Apache-2.0
#include "retrieval/retention.h"

#include <gtest/gtest.h>

#include <limits>

namespace cloister::retrieval {
namespace {

constexpr int64_t kDayNs = int64_t{24} * 3600 * 1'000'000'000;

TEST(RetentionTest, EachClassHasOneNameAndIsReadBackFromIt) {
  for (const char* name : {"shred", "keep", "keep-1-days", "keep-365-days", "keep-36500-days"}) {
    const auto retention = ParseRetention(name);
    ASSERT_TRUE(retention.ok()) << name;
    EXPECT_EQ(NameOf(*retention), name);
    EXPECT_TRUE(IsValid(*retention));
  }
  EXPECT_EQ(*ParseRetention(""), Retention());
  EXPECT_EQ(NameOf(Retention()), "shred");
}

TEST(RetentionTest, RefusesWhatIsNoClassAndSaysWhatThereIs) {
  for (const char* name :
       {"Keep", "keep-", "keep--days", "keep-0-days", "keep-36501-days", "keep-99999-days",
        "keep-100000-days", "keep-007-days", "keep--1-days", "keep-1-day", "keep-1.5-days", "keep-1-days ",
        " keep", "shred-1-days", "keep-days", "keep-18446744073709551617-days"}) {
    const auto retention = ParseRetention(name);
    EXPECT_EQ(retention.status().code(), StatusCode::kInvalidArgument) << name;
    EXPECT_NE(MessageOf(retention.status()).find("keep-N-days"), std::string::npos);
    EXPECT_NE(MessageOf(retention.status()).find("36500"), std::string::npos);
  }
  EXPECT_FALSE(IsValid({Retention::Kind::kKeepDays, 0}));
  EXPECT_FALSE(IsValid({Retention::Kind::kKeepDays, kRetentionDaysMax + 1}));
  EXPECT_FALSE(IsValid({Retention::Kind::kKeep, 1}));
  EXPECT_FALSE(IsValid({static_cast<Retention::Kind>(3), 1}));
}

TEST(RetentionTest, TimeBeginsWhenAVersionIsSuperseded) {
  const int64_t since = 1'900'000'000'000'000'000;
  EXPECT_EQ(EndOf(*ParseRetention("shred"), since), since);
  EXPECT_EQ(EndOf(*ParseRetention("keep"), since), std::nullopt);
  EXPECT_EQ(EndOf(*ParseRetention("keep-1-days"), since), since + kDayNs);
  EXPECT_EQ(EndOf(*ParseRetention("keep-36500-days"), since), since + 36'500 * kDayNs);
  EXPECT_GT(*EndOf(*ParseRetention("keep-36500-days"), since), since);  // It does not wrap.
  // What is not understood keeps.
  EXPECT_EQ(EndOf({static_cast<Retention::Kind>(7), 1}, since), std::nullopt);
}

}  // namespace
}  // namespace cloister::retrieval
