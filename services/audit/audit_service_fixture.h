// SPDX-License-Identifier: Apache-2.0
// For tests: the real service behind real mTLS, over a real log directory and a store in memory.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "services/audit/audit_service.h"
#include "services/server/rpc_client.h"
#include "services/server/rpc_status.h"
#include "services/server/test_authority.h"
#include "storage/memory_key_source.h"
#include "storage/memory_store.h"

namespace cloister::services {

constexpr std::chrono::seconds kCallTimeout{60};

class AuditServiceFixture : public ::testing::Test {
 protected:
  void SetUp() override { Start(); }
  void TearDown() override { Stop(); }
  AuditServiceOptions Options() {
    AuditServiceOptions options;
    options.log_directory = log_directory_;
    options.appliance = "clinic";
    options.tenant = "main";
    options.checkpoint_interval = checkpoint_interval_;
    options.on_failure = [this] { ++failures_; };
    options.fault = [this](audit::DiskStep step) {
      return step == audit::DiskStep::kJournalSync ? fault_.load() : 0;
    };
    return options;
  }
  StatusOr<std::unique_ptr<AuditService>> Open(AuditServiceOptions options) {
    return AuditService::Open(std::move(options), *store_in_use_, database_, *keys_in_use_, clock_);
  }
  void Start() {
    auto service = Open(Options());
    ASSERT_TRUE(service.ok()) << service.status();
    service_ = *std::move(service);
    RpcServerOptions options;
    options.socket = directory_.path() / "run" / "audit.sock";
    options.rules = AuditRules();
    options.services = {service_.get()};
    auto server = RpcServer::Start(authority_.For("audit"), std::move(options));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  void Stop() {
    if (service_) service_->Stop();
    server_.reset();
    service_.reset();
  }
  std::unique_ptr<v1::Audit::Stub> As(std::string_view identity) {
    return v1::Audit::NewStub(
        Connect(authority_.For(identity), "audit", directory_.path() / "run" / "audit.sock"));
  }
  template <class Request, class Response>
  Status Call(std::string_view identity,
              grpc::Status (v1::Audit::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
              const Request& request, Response& response) {
    const auto stub = As(identity);
    grpc::ClientContext context;
    SetDeadline(context, kCallTimeout);
    return FromGrpc(((*stub).*method)(&context, request, &response));
  }
  StatusOr<uint64_t> Append(std::string_view identity, const v1::AppendRequest& request) {
    v1::AppendResponse response;
    CLOISTER_RETURN_IF_ERROR(Call(identity, &v1::Audit::Stub::Append, request, response));
    return response.index();
  }
  static v1::AppendRequest Ask(const std::string& user) {
    v1::AppendRequest request;
    request.set_event("ask.intent");
    request.set_body_json("{\"purpose\":\"TREAT\"}");
    request.set_actor_kind("user");
    request.set_actor(user);
    v1::SectionInput* section = request.add_sections();
    section->set_subject_kind("user");
    section->set_subject(user);
    section->set_content_json("{\"question\":\"does the canary sing\"}");
    return request;
  }
  std::vector<audit::Envelope> Entries(uint64_t first, uint32_t count) {
    v1::GetEntriesRequest request;
    request.set_first(first);
    request.set_count(count);
    request.set_requested_by("auditor");
    v1::GetEntriesResponse response;
    const Status status = Call("gateway", &v1::Audit::Stub::GetEntries, request, response);
    EXPECT_TRUE(status.ok()) << status;
    std::vector<audit::Envelope> envelopes;
    for (const std::string& entry : response.envelopes()) envelopes.push_back(*audit::ParseEnvelope(entry));
    return envelopes;
  }
  v1::LogStatus LogStatusOf(std::string_view identity) {
    v1::LogStatus status;
    const Status called = Call(identity, &v1::Audit::Stub::GetLogStatus, v1::GetLogStatusRequest(), status);
    EXPECT_TRUE(called.ok()) << called;
    return status;
  }
  StatusOr<v1::UnsealResponse> Unseal(uint64_t index, const std::string& reason = "complaint 17 of 3 May") {
    v1::UnsealRequest request;
    request.set_index(index);
    request.set_reason(reason);
    request.set_requested_by("auditor");
    v1::UnsealResponse response;
    CLOISTER_RETURN_IF_ERROR(Call("gateway", &v1::Audit::Stub::Unseal, request, response));
    return response;
  }

  TestDirectory directory_;
  const std::filesystem::path log_directory_ = directory_.path() / "log";
  TestAuthority authority_;
  const DatabaseId database_ = crypto::RandomId<DatabaseId>();
  storage::MemoryStore store_{AuditColumnFamilies(), database_};
  storage::MemoryKeySource keys_;
  storage::KvStore* store_in_use_ = &store_;  // A test may put one that fails before the real one.
  storage::KeySource* keys_in_use_ = &keys_;
  FakeClock clock_{WallTime(std::chrono::seconds(1'800'000'000))};
  std::chrono::milliseconds checkpoint_interval_{1};
  std::atomic<int> failures_{0}, fault_{0};
  std::unique_ptr<AuditService> service_;
  std::unique_ptr<RpcServer> server_;
};

}  // namespace cloister::services
