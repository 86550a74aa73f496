// SPDX-License-Identifier: Apache-2.0
// Who may read a former version, and what is recorded of it.
#include "retrieval/versions_fixture.h"

namespace cloister::retrieval {
namespace {

TEST_F(VersionsTest, WhoMayListAndWhoMayReadIsDecidedByTheDirectory) {
  const auto first = Put("morphine");
  Put("insulin");
  EXPECT_TRUE(List("officer").ok());
  EXPECT_TRUE(List("auditor").ok());
  EXPECT_TRUE(Read("officer", *first).ok());
  for (const char* user : {"auditor", "admin", "a.weber", "nobody"}) {
    EXPECT_EQ(Read(user, *first).status().code(), StatusCode::kPermissionDenied) << user;
  }
  for (const char* user : {"admin", "a.weber", "nobody"}) {
    EXPECT_EQ(List(user).status().code(), StatusCode::kPermissionDenied) << user;
  }
  policy::Principal claims = test_.PrincipalOf("a.weber");
  claims.roles = {"compliance"};
  EXPECT_EQ(test_.releaser->ReadText(claims, first->document, first->version, kReason).status().code(),
            StatusCode::kPermissionDenied);
  test_.AddUser("officer", {}, {});
  EXPECT_EQ(Read("officer", *first).status().code(), StatusCode::kPermissionDenied);
  EXPECT_EQ(test_.recorder.readings.size(), 1u);
  policy::Principal late = test_.PrincipalOf("officer");
  late.not_after_ns = test_.clock.Now().time_since_epoch().count();
  EXPECT_EQ(test_.releaser->ListVersions(late, {}).status().code(), StatusCode::kUnauthenticated);
}

TEST_F(VersionsTest, AVersionIsReadWithAReasonAndARecord) {
  const auto first = Put("morphine", {"patient-7"});
  const auto second = Put("insulin");
  for (const std::string& reason :
       {std::string(), std::string("short"), std::string(1'001, 'x'), std::string("not UTF-8: \xC3")}) {
    EXPECT_EQ(Read("officer", *first, reason).status().code(), StatusCode::kInvalidArgument);
  }
  EXPECT_TRUE(test_.recorder.readings.empty());
  const auto read = Read("officer", *first);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->text, "morphine\n");
  EXPECT_EQ(read->title, "Title");
  EXPECT_EQ(read->audit_index, 1u);
  ASSERT_EQ(test_.recorder.readings.size(), 1u);
  const VersionReading& reading = test_.recorder.readings[0];
  EXPECT_EQ(reading.principal.user, "officer");
  EXPECT_EQ(reading.reason, kReason);
  EXPECT_EQ(reading.info, *first);
  EXPECT_FALSE(reading.current);
  EXPECT_EQ(reading.commit_sequence, test_.corpus->rows().CommitSequence());
  EXPECT_EQ(Read("officer", *second)->text, "insulin\n");
  EXPECT_TRUE(test_.recorder.readings[1].current);
  test_.recorder.failure = Unavailable("audit is down");
  EXPECT_EQ(Read("officer", *first).status().code(), StatusCode::kUnavailable);
  test_.recorder.failure = absl::OkStatus();
  DocumentInfo unknown = *first;
  unknown.version = VersionId();
  EXPECT_EQ(Read("officer", unknown).status().code(), StatusCode::kNotFound);
  unknown.document = DocumentId();
  EXPECT_EQ(Read("officer", unknown).status().code(), StatusCode::kNotFound);
}

TEST_F(VersionsTest, ListsTheCurrentVersionAndThoseThatAreKeptNewestFirst) {
  SetClass("keep-30-days");
  const auto first = Put("morphine");
  test_.clock.Advance(std::chrono::seconds(10));
  const auto second = Put("insulin");
  test_.clock.Advance(std::chrono::seconds(10));
  const auto third = Put("aspirin");
  const auto at = [](int seconds) {
    return (kTestTime + std::chrono::seconds(seconds)).time_since_epoch().count();
  };
  for (int round = 0; round < 2; ++round) {
    const auto versions = List("auditor");
    ASSERT_TRUE(versions.ok()) << versions.status();
    ASSERT_EQ(versions->size(), 3u);
    EXPECT_EQ((*versions)[0].info->version, third->version);
    EXPECT_TRUE((*versions)[0].current);
    EXPECT_EQ((*versions)[0].superseded_at_ns, 0);
    EXPECT_EQ((*versions)[1].info->version, second->version);
    EXPECT_EQ((*versions)[1].superseded_at_ns, at(20));
    EXPECT_EQ((*versions)[2].info->version, first->version);
    EXPECT_EQ((*versions)[2].superseded_at_ns, at(10));
    EXPECT_EQ(*(*versions)[2].kept_until_ns, at(10 + 30 * 24 * 3600));
    Restart();
  }
  const auto by_id = test_.releaser->ListVersions(test_.PrincipalOf("auditor"), {{}, third->document});
  EXPECT_EQ(by_id->size(), 3u);
  EXPECT_EQ(List("auditor", "none.md").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(List("auditor", "a.md", "/elsewhere").status().code(), StatusCode::kNotFound);
  NewDocument twin = DocumentOf("ward", "a.md", {"the same name in another folder"});
  twin.origin = "/mnt";
  test_.Put(twin);
  EXPECT_EQ(List("auditor").status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(List("auditor", "a.md", "/mnt")->size(), 1u);
}

}  // namespace
}  // namespace cloister::retrieval
