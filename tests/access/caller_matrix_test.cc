// SPDX-License-Identifier: Apache-2.0
// The rules of every service on the real chassis, with handlers that only note that they were reached: who is
// not in the table never reaches one, whoever is does.
#include <grpcpp/impl/codegen/method_handler.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>

#include "services/audit/audit_service.h"
#include "services/embedding/embedding_service.h"
#include "services/generation/generation_service.h"
#include "services/ingest/ingest_service.h"
#include "services/keys/keys_service.h"
#include "services/relay/relay_service.h"
#include "services/retrieval/retrieval_service.h"
#include "services/server/rpc_client.h"
#include "services/server/test_authority.h"
#include "tests/access/caller_table.h"
#include "tests/access/interface.h"

namespace cloister::services {
namespace {

using Rules = std::vector<MethodRule>;

std::vector<std::string> Methods() { return DeclaredMethods(CLOISTER_INTERFACE); }

std::map<std::string, Rules> RulesOfProcesses() {
  return {{"keys", KeysRules()},
          {"audit", AuditRules()},
          {"embedding", EmbeddingRules()},
          {"generation", GenerationRules()},
          {"retrieval", RetrievalRules()},
          {"ingest", IngestRules()},
          {"relay", RelayRules()},
          {"gateway", {}}};
}

// Serves every method there is, so that a refusal can only come from the rules and not from a missing
// handler.
class EveryMethod final : public grpc::Service {
 public:
  EveryMethod() {
    using grpc::ByteBuffer;
    for (const std::string& method : names_) {
      AddMethod(new grpc::internal::RpcServiceMethod(
          method.c_str(), grpc::internal::RpcMethod::NORMAL_RPC,
          new grpc::internal::RpcMethodHandler<EveryMethod, ByteBuffer, ByteBuffer>(
              [](EveryMethod* self, grpc::ServerContext*, const ByteBuffer*, ByteBuffer* out) {
                ++self->reached_;
                const grpc::Slice empty("");
                *out = ByteBuffer(&empty, 1);
                return grpc::Status::OK;
              },
              this)));
    }
  }
  int reached() const { return reached_; }

 private:
  const std::vector<std::string> names_ = Methods();  // gRPC keeps pointers to them.
  std::atomic<int> reached_{0};
};

class CallerMatrixTest : public ::testing::TestWithParam<std::string> {
 protected:
  static void SetUpTestSuite() { SetUpGrpc(); }
  void SetUp() override {
    RpcServerOptions options;
    options.socket = socket_;
    options.rules = RulesOfProcesses().at(GetParam());
    options.services = {&handlers_};
    auto server = RpcServer::Start(authority_.For(GetParam()), std::move(options));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  TestDirectory directory_;
  std::filesystem::path socket_ = directory_.path() / "run" / "s.sock";
  TestAuthority authority_;
  EveryMethod handlers_;
  std::unique_ptr<RpcServer> server_;
};

TEST_P(CallerMatrixTest, OnlyListedCallersReachAHandler) {
  int expected = 0, denied = 0;
  for (const std::string& caller : CallersToTry()) {
    const auto channel = Connect(authority_.For(caller), GetParam(), socket_);
    ASSERT_TRUE(channel->WaitForConnected(std::chrono::system_clock::now() + kCallTimeout));
    for (const std::string& method : Methods()) {
      const bool allowed = MayCall(GetParam(), method, caller);
      const int before = handlers_.reached();
      const grpc::Status status = CallRaw(channel, method);
      (allowed ? expected : denied) += 1;
      EXPECT_EQ(status.error_code(), allowed ? grpc::OK : grpc::PERMISSION_DENIED) << caller << " " << method;
      EXPECT_EQ(handlers_.reached() - before, allowed ? 1 : 0) << caller << " " << method;
    }
  }
  EXPECT_GT(denied, expected);
  std::printf("%s: %d calls let through, %d refused\n", GetParam().c_str(), expected, denied);
}

TEST_P(CallerMatrixTest, WhoProvesNoIdentityReachesNoHandler) {
  for (const Unproven& caller :
       UnprovenCallers(authority_.For("gateway"), TestAuthority().For("gateway"), GetParam(), socket_)) {
    for (const std::string& method : Methods())
      EXPECT_EQ(CallRaw(caller.channel, method).error_code(), grpc::UNAVAILABLE)
          << caller.what << " " << method;
  }
  EXPECT_EQ(handlers_.reached(), 0);
}

INSTANTIATE_TEST_SUITE_P(EachProcess, CallerMatrixTest, ::testing::ValuesIn(ListeningProcesses()),
                         [](const auto& info) { return info.param; });

TEST(CallerTableTest, HasARowForEachMethodAndNoOther) {
  const std::vector<std::string> methods = Methods();
  const std::set<std::string> declared(methods.begin(), methods.end());
  std::set<std::string> listed;
  std::set<std::pair<std::string, std::string>>
      rows;  // Several services may serve one method, such as Maintenance's.
  for (const AllowedCallers& row : CallerTable()) {
    listed.insert("/cloister.v1." + row.method);
    EXPECT_TRUE(rows.emplace(row.process, row.method).second)
        << row.process << " " << row.method << " stands twice";
  }
  EXPECT_EQ(declared, listed);
  EXPECT_GE(declared.size(), 30u);
}

TEST(CallerTableTest, TheServicesRulesSayTheSame) {
  std::map<std::string, std::map<std::string, std::set<std::string>>> table, rules;
  for (const AllowedCallers& row : CallerTable())
    table[row.process]["/cloister.v1." + row.method] = row.callers;
  for (const auto& [process, list] : RulesOfProcesses()) {
    for (const MethodRule& rule : list) {
      const bool first = rules[process]
                             .emplace(rule.method, std::set(rule.identities.begin(), rule.identities.end()))
                             .second;
      EXPECT_TRUE(first) << process << " has two rules for " << rule.method;
    }
  }
  EXPECT_EQ(rules, table);
}

}  // namespace
}  // namespace cloister::services
