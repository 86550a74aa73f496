// SPDX-License-Identifier: Apache-2.0
// Backups through gateway, over fake services.
#include <fstream>

#include "backup/manifest.h"
#include "common/file.h"
#include "services/gateway/backup_desk.h"
#include "services/gateway/test_fixture.h"

namespace cloister::services {
namespace {

using nlohmann::json;

class FakeMaintenance final : public v1::Maintenance::Service {
 public:
  grpc::Status Checkpoint(grpc::ServerContext*, const v1::CheckpointRequest* request,
                          v1::CheckpointResponse* response) override {
    std::lock_guard lock(mutex);
    ++made;
    if (made == fail_at) return {grpc::StatusCode::RESOURCE_EXHAUSTED, "the disk is full"};
    ids.push_back(request->id());
    v1::StoreCheckpoint* store = response->add_stores();
    store->set_name("db");
    store->set_database_id(std::string(kIdBytes, 'd'));
    store->set_commit_sequence(7);
    response->mutable_log()->set_origin("clinic/main/1");
    response->mutable_log()->set_root(std::string(32, 'r'));
    response->mutable_log()->set_size(3);
    return grpc::Status::OK;
  }
  grpc::Status DropCheckpoint(grpc::ServerContext*, const v1::DropCheckpointRequest*,
                              v1::DropCheckpointResponse*) override {
    std::lock_guard lock(mutex);
    ++dropped;
    return grpc::Status::OK;
  }
  std::mutex mutex;
  int made = 0, dropped = 0, fail_at = -1;
  std::vector<std::string> ids;
};

class FakeKeys final : public v1::Keys::Service {
 public:
  grpc::Status GetKeyringStatus(grpc::ServerContext*, const v1::GetKeyringStatusRequest*,
                                v1::KeyringStatus* response) override {
    response->set_appliance_id(std::string(kIdBytes, 'a'));
    response->set_epoch(++epoch);
    response->set_generation(++generation);
    return grpc::Status::OK;
  }
  std::atomic<uint32_t> epoch{0};
  std::atomic<uint64_t> generation{10};
};

class AdminBackupsTest : public GatewayFixture {
 protected:
  AdminBackupsTest() {
    more_server_ = std::make_unique<PeerServer>(directory_path / "more.sock",
                                                std::vector<grpc::Service*>{&audit, &maintenance, &keyring});
    MaintenanceParts parts;
    parts.directory = directory_path / "gateway";
    std::filesystem::create_directory(parts.directory);
    parts.stores["store"] = {DatabaseId(), [](const auto& folder) -> StatusOr<uint64_t> {
                               std::filesystem::create_directory(folder);
                               return 4;
                             }};
    own_ = *MaintenanceService::New(std::move(parts));
    desk_ = std::make_unique<BackupDesk>(more_server_->peers(), key_source, *own_, clock);
    gateway = std::make_unique<Gateway>(GatewayParts{
        more_server_->peers(), *credentials, *authenticator, *asks, metrics, clock, {2048, kTestCost}, desk_.get()});
  }
  json Post(const std::string& path, const json& body, int status) {
    const KeepingWriter writer = SendAsOwner("POST", path, body.is_null() ? "" : body.dump());
    EXPECT_EQ(writer.status, status) << writer.body;
    return json::parse(writer.body);
  }
  static json Files(size_t count) {
    json files = json::array();
    for (size_t i = 0; i < count; ++i) {
      files.push_back(
          {{"path", "audit/log/tile/" + std::to_string(i)}, {"sha256", std::string(64, 'e')}, {"bytes", 5}});
    }
    return {{"files", files}};
  }
  bool OwnCopyIsThere(const std::string& id) const {
    return std::filesystem::exists(directory_path / "gateway" / kCheckpointsFolder / id);
  }

  FakeMaintenance maintenance;
  FakeKeys keyring;
  std::unique_ptr<PeerServer> more_server_;
  std::unique_ptr<MaintenanceService> own_;
  std::unique_ptr<BackupDesk> desk_;
};

TEST_F(AdminBackupsTest, ABackupIsMadeSealedRecordedAndOpened) {
  const json begun = Post("/admin/v1/backups", nullptr, 201);
  const std::string id = begun["id"];
  EXPECT_EQ(maintenance.made, 3);
  EXPECT_EQ(begun["stores"].size(), 4u);
  EXPECT_EQ(begun["epoch"], 1);                // As it was before the copies,
  EXPECT_EQ(begun["keyring_generation"], 12);  // and after them.
  EXPECT_TRUE(OwnCopyIsThere(id));
  for (const std::string& each : maintenance.ids) EXPECT_EQ(HexEncode(each), id);
  Post("/admin/v1/backups/" + id + "/files", Files(2), 200);
  const std::string former(32, '7');
  const json sealed =
      Post("/admin/v1/backups/" + id + "/seal",
           {{"former", former}, {"settings", {{"cloister.toml", Base64Encode("a = 1\n")}}}}, 200);
  EXPECT_EQ(maintenance.dropped, 3);
  EXPECT_FALSE(OwnCopyIsThere(id));
  ASSERT_EQ(audit.records.size(), 1u);
  EXPECT_EQ(audit.records[0].event(), "backup.created");
  const json body = json::parse(audit.records[0].body_json());
  EXPECT_EQ(body["backup"], id);
  EXPECT_EQ(body["files"], 2);
  EXPECT_EQ(body["bytes"], "10");

  const auto path = directory_path / "m.backup";
  const std::string bytes = *Base64Decode(sealed["manifest"].get<std::string>());
  ASSERT_TRUE(WriteFileAtomic(path, bytes, 0600).ok());
  const json opened = Post("/admin/v1/backups/open", {{"manifest", path.string()}}, 200);
  EXPECT_EQ(opened["id"], id);
  EXPECT_EQ(opened["former"], former);
  EXPECT_EQ(opened["files"].size(), 2u);
  EXPECT_EQ(opened["log"]["origin"], "clinic/main/1");
  const auto manifest =
      backup::OpenManifest(bytes, *DatabaseId::FromBytes(std::string(kIdBytes, 'a')), key_source);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->settings.at(0).content, "a = 1\n");
  std::ofstream(path, std::ios::binary) << bytes.substr(0, bytes.size() - 1);
  EXPECT_EQ(Post("/admin/v1/backups/open", {{"manifest", path.string()}}, 500)["error"]["code"], "DATA_LOSS");
}

TEST_F(AdminBackupsTest, ARecordThatIsNotMadeLeavesNoManifest) {
  const std::string id = Post("/admin/v1/backups", nullptr, 201)["id"];
  audit.fail_all = true;
  const json refused = Post("/admin/v1/backups/" + id + "/seal", json::object(), 503);
  EXPECT_FALSE(refused.contains("manifest"));
}

TEST_F(AdminBackupsTest, AFailedCopyLeavesNothingAndANewBackupReplacesTheOldOne) {
  maintenance.fail_at = 3;
  Post("/admin/v1/backups", nullptr, 429);
  EXPECT_EQ(maintenance.dropped, 3);
  const std::string first = Post("/admin/v1/backups", nullptr, 201)["id"];
  const std::string second = Post("/admin/v1/backups", nullptr, 201)["id"];
  EXPECT_FALSE(OwnCopyIsThere(first));
  Post("/admin/v1/backups/" + first + "/files", Files(1), 404);
  Post("/admin/v1/backups/" + first + "/seal", json::object(), 404);
  Post("/admin/v1/backups/" + second + "/files", Files(1), 200);
  EXPECT_EQ(SendAsOwner("DELETE", "/admin/v1/backups/" + second).status, 200);
  EXPECT_FALSE(OwnCopyIsThere(second));
  Post("/admin/v1/backups/" + second + "/seal", json::object(), 404);
}

TEST_F(AdminBackupsTest, RefusesWhatNoBackupHasAndWhoIsNoAdministrator) {
  const std::string id = Post("/admin/v1/backups", nullptr, 201)["id"];
  const std::string files = "/admin/v1/backups/" + id + "/files";
  json bad = Files(1);
  bad["files"][0]["path"] = "keys/keyring";
  Post(files, bad, 400);
  bad = Files(1);
  bad["files"][0]["sha256"] = "ee";
  Post(files, bad, 400);
  Post(files, Files(kBackupFilesPerCallMax + 1), 400);
  Post("/admin/v1/backups/" + id + "/seal", {{"settings", {{"keys/keyring", "YQ=="}}}}, 400);
  Post("/admin/v1/backups/xyz/seal", json::object(), 404);
  Post("/admin/v1/backups/open", {{"manifest", "/etc/passwd"}}, 400);
  Post("/admin/v1/backups/open", {{"manifest", "relative.backup"}}, 400);
  Post("/admin/v1/backups/open", {{"manifest", "/absent.backup"}}, 404);
  EXPECT_EQ(SendAsUser("POST", "/admin/v1/backups").status, 403);
  EXPECT_EQ(SendAsOwner("GET", "/admin/v1/backups").status, 404);
}

}  // namespace
}  // namespace cloister::services
