// SPDX-License-Identifier: Apache-2.0
#include "services/retrieval/version_service.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "services/retrieval/service_fixture.h"
#include "services/retrieval/upkeep.h"

namespace cloister::services {
namespace {

constexpr const char* kFormer = "The insulin dose is four units.";
constexpr const char* kCurrent = "The insulin dose is six units.";
constexpr const char* kReason = "audit of the answers of May";

class VersionServiceTest : public RetrievalServiceTest {
 protected:
  VersionServiceTest() {
    SetUpWard();
    EXPECT_TRUE(PutUser("officer", {}, {"compliance"}).ok());
    EXPECT_TRUE(PutUser("auditor", {}, {"auditor"}).ok());
    EXPECT_TRUE(PutUser("admin", {"nurses"}, {"administrator"}).ok());
    EXPECT_TRUE(PutCollection("ward", {"nurses"}, "keep-30-days").ok());
    former_ = corpus_.corpus->documents().FindSource({"ward", "", "dose.md"});
    v1::PutDocumentResponse put;
    EXPECT_TRUE(Put(DocumentRequest("dose.md", kCurrent), &put).ok());
    fake_audit_.records.clear();
  }
  grpc::Status List(const std::string& user, v1::ListVersionsResponse& response) {
    v1::ListVersionsRequest request;
    request.mutable_document()->set_collection("ward");
    request.mutable_document()->set_source("dose.md");
    *request.mutable_assertion() = AssertionOf(user);
    return Call<v1::Versions>("gateway", &v1::Versions::Stub::ListVersions, request, &response);
  }
  v1::ReadVersionRequest ReadRequest(const std::string& user) {
    v1::ReadVersionRequest request;
    request.set_document_id(std::string(former_->document.bytes()));
    request.set_version_id(std::string(former_->version.bytes()));
    request.set_reason(kReason);
    *request.mutable_assertion() = AssertionOf(user);
    return request;
  }
  grpc::Status Read(const v1::ReadVersionRequest& request, v1::VersionText& response) {
    return Call<v1::Versions>("gateway", &v1::Versions::Stub::ReadVersion, request, &response);
  }
  grpc::StatusCode ReadCode(const v1::ReadVersionRequest& request) {
    v1::VersionText response;
    const auto code = Read(request, response).error_code();
    EXPECT_EQ(response.text().empty(), code != grpc::StatusCode::OK);
    return code;
  }

  std::shared_ptr<const retrieval::DocumentInfo> former_;
};

TEST_F(VersionServiceTest, TheVersionsOfADocumentAreListedWithoutText) {
  for (const char* user : {"officer", "auditor"}) {
    v1::ListVersionsResponse list;
    const grpc::Status status = List(user, list);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(list.document().document_id(), former_->document.bytes());
    EXPECT_EQ(list.document().source(), "dose.md");
    ASSERT_EQ(list.versions_size(), 2);
    EXPECT_EQ(list.versions(0).superseded_at_ns(), 0);
    EXPECT_EQ(list.versions(0).kept_until_ns(), 0);
    EXPECT_EQ(list.versions(1).version_id(), former_->version.bytes());
    EXPECT_EQ(list.versions(1).text_bytes(), std::string(kFormer).size());
    EXPECT_EQ(list.versions(1).kept_until_ns() - list.versions(1).superseded_at_ns(),
              std::chrono::nanoseconds(std::chrono::hours(24 * 30)).count());
    EXPECT_EQ(list.SerializeAsString().find("insulin"), std::string::npos);
  }
  v1::ListVersionsResponse none;
  const grpc::Status refused = List("admin", none);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(DetailOf(refused).reason, "NEEDS_ROLE");
  EXPECT_EQ(none.versions_size(), 0);
  EXPECT_TRUE(fake_audit_.Events().empty());
}

TEST_F(VersionServiceTest, AReadingIsRecordedWithItsReasonBeforeTheTextLeaves) {
  v1::VersionText read;
  const grpc::Status status = Read(ReadRequest("officer"), read);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(read.text(), kFormer);
  EXPECT_EQ(read.title(), "Title of dose.md");
  ASSERT_EQ(fake_audit_.records.size(), 1u);
  EXPECT_EQ(read.audit_index(), 0u);
  const v1::AppendRequest& record = fake_audit_.records[0];
  EXPECT_EQ(record.event(), "version.read");
  EXPECT_EQ(record.actor_kind(), "user");
  EXPECT_EQ(record.actor(), "officer");
  ASSERT_EQ(record.subjects_size(), 1);
  EXPECT_EQ(record.subjects(0), "patient-1");
  const auto body = nlohmann::json::parse(record.body_json());
  EXPECT_EQ(body["passages"][0]["document"], former_->document.hex());
  EXPECT_EQ(body["passages"][0]["version"], former_->version.hex());
  EXPECT_EQ(body["current"], 0);
  EXPECT_EQ(body["purpose"]["code"], "TREAT");
  // The public part names nobody and nothing; what does goes with whom or what it is about.
  for (const char* word : {"dose.md", "Title", "insulin", "patient-1", "officer", kReason}) {
    EXPECT_EQ(record.body_json().find(word), std::string::npos) << word;
  }
  ASSERT_EQ(record.sections_size(), 2);
  EXPECT_EQ(record.sections(0).subject_kind(), "user");
  EXPECT_EQ(record.sections(0).subject(), "officer");
  EXPECT_EQ(nlohmann::json::parse(record.sections(0).content_json())["reason"], kReason);
  EXPECT_EQ(record.sections(1).subject_kind(), "document");
  EXPECT_EQ(record.sections(1).subject(), former_->document.hex());
  EXPECT_EQ(nlohmann::json::parse(record.sections(1).content_json())["source"], "dose.md");
  EXPECT_EQ(record.sections(1).content_json().find("insulin"), std::string::npos);

  fake_audit_.down = true;
  EXPECT_EQ(ReadCode(ReadRequest("officer")), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(VersionServiceTest, NobodyElseReadsAndNothingElseIsRead) {
  for (const char* user : {"auditor", "admin", "a.weber", "nobody"}) {
    EXPECT_EQ(ReadCode(ReadRequest(user)), grpc::StatusCode::PERMISSION_DENIED) << user;
  }
  v1::ReadVersionRequest request = ReadRequest("officer");
  request.mutable_assertion()->mutable_signature()->back() ^= 1;
  v1::VersionText response;
  EXPECT_EQ(DetailOf(Read(request, response)).reason, "BAD_ASSERTION");
  request = ReadRequest("officer");
  request.set_reason("short");
  EXPECT_EQ(DetailOf(Read(request, response)).reason, "BAD_REASON");
  request = ReadRequest("officer");
  request.set_version_id("short");
  EXPECT_EQ(DetailOf(Read(request, response)).reason, "BAD_ID");
  request.set_version_id(std::string(16, 'x'));
  EXPECT_EQ(ReadCode(request), grpc::StatusCode::NOT_FOUND);
  request = ReadRequest("officer");
  request.set_document_id(std::string(16, 'x'));
  EXPECT_EQ(ReadCode(request), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Call<v1::Versions>("ingest", &v1::Versions::Stub::ReadVersion, ReadRequest("officer"), &response)
                .error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_TRUE(fake_audit_.Events().empty());
}

TEST_F(VersionServiceTest, ARetentionClassIsShownAndAnUnknownOneRefused) {
  v1::ListCollectionsResponse list;
  ASSERT_TRUE(Call<v1::Directory>("gateway", &v1::Directory::Stub::ListCollections,
                                  v1::ListCollectionsRequest(), &list)
                  .ok());
  EXPECT_EQ(list.collections(0).retention(), "keep-30-days");
  const grpc::Status refused = PutCollection("ward", {"nurses"}, "keep-forever");
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(DetailOf(refused).reason, "BAD_RETENTION");
  EXPECT_NE(refused.error_message().find("keep-N-days"), std::string::npos);
  ASSERT_TRUE(PutCollection("ward", {"nurses"}).ok());
  list.Clear();
  ASSERT_TRUE(Call<v1::Directory>("gateway", &v1::Directory::Stub::ListCollections,
                                  v1::ListCollectionsRequest(), &list)
                  .ok());
  EXPECT_EQ(list.collections(0).retention(), "shred");
}

TEST_F(VersionServiceTest, AShorterClassCountsAtOnceForWhoAsks) {
  v1::ShredRetiredResponse shredded;
  const auto shred = [&] {
    const auto status =
        Call<v1::Erasure>("gateway", &v1::Erasure::Stub::ShredRetired, v1::ShredRetiredRequest(), &shredded);
    ASSERT_TRUE(status.ok()) << status.error_message();
  };
  shred();
  EXPECT_EQ(ReadCode(ReadRequest("officer")), grpc::StatusCode::OK);
  ASSERT_TRUE(PutCollection("ward", {"nurses"}, "shred").ok());
  shred();
  EXPECT_GE(shredded.keys(), 1u);
  EXPECT_EQ(ReadCode(ReadRequest("officer")), grpc::StatusCode::NOT_FOUND);
  const auto events = fake_audit_.Events();
  EXPECT_EQ(std::count(events.begin(), events.end(), "version.ended"), 1);
}

TEST_F(VersionServiceTest, UpkeepEndsVersionsWhoseTimeIsUp) {
  {
    Upkeep early(*corpus_.corpus, *eraser_, *audit_, std::chrono::hours(24));
    early.Once();
    EXPECT_EQ(ReadCode(ReadRequest("officer")), grpc::StatusCode::OK);
  }
  corpus_.clock.Advance(std::chrono::hours(24 * 30));
  Upkeep upkeep(*corpus_.corpus, *eraser_, *audit_, std::chrono::hours(24));
  upkeep.Once();
  EXPECT_EQ(ReadCode(ReadRequest("officer")), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(corpus_.corpus->retired_keys().size(), 1u);
}

}  // namespace
}  // namespace cloister::services
