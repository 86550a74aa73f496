// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "common/bytes.h"
#include "services/gateway/caller.h"
#include "services/gateway/test_fixture.h"

namespace cloister::services {
namespace {

using nlohmann::json;
using ErasureRoutesTest = GatewayFixture;

TEST_F(ErasureRoutesTest, ADryRunAsksForAPlanAndErasesNothing) {
  const KeepingWriter reply = SendAsOwner(
      "POST", "/admin/v1/erasures", R"({"document":{"collection":"ward","source":"a.md"},"dry_run":true})");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.json()["documents"][0]["document"], HexEncode(std::string(16, 'd')));
  EXPECT_EQ(erasure.planned.document().source(), "a.md");
  EXPECT_TRUE(erasure.erased.reason().empty());
}

TEST_F(ErasureRoutesTest, AnErasureCarriesTargetReasonBasisAndWhoAsks) {
  const KeepingWriter reply = SendAsOwner(
      "POST", "/admin/v1/erasures",
      R"({"subject":"patient-7","shared":"keep","reason":"request by letter","basis":"gdpr-17-1-b"})");
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(erasure.erased.target().subject(), "patient-7");
  EXPECT_EQ(erasure.erased.target().shared(), v1::ErasureTarget::SHARED_KEEP);
  EXPECT_EQ(erasure.erased.reason(), "request by letter");
  EXPECT_EQ(erasure.erased.basis(), "gdpr-17-1-b");
  EXPECT_EQ(erasure.erased.requested_by(), kLocalAdministrator);
  EXPECT_EQ(reply.json()["seconds_to_unsearchable"], 0.5);
  EXPECT_EQ(reply.json()["seconds_to_completed"], 2.0);
  EXPECT_EQ(reply.json()["audit_completed"], 7);
}

TEST_F(ErasureRoutesTest, BadInputIsRefusedBeforeItReachesRetrieval) {
  for (const char* body :
       {"{}", R"({"subject":"p","collection":"c","dry_run":true})", R"({"document":"a.md","dry_run":true})",
        R"({"document":{"collection":"c"},"dry_run":true})", R"({"subject":"p","shared":"maybe"})",
        R"({"subject":"p","basis":"other"})", R"({"subject":"p","reason":"a long reason"})",
        R"({"subject":"p","everything":true})"}) {
    EXPECT_EQ(SendAsOwner("POST", "/admin/v1/erasures", body).status, 400) << body;
  }
  for (const char* path : {"/admin/v1/erasures/nonsense", "/admin/v1/erasures/00/recipients"}) {
    EXPECT_EQ(SendAsOwner("GET", path).status, 404) << path;
  }
  EXPECT_EQ(SendAsOwner("POST", "/admin/v1/holds/nonsense/release", R"({"reason":"a long reason"})").status,
            404);
  EXPECT_EQ(SendAsOwner("POST", "/admin/v1/suppressions/lift", R"({"collection":"c"})").status, 400);
  EXPECT_FALSE(erasure.planned.has_document());
  EXPECT_TRUE(erasure.erased.requested_by().empty());
}

TEST_F(ErasureRoutesTest, AHoldNamesItsTarget) {
  EXPECT_EQ(SendAsOwner("POST", "/admin/v1/holds",
                        R"({"collection":"trial","basis":"legal-claims","reason":"court file 17/26"})")
                .status,
            201);
  EXPECT_EQ(erasure.held.target(), "collection");
  EXPECT_EQ(erasure.held.collection(), "trial");
  EXPECT_EQ(erasure.held.placed_by(), kLocalAdministrator);
  EXPECT_EQ(
      SendAsOwner(
          "POST", "/admin/v1/holds",
          R"({"document":{"id":"00112233445566778899aabbccddeeff"},"basis":"legal-claims","reason":"court file"})")
          .status,
      400);
}

}  // namespace
}  // namespace cloister::services
