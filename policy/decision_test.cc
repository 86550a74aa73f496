// SPDX-License-Identifier: Apache-2.0
#include "policy/decision.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

namespace cloister::policy {
namespace {

constexpr int64_t kNow = 1'000'000'000;

ClassId MakeClassId(uint32_t n) {
  std::string bytes(kIdBytes, '\0');
  for (int i = 0; i < 4; ++i) bytes[static_cast<size_t>(i)] = static_cast<char>(n >> (8 * i));
  bytes[15] = 1;
  return *ClassId::FromBytes(bytes);
}

Principal Nurse() {
  Principal principal;
  principal.user = "a.weber";
  principal.groups = {"nurses"};
  principal.purpose = "TREAT";
  principal.not_after_ns = kNow + 1;
  return principal;
}

AccessClass ReadableBy(std::vector<std::string> groups, std::vector<std::string> users) {
  AccessClass access_class;
  access_class.collection = "ward";
  access_class.reader_groups = std::move(groups);
  access_class.reader_users = std::move(users);
  return access_class;
}

bool Permitted(const Principal& principal, const AccessClass& access_class,
               Environment environment = {.now_ns = kNow}) {
  return Decide(principal, {{MakeClassId(1), access_class}}, environment).Permits(MakeClassId(1));
}

TEST(DecisionTest, DeniesByDefault) {
  EXPECT_FALSE(Permitted(Nurse(), ReadableBy({}, {})));
  EXPECT_FALSE(Permitted(Nurse(), ReadableBy({"doctors"}, {"b.kern"})));
  Principal stranger;
  stranger.not_after_ns = kNow + 1;
  EXPECT_FALSE(Permitted(stranger, ReadableBy({"nurses"}, {"a.weber"})));
  EXPECT_FALSE(Decide(Nurse(), {}, {.now_ns = kNow}).Permits(MakeClassId(1)));
}

TEST(DecisionTest, PermitsReadersAndNamesTheRule) {
  const auto by_group =
      Decide(Nurse(), {{MakeClassId(1), ReadableBy({"doctors", "nurses"}, {})}}, {.now_ns = kNow});
  ASSERT_TRUE(by_group.Permits(MakeClassId(1)));
  EXPECT_EQ(by_group.permitted.at(MakeClassId(1)).policy, "reader-group");
  const auto by_user =
      Decide(Nurse(), {{MakeClassId(1), ReadableBy({"nurses"}, {"a.weber"})}}, {.now_ns = kNow});
  EXPECT_EQ(by_user.permitted.at(MakeClassId(1)).policy, "reader-user");
  EXPECT_FALSE(by_user.policy_version.empty());
}

TEST(DecisionTest, AnEmptyUserNameMatchesNobody) {
  Principal nobody = Nurse();
  nobody.user.clear();
  nobody.groups.clear();
  EXPECT_FALSE(Permitted(nobody, ReadableBy({}, {""})));
}

TEST(DecisionTest, ExpiredAssertionDeniesEverything) {
  const AccessClass open = ReadableBy({"nurses"}, {"a.weber"});
  EXPECT_TRUE(Permitted(Nurse(), open, {.now_ns = kNow}));
  EXPECT_FALSE(Permitted(Nurse(), open, {.now_ns = kNow + 1}));
  EXPECT_FALSE(Permitted(Nurse(), open, {.now_ns = kNow + 1'000'000}));
  Principal never = Nurse();
  never.not_after_ns = 0;
  EXPECT_FALSE(Permitted(never, open));
}

TEST(DecisionTest, RegionAndPurposeLimit) {
  AccessClass limited = ReadableBy({"nurses"}, {});
  limited.regions = {"de", "fr"};
  EXPECT_FALSE(Permitted(Nurse(), limited));
  EXPECT_TRUE(Permitted(Nurse(), limited, {.now_ns = kNow, .node_region = "fr"}));
  limited.regions.clear();
  limited.purposes = {"HPAYMT"};
  EXPECT_FALSE(Permitted(Nurse(), limited));
  limited.purposes = {"HPAYMT", "TREAT"};
  EXPECT_TRUE(Permitted(Nurse(), limited));
}

TEST(DecisionTest, HoldDoesNotHide) {
  AccessClass held = ReadableBy({"nurses"}, {});
  held.on_hold = true;
  EXPECT_TRUE(Permitted(Nurse(), held));
}

TEST(DecisionTest, DecisionEndsWithTheAssertion) {
  EXPECT_EQ(Decide(Nurse(), {}, {.now_ns = kNow}).not_after_ns, kNow + 1);
}

// Properties over random worlds: a decision about one class depends on nothing but the principal, that class
// and the environment, in whatever order names were written; it equals a plain set-based statement of the
// rule.
TEST(DecisionTest, PropertiesHoldOverRandomWorlds) {
  std::mt19937 random(20'261'122);
  const std::vector<std::string> names = {"a", "b", "c", "d", "e"};
  const auto some = [&](uint32_t one_in) {
    std::vector<std::string> out;
    for (const auto& name : names) {
      if (random() % one_in == 0) out.push_back(name);
    }
    std::shuffle(out.begin(), out.end(), random);
    return out;
  };
  for (int trial = 0; trial < 5'000; ++trial) {
    Principal principal = Nurse();
    principal.user = names[random() % names.size()];
    principal.groups = some(3);
    principal.purpose = names[random() % names.size()];
    principal.not_after_ns = kNow + static_cast<int64_t>(random() % 3) - 1;
    const Environment environment{.now_ns = kNow, .node_region = names[random() % names.size()]};
    std::map<ClassId, AccessClass> classes;
    for (uint32_t i = 0; i < 6; ++i) {
      AccessClass access_class = ReadableBy(some(4), some(5));
      access_class.regions = some(3);
      access_class.purposes = some(3);
      classes.emplace(MakeClassId(i), access_class);
    }
    const Decision together = Decide(principal, classes, environment);
    for (const auto& [id, access_class] : classes) {
      const auto has = [](const std::vector<std::string>& list, const std::string& name) {
        return std::set<std::string>(list.begin(), list.end()).contains(name);
      };
      bool reader = has(access_class.reader_users, principal.user);
      for (const auto& group : principal.groups) reader = reader || has(access_class.reader_groups, group);
      const bool expected =
          reader && kNow < principal.not_after_ns &&
          (access_class.regions.empty() || has(access_class.regions, environment.node_region)) &&
          (access_class.purposes.empty() || has(access_class.purposes, principal.purpose));
      EXPECT_EQ(together.Permits(id), expected);
      Principal shuffled = principal;
      std::shuffle(shuffled.groups.begin(), shuffled.groups.end(), random);
      EXPECT_EQ(Decide(shuffled, {{id, access_class}}, environment).Permits(id), expected);
    }
  }
}

}  // namespace
}  // namespace cloister::policy
