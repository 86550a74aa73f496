// SPDX-License-Identifier: Apache-2.0
// The RPC face of former versions: who is asking, and what is asked for. Does not decide, keep or record; see
// retrieval/releaser.h. SPEC: proto/cloister/v1/retrieval.proto.
#pragma once

#include <grpcpp/grpcpp.h>

#include "cloister/v1/retrieval.grpc.pb.h"
#include "retrieval/releaser.h"
#include "services/retrieval/assertion_verifier.h"

namespace cloister::services {

// Thread-safe; what it is given must outlive it.
class VersionsService final : public v1::Versions::Service {
 public:
  VersionsService(retrieval::Releaser& releaser, AssertionVerifier& verifier)
      : releaser_(releaser), verifier_(verifier) {}
  grpc::Status ListVersions(grpc::ServerContext* context, const v1::ListVersionsRequest* request,
                            v1::ListVersionsResponse* response) override;
  grpc::Status ReadVersion(grpc::ServerContext* context, const v1::ReadVersionRequest* request,
                           v1::VersionText* response) override;

 private:
  retrieval::Releaser& releaser_;
  AssertionVerifier& verifier_;
};

}  // namespace cloister::services
