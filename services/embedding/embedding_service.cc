// SPDX-License-Identifier: Apache-2.0
#include "services/embedding/embedding_service.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>

#include "services/server/rpc_status.h"

namespace cloister::services {
namespace {

static_assert(std::endian::native == std::endian::little, "the wire has little-endian floats");

grpc::Status CheckRequest(const v1::EmbedRequest& request) {
  if (request.kind() != v1::EMBED_KIND_QUESTION && request.kind() != v1::EMBED_KIND_PASSAGE) {
    return ToGrpc(InvalidArgument("kind must be question or passage"), "UNKNOWN_KIND", "kind");
  }
  if (request.texts_size() > kEmbedTextsMax) {
    return ToGrpc(InvalidArgument("more than 256 texts in one call"), "TOO_MANY_TEXTS", "texts",
                  kEmbedTextsMax, "Send them in several calls.");
  }
  for (const std::string& text : request.texts()) {
    if (text.size() > inference::kEmbeddedTextBytesMax) {
      return ToGrpc(InvalidArgument("a text is over 16 KiB"), "TEXT_TOO_LONG", "texts",
                    inference::kEmbeddedTextBytesMax,
                    "Cut the text; only the model's window is read anyway.");
    }
  }
  return grpc::Status::OK;
}

// The caller's own deadline on the steady clock, or the most that a call may take.
std::chrono::steady_clock::time_point DeadlineOf(const grpc::ServerContext& context) {
  const auto left = std::min<std::chrono::system_clock::duration>(
      context.deadline() - std::chrono::system_clock::now(), kEmbedTimeMax);
  return std::chrono::steady_clock::now() +
         std::chrono::duration_cast<std::chrono::steady_clock::duration>(left);
}

}  // namespace

grpc::Status EmbeddingService::Embed(grpc::ServerContext* context, const v1::EmbedRequest* request,
                                     v1::EmbedResponse* response) {
  if (const grpc::Status checked = CheckRequest(*request); !checked.ok()) return checked;
  const std::vector<std::string> texts(request->texts().begin(), request->texts().end());
  const auto kind = request->kind() == v1::EMBED_KIND_QUESTION ? inference::EmbedKind::kQuestion
                                                               : inference::EmbedKind::kPassage;
  const auto embedded = queue_.Embed(kind, texts, DeadlineOf(*context));
  if (embedded.status().code() == StatusCode::kResourceExhausted) {
    return ToGrpc(embedded.status(), "QUEUE_FULL", "", 0, "Try again later.");
  }
  if (!embedded.ok()) return ToGrpc(embedded.status());
  std::string* bytes = response->mutable_vectors();
  bytes->resize(embedded->vectors.size() * sizeof(float));
  if (!bytes->empty()) std::memcpy(bytes->data(), embedded->vectors.data(), bytes->size());
  response->set_dimension(embedder_.info().dimension);
  response->set_truncated(embedded->truncated);
  response->set_tokens(embedded->tokens);
  return grpc::Status::OK;
}

grpc::Status EmbeddingService::GetEmbedder(grpc::ServerContext*, const v1::GetEmbedderRequest*,
                                           v1::EmbedderInfo* response) {
  const inference::ModelInfo& info = embedder_.info();
  response->set_name(info.name);
  response->set_sha256(info.sha256);
  response->set_dimension(info.dimension);
  response->set_tokens_max(info.tokens_max);
  return grpc::Status::OK;
}

std::vector<MethodRule> EmbeddingRules() {
  return {
      {"/cloister.v1.Embedding/Embed", {"gateway", "ingest"}},
      {"/cloister.v1.Embedding/GetEmbedder", {"gateway", "ingest", "retrieval"}},
  };
}

}  // namespace cloister::services
