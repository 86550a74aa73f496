// SPDX-License-Identifier: Apache-2.0
// What a rotation of data keys asks of the audit service.
#include "services/audit/audit_service.h"
#include "storage/resealing.h"

namespace cloister::services {

StatusOr<std::vector<KeyId>> AuditService::SubjectKeys() { return people_.KeysInUse(); }

StatusOr<std::vector<KeyId>> AuditService::RowKeys() const {
  CLOISTER_ASSIGN_OR_RETURN(const KeyId key, gone_documents_.RowKey());
  return std::vector<KeyId>{key};
}

StatusOr<uint64_t> AuditService::Renew(const std::function<Status()>& go_on) {
  CLOISTER_ASSIGN_OR_RETURN(const uint64_t people, people_.Renew(go_on));
  // Whoever sealed a section under a former key has appended it now, and with the next checkpoint it is in the store.
  { std::unique_lock sealed(sealing_); }
  const Status settled = log_->WaitForCheckpoint(log_->State().size, kCheckpointWait);
  if (settled.code() == StatusCode::kDeadlineExceeded)
    return Unavailable("the audit log is too busy for its sections to be sealed anew; try again");
  CLOISTER_RETURN_IF_ERROR(settled);
  // What is being forgotten must not come back.
  const auto change = [this](const std::function<StatusOr<storage::WriteBatch>()>& make) -> Status {
    std::lock_guard forgetting(forgetting_);
    CLOISTER_ASSIGN_OR_RETURN(const storage::WriteBatch batch, make());
    return store_.Write(batch);
  };
  CLOISTER_ASSIGN_OR_RETURN(
      const storage::Resealed sections,
      storage::ResealRows({store_, database_, keys_,
                           {std::string(kSectionKeysFamily), std::string(kGoneDocumentsFamily)}, change, go_on}));
  return people + sections.rows;
}

}  // namespace cloister::services
