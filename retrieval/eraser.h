// SPDX-License-Identifier: Apache-2.0
// Erasure: what it takes, in which order, what stands against it, and what is certain afterwards. Each step is durable
// before the next, so that a stop at any of them is finished by Resume(). Does not destroy keys by itself (see
// Corpus::Shred), does not decide what is lawful, and proves nothing about copies outside this appliance: it names them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/status.h"
#include "retrieval/corpus.h"
#include "retrieval/erasure_record.h"
#include "retrieval/holds.h"

namespace cloister::retrieval {

constexpr size_t kErasedDocumentsMax = 1'000'000;      // In one erasure.
constexpr size_t kDocumentsPerErasingBatch = 1'000;
constexpr size_t kErasuresMax = 100'000;               // Remembered.
constexpr size_t kVersionsPerEndingBatch = 256;

struct ErasureTarget {
  TargetKind kind = TargetKind::kDocument;
  SourceName document;                   // kDocument: an empty origin means the only one that fits.
  std::optional<DocumentId> document_id;  // kDocument: instead of the name; also for one that cannot be read.
  std::string subject, collection;
  enum class Shared { kUndecided, kErase, kKeep };
  Shared shared = Shared::kUndecided;  // kSubject: documents that concern others, too.
};

struct PlannedDocument {
  std::shared_ptr<const DocumentInfo> info;  // Of its newest version that can be read; null: none can.
  DocumentId document;
  bool shared = false;
  std::vector<Hold> holds;
};

struct ErasurePlan {
  std::vector<PlannedDocument> erased, kept;
  std::vector<Hold> holds;  // Every one that stands against it, once.
  uint64_t rows = 0, chunks = 0, keys = 0, releases = 0, recipients = 0;
  uint32_t segments = 0;
  std::vector<std::string> not_counted;  // Sentences: why there may be more releases and recipients.
};

// What audit does for an erasure. Thread-safe.
class ErasureAudit {
 public:
  virtual ~ErasureAudit() = default;
  // Durable when they return, with the index of the record.
  virtual StatusOr<uint64_t> RecordRequested(const ErasureRecord& record, std::string_view reason) = 0;
  virtual StatusOr<uint64_t> RecordCompleted(const ErasureRecord& record) = 0;
  virtual StatusOr<uint64_t> RecordNotice(const ErasureRecord& record, std::string_view recipient,
                                          std::string_view how, std::string_view by) = 0;
  struct Forgotten {
    uint64_t people = 0, sections = 0;
  };
  // Hands over every event that waits for audit: no key is destroyed before.
  virtual Status DeliverEvents() = 0;
  // Closes what the log holds about these documents and, when it is not empty, this subject. May be repeated.
  virtual StatusOr<Forgotten> Forget(const std::vector<DocumentId>& documents, const std::string& subject) = 0;
  struct Releases {
    uint64_t releases = 0, recipients = 0;
    std::vector<std::string> not_counted;  // Sentences: why there may be more; empty: all of the log was read.
  };
  virtual StatusOr<Releases> CountReleases(const std::vector<DocumentId>& documents) = 0;
};

// Thread-safe; one erasure at a time. All references must outlive it.
class Eraser {
 public:
  // Reads what is remembered; documents of an erasure that was begun are taken out of the index at once.
  // Errors: kUnavailable, kDataLoss (a hold that cannot be read).
  static StatusOr<std::unique_ptr<Eraser>> Open(Corpus& corpus, ErasureAudit& audit, const Clock& clock);

  // What an erasure would do. Errors: kNotFound (nothing fits), kInvalidArgument (several documents fit, no target),
  // kUnavailable.
  StatusOr<ErasurePlan> Plan(const ErasureTarget& target) const;
  // Returns when the erasure is completed. Errors: as Plan; kInvalidArgument (reason, basis), kFailedPrecondition (a
  // hold stands against it, or documents are shared and nobody decided; nothing has changed), kResourceExhausted,
  // kUnavailable: begun and not finished; it is unsearchable already, and Resume() goes on.
  StatusOr<ErasureRecord> Erase(const ErasureTarget& target, std::string_view reason, std::string_view basis,
                                std::string_view requested_by);
  // Goes on with everything that was begun. Errors: that of the first that cannot be finished now.
  Status Resume();
  bool HasUnfinished() const;

  StatusOr<ErasureRecord> Find(const ErasureId& id) const;  // Errors: kNotFound.
  std::vector<ErasureRecord> List() const;                  // Newest first.
  // Errors: kNotFound, kInvalidArgument, kUnavailable.
  Status RecordNotice(const ErasureId& id, std::string_view recipient, std::string_view how, std::string_view by);

  // Gives up kept versions that their collection's retention class keeps no longer and that no hold covers: rows
  // deleted, keys retired in the same batch, each recorded. Returns how many. Errors: kUnavailable, kResourceExhausted;
  // what was given up before stays so.
  StatusOr<uint64_t> EndDueVersions();

  Holds& holds() { return *holds_; }

  // Called after each step, for tests that stop there.
  void OnStep(std::function<void(ErasureStep)> on_step) { on_step_ = std::move(on_step); }

 private:
  Eraser(Corpus& corpus, ErasureAudit& audit, const Clock& clock) : corpus_(corpus), audit_(audit), clock_(clock) {}
  StatusOr<std::vector<PlannedDocument>> Resolve(const ErasureTarget& target) const;
  StatusOr<std::vector<PlannedDocument>> ResolveDocument(const ErasureTarget& target) const;
  std::vector<Hold> HoldsOn(const DocumentHistory& history) const;
  Status CheckAllowed(const ErasureTarget& target, const ErasurePlan& plan) const;
  // Each takes a record to its next step.
  Status Begin(ErasureRecord& record, const ErasurePlan& plan, std::string_view reason);
  Status DeleteRows(ErasureRecord& record);
  Status ForgetInLog(ErasureRecord& record, const std::vector<DocumentId>& documents);
  Status Forget(ErasureRecord& record);
  Status Shred(ErasureRecord& record);
  Status Complete(ErasureRecord& record);
  Status Finish(ErasureRecord& record);
  Status Verify(ErasureRecord& record) const;
  // Durable with what else is in `batch`; then in memory, too. The caller does not hold rows.write_mutex().
  Status Store(const ErasureRecord& record, storage::WriteBatch batch);
  Status StoreLocked(const ErasureRecord& record, storage::WriteBatch batch);
  void Reached(ErasureStep step) const {
    if (on_step_) on_step_(step);
  }

  Corpus& corpus_;
  ErasureAudit& audit_;
  const Clock& clock_;
  std::unique_ptr<Holds> holds_;
  std::function<void(ErasureStep)> on_step_;
  std::mutex erasing_;  // One at a time.
  mutable std::mutex mutex_;
  std::map<ErasureId, ErasureRecord> records_;
};

// "gdpr-17-1-a" to "gdpr-17-1-f", "contract", "retention" and "other".
const std::vector<std::string_view>& ErasureBases();

}  // namespace cloister::retrieval
