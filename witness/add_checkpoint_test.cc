// SPDX-License-Identifier: Apache-2.0
#include "witness/add_checkpoint.h"

#include <gtest/gtest.h>

#include <string>

namespace cloister::witness {
namespace {

// The example of the specification, with one signature.
constexpr std::string_view kExample =
    "old 20852014\n"
    "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n"
    "jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n"
    "5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n"
    "/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n"
    "\n"
    "example.com/behind-the-sofa\n"
    "20852163\n"
    "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    "\n"
    "\xe2\x80\x94 example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";

TEST(AddCheckpointTest, ReadsAndWritesTheExample) {
  const auto request = ParseAddCheckpoint(kExample);
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->old_size, 20852014u);
  EXPECT_EQ(request->proof.size(), 4u);
  EXPECT_EQ(Serialise(*request), kExample);
}

TEST(AddCheckpointTest, EveryTruncationOfItsHeadIsRefused) {
  const size_t head = kExample.find("example.com");
  for (size_t length = 0; length <= head; ++length) {
    EXPECT_FALSE(ParseAddCheckpoint(kExample.substr(0, length)).ok()) << length;
  }
}

TEST(AddCheckpointTest, OnlyTheExactFormIsTaken) {
  const std::string hash = "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n";
  std::string many = "old 1\n";
  for (size_t i = 0; i <= kProofHashesMax; ++i) many += hash;
  for (const std::string& body :
       {std::string(), std::string("old\n\nx\n"), std::string("old 01\n\nx\n"), std::string("old -1\n\nx\n"),
        std::string("old 1 \n\nx\n"), std::string("OLD 1\n\nx\n"), std::string("old 1\n"), std::string("old 1\n\n"),
        "old 1\r\n\nx\n" + std::string(), "old 1\n" + hash, "old 1\nAAAA\n\nx\n" + std::string(),
        "old 99999999999999999999\n\nx\n" + std::string(), many + "\nx\n",
        "old 1\n\n" + std::string(kAddCheckpointBytesMax, 'x')}) {
    EXPECT_EQ(ParseAddCheckpoint(body).status().code(), StatusCode::kInvalidArgument) << body.substr(0, 40);
  }
}

TEST(AddCheckpointTest, ReadsTheSizeOfAConflict) {
  EXPECT_EQ(*ParseSizeAnswer("17\n"), 17u);
  for (const std::string_view body : {"", "17", "17\n\n", "x\n", "017\n"}) {
    EXPECT_EQ(ParseSizeAnswer(body).status().code(), StatusCode::kDataLoss) << body;
  }
}

}  // namespace
}  // namespace cloister::witness
