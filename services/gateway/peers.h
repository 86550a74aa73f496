// SPDX-License-Identifier: Apache-2.0
// The services that gateway calls, and the calls under way, so that a stop can cancel them. Thread-safe.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "cloister/v1/audit.grpc.pb.h"
#include "cloister/v1/embedding.grpc.pb.h"
#include "cloister/v1/generation.grpc.pb.h"
#include "cloister/v1/ingest.grpc.pb.h"
#include "cloister/v1/keys.grpc.pb.h"
#include "cloister/v1/maintenance.grpc.pb.h"
#include "cloister/v1/retrieval.grpc.pb.h"
#include "common/status.h"
#include "services/server/audit_client.h"

namespace cloister::services {

// Identities, in the order `status` and `readyz` name them.
inline constexpr const char* kPeerNames[] = {"keys", "audit", "embedding", "retrieval", "generation", "ingest"};

constexpr std::chrono::milliseconds kAuditTimeout{5'000};
constexpr std::chrono::milliseconds kQuickTimeout{10'000};      // Directory, status, embedding, search.
constexpr std::chrono::milliseconds kReleaseTimeout{15'000};    // Includes an audit append.
constexpr std::chrono::milliseconds kGenerationTimeout{120'000};  // A machine whose cores are all busy takes this long.
constexpr std::chrono::milliseconds kErasureTimeout{600'000};  // Of a whole collection; one document takes seconds.
constexpr std::chrono::milliseconds kExportTimeout{600'000};

class Peers {
 public:
  explicit Peers(const std::function<std::shared_ptr<grpc::Channel>(std::string_view identity)>& channel_to);

  // A call's context with its deadline, cancelled by CancelAll().
  class Call {
   public:
    Call(Peers& peers, std::chrono::milliseconds timeout);
    ~Call();
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    grpc::ClientContext* context() { return &context_; }

   private:
    Peers& peers_;
    grpc::ClientContext context_;
  };

  // Cancels what is under way and every later call.
  void CancelAll();
  // Whether a peer answers its health check within half a second.
  bool IsHealthy(const std::string& identity) const;

  const AuditClient& audit_log() const { return audit_log_; }
  v1::Keys::StubInterface& keys() { return *keys_; }
  v1::Audit::StubInterface& audit() { return *audit_; }
  v1::Embedding::StubInterface& embedding() { return *embedding_; }
  v1::Retrieval::StubInterface& retrieval() { return *retrieval_; }
  v1::Documents::StubInterface& documents() { return *documents_; }
  v1::Directory::StubInterface& directory() { return *directory_; }
  v1::Erasure::StubInterface& erasure() { return *erasure_; }
  v1::Versions::StubInterface& versions() { return *versions_; }
  v1::Generation::StubInterface& generation() { return *generation_; }
  v1::Ingest::StubInterface& ingest() { return *ingest_; }
  // Of "keys", "audit", "retrieval" or "ingest" (CHECKed).
  v1::Maintenance::StubInterface& maintenance(const std::string& identity) const;

 private:
  std::map<std::string, std::shared_ptr<grpc::Channel>> channels_;
  AuditClient audit_log_;
  std::unique_ptr<v1::Keys::Stub> keys_;
  std::unique_ptr<v1::Audit::Stub> audit_;
  std::unique_ptr<v1::Embedding::Stub> embedding_;
  std::unique_ptr<v1::Retrieval::Stub> retrieval_;
  std::unique_ptr<v1::Documents::Stub> documents_;
  std::unique_ptr<v1::Directory::Stub> directory_;
  std::unique_ptr<v1::Erasure::Stub> erasure_;
  std::unique_ptr<v1::Versions::Stub> versions_;
  std::unique_ptr<v1::Generation::Stub> generation_;
  std::unique_ptr<v1::Ingest::Stub> ingest_;
  std::map<std::string, std::unique_ptr<v1::Maintenance::Stub>> maintenance_;
  std::mutex mutex_;
  std::set<grpc::ClientContext*> calls_;  // Guarded by mutex_.
  bool cancelled_ = false;                // Guarded by mutex_.
};

// FromGrpc with the details of the error kept as facts for the HTTP answer.
Status FromPeer(const grpc::Status& status, std::string_view peer);

}  // namespace cloister::services
