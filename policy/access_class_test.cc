// SPDX-License-Identifier: Apache-2.0
#include "policy/access_class.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <sstream>

#include "common/bytes.h"
#include "policy/principal.h"

namespace cloister::policy {
namespace {

AccessClass Example() {
  AccessClass access_class;
  access_class.collection = "ward";
  access_class.reader_groups = {"nurses", "doctors"};
  access_class.reader_users = {"a.weber"};
  access_class.regions = {"local"};
  access_class.purposes = {"TREAT", "HOPERAT"};
  access_class.on_hold = true;
  return access_class;
}

TEST(AccessClassTest, RoundTrips) {
  const auto normalised = Normalised(Example());
  ASSERT_TRUE(normalised.ok());
  const auto parsed = ParseAccessClass(Serialise(*normalised));
  ASSERT_TRUE(parsed.ok()) << MessageOf(parsed.status());
  EXPECT_EQ(*parsed, *normalised);
}

TEST(AccessClassTest, SameClassHasSameBytesWhateverTheOrder) {
  std::mt19937 random(7);
  const std::string expected = Serialise(*Normalised(Example()));
  for (int i = 0; i < 200; ++i) {
    AccessClass shuffled = Example();
    for (auto* list :
         {&shuffled.reader_groups, &shuffled.reader_users, &shuffled.regions, &shuffled.purposes}) {
      list->push_back((*list)[random() % list->size()]);
      std::shuffle(list->begin(), list->end(), random);
    }
    EXPECT_EQ(Serialise(*Normalised(shuffled)), expected);
  }
}

TEST(AccessClassTest, EveryFieldChangesTheBytes) {
  const AccessClass base = *Normalised(Example());
  std::vector<AccessClass> others(7, base);
  others[0].collection = "other";
  others[1].reader_groups = {"nurses"};
  others[2].reader_users = {};
  others[3].classification = "secret";
  others[4].regions = {};
  others[5].purposes = {"TREAT"};
  others[6].on_hold = false;
  for (const AccessClass& other : others) EXPECT_NE(Serialise(other), Serialise(base));
}

TEST(AccessClassTest, RefusesEmptyAndOverlongNames) {
  for (const std::string& name : {std::string(), std::string(kNameBytesMax + 1, 'x')}) {
    AccessClass access_class = Example();
    access_class.reader_groups.push_back(name);
    EXPECT_EQ(Normalised(access_class).status().code(), StatusCode::kInvalidArgument);
    access_class = Example();
    access_class.collection = name;
    EXPECT_EQ(Normalised(access_class).status().code(), StatusCode::kInvalidArgument);
  }
  AccessClass longest = Example();
  longest.reader_users = {std::string(kNameBytesMax, 'x')};
  EXPECT_TRUE(Normalised(longest).ok());
}

TEST(AccessClassTest, RefusesUnknownFormatVersion) {
  std::string bytes = Serialise(*Normalised(Example()));
  bytes[0] = 2;
  const auto parsed = ParseAccessClass(bytes);
  EXPECT_EQ(parsed.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(MessageOf(parsed.status()).find("version 2"), std::string::npos);
}

TEST(AccessClassTest, RefusesEveryTruncationAndExtension) {
  const std::string bytes = Serialise(*Normalised(Example()));
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(ParseAccessClass(bytes.substr(0, size)).status().code(), StatusCode::kDataLoss) << size;
  }
  EXPECT_EQ(ParseAccessClass(bytes + std::string(1, '\0')).status().code(), StatusCode::kDataLoss);
}

TEST(AccessClassTest, RefusesWhatIsNotInNormalForm) {
  AccessClass unsorted = *Normalised(Example());
  std::reverse(unsorted.reader_groups.begin(), unsorted.reader_groups.end());
  EXPECT_EQ(ParseAccessClass(Serialise(unsorted)).status().code(), StatusCode::kDataLoss);
  std::string bytes = Serialise(*Normalised(Example()));
  bytes[1] = 2;
  EXPECT_EQ(ParseAccessClass(bytes).status().code(), StatusCode::kDataLoss);
}

// The worked example of the format's document is what this build writes and reads.
TEST(AccessClassTest, DocumentedExampleHolds) {
  std::ifstream file(std::string(CLOISTER_SOURCE_DIR) + "/docs/formats/access-class.md");
  ASSERT_TRUE(file.good());
  std::string hex, line;
  bool inside = false;
  while (std::getline(file, line)) {
    if (line.rfind("```", 0) == 0) {
      inside = line == "```hex example";
      continue;
    }
    if (!inside) continue;
    std::istringstream words(line.substr(0, line.find('#')));
    for (std::string word; words >> word;) hex += word;
  }
  const auto bytes = HexDecode(hex);
  ASSERT_TRUE(bytes.ok());
  const auto parsed = ParseAccessClass(*bytes);
  ASSERT_TRUE(parsed.ok()) << MessageOf(parsed.status());
  EXPECT_EQ(*parsed, *Normalised(Example()));
  EXPECT_EQ(HexEncode(Serialise(*parsed)), hex);
}

}  // namespace
}  // namespace cloister::policy
