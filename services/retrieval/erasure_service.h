// SPDX-License-Identifier: Apache-2.0
// The RPC face of erasure and holds. Does not erase; see retrieval/eraser.h. SPEC: proto/cloister/v1/retrieval.proto.
#pragma once

#include <grpcpp/grpcpp.h>

#include "cloister/v1/retrieval.grpc.pb.h"
#include "retrieval/corpus.h"
#include "retrieval/eraser.h"
#include "services/server/audit_client.h"

namespace cloister::services {

constexpr int kPlannedDocumentsMax = 1'000;  // Listed in a plan; the totals count all.

// Thread-safe; what it is given must outlive it.
class ErasureService final : public v1::Erasure::Service {
 public:
  ErasureService(retrieval::Corpus& corpus, retrieval::Eraser& eraser, const AuditClient& audit)
      : corpus_(corpus), eraser_(eraser), audit_(audit) {}
  grpc::Status PlanErasure(grpc::ServerContext* context, const v1::ErasureTarget* request,
                           v1::ErasurePlan* response) override;
  grpc::Status Erase(grpc::ServerContext* context, const v1::EraseRequest* request,
                     v1::ErasureState* response) override;
  grpc::Status GetErasure(grpc::ServerContext* context, const v1::GetErasureRequest* request,
                          v1::ErasureState* response) override;
  grpc::Status ListErasures(grpc::ServerContext* context, const v1::ListErasuresRequest* request,
                            v1::ListErasuresResponse* response) override;
  grpc::Status RecordNotice(grpc::ServerContext* context, const v1::RecordNoticeRequest* request,
                            v1::RecordNoticeResponse* response) override;
  grpc::Status LiftSuppression(grpc::ServerContext* context, const v1::LiftSuppressionRequest* request,
                               v1::LiftSuppressionResponse* response) override;
  grpc::Status PlaceHold(grpc::ServerContext* context, const v1::PlaceHoldRequest* request, v1::Hold* response) override;
  grpc::Status ReleaseHold(grpc::ServerContext* context, const v1::ReleaseHoldRequest* request,
                           v1::Hold* response) override;
  grpc::Status ListHolds(grpc::ServerContext* context, const v1::ListHoldsRequest* request,
                         v1::ListHoldsResponse* response) override;
  grpc::Status ShredRetired(grpc::ServerContext* context, const v1::ShredRetiredRequest* request,
                            v1::ShredRetiredResponse* response) override;

 private:
  retrieval::Corpus& corpus_;
  retrieval::Eraser& eraser_;
  const AuditClient& audit_;
};

}  // namespace cloister::services
