// SPDX-License-Identifier: Apache-2.0
// For tests: a gateway over fake services that speak the real protos on a Unix socket, and a writer that keeps what
// would have gone to the client. Nothing here is linked into the product.
#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "audit/canonical_json.h"
#include "audit/event_names.h"
#include "crypto/random.h"
#include "services/gateway/gateway.h"
#include "services/gateway/json_body.h"
#include "services/server/rpc_status.h"
#include "storage/memory_key_source.h"
#include "storage/memory_store.h"

namespace cloister::services {

class FakeAudit final : public v1::Audit::Service {
 public:
  grpc::Status Append(grpc::ServerContext*, const v1::AppendRequest* request, v1::AppendResponse* response) override {
    std::lock_guard lock(mutex);
    const auto index = static_cast<int>(records.size());
    if (index == fail_at || fail_all) return {grpc::StatusCode::UNAVAILABLE, "disk failed"};
    if (Status valid = CheckRecord(*request); !valid.ok()) return ToGrpc(valid);
    records.push_back(*request);
    response->set_index(static_cast<uint64_t>(index));
    return grpc::Status::OK;
  }
  grpc::Status GetEntries(grpc::ServerContext*, const v1::GetEntriesRequest* request,
                          v1::GetEntriesResponse* response) override {
    std::lock_guard lock(mutex);
    generation = request->generation();
    response->set_size(records.size());
    for (uint64_t i = request->first(); i < records.size() && i < request->first() + request->count(); ++i) {
      response->add_envelopes("{\"event\":\"" + records[i].event() + "\",\"v\":1}");
    }
    return grpc::Status::OK;
  }
  grpc::Status GetReceipt(grpc::ServerContext*, const v1::GetReceiptRequest* request,
                          v1::GetReceiptResponse* response) override {
    generation = request->generation();
    if (request->index() > 99) return {grpc::StatusCode::UNAVAILABLE, "no checkpoint covers this yet"};
    response->set_receipt("c2sp.org/tlog-proof@v1\n");
    response->set_verifier_key("log+00000000+key");
    return grpc::Status::OK;
  }
  grpc::Status Export(grpc::ServerContext*, const v1::ExportRequest*,
                      grpc::ServerWriter<v1::ExportFile>* writer) override {
    for (const auto& [path, offset, content] :
         {std::tuple{"checkpoint", 0, "abc"}, std::tuple{"tile/0/000", 0, "de"}, std::tuple{"tile/0/000", 2, "f"}}) {
      v1::ExportFile file;
      file.set_path(path);
      file.set_offset(static_cast<uint64_t>(offset));
      file.set_content(content);
      writer->Write(file);
    }
    return export_breaks ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "broke") : grpc::Status::OK;
  }
  grpc::Status Unseal(grpc::ServerContext*, const v1::UnsealRequest* request, v1::UnsealResponse* response) override {
    generation = request->generation();
    auto* section = response->add_sections();
    section->set_subject_kind("user");
    section->set_subject("a.weber");
    section->set_content_json("{\"question\":\"q\"}");
    response->set_audit_index(request->index() + 1);
    return grpc::Status::OK;
  }
  grpc::Status GetLogStatus(grpc::ServerContext*, const v1::GetLogStatusRequest*, v1::LogStatus* response) override {
    std::lock_guard lock(mutex);
    response->set_size(records.size());
    response->set_verifier_key("log+00000000+key");
    response->add_not_protected("Without a witness, rollback would go undetected.");
    return grpc::Status::OK;
  }
  // What the real service refuses.
  static Status CheckRecord(const v1::AppendRequest& request) {
    CLOISTER_RETURN_IF_ERROR(audit::CanonicalJsonObject(request.body_json()).status());
    if (!audit::IsEventName(request.event())) return InvalidArgument("not one of the log's event classes");
    for (const auto& section : request.sections()) {
      if (nlohmann::json::parse(section.content_json(), nullptr, false).is_discarded() || section.subject().empty()) {
        return InvalidArgument("a section that is not JSON about somebody");
      }
      const std::string& kind = section.subject_kind();
      if (kind != "user" && kind != "subject" && kind != "document") return InvalidArgument("a section of no known kind");
    }
    return absl::OkStatus();
  }
  std::vector<std::string> Events() {
    std::lock_guard lock(mutex);
    std::vector<std::string> events;
    for (const auto& record : records) events.push_back(record.event());
    return events;
  }
  std::mutex mutex;
  std::vector<v1::AppendRequest> records;
  uint32_t generation = 0;  // Of the last reading.
  int fail_at = -1;  // The append that fails, counted from 0.
  bool fail_all = false;
  bool export_breaks = false;
};

class FakeEmbedding final : public v1::Embedding::Service {
 public:
  grpc::Status Embed(grpc::ServerContext*, const v1::EmbedRequest* request, v1::EmbedResponse* response) override {
    texts.assign(request->texts().begin(), request->texts().end());
    if (fail) return {grpc::StatusCode::RESOURCE_EXHAUSTED, "queue full"};
    response->set_vectors(std::string(16, '\1'));
    response->set_dimension(4);
    response->set_tokens(7);
    return grpc::Status::OK;
  }
  grpc::Status GetEmbedder(grpc::ServerContext*, const v1::GetEmbedderRequest*, v1::EmbedderInfo* info) override {
    info->set_name("fake-embedder");
    info->set_sha256("e3b0");
    return grpc::Status::OK;
  }
  std::vector<std::string> texts;
  bool fail = false;
};

// One document, "The ward opens at nine. Visitors wash their hands.", that a.weber's group may read.
class FakeRetrieval final : public v1::Retrieval::Service {
 public:
  static constexpr const char* kText = "The ward opens at nine. Visitors wash their hands.";
  explicit FakeRetrieval(FakeAudit& audit) : audit_(audit) {}
  grpc::Status Search(grpc::ServerContext*, const v1::SearchRequest* request, v1::SearchResponse* response) override {
    search = *request;
    if (fail_search) return {grpc::StatusCode::UNAVAILABLE, "index closed"};
    response->set_search_id(std::string(16, 's'));
    if (!permitted) return grpc::Status::OK;
    auto* hit = response->add_hits();
    hit->set_handle(std::string(16, 'h'));
    hit->set_rank(1);
    hit->set_title("Visiting rules");
    hit->set_collection("ward");
    hit->set_source("visiting.md");
    return grpc::Status::OK;
  }
  grpc::Status Release(grpc::ServerContext* context, const v1::ReleaseRequest* request,
                       v1::ReleaseResponse* response) override {
    release = *request;
    v1::AppendRequest record;
    record.set_event("ask.release");
    record.set_body_json("{}");
    v1::AppendResponse appended;
    if (const auto status = audit_.Append(context, &record, &appended); !status.ok()) return status;
    response->set_audit_index(appended.index());
    AddPassage(request->handles(0), std::string(16, 'd'), std::string(16, 'c'), *response);
    if (second_document) AddPassage(request->handles(0), std::string(16, 'e'), std::string(16, 'f'), *response);
    return grpc::Status::OK;
  }
  static void AddPassage(const std::string& handle, const std::string& document, const std::string& chunk,
                         v1::ReleaseResponse& response) {
    auto* passage = response.add_passages();
    passage->set_handle(handle);
    passage->set_document_id(document);
    passage->set_version_id(std::string(16, 'v'));
    passage->set_chunk_id(chunk);
    passage->set_rank(1);
    passage->set_title("Visiting rules");
    passage->set_collection("ward");
    passage->set_source("visiting.md");
    passage->add_section("Hours");
    passage->set_page_first(2);
    passage->set_page_last(3);
    passage->set_start(100);
    passage->set_end(100 + std::string(kText).size());
    passage->set_text(kText);
    for (const auto& [start, end] : {std::pair{100, 123}, std::pair{124, 150}}) {
      auto* sentence = passage->add_sentences();
      sentence->set_start(static_cast<uint64_t>(start));
      sentence->set_end(static_cast<uint64_t>(end));
      auto* box = sentence->add_boxes();
      box->set_page(2);
      box->set_x1(10);
      box->set_y1(5);
    }
  }
  v1::SearchRequest search;
  v1::ReleaseRequest release;
  bool permitted = true;
  bool second_document = false;  // Another with the same text.
  bool fail_search = false;

 private:
  FakeAudit& audit_;
};

class FakeGeneration final : public v1::Generation::Service {
 public:
  FakeGeneration() {
    quote.set_chunk_id(std::string(16, 'c'));
    quote.set_start(100);
    quote.set_end(123);
    quote.add_sentences(0);
  }
  grpc::Status Answer(grpc::ServerContext*, const v1::AnswerRequest* request,
                      grpc::ServerWriter<v1::AnswerEvent>* writer) override {
    asked = *request;
    v1::AnswerEvent event;
    *event.mutable_quote() = quote;
    writer->Write(event);
    for (const v1::Quote& next : more) {
      *event.mutable_quote() = next;
      writer->Write(event);
    }
    if (fail) return {grpc::StatusCode::INTERNAL, "model failed"};
    if (omit_summary) return grpc::Status::OK;
    event.mutable_summary()->set_band(band);
    event.mutable_summary()->set_confidence(0.8312f);
    event.mutable_summary()->set_tokens(50);
    event.mutable_summary()->set_score_us(1234);
    event.mutable_summary()->set_model_sha256("abcd");
    writer->Write(event);
    return grpc::Status::OK;
  }
  v1::AnswerRequest asked;
  v1::Quote quote;
  std::vector<v1::Quote> more;  // After it.
  v1::Band band = v1::BAND_ANSWER;
  bool fail = false;
  bool omit_summary = false;
};

class FakeDirectory final : public v1::Directory::Service {
 public:
  grpc::Status PutUser(grpc::ServerContext*, const v1::PutUserRequest* request, v1::PutUserResponse*) override {
    if (fail) return {grpc::StatusCode::UNAVAILABLE, "store closed"};
    users[request->user().name()] = request->user();
    return grpc::Status::OK;
  }
  grpc::Status DeleteUser(grpc::ServerContext*, const v1::DeleteUserRequest* request,
                          v1::DeleteUserResponse* response) override {
    response->set_existed(users.erase(request->name()) > 0);
    return grpc::Status::OK;
  }
  grpc::Status ListUsers(grpc::ServerContext*, const v1::ListUsersRequest*, v1::ListUsersResponse* response) override {
    for (const auto& [name, user] : users) *response->add_users() = user;
    return grpc::Status::OK;
  }
  grpc::Status PutCollection(grpc::ServerContext*, const v1::PutCollectionRequest* request,
                             v1::PutCollectionResponse* response) override {
    response->set_created(!collections.contains(request->collection().name()));
    collections[request->collection().name()] = request->collection();
    return grpc::Status::OK;
  }
  grpc::Status ListCollections(grpc::ServerContext*, const v1::ListCollectionsRequest*,
                               v1::ListCollectionsResponse* response) override {
    for (const auto& [name, collection] : collections) *response->add_collections() = collection;
    return grpc::Status::OK;
  }
  std::map<std::string, v1::User> users;
  std::map<std::string, v1::Collection> collections;
  bool fail = false;
};

// Remembers what it was asked; erases nothing.
class FakeErasure final : public v1::Erasure::Service {
 public:
  grpc::Status PlanErasure(grpc::ServerContext*, const v1::ErasureTarget* request, v1::ErasurePlan* response) override {
    planned = *request;
    auto* document = response->add_documents();
    document->set_document_id(std::string(16, 'd'));
    document->set_source("a.md");
    response->set_documents_total(1);
    return grpc::Status::OK;
  }
  grpc::Status Erase(grpc::ServerContext*, const v1::EraseRequest* request, v1::ErasureState* response) override {
    erased = *request;
    response->set_id(std::string(16, 'e'));
    response->set_state("completed");
    response->set_requested_at_ns(1'000'000'000);
    response->set_unsearchable_at_ns(1'500'000'000);
    response->set_completed_at_ns(3'000'000'000);
    response->set_audit_completed(7);
    return grpc::Status::OK;
  }
  grpc::Status ListHolds(grpc::ServerContext*, const v1::ListHoldsRequest*, v1::ListHoldsResponse*) override {
    return grpc::Status::OK;
  }
  grpc::Status PlaceHold(grpc::ServerContext*, const v1::PlaceHoldRequest* request, v1::Hold* response) override {
    *response = held = request->hold();
    response->set_id(std::string(16, 'h'));
    return grpc::Status::OK;
  }
  v1::ErasureTarget planned;
  v1::EraseRequest erased;
  v1::Hold held;
};

class FakeIngest final : public v1::Ingest::Service {
 public:
  grpc::Status StartJob(grpc::ServerContext*, const v1::StartJobRequest* request, v1::Job* job) override {
    started = *request;
    job->set_id(std::string(16, 'j'));
    job->set_state(v1::JOB_STATE_RUNNING);
    job->set_collection(request->collection());
    return grpc::Status::OK;
  }
  grpc::Status GetJob(grpc::ServerContext*, const v1::GetJobRequest* request, v1::Job* job) override {
    if (request->id() != std::string(16, 'j')) return {grpc::StatusCode::NOT_FOUND, "there is no such job"};
    job->set_id(request->id());
    job->set_state(v1::JOB_STATE_DONE);
    auto* failure = job->add_failures();
    failure->set_source("bad.pdf");
    failure->set_reason("cut off");
    return grpc::Status::OK;
  }
  v1::StartJobRequest started;
};

// What a client would have received.
class KeepingWriter final : public HttpWriter {
 public:
  void Send(HttpResponse sent) override {
    status = sent.status;
    body = std::move(sent.body);
    headers = std::move(sent.headers);
    content_type = std::move(sent.content_type);
  }
  bool StartStream(const HttpResponse& head) override {
    status = head.status;
    content_type = head.content_type;
    return true;
  }
  bool Write(std::string_view bytes) override {
    body.append(bytes);
    return true;
  }
  nlohmann::json json() const { return nlohmann::json::parse(body, nullptr, false); }
  int status = 0;
  std::string body;
  std::string content_type;
  std::vector<std::pair<std::string, std::string>> headers;
};

// Every peer of a gateway behind one socket, without credentials: `services` answer, whoever is asked.
class PeerServer {
 public:
  PeerServer(const std::filesystem::path& socket, const std::vector<grpc::Service*>& services) {
    grpc::ServerBuilder builder;
    const std::string address = "unix:" + socket.string();
    builder.AddListeningPort(address, grpc::InsecureServerCredentials());
    for (grpc::Service* service : services) builder.RegisterService(service);
    server_ = builder.BuildAndStart();
    peers_ = std::make_unique<Peers>([address](std::string_view) {
      return grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
    });
  }
  ~PeerServer() { server_->Shutdown(); }
  Peers& peers() { return *peers_; }

 private:
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<Peers> peers_;
};

constexpr uint32_t kOwnerUid = 4711;
constexpr crypto::Argon2Cost kTestCost{1024, 1, 1};

// A gateway with the user a.weber, who has the password "correct horse battery" and the API key `token`.
class GatewayFixture : public ::testing::Test {
 protected:
  GatewayFixture() : retrieval(audit) {
    std::string pattern = (std::filesystem::temp_directory_path() / "cloister-gateway-XXXXXX").string();
    directory_path = ::mkdtemp(pattern.data());
    server = std::make_unique<PeerServer>(
        directory_path / "peers.sock",
        std::vector<grpc::Service*>{&audit, &embedding, &retrieval, &generation, &directory, &ingest, &erasure});
    Peers& peers = server->peers();
    sealed = std::make_unique<storage::SealedStore>(store.database_id(), key_source);
    row_key = *key_source.GetNamedKey(storage::KeyKind::kStore, "rows");
    credentials = *CredentialStore::Open(store, *sealed, row_key, clock);
    EXPECT_TRUE(credentials->PutUser("a.weber", {}, *HashUserPassword("correct horse battery", kTestCost)).ok());
    token = std::string((*credentials->CreateKey("a.weber", "api")).token.view());
    authenticator = *Authenticator::New(*credentials, peers.audit_log(), clock, kOwnerUid, kTestCost);
    signer = std::make_unique<AssertionSigner>(crypto::Ed25519Signer::Generate(), "main", clock);
    asks = std::make_unique<AskRunner>(peers, *signer, clock, 8);
    gateway = std::make_unique<Gateway>(
        GatewayParts{peers, *credentials, *authenticator, *asks, metrics, clock, {2048, kTestCost}});
  }
  ~GatewayFixture() override {
    server.reset();
    std::filesystem::remove_all(directory_path);
  }

  static HttpRequest Request(std::string method, const std::string& target, std::string body = "") {
    HttpRequest request;
    request.method = std::move(method);
    EXPECT_TRUE(ParseTarget(target, request).ok());
    if (!body.empty()) request.headers.emplace_back("content-type", "application/json");
    request.body = std::move(body);
    request.remote_address = "192.0.2.7";
    return request;
  }
  KeepingWriter Send(HttpRequest request) {
    KeepingWriter writer;
    gateway->Handle(request, writer);
    return writer;
  }
  KeepingWriter SendAsUser(const std::string& method, const std::string& target, const std::string& body = "") {
    HttpRequest request = Request(method, target, body);
    request.headers.emplace_back("authorization", "Bearer " + token);
    return Send(std::move(request));
  }
  KeepingWriter SendAsOwner(const std::string& method, const std::string& target, const std::string& body = "") {
    HttpRequest request = Request(method, target, body);
    request.local = true;
    request.peer_uid = kOwnerUid;
    request.remote_address.clear();
    return Send(std::move(request));
  }
  static std::string Chat(const std::string& question, nlohmann::json more = nlohmann::json::object()) {
    more["model"] = "cloister";
    more["messages"] = {{{"role", "user"}, {"content", question}}};
    return more.dump();
  }

  FakeClock clock{WallTime(std::chrono::seconds(1'800'000'000))};
  std::filesystem::path directory_path;
  FakeAudit audit;
  FakeEmbedding embedding;
  FakeRetrieval retrieval;
  FakeGeneration generation;
  FakeDirectory directory;
  FakeIngest ingest;
  FakeErasure erasure;
  std::unique_ptr<PeerServer> server;
  storage::MemoryKeySource key_source;
  storage::MemoryStore store{{"users", "api_keys", "tls"}};
  std::unique_ptr<storage::SealedStore> sealed;
  storage::DataKey row_key;
  std::unique_ptr<CredentialStore> credentials;
  std::string token;
  std::unique_ptr<Authenticator> authenticator;
  std::unique_ptr<AssertionSigner> signer;
  std::unique_ptr<AskRunner> asks;
  Metrics metrics;
  std::unique_ptr<Gateway> gateway;
};

}  // namespace cloister::services
