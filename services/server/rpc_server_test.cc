// SPDX-License-Identifier: Apache-2.0
#include "services/server/rpc_server.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <fstream>
#include <mutex>
#include <thread>

#include "cloister/v1/keys.grpc.pb.h"
#include "common/file.h"
#include "services/server/rpc_client.h"
#include "services/server/test_authority.h"
#include "services/server/test_raw_call.h"

namespace cloister::services {
namespace {

constexpr std::chrono::seconds kCallTimeout{20};
const std::vector<std::string> kIdentities = {"gateway",   "keys",       "audit",  "embedding",
                                              "retrieval", "generation", "ingest", "supervisor"};
const std::vector<MethodRule> kRules = {
    {"/cloister.v1.Keys/CreateKeys", {"retrieval", "audit"}},
    {"/cloister.v1.Keys/GetKeys", {"retrieval"}},
    {"/cloister.v1.Keys/GetPublicKey", {"gateway", "embedding", "generation"}},
    {"/cloister.v1.Keys/GetKeyringStatus", {}},
};

// Counts who got through, and holds calls back on demand.
class RecordingKeys final : public v1::Keys::Service {
 public:
  grpc::Status CreateKeys(grpc::ServerContext* context, const v1::CreateKeysRequest*,
                          v1::KeysResponse*) override {
    return Record(*context);
  }
  grpc::Status GetKeys(grpc::ServerContext* context, const v1::GetKeysRequest*, v1::KeysResponse*) override {
    return Record(*context);
  }
  grpc::Status GetNamedKey(grpc::ServerContext* context, const v1::GetNamedKeyRequest*,
                           v1::KeysResponse*) override {
    return Record(*context);
  }
  grpc::Status GetPublicKey(grpc::ServerContext* context, const v1::GetPublicKeyRequest*,
                            v1::PublicKeyResponse*) override {
    return Record(*context);
  }
  grpc::Status GetKeyringStatus(grpc::ServerContext* context, const v1::GetKeyringStatusRequest*,
                                v1::KeyringStatus*) override {
    return Record(*context);
  }

  int calls() const {
    std::lock_guard lock(mutex_);
    return calls_;
  }
  std::string last_caller() const {
    std::lock_guard lock(mutex_);
    return last_caller_;
  }
  void Hold() {
    std::lock_guard lock(mutex_);
    held_ = true;
  }
  void ReleaseAll() {
    std::lock_guard lock(mutex_);
    held_ = false;
    changed_.notify_all();
  }
  void AwaitCalls(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return calls_ >= count; });
  }

 private:
  grpc::Status Record(const grpc::ServerContext& context) {
    std::unique_lock lock(mutex_);
    ++calls_;
    last_caller_ = CallerIdentity(context);
    changed_.notify_all();
    changed_.wait(lock, [this] { return !held_; });
    return grpc::Status::OK;
  }
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  int calls_ = 0;
  bool held_ = false;
  std::string last_caller_;
};

grpc::Status Call(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                  const std::string& request = "", bool wait_for_ready = true) {
  return RawCall(channel, method, request, wait_for_ready, kCallTimeout);
}

class RpcServerTest : public ::testing::Test {
 protected:
  StatusOr<std::unique_ptr<RpcServer>> Start(RpcServerOptions options = {}) {
    if (options.socket.empty()) options.socket = socket_;
    options.rules = kRules;
    options.services = {&keys_};
    return RpcServer::Start(authority_.For("keys"), std::move(options));
  }
  std::shared_ptr<grpc::Channel> As(std::string_view identity) {
    return Connect(authority_.For(identity), "keys", socket_);
  }

  TestDirectory directory_;
  std::filesystem::path socket_ = directory_.path() / "run" / "keys.sock";
  TestAuthority authority_;
  RecordingKeys keys_;
};

TEST_F(RpcServerTest, LetsExactlyTheListedCallersThrough) {
  const auto server = Start();
  ASSERT_TRUE(server.ok()) << server.status();
  const auto* descriptor =
      google::protobuf::DescriptorPool::generated_pool()->FindServiceByName("cloister.v1.Keys");
  ASSERT_NE(descriptor, nullptr);
  int expected_calls = 0;
  for (const std::string& identity : kIdentities) {
    const auto channel = As(identity);
    for (int i = 0; i < descriptor->method_count(); ++i) {
      const std::string method = "/cloister.v1.Keys/" + descriptor->method(i)->name();
      bool allowed = false;
      for (const MethodRule& rule : kRules) {
        if (rule.method != method) continue;
        for (const std::string& caller : rule.identities) allowed = allowed || caller == identity;
      }
      const grpc::Status status = Call(channel, method);
      expected_calls += allowed ? 1 : 0;
      EXPECT_EQ(status.error_code(), allowed ? grpc::OK : grpc::PERMISSION_DENIED)
          << identity << " " << method;
      // A denied call never reached a handler.
      EXPECT_EQ(keys_.calls(), expected_calls) << identity << " " << method;
      if (allowed) {
        EXPECT_EQ(keys_.last_caller(), identity);
      }
    }
  }
  EXPECT_EQ(expected_calls, 6);
}

TEST_F(RpcServerTest, DeniesMethodsNobodyKnows) {
  const auto server = Start();
  ASSERT_TRUE(server.ok());
  const auto channel = As("retrieval");
  for (const char* method :
       {"/cloister.v1.Keys/Nope", "/other.Service/CreateKeys", "/cloister.v1.Keys/createkeys",
        "/grpc.health.v1.Health/Watch", "/cloister.v1.Keys/CreateKeys/"}) {
    EXPECT_EQ(Call(channel, method).error_code(), grpc::PERMISSION_DENIED) << method;
  }
  EXPECT_EQ(keys_.calls(), 0);
}

TEST_F(RpcServerTest, RefusesAClientWithoutCertificate) {
  const auto server = Start();
  ASSERT_TRUE(server.ok());
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = authority_.For("retrieval").ca_pem;
  grpc::ChannelArguments arguments;
  arguments.SetSslTargetNameOverride(DnsNameOf("keys"));
  const auto channel =
      grpc::CreateCustomChannel("unix:" + socket_.string(), grpc::SslCredentials(tls), arguments);
  EXPECT_EQ(Call(channel, "/cloister.v1.Keys/CreateKeys", "", false).error_code(), grpc::UNAVAILABLE);
  EXPECT_EQ(keys_.calls(), 0);
}

TEST_F(RpcServerTest, RefusesACertificateOfAnotherAuthority) {
  const auto server = Start();
  ASSERT_TRUE(server.ok());
  RpcCredentials stranger = TestAuthority().For("retrieval");
  // It knows our authority, so that only the server can be what refuses.
  stranger.ca_pem = authority_.For("retrieval").ca_pem;
  const auto channel = Connect(stranger, "keys", socket_);
  EXPECT_EQ(Call(channel, "/cloister.v1.Keys/CreateKeys", "", false).error_code(), grpc::UNAVAILABLE);
  EXPECT_EQ(keys_.calls(), 0);
}

TEST_F(RpcServerTest, RefusesPlainText) {
  const auto server = Start();
  ASSERT_TRUE(server.ok());
  const auto channel = grpc::CreateChannel("unix:" + socket_.string(), grpc::InsecureChannelCredentials());
  EXPECT_EQ(Call(channel, "/cloister.v1.Keys/CreateKeys", "", false).error_code(), grpc::UNAVAILABLE);
  EXPECT_EQ(keys_.calls(), 0);
}

TEST_F(RpcServerTest, DeniesACertificateWhoseNameIsNotOfThisAppliance) {
  const auto server = Start();
  ASSERT_TRUE(server.ok());
  for (const char* name : {"retrieval", "retrieval.example.org", ".cloister.internal",
                           "retrieval.cloister.internal.example.org"}) {
    const auto channel = Connect(authority_.ForDnsName("retrieval", name), "keys", socket_);
    EXPECT_EQ(Call(channel, "/cloister.v1.Keys/CreateKeys").error_code(), grpc::PERMISSION_DENIED) << name;
  }
  EXPECT_EQ(keys_.calls(), 0);
}

TEST_F(RpcServerTest, TheClientRefusesAServerWithAnotherIdentity) {
  const auto server = Start();
  ASSERT_TRUE(server.ok());
  const auto channel = Connect(authority_.For("retrieval"), "audit", socket_);
  EXPECT_EQ(Call(channel, "/cloister.v1.Keys/CreateKeys", "", false).error_code(), grpc::UNAVAILABLE);
  EXPECT_EQ(keys_.calls(), 0);
}

TEST_F(RpcServerTest, HealthFollowsSetServing) {
  const auto server = Start();
  ASSERT_TRUE(server.ok());
  const auto channel = As("embedding");
  EXPECT_FALSE(IsServing(channel, kCallTimeout));
  (*server)->SetServing(true);
  EXPECT_TRUE(IsServing(channel, kCallTimeout));
  (*server)->SetServing(false);
  EXPECT_FALSE(IsServing(channel, kCallTimeout));
}

TEST_F(RpcServerTest, HealthOfANamedServiceIsNotFound) {
  const auto server = Start();
  ASSERT_TRUE(server.ok());
  // HealthCheckRequest{service: "x"}
  EXPECT_EQ(Call(As("gateway"), "/grpc.health.v1.Health/Check", std::string("\x0a\x01x")).error_code(),
            grpc::NOT_FOUND);
}

TEST_F(RpcServerTest, SocketAndItsFolderArePrivate) {
  const auto server = Start();
  ASSERT_TRUE(server.ok());
  struct stat info;
  ASSERT_EQ(::stat(socket_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0600u);
  ASSERT_EQ(::stat(socket_.parent_path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0700u);
}

TEST_F(RpcServerTest, ReplacesAStaleSocket) {
  ASSERT_TRUE(MakePrivateDirectory(socket_.parent_path()).ok());
  {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, socket_.c_str());
    FileDescriptor fd(::socket(AF_UNIX, SOCK_STREAM, 0));
    ASSERT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  ASSERT_TRUE(std::filesystem::exists(socket_));
  const auto server = Start();
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_TRUE(Call(As("retrieval"), "/cloister.v1.Keys/CreateKeys").ok());
}

TEST_F(RpcServerTest, LeavesALiveSocketAlone) {
  const auto first = Start();
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(Start().status().code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(Call(As("retrieval"), "/cloister.v1.Keys/CreateKeys").ok());
}

TEST_F(RpcServerTest, LeavesAFileInTheWayAlone) {
  ASSERT_TRUE(MakePrivateDirectory(socket_.parent_path()).ok());
  std::ofstream(socket_) << "precious";
  EXPECT_EQ(Start().status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(*ReadFile(socket_, 100), "precious");
}

TEST_F(RpcServerTest, RefusesAPathOverTheLimit) {
  RpcServerOptions options;
  options.socket = directory_.path() / std::string(kSocketPathBytesMax, 'x');
  EXPECT_EQ(Start(std::move(options)).status().code(), StatusCode::kInvalidArgument);
}

TEST_F(RpcServerTest, ReportsAFolderItCannotMake) {
  std::ofstream(directory_.path() / "file") << "x";
  RpcServerOptions options;
  options.socket = directory_.path() / "file" / "keys.sock";
  EXPECT_EQ(Start(std::move(options)).status().code(), StatusCode::kUnavailable);
}

TEST_F(RpcServerTest, RefusesAMessageOverTheLimit) {
  RpcServerOptions options;
  options.message_bytes_max = 1000;
  const auto server = Start(std::move(options));
  ASSERT_TRUE(server.ok());
  // An unknown field of the given length, which proto3 skips.
  const auto padded = [](size_t size) { return std::string("\x7a\xf0\x07", 3) + std::string(size, 'x'); };
  ASSERT_EQ(padded(1008).size(), 1011u);
  EXPECT_EQ(Call(As("retrieval"), "/cloister.v1.Keys/CreateKeys", padded(1008)).error_code(),
            grpc::RESOURCE_EXHAUSTED);
  EXPECT_EQ(keys_.calls(), 0);
}

TEST_F(RpcServerTest, MoreCallsThanThreadsGetResourceExhausted) {
  RpcServerOptions options;
  options.threads_max = 4;
  const auto server = Start(std::move(options));
  ASSERT_TRUE(server.ok());
  keys_.Hold();
  constexpr int kCalls = 12;
  std::atomic<int> exhausted = 0;
  std::atomic<int> done = 0;
  std::vector<std::thread> callers;
  for (int i = 0; i < kCalls; ++i) {
    callers.emplace_back([&] {
      const grpc::Status status = Call(As("retrieval"), "/cloister.v1.Keys/CreateKeys");
      if (status.error_code() == grpc::RESOURCE_EXHAUSTED) {
        // Only the held calls can be left once enough were refused.
        if (++exhausted >= kCalls - 4) keys_.ReleaseAll();
      } else {
        EXPECT_TRUE(status.ok()) << status.error_message();
        ++done;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_GE(exhausted, kCalls - 4);
  EXPECT_GE(done, 1);
  EXPECT_EQ(done + exhausted, kCalls);
}

TEST_F(RpcServerTest, ShutdownLetsCallsInFlightFinish) {
  auto server = Start();
  ASSERT_TRUE(server.ok());
  keys_.Hold();
  grpc::Status status;
  std::thread caller([&] { status = Call(As("retrieval"), "/cloister.v1.Keys/CreateKeys"); });
  keys_.AwaitCalls(1);
  std::thread stopper([&] { (*server)->Shutdown(); });
  keys_.ReleaseAll();
  stopper.join();
  caller.join();
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(RpcServerTest, TheChannelReconnectsToASuccessor) {
  auto server = Start();
  ASSERT_TRUE(server.ok());
  const auto channel = As("retrieval");
  EXPECT_TRUE(Call(channel, "/cloister.v1.Keys/CreateKeys").ok());
  server->reset();
  EXPECT_EQ(Call(channel, "/cloister.v1.Keys/CreateKeys", "", false).error_code(), grpc::UNAVAILABLE);
  server = Start();
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_TRUE(Call(channel, "/cloister.v1.Keys/CreateKeys").ok());
}

}  // namespace
}  // namespace cloister::services
