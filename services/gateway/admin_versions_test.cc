// SPDX-License-Identifier: Apache-2.0
// Former versions, retention classes and the versions that answers rested on, through gateway over fake
// services.
#include <gtest/gtest.h>

#include "common/bytes.h"
#include "services/gateway/caller.h"
#include "services/gateway/test_fixture.h"

namespace cloister::services {
namespace {

using nlohmann::json;

constexpr const char* kRead =
    R"({"document":"00112233445566778899aabbccddeeff","version":"ffeeddccbbaa99887766554433221100","reason":"audit of May"})";

// Remembers what it was asked.
class FakeVersions final : public v1::Versions::Service {
 public:
  grpc::Status ListVersions(grpc::ServerContext*, const v1::ListVersionsRequest* request,
                            v1::ListVersionsResponse* response) override {
    listed = *request;
    response->mutable_document()->set_document_id(std::string(16, 'd'));
    response->mutable_document()->set_source("a.md");
    v1::Version* current = response->add_versions();
    current->set_version_id(std::string(16, 'w'));
    v1::Version* former = response->add_versions();
    former->set_version_id(std::string(16, 'v'));
    former->set_superseded_at_ns(1'800'000'000'000'000'000);
    former->set_text_bytes(12);
    former->set_deleted(true);
    return grpc::Status::OK;
  }
  grpc::Status ReadVersion(grpc::ServerContext*, const v1::ReadVersionRequest* request,
                           v1::VersionText* response) override {
    read = *request;
    if (gone) return {grpc::StatusCode::NOT_FOUND, "no such version is here"};
    response->set_title("Title");
    response->set_text("The former text.");
    response->set_audit_index(7);
    return grpc::Status::OK;
  }
  v1::ListVersionsRequest listed;
  v1::ReadVersionRequest read;
  bool gone = false;
};

class ReleasesAudit final : public v1::Audit::Service {
 public:
  grpc::Status FindReleases(grpc::ServerContext*, const v1::FindReleasesRequest* request,
                            v1::FindReleasesResponse* response) override {
    v1::FoundRelease* release = response->add_releases();
    release->add_documents(request->documents(0));
    v1::ReleasedVersion* version = release->add_versions();
    version->set_document(request->documents(0));
    version->set_version(std::string(16, 'v'));
    release->set_index(41);
    release->set_generation(1);
    response->set_total(1);
    response->set_generation(3);
    v1::FormerLog* former = response->add_former_logs();
    former->set_generation(1);
    former->set_origin("clinic/main/1");
    former->set_entries(90);
    former = response->add_former_logs();
    former->set_generation(2);
    former->set_problem("is not on this disk");
    return grpc::Status::OK;
  }
};

class AdminVersionsTest : public GatewayFixture {
 protected:
  AdminVersionsTest() {
    versions_server_ =
        std::make_unique<PeerServer>(directory_path / "versions.sock",
                                     std::vector<grpc::Service*>{&versions, &audit, &directory, &erasure});
    gateway = std::make_unique<Gateway>(GatewayParts{
        versions_server_->peers(), *credentials, *authenticator, *asks, metrics, clock, {2048, kTestCost}});
  }
  void GiveRoles(const std::set<std::string>& roles) {
    ASSERT_TRUE(credentials->PutUser("a.weber", roles, std::nullopt).ok());
  }
  static v1::PrincipalAssertion Asserted(const v1::SignedAssertion& signed_assertion) {
    v1::PrincipalAssertion assertion;
    EXPECT_TRUE(assertion.ParseFromString(signed_assertion.assertion()));
    EXPECT_EQ(signed_assertion.signature().size(), 64u);
    return assertion;
  }

  FakeVersions versions;
  std::unique_ptr<PeerServer> versions_server_;
};

TEST_F(AdminVersionsTest, ListsForComplianceAndAuditors) {
  for (const char* role : {kRoleCompliance, kRoleAuditor}) {
    GiveRoles({role});
    const KeepingWriter reply =
        SendAsUser("GET", "/admin/v1/versions?collection=ward&source=dir%2Fa.md&origin=%2Fsrv");
    ASSERT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(versions.listed.document().collection(), "ward");
    EXPECT_EQ(versions.listed.document().source(), "dir/a.md");
    EXPECT_EQ(versions.listed.document().origin(), "/srv");
    EXPECT_EQ(Asserted(versions.listed.assertion()).user(), "a.weber");
    const json body = reply.json();
    EXPECT_EQ(body["document"], HexEncode(std::string(16, 'd')));
    EXPECT_EQ(body["versions"][0]["current"], true);
    EXPECT_EQ(body["versions"][0]["superseded_at"], nullptr);
    EXPECT_EQ(body["versions"][1]["current"], false);
    EXPECT_EQ(body["versions"][1]["version"], HexEncode(std::string(16, 'v')));
    EXPECT_EQ(body["versions"][1]["deleted"], true);
    EXPECT_EQ(body["versions"][1]["kept_until"], nullptr);
  }
  EXPECT_EQ(SendAsUser("GET", "/admin/v1/versions?id=00112233445566778899aabbccddeeff").status, 200);
  EXPECT_EQ(HexEncode(versions.listed.document().document_id()), "00112233445566778899aabbccddeeff");
}

TEST_F(AdminVersionsTest, ReadsForComplianceAlone) {
  for (const char* role : {kRoleAuditor, kRoleAdministrator, kRoleKnowledgeManager}) {
    GiveRoles({role});
    const KeepingWriter refused = SendAsUser("POST", "/admin/v1/versions/read", kRead);
    EXPECT_EQ(refused.status, 403) << role;
    EXPECT_NE(refused.body.find("compliance"), std::string::npos);
  }
  // Administration alone shows no document.
  EXPECT_EQ(SendAsOwner("POST", "/admin/v1/versions/read", kRead).status, 403);
  EXPECT_EQ(SendAsOwner("GET", "/admin/v1/versions?collection=ward&source=a.md").status, 403);
  EXPECT_FALSE(versions.read.has_assertion());
  EXPECT_FALSE(versions.listed.has_assertion());
  GiveRoles({kRoleCompliance});
  const KeepingWriter reply = SendAsUser("POST", "/admin/v1/versions/read", kRead);
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(HexEncode(versions.read.document_id()), "00112233445566778899aabbccddeeff");
  EXPECT_EQ(HexEncode(versions.read.version_id()), "ffeeddccbbaa99887766554433221100");
  EXPECT_EQ(versions.read.reason(), "audit of May");
  EXPECT_EQ(Asserted(versions.read.assertion()).purpose(), "HCOMPL");
  EXPECT_EQ(reply.json()["text"], "The former text.");
  EXPECT_EQ(reply.json()["audit_index"], 7);
  versions.gone = true;
  EXPECT_EQ(SendAsUser("POST", "/admin/v1/versions/read", kRead).status, 404);
}

TEST_F(AdminVersionsTest, BadInputIsRefusedBeforeItReachesRetrieval) {
  GiveRoles({kRoleCompliance});
  for (const char* query : {"", "?collection=ward", "?source=a.md", "?id=nonsense"}) {
    EXPECT_EQ(SendAsUser("GET", std::string("/admin/v1/versions") + query).status, 400) << query;
  }
  for (
      const char* body :
      {"{}", R"({"document":"00","version":"00","reason":"audit of May"})",
       R"({"document":"00112233445566778899aabbccddeeff","version":"ffeeddccbbaa99887766554433221100"})",
       R"({"document":"00112233445566778899aabbccddeeff","version":"ffeeddccbbaa99887766554433221100","why":"x"})"}) {
    EXPECT_EQ(SendAsUser("POST", "/admin/v1/versions/read", body).status, 400) << body;
  }
  EXPECT_EQ(SendAsUser("POST", "/admin/v1/versions").status, 404);
  EXPECT_FALSE(versions.read.has_assertion());
  EXPECT_FALSE(versions.listed.has_assertion());
}

TEST_F(AdminVersionsTest, AnswersAffectedNamesTheVersionsTheyRestOn) {
  ReleasesAudit releases;
  PeerServer peers(directory_path / "releases.sock", {&releases});
  gateway = std::make_unique<Gateway>(
      GatewayParts{peers.peers(), *credentials, *authenticator, *asks, metrics, clock, {2048, kTestCost}});
  const KeepingWriter reply = SendAsOwner("POST", "/admin/v1/answers-affected",
                                          R"({"document":{"id":"00112233445566778899aabbccddeeff"}})");
  ASSERT_EQ(reply.status, 200) << reply.body;
  const json versions_named = reply.json()["releases"][0]["versions"];
  ASSERT_EQ(versions_named.size(), 1u);
  EXPECT_EQ(versions_named[0]["document"], "00112233445566778899aabbccddeeff");
  EXPECT_EQ(versions_named[0]["version"], HexEncode(std::string(16, 'v')));
}

TEST_F(AdminVersionsTest, AReleaseNamesTheGenerationOfItsRecordAndWhatWasNotReadIsSaid) {
  ReleasesAudit releases;
  PeerServer peers(directory_path / "releases.sock", {&releases});
  gateway = std::make_unique<Gateway>(
      GatewayParts{peers.peers(), *credentials, *authenticator, *asks, metrics, clock, {2048, kTestCost}});
  const json reply = SendAsOwner("POST", "/admin/v1/answers-affected",
                                 R"({"document":{"id":"00112233445566778899aabbccddeeff"}})")
                         .json();
  EXPECT_EQ(reply["releases"][0]["generation"], 1);
  EXPECT_EQ(reply["releases"][0]["index"], 41);
  EXPECT_EQ(reply["generation"], 3);
  EXPECT_EQ(reply["former_logs"],
            (json{{{"generation", 1}, {"origin", "clinic/main/1"}, {"entries", 90}, {"problem", nullptr}},
                  {{"generation", 2}, {"origin", ""}, {"entries", 0}, {"problem", "is not on this disk"}}}));
}

TEST_F(AdminVersionsTest, ARetentionClassStaysUntilAnotherIsGiven) {
  const std::string path = "/admin/v1/collections/ward";
  const json made = SendAsOwner("PUT", path, R"({"retention":"keep-365-days"})").json();
  EXPECT_EQ(made["retention"], "keep-365-days");
  EXPECT_EQ(directory.collections["ward"].retention(), "keep-365-days");
  ASSERT_FALSE(audit.records.empty());
  EXPECT_EQ(json::parse(audit.records.back().body_json())["retention"], "keep-365-days");
  // Whoever changes readers does not destroy former versions by it.
  EXPECT_EQ(SendAsOwner("PUT", path, R"({"reader_groups":["nurses"]})").json()["retention"], "keep-365-days");
  EXPECT_EQ(directory.collections["ward"].retention(), "keep-365-days");
  EXPECT_EQ(SendAsOwner("PUT", path, R"({"retention":"shred"})").json()["retention"], "shred");
  EXPECT_EQ(SendAsOwner("PUT", "/admin/v1/collections/other", "{}").json()["retention"], "shred");
  const json list = SendAsOwner("GET", "/admin/v1/collections").json();
  EXPECT_EQ(list["collections"][0]["retention"], "shred");
  const size_t records = audit.records.size();
  const KeepingWriter refused = SendAsOwner("PUT", path, R"({"retention":"Whatever Dr. Kim says"})");
  EXPECT_EQ(refused.status, 400);
  EXPECT_NE(refused.body.find("keep-N-days"), std::string::npos);
  EXPECT_EQ(audit.records.size(), records);
}

}  // namespace
}  // namespace cloister::services
