// SPDX-License-Identifier: Apache-2.0
#include "services/models/trusted_model.h"

#include <gtest/gtest.h>

#include <mutex>

#include "cloister/v1/audit.grpc.pb.h"
#include "cloister/v1/keys.grpc.pb.h"
#include "common/bytes.h"
#include "common/file.h"
#include "crypto/hash.h"
#include "services/config_keys.h"
#include "services/server/rpc_server.h"
#include "services/server/test_authority.h"

namespace cloister::services {
namespace {

// Knows the public key of the signer of models and no other.
class OneKey final : public v1::Keys::Service {
 public:
  explicit OneKey(std::string public_key) : public_key_(std::move(public_key)) {}
  grpc::Status GetPublicKey(grpc::ServerContext*, const v1::GetPublicKeyRequest* request,
                            v1::PublicKeyResponse* response) override {
    if (request->owner() != kModelSigner || request->name() != kModelSigningKey) {
      return grpc::Status(grpc::StatusCode::NOT_FOUND, "no such key");
    }
    response->set_public_key(public_key_);
    return grpc::Status::OK;
  }

 private:
  const std::string public_key_;
};

class RecordingAudit final : public v1::Audit::Service {
 public:
  grpc::Status Append(grpc::ServerContext*, const v1::AppendRequest* request, v1::AppendResponse*) override {
    const std::lock_guard lock(mutex_);
    if (fails_) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "disk");
    records_.push_back(*request);
    return grpc::Status::OK;
  }
  std::vector<v1::AppendRequest> records() {
    const std::lock_guard lock(mutex_);
    return records_;
  }
  void Fail() {
    const std::lock_guard lock(mutex_);
    fails_ = true;
  }

 private:
  std::mutex mutex_;
  std::vector<v1::AppendRequest> records_;
  bool fails_ = false;
};

class TrustedModelTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(data() / "run");
    std::filesystem::create_directories(data() / "models");
    std::filesystem::create_directories(models());
    ASSERT_TRUE(WriteFileAtomic(models() / "g.gguf", bytes_, 0600).ok());
    keys_server_ = Start("keys", "/cloister.v1.Keys/GetPublicKey", keys_);
    audit_server_ = Start("audit", "/cloister.v1.Audit/Append", audit_);
    auto config = Config::Parse("", AllConfigKeys(), {{"CLOISTER_MODELS_DIRECTORY", models().string()}});
    ASSERT_TRUE(config.ok());
    context_ = std::make_unique<ServiceContext>(data(), *std::move(config), authority_.For("generation"));
  }
  std::unique_ptr<RpcServer> Start(std::string_view identity, const std::string& method,
                                   grpc::Service& service) {
    RpcServerOptions options;
    options.socket = data() / "run" / (std::string(identity) + ".sock");
    options.rules = {{method, {"generation"}}};
    options.services = {&service};
    auto server = RpcServer::Start(authority_.For(identity), options);
    EXPECT_TRUE(server.ok());
    return *std::move(server);
  }
  std::filesystem::path data() const { return directory_.path() / "data"; }
  std::filesystem::path models() const { return directory_.path() / "models"; }
  std::string ManifestJson() const {
    return R"({"format":1,"models":[{"name":"g","role":"generator","file":"g.gguf","sha256":")" +
           HexEncode(crypto::Sha256(bytes_)) + R"(","licence":"MIT","source":"test 1","tokens_max":64}]})";
  }
  void WriteManifest(const crypto::Ed25519Signer& signer) {
    const auto text = inference::SignManifest(ManifestJson(), signer);
    ASSERT_TRUE(text.ok());
    ASSERT_TRUE(WriteFileAtomic(SignedManifestPath(data()), *text, 0600).ok());
  }
  StatusCode OpenCode(inference::ModelRole role = inference::ModelRole::kGenerator) {
    return OpenTrustedModel(*context_, role).status().code();
  }
  void ExpectOneRejection(std::string_view reason) {
    const auto records = audit_.records();
    ASSERT_EQ(records.size(), 1u);
    EXPECT_EQ(records[0].event(), "model.rejected");
    EXPECT_EQ(records[0].actor(), "generation");
    EXPECT_NE(records[0].body_json().find(reason), std::string::npos);
  }

  const std::string bytes_ = "the bytes of a model";
  const crypto::Ed25519Signer signer_ = crypto::Ed25519Signer::Generate();
  TestAuthority authority_;
  TestDirectory directory_;
  OneKey keys_{signer_.public_key()};
  RecordingAudit audit_;
  std::unique_ptr<RpcServer> keys_server_, audit_server_;
  std::unique_ptr<ServiceContext> context_;
};

TEST_F(TrustedModelTest, OpensWhatTheSupervisorSigned) {
  WriteManifest(signer_);
  const auto model = OpenTrustedModel(*context_, inference::ModelRole::kGenerator);
  ASSERT_TRUE(model.ok());
  EXPECT_EQ(model->info().name, "g");
  EXPECT_TRUE(audit_.records().empty());
  ASSERT_TRUE(RecordModelLoaded(*context_, model->info()).ok());
  const auto records = audit_.records();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].event(), "model.loaded");
  EXPECT_EQ(records[0].actor_kind(), "service");
  EXPECT_NE(records[0].body_json().find(model->info().sha256), std::string::npos);
}

TEST_F(TrustedModelTest, AChangedModelIsRefusedAndRecorded) {
  WriteManifest(signer_);
  std::string changed = bytes_;
  changed[3] ^= 1;
  ASSERT_TRUE(WriteFileAtomic(models() / "g.gguf", changed, 0600).ok());
  EXPECT_EQ(OpenCode(), StatusCode::kDataLoss);
  ExpectOneRejection("DATA_LOSS");
}

TEST_F(TrustedModelTest, AManifestOfAnotherSignerIsRefusedAndRecorded) {
  WriteManifest(crypto::Ed25519Signer::Generate());
  EXPECT_EQ(OpenCode(), StatusCode::kDataLoss);
  ExpectOneRejection("DATA_LOSS");
}

TEST_F(TrustedModelTest, AMissingManifestRoleOrFileIsRefusedAndRecorded) {
  EXPECT_EQ(OpenCode(), StatusCode::kNotFound);
  WriteManifest(signer_);
  EXPECT_EQ(OpenCode(inference::ModelRole::kEmbedder), StatusCode::kNotFound);
  std::filesystem::remove(models() / "g.gguf");
  EXPECT_EQ(OpenCode(), StatusCode::kNotFound);
  EXPECT_EQ(audit_.records().size(), 3u);
}

TEST_F(TrustedModelTest, AnUnreachableKeysServiceIsNoRejection) {
  WriteManifest(signer_);
  keys_server_->Shutdown();
  EXPECT_NE(OpenCode(), StatusCode::kOk);
  EXPECT_TRUE(audit_.records().empty());
}

TEST_F(TrustedModelTest, LoadingFailsWithoutItsRecordAndRefusingDoesNotNeedOne) {
  audit_.Fail();
  WriteManifest(signer_);
  const auto model = OpenTrustedModel(*context_, inference::ModelRole::kGenerator);
  ASSERT_TRUE(model.ok());
  EXPECT_EQ(RecordModelLoaded(*context_, model->info()).code(), StatusCode::kUnavailable);
  EXPECT_EQ(RejectModel(*context_, inference::ModelRole::kGenerator, InvalidArgument("does not load")).code(),
            StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace cloister::services
