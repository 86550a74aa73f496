// SPDX-License-Identifier: Apache-2.0
// For tests: the services ingest calls, in memory and without TLS, with faults on demand.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cloister/v1/audit.grpc.pb.h"
#include "cloister/v1/embedding.grpc.pb.h"
#include "cloister/v1/retrieval.grpc.pb.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "storage/memory_key_source.h"

namespace cloister::services {

class FakeEmbedding final : public v1::Embedding::Service {
 public:
  static constexpr uint32_t kDimension = 4;
  grpc::Status Embed(grpc::ServerContext* context, const v1::EmbedRequest* request, v1::EmbedResponse* response) override {
    while (hold && !context->IsCancelled()) {
      held = true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    if (fail_next > 0 && fail_next-- > 0) return {grpc::StatusCode::UNAVAILABLE, "restarting"};
    if (busy_next > 0 && busy_next-- > 0) return {grpc::StatusCode::RESOURCE_EXHAUSTED, "queue full"};
    std::this_thread::sleep_for(delay.load());
    std::lock_guard lock(mutex);
    for (const std::string& text : request->texts()) {
      texts.push_back(text);
      // The index of the text as the vector, so that a test can tell whose it is.
      const float vector[kDimension] = {static_cast<float>(texts.size() - 1), 0, 0, 1};
      response->mutable_vectors()->append(reinterpret_cast<const char*>(vector), sizeof vector);
    }
    if (wrong_count) response->mutable_vectors()->append("xxxx");
    response->set_dimension(kDimension);
    return grpc::Status::OK;
  }
  grpc::Status GetEmbedder(grpc::ServerContext*, const v1::GetEmbedderRequest*, v1::EmbedderInfo* info) override {
    info->set_sha256("abc");
    info->set_dimension(kDimension);
    return grpc::Status::OK;
  }
  // Blocks until a call is being held.
  void AwaitHeld() const {
    while (!held) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  std::mutex mutex;
  std::vector<std::string> texts;
  std::atomic<bool> hold{false}, held{false};
  std::atomic<int> fail_next{0}, busy_next{0};
  std::atomic<bool> wrong_count{false};
  std::atomic<std::chrono::milliseconds> delay{std::chrono::milliseconds(0)};
};

class FakeDocuments final : public v1::Documents::Service {
 public:
  grpc::Status PutDocument(grpc::ServerContext*, const v1::PutDocumentRequest* request, v1::PutDocumentResponse*) override {
    if (fail_next > 0 && fail_next-- > 0) return {grpc::StatusCode::UNAVAILABLE, "restarting"};
    std::lock_guard lock(mutex);
    if (refuse.count(request->source()) > 0) return {refuse[request->source()], "refused"};
    if (before_next_put) std::exchange(before_next_put, {})();
    const std::pair name{request->origin(), request->source()};
    const auto present = versions.find(name);
    if (request->replaces() != (present == versions.end() ? "" : present->second)) {
      return {grpc::StatusCode::ABORTED, "another version"};
    }
    documents[name] = *request;
    versions[name] = NextVersion();
    ++puts;
    return grpc::Status::OK;
  }
  grpc::Status DeleteDocument(grpc::ServerContext*, const v1::DeleteDocumentRequest* request, v1::DeleteDocumentResponse* response) override {
    std::lock_guard lock(mutex);
    const std::pair name{request->origin(), request->source()};
    if (const auto present = versions.find(name); present != versions.end() && present->second != request->version_id()) {
      return {grpc::StatusCode::ABORTED, "another version"};
    }
    versions.erase(name);
    response->set_existed(documents.erase(name) > 0);
    return grpc::Status::OK;
  }
  grpc::Status ListSources(grpc::ServerContext*, const v1::ListSourcesRequest* request, v1::ListSourcesResponse* response) override {
    std::lock_guard lock(mutex);
    for (const auto& [name, document] : documents) {
      if (name.first != request->origin()) continue;
      auto* state = response->add_sources();
      state->set_source(name.second);
      state->set_input_sha256(document.input_sha256());
      state->set_version_id(versions.at(name));
    }
    return grpc::Status::OK;
  }
  std::mutex mutex;
  std::map<std::pair<std::string, std::string>, v1::PutDocumentRequest> documents;  // By origin and source.
  std::string NextVersion() {
    std::string id(16, '\0');
    std::memcpy(id.data(), &++last_version, sizeof(last_version));
    return id;
  }
  std::map<std::pair<std::string, std::string>, std::string> versions;
  uint64_t last_version = 0;
  std::function<void()> before_next_put;  // Under the mutex.
  std::map<std::string, grpc::StatusCode> refuse;
  int puts = 0;
  std::atomic<int> fail_next{0};
};

class FakeDirectory final : public v1::Directory::Service {
 public:
  grpc::Status ListCollections(grpc::ServerContext*, const v1::ListCollectionsRequest*, v1::ListCollectionsResponse* response) override {
    response->add_collections()->set_name("main");
    auto* plain = response->add_collections();
    plain->set_name("plain");
    plain->set_no_sentence_vectors(true);
    return grpc::Status::OK;
  }
};

class FakeAudit final : public v1::Audit::Service {
 public:
  grpc::Status Append(grpc::ServerContext*, const v1::AppendRequest* request, v1::AppendResponse*) override {
    if (down) return {grpc::StatusCode::UNAVAILABLE, "disk"};
    std::lock_guard lock(mutex);
    records.push_back(*request);
    return grpc::Status::OK;
  }
  std::mutex mutex;
  std::vector<v1::AppendRequest> records;
  std::atomic<bool> down{false};
};

struct FakePeers {
  FakePeers() {
    grpc::ServerBuilder builder;
    for (grpc::Service* service : std::vector<grpc::Service*>{&embedding, &documents, &directory, &audit}) builder.RegisterService(service);
    builder.SetMaxReceiveMessageSize(96 << 20);
    server = builder.BuildAndStart();
  }
  ~FakePeers() { server->Shutdown(); }
  std::shared_ptr<grpc::Channel> Channel() { return server->InProcessChannel({}); }
  FakeEmbedding embedding;
  FakeDocuments documents;
  FakeDirectory directory;
  FakeAudit audit;
  std::unique_ptr<grpc::Server> server;
};

}  // namespace cloister::services
