// SPDX-License-Identifier: Apache-2.0
// What retrieval tells and asks the audit log for an erasure. The public part of a record holds ids, counts and words of
// this program; who asked and why go into that person's section, a recipient into theirs.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cloister/v1/audit.grpc.pb.h"
#include "retrieval/eraser.h"
#include "services/server/audit_client.h"

namespace cloister::services {

constexpr std::chrono::milliseconds kForgetTimeout{120'000};
constexpr std::chrono::milliseconds kFindReleasesTimeout{120'000};
constexpr size_t kDocumentsInRecordMax = 1'000;  // Ids that a record lists; beyond it says how many there are.

// Thread-safe. `audit` and `rows` must outlive it.
class ServiceErasureAudit final : public retrieval::ErasureAudit {
 public:
  ServiceErasureAudit(const AuditClient& audit, const std::shared_ptr<grpc::Channel>& channel, retrieval::Rows& rows)
      : audit_(audit), stub_(v1::Audit::NewStub(channel)), rows_(rows) {}
  StatusOr<uint64_t> RecordRequested(const retrieval::ErasureRecord& record, std::string_view reason) override;
  StatusOr<uint64_t> RecordCompleted(const retrieval::ErasureRecord& record) override;
  StatusOr<uint64_t> RecordNotice(const retrieval::ErasureRecord& record, std::string_view recipient,
                                  std::string_view how, std::string_view by) override;
  Status DeliverEvents() override;
  StatusOr<Forgotten> Forget(const std::vector<DocumentId>& documents, const std::string& subject) override;
  StatusOr<Releases> CountReleases(const std::vector<DocumentId>& documents) override;

 private:
  const AuditClient& audit_;
  std::unique_ptr<v1::Audit::Stub> stub_;
  retrieval::Rows& rows_;
};

// The records, for the service above and for tests.
v1::AppendRequest ErasureRequestedToAudit(const retrieval::ErasureRecord& record, std::string_view reason);
v1::AppendRequest ErasureCompletedToAudit(const retrieval::ErasureRecord& record);

}  // namespace cloister::services
