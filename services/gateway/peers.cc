// SPDX-License-Identifier: Apache-2.0
#include "services/gateway/peers.h"

#include "services/gateway/http_error.h"
#include "services/server/rpc_client.h"
#include "services/server/rpc_status.h"

namespace cloister::services {
namespace {

constexpr std::chrono::milliseconds kHealthTimeout{500};

std::map<std::string, std::shared_ptr<grpc::Channel>> ConnectAll(
    const std::function<std::shared_ptr<grpc::Channel>(std::string_view)>& channel_to) {
  std::map<std::string, std::shared_ptr<grpc::Channel>> channels;
  for (const char* name : kPeerNames) channels[name] = channel_to(name);
  return channels;
}

}  // namespace

Peers::Peers(const std::function<std::shared_ptr<grpc::Channel>(std::string_view)>& channel_to)
    : channels_(ConnectAll(channel_to)),
      audit_log_(channels_["audit"], kAuditTimeout),
      keys_(v1::Keys::NewStub(channels_["keys"])),
      audit_(v1::Audit::NewStub(channels_["audit"])),
      embedding_(v1::Embedding::NewStub(channels_["embedding"])),
      retrieval_(v1::Retrieval::NewStub(channels_["retrieval"])),
      documents_(v1::Documents::NewStub(channels_["retrieval"])),
      directory_(v1::Directory::NewStub(channels_["retrieval"])),
      erasure_(v1::Erasure::NewStub(channels_["retrieval"])),
      versions_(v1::Versions::NewStub(channels_["retrieval"])),
      generation_(v1::Generation::NewStub(channels_["generation"])),
      ingest_(v1::Ingest::NewStub(channels_["ingest"])) {
  for (const char* name : {"keys", "audit", "retrieval", "ingest"}) {
    maintenance_[name] = v1::Maintenance::NewStub(channels_[name]);
  }
}

v1::Maintenance::StubInterface& Peers::maintenance(const std::string& identity) const {
  const auto found = maintenance_.find(identity);
  CLOISTER_CHECK(found != maintenance_.end());
  return *found->second;
}

Peers::Call::Call(Peers& peers, std::chrono::milliseconds timeout) : peers_(peers) {
  SetDeadline(context_, timeout);
  std::lock_guard lock(peers_.mutex_);
  peers_.calls_.insert(&context_);
  if (peers_.cancelled_) context_.TryCancel();
}

Peers::Call::~Call() {
  std::lock_guard lock(peers_.mutex_);
  peers_.calls_.erase(&context_);
}

void Peers::CancelAll() {
  std::lock_guard lock(mutex_);
  cancelled_ = true;
  for (grpc::ClientContext* context : calls_) context->TryCancel();
}

bool Peers::IsHealthy(const std::string& identity) const {
  const auto found = channels_.find(identity);
  return found != channels_.end() && IsServing(found->second, kHealthTimeout);
}

Status FromPeer(const grpc::Status& status, std::string_view peer) {
  if (status.ok()) return absl::OkStatus();
  Status converted = FromGrpc(status);
  if (converted.code() == StatusCode::kDeadlineExceeded || converted.code() == StatusCode::kCancelled) {
    converted = Unavailable("the service '" + std::string(peer) + "' did not answer in time");
  }
  const RpcErrorDetail detail = DetailOf(status);
  ErrorFacts facts;
  facts.reason = detail.reason;
  facts.field = detail.field;
  facts.limit = detail.limit;
  return WithFacts(converted, facts);
}

}  // namespace cloister::services
