// SPDX-License-Identifier: Apache-2.0
#include "services/retrieval/erasure_service.h"

#include <gtest/gtest.h>

#include "services/retrieval/service_fixture.h"

namespace cloister::services {
namespace {

class ErasureServiceTest : public RetrievalServiceTest {
 protected:
  ErasureServiceTest() { SetUpWard(); }
  template <class Method, class Request, class Response>
  grpc::Status As(const std::string& identity, Method method, const Request& request, Response& response) {
    return Call<v1::Erasure>(identity, method, request, &response);
  }
  static v1::EraseRequest EraseDocument(const std::string& source) {
    v1::EraseRequest request;
    request.mutable_target()->mutable_document()->set_collection("ward");
    request.mutable_target()->mutable_document()->set_source(source);
    request.set_reason("request by letter");
    request.set_basis("gdpr-17-1-b");
    request.set_requested_by("officer");
    return request;
  }
  grpc::Status Erase(const v1::EraseRequest& request, v1::ErasureState& state) {
    return As("gateway", &v1::Erasure::Stub::Erase, request, state);
  }
  nlohmann::json BodyOf(const std::string& event) {
    for (const auto& record : fake_audit_.records) {
      if (record.event() == event) return nlohmann::json::parse(record.body_json());
    }
    return nullptr;
  }
};

TEST_F(ErasureServiceTest, ADocumentIsErasedWithARecordBeforeAndAfter) {
  v1::ErasurePlan plan;
  ASSERT_TRUE(As("gateway", &v1::Erasure::Stub::PlanErasure, EraseDocument("dose.md").target(), plan).ok());
  ASSERT_EQ(plan.documents_size(), 1);
  EXPECT_EQ(plan.documents(0).source(), "dose.md");
  EXPECT_EQ(plan.documents(0).subjects(), 1u);
  EXPECT_EQ(plan.releases(), 3u);
  EXPECT_EQ(plan.recipients(), 2u);
  EXPECT_EQ(plan.not_counted_size(), 0);
  fake_audit_.damaged_former = true;
  v1::ErasurePlan partial;
  ASSERT_TRUE(As("gateway", &v1::Erasure::Stub::PlanErasure, EraseDocument("dose.md").target(), partial).ok());
  ASSERT_EQ(partial.not_counted_size(), 1);
  EXPECT_NE(partial.not_counted(0).find("generation 1 could not be read whole"), std::string::npos);
  fake_audit_.damaged_former = false;
  v1::ErasureState state;
  const grpc::Status status = Erase(EraseDocument("dose.md"), state);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(state.state(), "completed");
  EXPECT_EQ(state.document_ids_size(), 1);
  EXPECT_GT(state.completed_at_ns(), 0);
  EXPECT_FALSE(state.for_good());  // The corpus of the test has a passphrase.
  EXPECT_FALSE(state.outside().empty());
  EXPECT_EQ(fake_audit_.forgotten, std::vector<std::string>{"document " + HexEncode(state.document_ids(0))});
  const nlohmann::json requested = BodyOf("erasure.requested"), completed = BodyOf("erasure.completed");
  EXPECT_EQ(requested["erasure"], HexEncode(state.id()));
  EXPECT_EQ(completed["documents"][0], HexEncode(state.document_ids(0)));
  EXPECT_EQ(completed["anchor"]["for_good"], 0);
  EXPECT_EQ(completed["classes"].size(), static_cast<size_t>(state.classes_size()));
  // No public part names what was erased, nor who asked or why.
  for (const auto& record : fake_audit_.records) {
    for (const char* word : {"dose.md", "patient-1", "request by letter", "officer"}) {
      EXPECT_EQ(record.body_json().find(word), std::string::npos) << record.event() << " " << word;
    }
  }
  v1::SearchResponse search;
  ASSERT_TRUE(Search(Question("a.weber"), &search).ok());
  EXPECT_EQ(search.hits_size(), 0);
  v1::PutDocumentResponse put;
  const grpc::Status again = Put(DocumentRequest("dose.md", "The insulin dose is four units."), &put);
  EXPECT_EQ(again.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  v1::LiftSuppressionRequest lift;
  lift.mutable_document()->set_collection("ward");
  lift.mutable_document()->set_source("dose.md");
  lift.set_requested_by("officer");
  v1::LiftSuppressionResponse lifted;
  EXPECT_EQ(As("gateway", &v1::Erasure::Stub::LiftSuppression, lift, lifted).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  lift.set_reason("put back by its author");
  EXPECT_TRUE(As("gateway", &v1::Erasure::Stub::LiftSuppression, lift, lifted).ok());
  EXPECT_TRUE(Put(DocumentRequest("dose.md", "The insulin dose is four units."), &put).ok());
}

TEST_F(ErasureServiceTest, ASubjectsNameReachesAuditInItsPlaceAlone) {
  v1::EraseRequest request = EraseDocument("");
  request.mutable_target()->set_subject("patient-1");
  v1::ErasureState state;
  const grpc::Status status = Erase(request, state);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(state.target(), "subject");
  ASSERT_EQ(fake_audit_.forgotten.size(), 3u);
  EXPECT_EQ(fake_audit_.forgotten[0], "subject patient-1");
  const auto& completed = fake_audit_.records.back();
  EXPECT_EQ(completed.event(), "erasure.completed");
  EXPECT_EQ(completed.subjects_size(), 0);  // Naming it now would make the log know it again.
}

TEST_F(ErasureServiceTest, BadRequestsAreRefusedAndChangeNothing) {
  v1::ErasureState state;
  v1::EraseRequest nothing;
  EXPECT_EQ(Erase(nothing, state).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Erase(EraseDocument("none.md"), state).error_code(), grpc::StatusCode::NOT_FOUND);
  v1::EraseRequest short_id = EraseDocument("dose.md");
  short_id.mutable_target()->mutable_document()->set_document_id("short");
  EXPECT_EQ(DetailOf(Erase(short_id, state)).reason, "BAD_TARGET");
  v1::GetErasureRequest get;
  get.set_id("short");
  EXPECT_EQ(DetailOf(As("gateway", &v1::Erasure::Stub::GetErasure, get, state)).reason, "BAD_ID");
  get.set_id(std::string(16, 'x'));
  EXPECT_EQ(As("gateway", &v1::Erasure::Stub::GetErasure, get, state).error_code(),
            grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(As("ingest", &v1::Erasure::Stub::Erase, EraseDocument("dose.md"), state).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(corpus_.corpus->documents().Count(), 1u);
  EXPECT_TRUE(BodyOf("erasure.requested").is_null());
}

TEST_F(ErasureServiceTest, AHoldIsPlacedListedAndReleased) {
  v1::PlaceHoldRequest place;
  place.mutable_hold()->set_target("document");
  place.mutable_hold()->mutable_document()->set_collection("ward");
  place.mutable_hold()->mutable_document()->set_source("dose.md");
  place.mutable_hold()->set_basis("because");
  place.mutable_hold()->set_reason("court file 17/26");
  place.mutable_hold()->set_placed_by("officer");
  v1::Hold hold;
  EXPECT_EQ(As("gateway", &v1::Erasure::Stub::PlaceHold, place, hold).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  place.mutable_hold()->set_basis("legal-claims");
  ASSERT_TRUE(As("gateway", &v1::Erasure::Stub::PlaceHold, place, hold).ok());
  v1::ErasureState state;
  const grpc::Status held = Erase(EraseDocument("dose.md"), state);
  EXPECT_EQ(held.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_NE(held.error_message().find(HexEncode(hold.id())), std::string::npos);
  v1::ListHoldsResponse list;
  ASSERT_TRUE(As("gateway", &v1::Erasure::Stub::ListHolds, v1::ListHoldsRequest(), list).ok());
  ASSERT_EQ(list.holds_size(), 1);
  EXPECT_EQ(list.holds(0).reason(), "court file 17/26");
  v1::ReleaseHoldRequest release;
  release.set_id(hold.id());
  release.set_reason("judgment is final");
  ASSERT_TRUE(As("gateway", &v1::Erasure::Stub::ReleaseHold, release, hold).ok());
  EXPECT_EQ(As("gateway", &v1::Erasure::Stub::ReleaseHold, release, hold).error_code(),
            grpc::StatusCode::NOT_FOUND);
  EXPECT_TRUE(Erase(EraseDocument("dose.md"), state).ok());
  EXPECT_FALSE(BodyOf("hold.placed").is_null());
  EXPECT_FALSE(BodyOf("hold.released").is_null());
}

TEST_F(ErasureServiceTest, WithoutAuditNothingIsErasedOrShredded) {
  fake_audit_.down = true;
  v1::ErasureState state;
  EXPECT_EQ(Erase(EraseDocument("dose.md"), state).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(corpus_.corpus->documents().Count(), 1u);
  fake_audit_.down = false;
  EXPECT_TRUE(Erase(EraseDocument("dose.md"), state).ok());
  v1::ShredRetiredResponse shredded;
  EXPECT_TRUE(As("gateway", &v1::Erasure::Stub::ShredRetired, v1::ShredRetiredRequest(), shredded).ok());
  EXPECT_EQ(shredded.keys(), 0u);
}

}  // namespace
}  // namespace cloister::services
