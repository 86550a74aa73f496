// SPDX-License-Identifier: Apache-2.0
#include "common/status.h"

#include <gtest/gtest.h>

#include <set>

namespace cloister {
namespace {

StatusOr<int> Half(int number) {
  if (number % 2 != 0) return InvalidArgument("odd");
  return number / 2;
}

StatusOr<int> Quarter(int number) {
  CLOISTER_ASSIGN_OR_RETURN(const int half, Half(number));
  CLOISTER_ASSIGN_OR_RETURN(const int quarter, Half(half));
  return quarter;
}

Status CheckQuarter(int number) {
  CLOISTER_RETURN_IF_ERROR(Quarter(number).status());
  return absl::OkStatus();
}

TEST(StatusTest, MacrosPassErrorsOnAndValuesThrough) {
  EXPECT_EQ(*Quarter(8), 2);
  EXPECT_EQ(Quarter(6).status(), InvalidArgument("odd"));
  EXPECT_EQ(CheckQuarter(7), InvalidArgument("odd"));
  EXPECT_TRUE(CheckQuarter(8).ok());
}

TEST(StatusTest, EveryCodeHasItsOwnName) {
  std::set<std::string_view> names;
  for (int code = 0; code <= 16; ++code) names.insert(CodeName(static_cast<StatusCode>(code)));
  EXPECT_EQ(names.size(), 17u);
  EXPECT_EQ(CodeName(StatusCode::kDataLoss), "DATA_LOSS");
}

TEST(StatusTest, AnnotateKeepsTheCodeAndLeavesSuccessAlone) {
  EXPECT_EQ(Annotate(DataLoss("damaged"), "keyring"), DataLoss("keyring: damaged"));
  EXPECT_TRUE(Annotate(absl::OkStatus(), "keyring").ok());
}

TEST(StatusDeathTest, ChecksEndTheProcessAndNameTheCondition) {
  CLOISTER_CHECK(1 + 1 == 2);
  EXPECT_DEATH(CLOISTER_CHECK(1 + 1 == 3), "status_test.cc:[0-9]+: check failed: 1 \\+ 1 == 3");
}

}  // namespace
}  // namespace cloister
