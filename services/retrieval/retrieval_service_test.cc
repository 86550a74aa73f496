// SPDX-License-Identifier: Apache-2.0
// The service over real sockets with real certificates, against an audit log that remembers.
#include "services/retrieval/retrieval_service.h"

#include <gtest/gtest.h>

#include "services/retrieval/service_fixture.h"

namespace cloister::services {
namespace {

TEST_F(RetrievalServiceTest, FromPutToReleaseWithARecordForEachStep) {
  SetUpWard();
  v1::SearchResponse search;
  ASSERT_TRUE(Search(Question("a.weber"), &search).ok());
  ASSERT_EQ(search.hits_size(), 1);
  EXPECT_EQ(search.hits(0).title(), "Title of dose.md");
  EXPECT_EQ(search.hits(0).rank(), 1u);
  v1::ReleaseResponse release;
  const grpc::Status status = Release(ReleaseOf("a.weber", search), &release);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(release.passages_size(), 1);
  const v1::Passage& passage = release.passages(0);
  EXPECT_EQ(passage.text(), "The insulin dose is four units.");
  EXPECT_EQ(passage.section(0), "Dosing");
  EXPECT_EQ(passage.page_first(), 3u);
  EXPECT_EQ(passage.sentences(0).boxes(0).x1(), 100);
  EXPECT_NE(passage.sentences(0).dense_context(), 0);
  EXPECT_NE(passage.dense(), 0);
  EXPECT_EQ(fake_audit_.Events(), (std::vector<std::string>{"directory.changed", "policy.changed",
                                                            "document.ingested", "ask.release"}));
  const v1::AppendRequest& directory_record = fake_audit_.records.front();
  ASSERT_EQ(directory_record.sections_size(), 1);
  EXPECT_EQ(directory_record.sections(0).subject_kind(), "user");
  EXPECT_EQ(directory_record.sections(0).subject(), "a.weber");
  EXPECT_NE(directory_record.sections(0).content_json().find("nurses"), std::string::npos);
  EXPECT_EQ(directory_record.body_json().find("weber"), std::string::npos);
  EXPECT_EQ(directory_record.actor(), "gateway");
  const v1::AppendRequest& record = fake_audit_.records.back();
  EXPECT_EQ(record.actor_kind(), "user");
  EXPECT_EQ(record.actor(), "a.weber");
  ASSERT_EQ(record.subjects_size(), 1);
  EXPECT_EQ(record.subjects(0), "patient-1");
  const auto body = nlohmann::json::parse(record.body_json());
  EXPECT_EQ(body.at("passages").at(0).at("chunk"), HexEncode(passage.chunk_id()));
  EXPECT_EQ(body.at("passages").at(0).at("document"), HexEncode(passage.document_id()));
  EXPECT_EQ(body.at("place").at("zone"), "ward-lan");
  EXPECT_EQ(body.at("purpose").at("code"), "TREAT");
  EXPECT_EQ(body.at("ask"), HexEncode(std::string(16, 'q')));
  EXPECT_EQ(release.audit_index(), 3u);
  for (const auto& appended : fake_audit_.records) {
    EXPECT_EQ(appended.body_json().find("insulin"), std::string::npos);
    EXPECT_EQ(appended.body_json().find("dose.md"), std::string::npos);
  }
}

TEST_F(RetrievalServiceTest, AReleaseOutsideAnAskIsASearchRelease) {
  SetUpWard();
  v1::SearchResponse search;
  ASSERT_TRUE(Search(Question("a.weber"), &search).ok());
  auto request = ReleaseOf("a.weber", search);
  request.clear_ask_id();
  v1::ReleaseResponse release;
  ASSERT_TRUE(Release(request, &release).ok());
  EXPECT_EQ(fake_audit_.Events().back(), "search.release");
}

TEST_F(RetrievalServiceTest, NoRecordNoText) {
  SetUpWard();
  v1::SearchResponse search;
  ASSERT_TRUE(Search(Question("a.weber"), &search).ok());
  fake_audit_.down = true;
  v1::ReleaseResponse release;
  EXPECT_EQ(Release(ReleaseOf("a.weber", search), &release).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(release.passages_size(), 0);
}

TEST_F(RetrievalServiceTest, AnEventThatAuditMissedIsDeliveredWithTheRetry) {
  SetUpWard();
  fake_audit_.down = true;
  const auto request = DocumentRequest("visit.md", "Visits end at eight.");
  v1::PutDocumentResponse put;
  EXPECT_EQ(Put(request, &put).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(fake_audit_.Events().size(), 3u);
  fake_audit_.down = false;
  ASSERT_TRUE(Put(request, &put).ok());
  EXPECT_TRUE(put.unchanged());
  EXPECT_EQ(fake_audit_.Events().size(), 4u);
  EXPECT_EQ(fake_audit_.Events().back(), "document.ingested");
}

TEST_F(RetrievalServiceTest, AVersionThatIsNotThereIsNeitherReplacedNorDeleted) {
  SetUpWard();
  auto document = DocumentRequest("visit.md", "Visits end at eight.");
  document.set_replaces("");
  v1::PutDocumentResponse put;
  ASSERT_TRUE(Put(document, &put).ok());
  document = DocumentRequest("visit.md", "Visits end at nine.");
  v1::DeleteDocumentRequest removal;
  removal.set_collection("ward");
  removal.set_source("visit.md");
  v1::DeleteDocumentResponse removed;
  const auto remove = [&] { return Call<v1::Documents>("ingest", &v1::Documents::Stub::DeleteDocument, removal, &removed); };
  for (const std::string& version : {std::string(), std::string(16, 'v')}) {
    document.set_replaces(version);
    EXPECT_EQ(Put(document, &put).error_code(), grpc::StatusCode::ABORTED);
    removal.set_version_id(version);
    EXPECT_EQ(remove().error_code(), grpc::StatusCode::ABORTED);
  }
  document.set_replaces("short");
  EXPECT_EQ(Put(document, &put).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  removal.set_version_id("short");
  EXPECT_EQ(remove().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  removal.set_version_id(put.version_id());
  ASSERT_TRUE(remove().ok());
  EXPECT_TRUE(removed.existed());
}

TEST_F(RetrievalServiceTest, SourcesAndStatusAreListed) {
  SetUpWard();
  v1::ListSourcesRequest request;
  request.set_collection("ward");
  v1::ListSourcesResponse sources;
  ASSERT_TRUE(Call<v1::Documents>("ingest", &v1::Documents::Stub::ListSources, request, &sources).ok());
  ASSERT_EQ(sources.sources_size(), 1);
  EXPECT_EQ(sources.sources(0).source(), "dose.md");
  EXPECT_EQ(sources.sources(0).input_sha256(), "");
  auto of_a_folder = DocumentRequest("visit.md", "Visits end at eight.");
  of_a_folder.set_origin("/srv/ward");
  of_a_folder.set_input_sha256(std::string(32, 'd'));
  v1::PutDocumentResponse put;
  ASSERT_TRUE(Put(of_a_folder, &put).ok());
  request.set_origin("/srv/ward");
  ASSERT_TRUE(Call<v1::Documents>("ingest", &v1::Documents::Stub::ListSources, request, &sources).ok());
  ASSERT_EQ(sources.sources_size(), 1);
  EXPECT_EQ(sources.sources(0).source(), "visit.md");
  EXPECT_EQ(sources.sources(0).input_sha256(), std::string(32, 'd'));
  EXPECT_EQ(sources.sources(0).version_id(), put.version_id());
  v1::IndexStatus status;
  ASSERT_TRUE(Call<v1::Documents>("supervisor", &v1::Documents::Stub::GetIndexStatus,
                                  v1::GetIndexStatusRequest(), &status)
                  .ok());
  EXPECT_EQ(status.documents(), 2u);
  EXPECT_EQ(status.chunks(), 2u);
  v1::DeleteDocumentRequest remove;
  remove.set_collection("ward");
  remove.set_source("dose.md");
  v1::DeleteDocumentResponse removed;
  ASSERT_TRUE(Call<v1::Documents>("ingest", &v1::Documents::Stub::DeleteDocument, remove, &removed).ok());
  EXPECT_TRUE(removed.existed());
  EXPECT_EQ(fake_audit_.Events().back(), "document.deleted");
  v1::ListUsersResponse users;
  ASSERT_TRUE(
      Call<v1::Directory>("gateway", &v1::Directory::Stub::ListUsers, v1::ListUsersRequest(), &users).ok());
  EXPECT_EQ(users.users_size(), 1);
  v1::ListCollectionsResponse collections;
  ASSERT_TRUE(Call<v1::Directory>("gateway", &v1::Directory::Stub::ListCollections,
                                  v1::ListCollectionsRequest(), &collections)
                  .ok());
  ASSERT_EQ(collections.collections_size(), 1);
  EXPECT_EQ(collections.collections(0).classification(), "internal");
  v1::DeleteUserRequest who;
  who.set_name("a.weber");
  v1::DeleteUserResponse gone;
  ASSERT_TRUE(Call<v1::Directory>("gateway", &v1::Directory::Stub::DeleteUser, who, &gone).ok());
  EXPECT_TRUE(gone.existed());
}

TEST_F(RetrievalServiceTest, WrongCallersAreRefused) {
  SetUpWard();
  v1::SearchResponse search;
  EXPECT_EQ((Call<v1::Retrieval>("ingest", &v1::Retrieval::Stub::Search, Question("a.weber"), &search)
                 .error_code()),
            grpc::StatusCode::PERMISSION_DENIED);
  v1::PutDocumentResponse put;
  EXPECT_EQ(
      (Call<v1::Documents>("gateway", &v1::Documents::Stub::PutDocument, DocumentRequest("x", "x"), &put)
           .error_code()),
      grpc::StatusCode::PERMISSION_DENIED);
  v1::PutUserResponse user;
  EXPECT_EQ((Call<v1::Directory>("ingest", &v1::Directory::Stub::PutUser, v1::PutUserRequest(), &user)
                 .error_code()),
            grpc::StatusCode::PERMISSION_DENIED);
}

TEST_F(RetrievalServiceTest, ErrorsNameTheReasonAndTheLimit) {
  SetUpWard();
  v1::SearchResponse response;
  auto request = Question("a.weber");
  request.set_question(std::string(8 * 1024 + 1, 'x'));
  auto detail = DetailOf(Search(request, &response));
  EXPECT_EQ(detail.reason, "QUESTION_TOO_LONG");
  EXPECT_EQ(detail.limit, 8u * 1024);
  request = Question("a.weber");
  request.set_hits_max(1'001);
  EXPECT_EQ(DetailOf(Search(request, &response)).reason, "TOO_MANY_HITS");
  request = Question("a.weber");
  request.set_question_vector("abc");
  EXPECT_EQ(DetailOf(Search(request, &response)).reason, "BAD_VECTOR");
  request = Question("a.weber");
  request.mutable_assertion()->mutable_signature()->at(0) ^= 1;
  const grpc::Status refused = Search(request, &response);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(DetailOf(refused).reason, "BAD_ASSERTION");
  v1::ReleaseRequest release;
  *release.mutable_assertion() = AssertionOf("a.weber");
  release.set_search_id("short");
  v1::ReleaseResponse released;
  EXPECT_EQ(DetailOf(Release(release, &released)).reason, "BAD_ID");
  for (int i = 0; i < 65; ++i) release.add_handles(std::string(16, 'h'));
  EXPECT_EQ(DetailOf(Release(release, &released)).reason, "TOO_MANY_HANDLES");
  v1::PutDocumentResponse put;
  auto document = DocumentRequest("x", "text");
  document.set_collection("absent");
  EXPECT_EQ(DetailOf(Put(document, &put)).reason, "NO_SUCH_COLLECTION");
  document = DocumentRequest("x", "text");
  document.set_embedder_sha256("another");
  EXPECT_EQ(DetailOf(Put(document, &put)).reason, "EMBEDDER_MISMATCH");
  document = DocumentRequest("x", "text");
  document.mutable_chunks(0)->mutable_sentences(0)->set_kind(300);
  EXPECT_EQ(DetailOf(Put(document, &put)).reason, "BAD_DOCUMENT");
  document = DocumentRequest("x", "text");
  document.set_original(std::string(32 * 1024 * 1024 + 1, 'x'));
  EXPECT_EQ(DetailOf(Put(document, &put)).reason, "ORIGINAL_TOO_LARGE");
  EXPECT_EQ(DetailOf(PutUser("Not A Name", {})).reason, "BAD_NAME");
  EXPECT_EQ(DetailOf(PutCollection("Not A Name", {})).reason, "BAD_NAME");
}

}  // namespace
}  // namespace cloister::services
