// SPDX-License-Identifier: Apache-2.0
// The services of retrieval over real sockets with real certificates, against an audit log that remembers.
// For tests of this folder.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cloister/v1/audit.grpc.pb.h"
#include "crypto/signer.h"
#include "retrieval/test_support.h"
#include "services/retrieval/audit_records.h"
#include "services/retrieval/erasure_audit.h"
#include "services/retrieval/erasure_service.h"
#include "services/retrieval/retrieval_service.h"
#include "services/retrieval/version_service.h"
#include "services/server/rpc_client.h"
#include "services/server/rpc_status.h"
#include "services/server/test_authority.h"

namespace cloister::services {

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
  grpc::Status Forget(grpc::ServerContext*, const v1::ForgetRequest* request,
                      v1::ForgetResponse* response) override {
    std::lock_guard lock(mutex_);
    if (down) return {grpc::StatusCode::UNAVAILABLE, "down"};
    for (const auto& person : request->people()) forgotten.push_back(person.kind() + " " + person.name());
    response->set_forgotten(static_cast<uint64_t>(request->people_size()));
    response->set_sections_closed(2);
    return grpc::Status::OK;
  }
  grpc::Status FindReleases(grpc::ServerContext*, const v1::FindReleasesRequest* request,
                            v1::FindReleasesResponse* response) override {
    response->set_total(static_cast<uint64_t>(request->documents_size()) * 3);
    response->set_recipients(2);
    v1::FormerLog* former = response->add_former_logs();
    former->set_generation(1);
    if (damaged_former) former->set_problem("is not on this disk");
    return grpc::Status::OK;
  }
  std::vector<std::string> Events() {
    std::lock_guard lock(mutex_);
    std::vector<std::string> events;
    for (const auto& record : records) events.push_back(record.event());
    return events;
  }
  std::atomic<bool> down = false;
  std::atomic<bool> damaged_former = false;  // A log of before a restore.
  std::vector<v1::AppendRequest> records;
  std::vector<std::string> forgotten;  // "kind name"

 private:
  std::mutex mutex_;
};

class RetrievalServiceTest : public testing::Test {
 protected:
  RetrievalServiceTest() {
    const auto own = authority_.For("retrieval");
    audit_server_ = Serve("audit",
                          {{"/cloister.v1.Audit/Append", {"retrieval"}},
                           {"/cloister.v1.Audit/Forget", {"retrieval"}},
                           {"/cloister.v1.Audit/FindReleases", {"retrieval"}}},
                          {&fake_audit_});
    audit_ = std::make_unique<AuditClient>(Connect(own, "audit", SocketOf("audit")),
                                           std::chrono::milliseconds(2'000));
    recorder_ = std::make_unique<AuditReleaseRecorder>(*audit_);
    releaser_ = std::make_unique<retrieval::Releaser>(*corpus_.corpus, *corpus_.contexts, *recorder_,
                                                      corpus_.clock, "local");
    verifier_ = std::make_unique<AssertionVerifier>(
        "main", [this] { return StatusOr<std::string>(signer_.public_key()); }, corpus_.clock);
    retrieval_ = std::make_unique<RetrievalService>(*corpus_.searcher, *releaser_, *verifier_);
    versions_ = std::make_unique<VersionsService>(*releaser_, *verifier_);
    documents_ = std::make_unique<DocumentsService>(*corpus_.corpus, *audit_);
    directory_ = std::make_unique<DirectoryService>(*corpus_.corpus, *audit_);
    erasure_audit_ = std::make_unique<ServiceErasureAudit>(*audit_, Connect(own, "audit", SocketOf("audit")),
                                                           corpus_.corpus->rows());
    eraser_ = *retrieval::Eraser::Open(*corpus_.corpus, *erasure_audit_, corpus_.clock);
    erasure_ = std::make_unique<ErasureService>(*corpus_.corpus, *eraser_, *audit_);
    server_ = Serve("retrieval", RetrievalRules(),
                    {retrieval_.get(), documents_.get(), directory_.get(), erasure_.get(), versions_.get()});
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
  grpc::Status PutUser(const std::string& name, const std::vector<std::string>& groups,
                       const std::vector<std::string>& roles = {}) {
    v1::PutUserRequest request;
    request.mutable_user()->set_name(name);
    for (const auto& role : roles) request.mutable_user()->add_roles(role);
    for (const auto& group : groups) request.mutable_user()->add_groups(group);
    v1::PutUserResponse response;
    return Call<v1::Directory>("gateway", &v1::Directory::Stub::PutUser, request, &response);
  }
  grpc::Status PutCollection(const std::string& name, const std::vector<std::string>& groups,
                             const std::string& retention = "") {
    v1::PutCollectionRequest request;
    request.mutable_collection()->set_name(name);
    request.mutable_collection()->set_retention(retention);
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
  std::unique_ptr<VersionsService> versions_;
  std::unique_ptr<DocumentsService> documents_;
  std::unique_ptr<DirectoryService> directory_;
  std::unique_ptr<ServiceErasureAudit> erasure_audit_;
  std::unique_ptr<retrieval::Eraser> eraser_;
  std::unique_ptr<ErasureService> erasure_;
  std::map<std::string, std::shared_ptr<grpc::Channel>> channels_;
};

}  // namespace cloister::services
