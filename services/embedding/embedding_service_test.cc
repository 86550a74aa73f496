// SPDX-License-Identifier: Apache-2.0
#include "services/embedding/embedding_service.h"

#include <gtest/gtest.h>

#include <cstring>

#include "services/server/rpc_client.h"
#include "services/server/rpc_status.h"
#include "services/server/test_authority.h"

namespace cloister::services {
namespace {

constexpr std::chrono::seconds kCallTimeout{60};

class EmbeddingServiceTest : public testing::Test {
 protected:
  void SetUp() override {
    RpcServerOptions options;
    options.socket = directory_.path() / "embedding.sock";
    options.rules = EmbeddingRules();
    options.services = {&service_};
    auto server = RpcServer::Start(authority_.For("embedding"), options);
    ASSERT_TRUE(server.ok());
    server_ = *std::move(server);
  }

  std::unique_ptr<v1::Embedding::Stub> StubFor(std::string_view identity) {
    return v1::Embedding::NewStub(
        Connect(authority_.For(identity), "embedding", directory_.path() / "embedding.sock"));
  }
  grpc::Status Embed(std::string_view identity, const v1::EmbedRequest& request,
                     v1::EmbedResponse* response) {
    grpc::ClientContext context;
    SetDeadline(context, kCallTimeout);
    return StubFor(identity)->Embed(&context, request, response);
  }

  TestAuthority authority_;
  TestDirectory directory_;
  const std::unique_ptr<inference::Embedder> embedder_ = inference::NewFakeEmbedder();
  EmbeddingService service_{*embedder_, {.texts_queued_max = 300}};
  std::unique_ptr<RpcServer> server_;
};

v1::EmbedRequest Request(const std::vector<std::string>& texts) {
  v1::EmbedRequest request;
  request.set_kind(v1::EMBED_KIND_PASSAGE);
  for (const std::string& text : texts) request.add_texts(text);
  return request;
}

TEST_F(EmbeddingServiceTest, SendsTheEmbeddersVectorsAsLittleEndianFloats) {
  v1::EmbedResponse response;
  ASSERT_TRUE(Embed("gateway", Request({"one", "two words"}), &response).ok());
  const auto direct = embedder_->Embed(inference::EmbedKind::kPassage, {"one", "two words"});
  ASSERT_TRUE(direct.ok());
  EXPECT_EQ(response.dimension(), embedder_->info().dimension);
  EXPECT_EQ(response.tokens(), 3u);
  EXPECT_EQ(response.truncated(), 0u);
  ASSERT_EQ(response.vectors().size(), direct->vectors.size() * 4);
  EXPECT_EQ(std::memcmp(response.vectors().data(), direct->vectors.data(), response.vectors().size()), 0);
}

TEST_F(EmbeddingServiceTest, OnlyTheListedCallersGetThrough) {
  for (const std::string_view identity :
       {"gateway", "ingest", "retrieval", "generation", "audit", "keys", "supervisor", "embedding"}) {
    v1::EmbedResponse response;
    const bool may_embed = identity == "gateway" || identity == "ingest";
    EXPECT_EQ(Embed(identity, Request({"x"}), &response).error_code(),
              may_embed ? grpc::StatusCode::OK : grpc::StatusCode::PERMISSION_DENIED)
        << identity;
    grpc::ClientContext context;
    SetDeadline(context, kCallTimeout);
    v1::EmbedderInfo info;
    EXPECT_EQ(StubFor(identity)->GetEmbedder(&context, {}, &info).ok(), may_embed || identity == "retrieval")
        << identity;
  }
}

TEST_F(EmbeddingServiceTest, RefusesWhatIsOverALimitAndNamesIt) {
  v1::EmbedResponse response;
  grpc::Status status =
      Embed("gateway", Request(std::vector<std::string>(kEmbedTextsMax + 1, "x")), &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(DetailOf(status).reason, "TOO_MANY_TEXTS");
  EXPECT_EQ(DetailOf(status).limit, 256u);

  status = Embed("gateway", Request({std::string(inference::kEmbeddedTextBytesMax + 1, 'x')}), &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(DetailOf(status).reason, "TEXT_TOO_LONG");

  v1::EmbedRequest no_kind = Request({"x"});
  no_kind.clear_kind();
  status = Embed("gateway", no_kind, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(DetailOf(status).field, "kind");

  EXPECT_TRUE(Embed("gateway", Request(std::vector<std::string>(kEmbedTextsMax, "x")), &response).ok());
}

TEST_F(EmbeddingServiceTest, SaysWhichModelItHas) {
  grpc::ClientContext context;
  SetDeadline(context, kCallTimeout);
  v1::EmbedderInfo info;
  ASSERT_TRUE(StubFor("retrieval")->GetEmbedder(&context, {}, &info).ok());
  EXPECT_EQ(info.name(), "fake");
  EXPECT_EQ(info.sha256(), std::string(64, '0'));
  EXPECT_EQ(info.dimension(), 64u);
  EXPECT_EQ(info.tokens_max(), 128u);
}

TEST_F(EmbeddingServiceTest, AFullQueueAndAStoppingServiceSaySo) {
  // Handlers are called directly: the limit of the queue is below that of a call here.
  EmbeddingService small(*embedder_, {.texts_queued_max = 1});
  const v1::EmbedRequest two = Request({"a", "b"});
  v1::EmbedResponse response;
  grpc::ServerContext context;
  const grpc::Status full = small.Embed(&context, &two, &response);
  EXPECT_EQ(full.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(DetailOf(full).reason, "QUEUE_FULL");
  small.Stop();
  const v1::EmbedRequest one = Request({"a"});
  grpc::ServerContext another;
  EXPECT_EQ(small.Embed(&another, &one, &response).error_code(), grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace cloister::services
