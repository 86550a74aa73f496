// SPDX-License-Identifier: Apache-2.0
// The rotation of data keys through gateway, over a fake service that stands for all and gateway's own.
#include <set>

#include "services/gateway/test_fixture.h"
#include "services/server/maintenance.h"
#include "storage/memory_key_source.h"

namespace cloister::services {
namespace {

using nlohmann::json;

class FakeRotator final : public v1::Maintenance::Service {
 public:
  grpc::Status GetKeyRotation(grpc::ServerContext*, const v1::GetKeyRotationRequest*,
                              v1::KeyRotationState* response) override {
    *response = State();
    return grpc::Status::OK;
  }
  grpc::Status RotateKeys(grpc::ServerContext*, const v1::RotateKeysRequest* request,
                          v1::KeyRotationState* response) override {
    ++started;
    asked = {request->levels().begin(), request->levels().end()};
    running = true;
    *response = State();
    return grpc::Status::OK;
  }
  grpc::Status EndFormerKeys(grpc::ServerContext*, const v1::EndFormerKeysRequest*,
                             v1::EndFormerKeysResponse* response) override {
    if (++ended == fail_at) return {grpc::StatusCode::UNAVAILABLE, "try again"};
    response->set_destroyed(7);
    response->set_renewed(ended == 1 ? 2 : 0);
    response->set_epoch(static_cast<uint32_t>(40 + ended));
    response->set_escrow("replaced");
    return grpc::Status::OK;
  }
  v1::KeyRotationState State() const {
    v1::KeyRotationState state;
    for (const char* level : {"rows", "subjects", "volumes"}) state.add_levels_known(level);
    for (const std::string& level : asked) state.add_levels(level);
    state.set_running(running);
    state.set_problem(problem);
    return state;
  }
  std::vector<std::string> asked;
  std::string problem;
  bool running = false;
  int started = 0, ended = 0, fail_at = 0;
};

class AdminKeyRotationTest : public GatewayFixture {
 protected:
  AdminKeyRotationTest() {
    more_server_ = std::make_unique<PeerServer>(directory_path / "more.sock",
                                                std::vector<grpc::Service*>{&audit, &directory, &rotator});
    const std::filesystem::path folder = directory_path / "gateway";
    std::filesystem::create_directory(folder);
    KeyRotationParts rotation{.file = folder / kRotationFile, .keys = keys, .clock = clock};
    rotation.levels[kLevelRows] = []() -> StatusOr<std::vector<KeyId>> { return std::vector<KeyId>(); };
    rotation.renew = [](const std::function<Status()>&) -> StatusOr<uint64_t> { return uint64_t{0}; };
    own_rotation_ = *KeyRotation::Open(std::move(rotation));
    MaintenanceParts parts;
    parts.directory = folder;
    parts.rotation = own_rotation_.get();
    own_ = *MaintenanceService::New(std::move(parts));
    GatewayParts of_gateway{more_server_->peers(), *credentials, *authenticator, *asks, metrics, clock,
                            {2048, kTestCost}};
    of_gateway.own = own_.get();
    gateway = std::make_unique<Gateway>(std::move(of_gateway));
  }
  std::vector<json> Recorded() {
    std::vector<json> bodies;
    for (const auto& record : audit.records) {
      if (record.event() == "key.rotated") bodies.push_back(json::parse(record.body_json()));
    }
    return bodies;
  }

  FakeRotator rotator;
  storage::MemoryKeySource keys;
  std::unique_ptr<PeerServer> more_server_;
  std::unique_ptr<KeyRotation> own_rotation_;
  std::unique_ptr<MaintenanceService> own_;
};

TEST_F(AdminKeyRotationTest, EveryServiceBeginsWithTheLevelsThatItHas) {
  const KeepingWriter begun = SendAsOwner("POST", "/admin/v1/keyring/rotation");
  ASSERT_EQ(begun.status, 202) << begun.body;
  EXPECT_EQ(rotator.started, 3);  // retrieval, audit and ingest; gateway asks itself.
  EXPECT_EQ(rotator.asked, (std::vector<std::string>{"rows", "subjects", "volumes"}));
  EXPECT_EQ(own_rotation_->GetState().levels, std::vector<std::string>{"rows"});
  ASSERT_EQ(Recorded().size(), 1u);
  EXPECT_EQ(Recorded()[0], json::parse(R"({"level":"data","levels":["rows","subjects","volumes"]})"));
  const json state = SendAsOwner("GET", "/admin/v1/keyring/rotation").json();
  EXPECT_EQ(state["running"], true);
  ASSERT_EQ(state["services"].size(), 4u);
  EXPECT_EQ(state["services"][0]["service"], "retrieval");
  EXPECT_EQ(state["services"][0]["levels_known"].size(), 3u);
  EXPECT_EQ(state["services"][0]["problem"], nullptr);
}

TEST_F(AdminKeyRotationTest, AServiceWithoutTheLevelIsLeftAlone) {
  ASSERT_EQ(SendAsOwner("POST", "/admin/v1/keyring/rotation", R"({"levels":["subjects"]})").status, 202);
  EXPECT_EQ(rotator.asked, std::vector<std::string>{"subjects"});
  EXPECT_TRUE(own_rotation_->GetState().levels.empty());
}

TEST_F(AdminKeyRotationTest, UnknownLevelsAreRefusedBeforeAnythingBegins) {
  for (const char* body : {R"({"levels":["moons"]})", R"({"levels":[]})", R"({"levels":"rows"})", R"({"level":["rows"]})"})
    EXPECT_EQ(SendAsOwner("POST", "/admin/v1/keyring/rotation", body).status, 400) << body;
  EXPECT_EQ(rotator.started, 0);
  EXPECT_TRUE(Recorded().empty());
}

TEST_F(AdminKeyRotationTest, WhatCannotBeRecordedDoesNotBegin) {
  audit.fail_all = true;
  EXPECT_EQ(SendAsOwner("POST", "/admin/v1/keyring/rotation").status, 503);
  EXPECT_EQ(SendAsOwner("DELETE", "/admin/v1/keyring/former").status, 503);
  EXPECT_EQ(rotator.started + rotator.ended, 0);
}

TEST_F(AdminKeyRotationTest, FormerKeysOfEveryServiceAreDestroyed) {
  const KeepingWriter ended = SendAsOwner("DELETE", "/admin/v1/keyring/former");
  ASSERT_EQ(ended.status, 200) << ended.body;
  const json reply = ended.json();
  EXPECT_EQ(reply["destroyed"], 21);
  EXPECT_EQ(reply["services"][0], json::parse(R"({"service":"retrieval","destroyed":7,"renewed":2})"));
  EXPECT_EQ(reply["services"].size(), 4u);
  EXPECT_EQ(Recorded()[0], json::parse(R"({"level":"former"})"));
}

TEST_F(AdminKeyRotationTest, NothingIsDestroyedWhileKeysAreRotated) {
  rotator.running = true;
  EXPECT_EQ(SendAsOwner("DELETE", "/admin/v1/keyring/former").status, 409);
  EXPECT_EQ(rotator.ended, 0);
  rotator.running = false;
  rotator.fail_at = 2;
  EXPECT_EQ(SendAsOwner("DELETE", "/admin/v1/keyring/former").status, 503);
  EXPECT_EQ(SendAsOwner("DELETE", "/admin/v1/keyring/former").status, 200) << "a repeated call goes on";
}

TEST_F(AdminKeyRotationTest, AdministratorsRotateAndComplianceLooks) {
  EXPECT_EQ(SendAsUser("GET", "/admin/v1/keyring/rotation").status, 403);
  ASSERT_TRUE(credentials->PutUser("a.weber", {kRoleCompliance}, std::nullopt).ok());
  EXPECT_EQ(SendAsUser("GET", "/admin/v1/keyring/rotation").status, 200);
  EXPECT_EQ(SendAsUser("POST", "/admin/v1/keyring/rotation").status, 403);
  EXPECT_EQ(SendAsUser("DELETE", "/admin/v1/keyring/former").status, 403);
  EXPECT_EQ(SendAsOwner("PUT", "/admin/v1/keyring/rotation").status, 404);
}

}  // namespace
}  // namespace cloister::services
