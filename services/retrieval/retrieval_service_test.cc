// SPDX-License-Identifier: Apache-2.0
// The service over real sockets with real certificates, against an audit log that remembers.
#include "services/retrieval/retrieval_service.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <nlohmann/json.hpp>

#include "cloister/v1/audit.grpc.pb.h"
#include "crypto/signer.h"
#include "retrieval/test_support.h"
#include "services/retrieval/audit_records.h"
#include "services/server/rpc_client.h"
#include "services/server/rpc_status.h"
#include "services/server/test_authority.h"

namespace cloister::services {
namespace {

class FakeAudit final : public v1::Audit::Service {
 public:
  grpc::Status Append(grpc::ServerContext*, const v1::AppendRequest* request,
                      v1::AppendResponse* response) override {
    std::lock_guard lock(mutex_);
    if (down) return {grpc::StatusCode::UNAVAILABLE, "down"};
    records.push_back(*request);
    response->set_index(records.size() - 1);
    return grpc::Status::OK;
  }
  std::vector<std::string> Events() {
    std::lock_guard lock(mutex_);
    std::vector<std::string> events;
    for (const auto& record : records) events.push_back(record.event());
    return events;
  }
  std::atomic<bool> down = false;
  std::vector<v1::AppendRequest> records;

 private:
  std::mutex mutex_;
};

class RetrievalServiceTest : public testing::Test {
 protected:
  RetrievalServiceTest() {
    const auto own = authority_.For("retrieval");
    audit_server_ = Serve("audit", {{"/cloister.v1.Audit/Append", {"retrieval"}}}, {&fake_audit_});
    audit_ = std::make_unique<AuditClient>(Connect(own, "audit", SocketOf("audit")),
                                           std::chrono::milliseconds(2'000));
    recorder_ = std::make_unique<AuditReleaseRecorder>(*audit_);
    releaser_ = std::make_unique<retrieval::Releaser>(*corpus_.corpus, *corpus_.contexts, *recorder_,
                                                      corpus_.clock, "local");
    verifier_ = std::make_unique<AssertionVerifier>(
        "main", [this] { return StatusOr<std::string>(signer_.public_key()); }, corpus_.clock);
    retrieval_ = std::make_unique<RetrievalService>(*corpus_.searcher, *releaser_, *verifier_);
    documents_ = std::make_unique<DocumentsService>(*corpus_.corpus, *audit_);
    directory_ = std::make_unique<DirectoryService>(*corpus_.corpus, *audit_);
    server_ = Serve("retrieval", RetrievalRules(), {retrieval_.get(), documents_.get(), directory_.get()});
    for (const char* name : {"gateway", "ingest", "supervisor"}) {
      const auto credentials = authority_.For(name);
      channels_[name] = Connect(credentials, "retrieval", SocketOf("retrieval"));
    }
  }
  ~RetrievalServiceTest() override {
    server_->Shutdown();
    audit_server_->Shutdown();
  }

  std::filesystem::path SocketOf(const std::string& identity) const {
    return sockets_.path() / (identity + ".sock");
  }
  std::unique_ptr<RpcServer> Serve(const std::string& identity, std::vector<MethodRule> rules,
                                   std::vector<grpc::Service*> services) {
    RpcServerOptions options;
    options.socket = SocketOf(identity);
    options.rules = std::move(rules);
    options.services = std::move(services);
    auto server = RpcServer::Start(authority_.For(identity), std::move(options));
    EXPECT_TRUE(server.ok()) << MessageOf(server.status());
    return *std::move(server);
  }

  // Calls a method of Stub as `identity`.
  template <class Service, class Method, class Request, class Response>
  grpc::Status Call(const std::string& identity, Method method, const Request& request, Response* response) {
    auto stub = Service::NewStub(channels_.at(identity));
    grpc::ClientContext context;
    SetDeadline(context, std::chrono::seconds(20));
    return (stub.get()->*method)(&context, request, response);
  }
  v1::SignedAssertion AssertionOf(const std::string& user) {
    const int64_t now = corpus_.clock.Now().time_since_epoch().count();
    v1::PrincipalAssertion assertion;
    assertion.set_tenant("main");
    assertion.set_user(user);
    assertion.set_purpose("TREAT");
    assertion.set_zone("ward-lan");
    assertion.set_issued_at_ns(now);
    assertion.set_not_after_ns(now + 60'000'000'000);
    assertion.set_session_id(crypto::RandomBytes(16));
    v1::SignedAssertion signed_assertion;
    signed_assertion.set_assertion(assertion.SerializeAsString());
    signed_assertion.set_signature(signer_.Sign("cloister/assertion/v1\n" + signed_assertion.assertion()));
    return signed_assertion;
  }
  grpc::Status PutUser(const std::string& name, const std::vector<std::string>& groups) {
    v1::PutUserRequest request;
    request.mutable_user()->set_name(name);
    for (const auto& group : groups) request.mutable_user()->add_groups(group);
    v1::PutUserResponse response;
    return Call<v1::Directory>("gateway", &v1::Directory::Stub::PutUser, request, &response);
  }
  grpc::Status PutCollection(const std::string& name, const std::vector<std::string>& groups) {
    v1::PutCollectionRequest request;
    request.mutable_collection()->set_name(name);
    for (const auto& group : groups) request.mutable_collection()->add_reader_groups(group);
    v1::PutCollectionResponse response;
    return Call<v1::Directory>("gateway", &v1::Directory::Stub::PutCollection, request, &response);
  }
  static std::string Bytes(const std::vector<float>& floats) {
    return {reinterpret_cast<const char*>(floats.data()), floats.size() * sizeof(float)};
  }
  static v1::PutDocumentRequest DocumentRequest(const std::string& source, const std::string& text) {
    v1::PutDocumentRequest request;
    request.set_collection("ward");
    request.set_source(source);
    request.set_title("Title of " + source);
    request.set_text(text);
    request.set_original(text);
    request.set_embedder_sha256("e");
    request.add_subjects("patient-1");
    v1::ChunkInput* chunk = request.add_chunks();
    chunk->set_end(text.size());
    chunk->add_section("Dosing");
    chunk->set_page_first(3), chunk->set_page_last(3);
    v1::SentenceInput* sentence = chunk->add_sentences();
    sentence->set_end(text.size());
    sentence->set_lead_in(-1);
    v1::Box* box = sentence->add_boxes();
    box->set_page(3), box->set_x1(100), box->set_y1(12);
    chunk->set_vector(Bytes(retrieval::UnitVector(1)));
    chunk->set_sentence_vectors(Bytes(retrieval::UnitVector(2)) + Bytes(retrieval::UnitVector(3)));
    return request;
  }
  grpc::Status Put(const v1::PutDocumentRequest& request, v1::PutDocumentResponse* response) {
    return Call<v1::Documents>("ingest", &v1::Documents::Stub::PutDocument, request, response);
  }
  grpc::Status Search(const v1::SearchRequest& request, v1::SearchResponse* response) {
    return Call<v1::Retrieval>("gateway", &v1::Retrieval::Stub::Search, request, response);
  }
  grpc::Status Release(const v1::ReleaseRequest& request, v1::ReleaseResponse* response) {
    return Call<v1::Retrieval>("gateway", &v1::Retrieval::Stub::Release, request, response);
  }
  void SetUpWard() {
    ASSERT_TRUE(PutUser("a.weber", {"nurses"}).ok());
    ASSERT_TRUE(PutCollection("ward", {"nurses"}).ok());
    v1::PutDocumentResponse put;
    const grpc::Status status = Put(DocumentRequest("dose.md", "The insulin dose is four units."), &put);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
  v1::SearchRequest Question(const std::string& user) {
    v1::SearchRequest request;
    *request.mutable_assertion() = AssertionOf(user);
    request.set_question("insulin dose");
    request.set_question_vector(Bytes(retrieval::UnitVector(9)));
    return request;
  }
  v1::ReleaseRequest ReleaseOf(const std::string& user, const v1::SearchResponse& search) {
    v1::ReleaseRequest request;
    *request.mutable_assertion() = AssertionOf(user);
    request.set_search_id(search.search_id());
    for (const auto& hit : search.hits()) request.add_handles(hit.handle());
    request.set_ask_id(std::string(16, 'q'));
    return request;
  }

  TestAuthority authority_;
  TestDirectory sockets_;
  retrieval::TestCorpus corpus_;
  crypto::Ed25519Signer signer_ = crypto::Ed25519Signer::Generate();
  FakeAudit fake_audit_;
  std::unique_ptr<RpcServer> audit_server_, server_;
  std::unique_ptr<AuditClient> audit_;
  std::unique_ptr<AuditReleaseRecorder> recorder_;
  std::unique_ptr<retrieval::Releaser> releaser_;
  std::unique_ptr<AssertionVerifier> verifier_;
  std::unique_ptr<RetrievalService> retrieval_;
  std::unique_ptr<DocumentsService> documents_;
  std::unique_ptr<DirectoryService> directory_;
  std::map<std::string, std::shared_ptr<grpc::Channel>> channels_;
};

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
