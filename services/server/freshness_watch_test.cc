// SPDX-License-Identifier: Apache-2.0
#include "services/server/freshness_watch.h"

#include <gtest/gtest.h>

#include <atomic>

#include "services/server/rpc_client.h"
#include "services/server/rpc_server.h"
#include "services/server/rpc_status.h"
#include "services/server/test_authority.h"

namespace cloister::services {
namespace {

constexpr std::chrono::milliseconds kSoon{2};

// Keeps what it was told; refuses what the test says.
class FakeKeys final : public v1::Keys::Service {
 public:
  grpc::Status GetFreshness(grpc::ServerContext*, const v1::GetFreshnessRequest*,
                            v1::Freshness* response) override {
    std::lock_guard lock(mutex_);
    *response = stated;
    return grpc::Status::OK;
  }
  grpc::Status NoteFreshness(grpc::ServerContext*, const v1::NoteFreshnessRequest* request,
                             v1::NoteFreshnessResponse*) override {
    std::lock_guard lock(mutex_);
    if (!refusal.ok()) return ToGrpc(refusal);
    notes.push_back(*request);
    changed_.notify_all();
    return grpc::Status::OK;
  }
  v1::NoteFreshnessRequest AwaitNote(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return notes.size() >= count; });
    return notes[count - 1];
  }
  size_t NoteCount() {
    std::lock_guard lock(mutex_);
    return notes.size();
  }
  v1::Freshness stated;
  Status refusal;
  std::vector<v1::NoteFreshnessRequest> notes;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
};

class FreshnessWatchTest : public testing::Test {
 protected:
  FreshnessWatchTest() {
    RpcServerOptions options;
    options.socket = directory_.path() / "keys.sock";
    options.rules = {{"/cloister.v1.Keys/GetFreshness", {"audit"}},
                     {"/cloister.v1.Keys/NoteFreshness", {"audit"}}};
    options.services = {&keys_};
    server_ = *RpcServer::Start(authority_.For("keys"), std::move(options));
    channel_ = Connect(authority_.For("audit"), "keys", directory_.path() / "keys.sock");
  }
  FreshnessParts Parts() {
    FreshnessParts parts;
    parts.stores["sections"] = {database_, [this] { return sequence_.load(); }};
    parts.interval = kSoon;
    return parts;
  }

  TestDirectory directory_;
  TestAuthority authority_;
  FakeKeys keys_;
  std::unique_ptr<RpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  const DatabaseId database_ = *DatabaseId::FromBytes(std::string(16, 'd'));
  std::atomic<uint64_t> sequence_ = 5;
};

TEST_F(FreshnessWatchTest, StatesAtTheStartWhenSomethingChangedAndAtTheEnd) {
  auto watch = FreshnessWatch::Compare(channel_, Parts());
  ASSERT_TRUE(watch.ok()) << watch.status();
  ASSERT_EQ(keys_.NoteCount(), 1u);
  EXPECT_EQ(keys_.notes[0].stores(0).name(), "sections");
  EXPECT_EQ(keys_.notes[0].stores(0).database_id(), database_.bytes());
  EXPECT_EQ(keys_.notes[0].stores(0).commit_sequence(), 5u);
  EXPECT_FALSE(keys_.notes[0].has_log());
  (*watch)->Start();
  sequence_ = 6;
  EXPECT_EQ(keys_.AwaitNote(2).stores(0).commit_sequence(), 6u);
  watch->reset();
  EXPECT_EQ(keys_.NoteCount(), 2u) << "what has not changed was stated again";
  // A long interval: the last word is said at the end.
  FreshnessParts slow = Parts();
  slow.interval = std::chrono::hours(1);
  watch = FreshnessWatch::Compare(channel_, std::move(slow));
  ASSERT_TRUE(watch.ok()) << watch.status();
  (*watch)->Start();
  sequence_ = 7;
  watch->reset();
  EXPECT_EQ(keys_.AwaitNote(4).stores(0).commit_sequence(), 7u);
}

TEST_F(FreshnessWatchTest, WhatKeysRefusesEndsTheStart) {
  keys_.refusal = FailedPrecondition("the database audit/sections is older than it was");
  const auto watch = FreshnessWatch::Compare(channel_, Parts());
  EXPECT_EQ(watch.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(MessageOf(watch.status()).find("older"), std::string::npos);
}

TEST_F(FreshnessWatchTest, ADatabaseThatIsNoLongerKeptIsMissed) {
  keys_.stated.add_stores()->set_name("gone");
  const auto watch = FreshnessWatch::Compare(channel_, Parts());
  EXPECT_EQ(watch.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(MessageOf(watch.status()).find("gone"), std::string::npos);
  EXPECT_EQ(keys_.NoteCount(), 0u);
}

TEST_F(FreshnessWatchTest, TheLogIsComparedBeforeAnythingIsStated) {
  keys_.stated.mutable_log()->set_size(9);
  FreshnessParts parts = Parts();
  parts.log = []() -> StatusOr<v1::LogFreshness> {
    v1::LogFreshness log;
    log.set_size(12);
    return log;
  };
  uint64_t compared = 0;
  parts.check_log = [&](const v1::LogFreshness& stated) {
    compared = stated.size();
    return FailedPrecondition("another log");
  };
  const Status refused = FreshnessWatch::Compare(channel_, parts).status();
  EXPECT_EQ(refused.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(MessageOf(refused).find("accept-older"), std::string::npos);
  EXPECT_EQ(compared, 9u);
  EXPECT_EQ(keys_.NoteCount(), 0u);
  parts.check_log = [](const v1::LogFreshness&) { return absl::OkStatus(); };
  ASSERT_TRUE(FreshnessWatch::Compare(channel_, parts).ok());
  EXPECT_EQ(keys_.AwaitNote(1).log().size(), 12u);
}

}  // namespace
}  // namespace cloister::services
