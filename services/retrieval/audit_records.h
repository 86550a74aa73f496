// SPDX-License-Identifier: Apache-2.0
// What retrieval tells the audit log: releases and readings, before text leaves, and changes of documents, policy and
// directory, from the outbox. Ids, numbers and names of rules go in the public part; no text, title or
// source.
#pragma once

#include <string>

#include "cloister/v1/audit.pb.h"
#include "common/status.h"
#include "retrieval/releaser.h"
#include "retrieval/rows.h"
#include "services/server/audit_client.h"

namespace cloister::services {

// "ask.release" inside an ask, "search.release" outside one.
v1::AppendRequest ReleaseToAudit(const retrieval::ReleaseRecord& record);
// "version.read". Who read it and why go into that person's section; what the document is called into the document's, so
// that an erasure of either closes its own.
v1::AppendRequest ReadingToAudit(const retrieval::VersionReading& reading);
v1::AppendRequest EventToAudit(const retrieval::Event& event);

// Thread-safe. `audit` must outlive it.
class AuditReleaseRecorder final : public retrieval::ReleaseRecorder {
 public:
  explicit AuditReleaseRecorder(const AuditClient& audit) : audit_(audit) {}
  StatusOr<uint64_t> Record(const retrieval::ReleaseRecord& record) override;
  StatusOr<uint64_t> RecordReading(const retrieval::VersionReading& reading) override;

 private:
  const AuditClient& audit_;
};

// Delivers the outbox; stops at the first event that audit does not acknowledge.
// Errors: kUnavailable. The change itself is durable, and the event is tried again with the next one.
Status DeliverOutbox(retrieval::Rows& rows, const AuditClient& audit);

}  // namespace cloister::services
