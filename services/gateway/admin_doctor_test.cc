// SPDX-License-Identifier: Apache-2.0
// Examinations through gateway, over a fake service and gateway's own.
#include <future>

#include "services/gateway/test_fixture.h"
#include "services/server/maintenance.h"

namespace cloister::services {
namespace {

using nlohmann::json;

class FakeExaminer final : public v1::Maintenance::Service {
 public:
  grpc::Status Examine(grpc::ServerContext*, const v1::ExamineRequest* request,
                       v1::Examination* response) override {
    asked = *request;
    if (fail) return {grpc::StatusCode::RESOURCE_EXHAUSTED, "another examination is under way"};
    v1::ExaminedPart* part = response->add_parts();
    part->set_name("rows");
    part->set_checked(41);
    part->set_bytes(1000);
    v1::Finding* finding = response->add_findings();
    finding->set_part("documents");
    finding->set_where("ward / a.md");
    finding->set_problem("does not authenticate");
    finding->set_remedy("bring it again");
    if (request->repair()) finding->set_done("set aside");
    response->set_findings_total(1200);
    return grpc::Status::OK;
  }
  v1::ExamineRequest asked;
  bool fail = false;
};

class AdminDoctorTest : public GatewayFixture {
 protected:
  AdminDoctorTest() {
    more_server_ = std::make_unique<PeerServer>(directory_path / "more.sock",
                                                std::vector<grpc::Service*>{&audit, &directory, &examiner});
    MaintenanceParts parts;
    parts.directory = directory_path / "gateway";
    std::filesystem::create_directory(parts.directory);
    parts.examine = [](const storage::ExaminationOptions&, storage::Examination& out) {
      out.Checked("rows", 5, 50);
      return absl::OkStatus();
    };
    own_ = *MaintenanceService::New(std::move(parts));
    GatewayParts of_gateway{more_server_->peers(), *credentials, *authenticator, *asks, metrics, clock,
                            {2048, kTestCost}};
    of_gateway.own = own_.get();
    gateway = std::make_unique<Gateway>(std::move(of_gateway));
  }
  // The last record of an examination.
  json Recorded() {
    for (auto record = audit.records.rbegin(); record != audit.records.rend(); ++record) {
      if (record->event() == "maintenance.examined") return json::parse(record->body_json());
    }
    return nullptr;
  }

  FakeExaminer examiner;
  std::unique_ptr<PeerServer> more_server_;
  std::unique_ptr<MaintenanceService> own_;
};

TEST_F(AdminDoctorTest, WhatAServiceFindsIsShownAndRecorded) {
  const KeepingWriter looked = SendAsOwner("POST", "/admin/v1/doctor/retrieval");
  ASSERT_EQ(looked.status, 200) << looked.body;
  EXPECT_FALSE(examiner.asked.repair());
  EXPECT_FALSE(examiner.asked.requested_by().empty());
  const json reply = looked.json();
  EXPECT_EQ(reply["service"], "retrieval");
  EXPECT_EQ(reply["healthy"], false);
  EXPECT_EQ(reply["parts"], json::parse(R"([{"name":"rows","checked":41,"bytes":1000}])"));
  EXPECT_EQ(reply["findings"][0]["where"], "ward / a.md");
  EXPECT_EQ(reply["findings"][0]["remedy"], "bring it again");
  EXPECT_EQ(reply["findings_total"], 1200);
  EXPECT_EQ(reply["recorded"], true);
  EXPECT_EQ(
      Recorded(),
      json::parse(R"({"service":"retrieval","checked":"41","findings":"1200","repair":0,"repaired":"0"})"));
  const KeepingWriter mended = SendAsOwner("POST", "/admin/v1/doctor/audit", R"({"repair":true})");
  ASSERT_EQ(mended.status, 200) << mended.body;
  EXPECT_TRUE(examiner.asked.repair());
  EXPECT_EQ(mended.json()["findings"][0]["done"], "set aside");
  EXPECT_EQ(Recorded()["repaired"], "1");
}

TEST_F(AdminDoctorTest, GatewayExaminesItself) {
  const KeepingWriter looked = SendAsOwner("POST", "/admin/v1/doctor/gateway");
  ASSERT_EQ(looked.status, 200) << looked.body;
  EXPECT_EQ(looked.json()["healthy"], true);
  EXPECT_EQ(looked.json()["parts"][0]["checked"], 5);
  EXPECT_EQ(examiner.asked.requested_by(), "") << "nobody else was asked";
}

TEST_F(AdminDoctorTest, ComplianceLooksAndAdministratorsRepair) {
  EXPECT_EQ(SendAsUser("POST", "/admin/v1/doctor/retrieval").status, 403);
  ASSERT_TRUE(credentials->PutUser("a.weber", {kRoleCompliance}, std::nullopt).ok());
  EXPECT_EQ(SendAsUser("POST", "/admin/v1/doctor/retrieval").status, 200);
  EXPECT_EQ(SendAsUser("POST", "/admin/v1/doctor/retrieval", R"({"repair":true})").status, 403);
  ASSERT_TRUE(credentials->PutUser("a.weber", {kRoleAdministrator}, std::nullopt).ok());
  EXPECT_EQ(SendAsUser("POST", "/admin/v1/doctor/retrieval", R"({"repair":true})").status, 200);
}

TEST_F(AdminDoctorTest, WhatCannotBeExaminedSaysWhy) {
  EXPECT_EQ(SendAsOwner("POST", "/admin/v1/doctor/embedding").status, 404);
  EXPECT_EQ(SendAsOwner("GET", "/admin/v1/doctor/retrieval").status, 404);
  EXPECT_EQ(SendAsOwner("POST", "/admin/v1/doctor/retrieval", R"({"repair":"yes"})").status, 400);
  EXPECT_EQ(SendAsOwner("POST", "/admin/v1/doctor/retrieval", R"({"fix":true})").status, 400);
  examiner.fail = true;
  const KeepingWriter busy = SendAsOwner("POST", "/admin/v1/doctor/retrieval");
  EXPECT_EQ(busy.status, 429) << busy.body;
  EXPECT_EQ(Recorded(), nullptr) << "nothing was examined";
}

TEST_F(AdminDoctorTest, AnExaminationIsShownAlsoWhenItCannotBeRecorded) {
  audit.fail_all = true;
  const KeepingWriter looked = SendAsOwner("POST", "/admin/v1/doctor/retrieval");
  EXPECT_EQ(looked.status, 200) << looked.body;
  EXPECT_EQ(looked.json()["recorded"], false);
}

}  // namespace
}  // namespace cloister::services
