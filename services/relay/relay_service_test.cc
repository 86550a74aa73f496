// SPDX-License-Identifier: Apache-2.0
#include "services/relay/relay_service.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "audit/checkpoint.h"
#include "common/clock.h"
#include "services/relay/test_https_server.h"
#include "services/witness/witness_folder.h"
#include "services/witness/witness_server.h"
#include "witness/add_checkpoint.h"

namespace cloister::services {
namespace {

class RelayServiceTest : public ::testing::Test {
 protected:
  RelayServiceTest() {
    EXPECT_TRUE(MakeWitnessFolder(directory_.path() / "w", "witness.example/w1", {"127.0.0.1"}).ok());
    EXPECT_TRUE(AddLog(directory_.path() / "w", signer_.verifier_key()).ok());
    witness_ = *OpenWitness(directory_.path() / "w", clock_);
    server_ = std::make_unique<TestHttpsServer>(WitnessHandler(*witness_));
    relay_ = std::make_unique<RelayService>(
        *witness::ParseWitnesses({witness_->verifier_key() + " " + server_->url()}), PostOptions{.ca_file = server_->ca_file()});
  }
  grpc::Status Add(const std::string& witness, const std::string& body) {
    v1::AddCheckpointRequest request;
    request.set_witness(witness);
    request.set_body(body);
    answer_.Clear();
    return relay_->AddCheckpoint(nullptr, &request, &answer_);
  }

  TestDirectory directory_;
  SystemClock clock_;
  audit::NoteSigner signer_ = *audit::NoteSigner::New("test/main/1", std::string(32, 's'));
  std::unique_ptr<witness::Witness> witness_;
  std::unique_ptr<TestHttpsServer> server_;
  std::unique_ptr<RelayService> relay_;
  v1::AddCheckpointResponse answer_;
};

TEST_F(RelayServiceTest, HandsARequestToAWitnessAndItsAnswerBack) {
  const std::string checkpoint = signer_.Sign(audit::CheckpointText({"test/main/1", 1, audit::LeafHash("one")}));
  ASSERT_TRUE(Add("witness.example/w1", witness::Serialise({0, {}, checkpoint})).ok());
  EXPECT_EQ(answer_.status(), 200u);
  const auto verifier = *audit::CosignatureVerifier::Parse(witness_->verifier_key());
  EXPECT_TRUE(verifier.Verify(checkpoint + answer_.body()).ok());
  ASSERT_TRUE(Add("witness.example/w1", witness::Serialise({0, {}, checkpoint})).ok());
  EXPECT_EQ(answer_.status(), 409u);
  EXPECT_EQ(answer_.content_type(), witness::kSizeContentType);
  EXPECT_EQ(answer_.body(), "1\n");
}

TEST_F(RelayServiceTest, GoesNowhereElse) {
  EXPECT_EQ(Add("witness.example/w2", "x").error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Add(server_->url(), "x").error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Add("witness.example/w1", std::string(witness::kAddCheckpointBytesMax + 1, 'x')).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(RelayServiceTest, SaysThatAWitnessIsAway) {
  server_.reset();
  EXPECT_EQ(Add("witness.example/w1", "x").error_code(), grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace cloister::services
