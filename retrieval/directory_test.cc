// SPDX-License-Identifier: Apache-2.0
#include "retrieval/directory.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "retrieval/test_support.h"

namespace cloister::retrieval {
namespace {

class DirectoryTest : public testing::Test {
 protected:
  Directory& directory() { return test_.corpus->directory(); }
  TestCorpus test_;
};

TEST_F(DirectoryTest, UsersAndCollectionsSurviveARestart) {
  test_.AddUser("a.weber", {"nurses", "doctors", "nurses"});
  test_.AddCollection("ward", {"nurses"}, {"b.kern"});
  for (int round = 0; round < 2; ++round) {
    ASSERT_EQ(directory().ListUsers().size(), 1u);
    EXPECT_EQ(directory().ListUsers()[0].groups, (std::vector<std::string>{"doctors", "nurses"}));
    ASSERT_TRUE(directory().FindCollection("ward"));
    EXPECT_EQ(directory().FindCollection("ward")->reader_users, std::vector<std::string>{"b.kern"});
    test_.Reopen();
  }
}

TEST_F(DirectoryTest, TellsNewCollectionsFromChangedOnes) {
  EXPECT_TRUE(*directory().PutCollection({"ward", {"nurses"}, {}, "", false}, "gateway"));
  EXPECT_FALSE(*directory().PutCollection({"ward", {"doctors"}, {}, "", false}, "gateway"));
  EXPECT_EQ(directory().FindCollection("ward")->classification, "internal");
}

TEST_F(DirectoryTest, TheRetentionClassOfACollectionSurvivesARestartAndIsRecorded) {
  EXPECT_EQ(directory().PutCollection({"ward", {}, {}, "", false, {Retention::Kind::kKeepDays, 0}}, "gateway")
                .status()
                .code(),
            StatusCode::kInvalidArgument);
  test_.AddCollection("ward", {"nurses"});
  EXPECT_EQ(directory().FindCollection("ward")->retention, Retention());
  test_.AddCollection("ward", {"nurses"}, {}, "keep-365-days");
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(NameOf(directory().FindCollection("ward")->retention), "keep-365-days");
    test_.Reopen();
  }
  std::vector<std::string> recorded;
  ASSERT_TRUE(test_.corpus->rows()
                  .DeliverEvents([&](const Event& event) {
                    for (const auto& [name, value] : event.fields) {
                      if (name == "retention") recorded.push_back(value);
                    }
                    return absl::OkStatus();
                  })
                  .ok());
  std::sort(recorded.begin(), recorded.end());  // After a restart events come in any order.
  EXPECT_EQ(recorded, (std::vector<std::string>{"keep-365-days", "shred"}));
}

TEST_F(DirectoryTest, RolesAreReadFromTheSealedDirectory) {
  test_.AddUser("officer", {}, {"compliance", "auditor"});
  const auto snapshot = test_.corpus->rows().GetSnapshot();
  EXPECT_EQ(*directory().RolesAt(*snapshot, "officer"), (std::vector<std::string>{"auditor", "compliance"}));
  EXPECT_EQ(directory().RolesAt(*snapshot, "nobody").status().code(), StatusCode::kNotFound);
}

TEST_F(DirectoryTest, ChangesOfReadersRewriteClassesAndNotDocuments) {
  test_.AddCollection("ward", {"nurses"});
  const auto put = test_.Put(DocumentOf("ward", "a.md", {"alpha"}));
  const std::string key = VersionKey(put.info->document, put.info->version);
  const std::string before = *test_.store->Get(kDocumentsFamily, key);
  const auto policy_before = directory().CurrentPolicy();
  test_.AddCollection("ward", {"doctors"});
  EXPECT_EQ(*test_.store->Get(kDocumentsFamily, key), before);
  EXPECT_GT(directory().CurrentPolicy()->policy_sequence, policy_before->policy_sequence);
  const auto at = directory().ClassAt(*test_.corpus->rows().GetSnapshot(), put.info->access_class);
  EXPECT_EQ(at->reader_groups, std::vector<std::string>{"doctors"});
}

TEST_F(DirectoryTest, DocumentsShareClassesByClassification) {
  test_.AddCollection("ward", {"nurses"});
  auto document = DocumentOf("ward", "a.md", {"alpha"});
  const auto first = test_.Put(document).info->access_class;
  document.source = "b.md";
  EXPECT_EQ(test_.Put(document).info->access_class, first);
  document.source = "c.md", document.classification = "psychiatry";
  EXPECT_NE(test_.Put(document).info->access_class, first);
  EXPECT_EQ(directory().ClassCount(), 2u);
  test_.Reopen();
  EXPECT_EQ(directory().ClassCount(), 2u);
}

TEST_F(DirectoryTest, RefusesBadNames) {
  for (const std::string& name : {std::string(), std::string("Upper"), std::string("a b"), std::string("a/b"),
                                  std::string(257, 'a'), std::string("a\0b", 3)}) {
    EXPECT_EQ(directory().PutUser({name, {}, {}}, "gateway").code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(directory().PutUser({"ok", {name}, {}}, "gateway").code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(directory().PutCollection({name, {}, {}, "", false}, "gateway").status().code(),
              StatusCode::kInvalidArgument);
    EXPECT_EQ(directory().PutCollection({"ok", {name}, {}, "", false}, "gateway").status().code(),
              StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(directory().PutCollection({"a@b", {}, {}, "", false}, "gateway").status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_TRUE(directory().PutUser({"a@b.example", {}, {}}, "gateway").ok());
  std::vector<std::string> groups;
  for (size_t i = 0; i <= policy::kPrincipalGroupsMax; ++i) groups.push_back("g" + std::to_string(i));
  EXPECT_EQ(directory().PutUser({"many", groups, {}}, "gateway").code(), StatusCode::kInvalidArgument);
}

TEST_F(DirectoryTest, ResolvesGroupsFromItsOwnRowsOnly) {
  test_.AddUser("a.weber", {"nurses"});
  auto principal = test_.PrincipalOf("a.weber");
  principal.groups = {"directors"};
  EXPECT_EQ(directory().Resolve(principal)->groups, std::vector<std::string>{"nurses"});
  EXPECT_EQ(directory().ResolveAt(*test_.corpus->rows().GetSnapshot(), principal)->groups,
            std::vector<std::string>{"nurses"});
  EXPECT_EQ(directory().Resolve(test_.PrincipalOf("nobody")).status().code(), StatusCode::kNotFound);
  const auto snapshot = test_.corpus->rows().GetSnapshot();
  EXPECT_TRUE(*directory().DeleteUser("a.weber", "gateway"));
  EXPECT_FALSE(*directory().DeleteUser("a.weber", "gateway"));
  EXPECT_EQ(directory().ResolveAt(*snapshot, principal).status().code(), StatusCode::kNotFound);
}

TEST_F(DirectoryTest, AFailedWriteChangesNothing) {
  test_.AddUser("a.weber", {"nurses"});
  test_.store->FailWrites(ResourceExhausted("disk full"));
  EXPECT_EQ(directory().PutUser({"a.weber", {"directors"}, {}}, "gateway").code(),
            StatusCode::kResourceExhausted);
  EXPECT_EQ(directory().Resolve(test_.PrincipalOf("a.weber"))->groups, std::vector<std::string>{"nurses"});
  EXPECT_EQ(directory().DeleteUser("a.weber", "gateway").status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(directory().ListUsers().size(), 1u);
  EXPECT_EQ(directory().PutCollection({"ward", {}, {}, "", false}, "gateway").status().code(),
            StatusCode::kUnavailable);
  EXPECT_FALSE(directory().FindCollection("ward"));
}

TEST_F(DirectoryTest, UndeliveredEventsAreBounded) {
  Rows& rows = test_.corpus->rows();
  Event event;
  event.name = "policy.changed";
  const std::vector<Event> many(kEventsPendingMax, event);
  std::lock_guard writing(rows.write_mutex());
  EXPECT_TRUE(rows.Commit({}, many).ok());
  EXPECT_EQ(rows.Commit({}, {many[0]}).code(), StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace cloister::retrieval
