// SPDX-License-Identifier: Apache-2.0
// The Audit RPC service over a log writer, people and sections. Does not decide what must be recorded;
// callers do, and fail closed. Thread-safe; Append blocks on fsync.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <vector>

#include "audit/log_writer.h"
#include "audit/note.h"
#include "cloister/v1/audit.grpc.pb.h"
#include "cloister/v1/maintenance.pb.h"
#include "common/clock.h"
#include "services/audit/clock_watch.h"
#include "services/audit/former_logs.h"
#include "services/audit/generation.h"
#include "services/audit/gone_documents.h"
#include "services/audit/guarded_store.h"
#include "services/audit/people.h"
#include "services/audit/sections.h"
#include "services/audit/witness_watch.h"
#include "services/server/rpc_server.h"
#include "storage/examination.h"
#include "storage/key_source.h"
#include "storage/kv_store.h"

namespace cloister::services {

constexpr uint32_t kEntriesPerCallMax = 1000;
constexpr size_t kReasonBytesMin = 8;
constexpr size_t kReasonBytesMax = 1000;
constexpr int kForgottenPerCallMax = 100'000;
// How long a caller waits for the next checkpoint before it is told to come again.
constexpr std::chrono::seconds kCheckpointWait{3};

struct AuditServiceOptions {
  // Made with mode 0700 when absent. Beside it: the file kGenerationFile and the folder kFormerLogsFolder.
  std::filesystem::path log_directory;
  std::string appliance, tenant;        // The first two parts of the origin.
  // Called when the disk failed for good, after those who wait were answered. The process should end then.
  std::function<void()> on_failure;
  // Called with the log once it is open and before anything is appended; an error ends the opening. May be empty.
  std::function<Status(const audit::LogWriter& log)> on_log_open;
  // Null when no witness is configured. May be empty.
  std::function<const WitnessWatch*()> witnesses = {};
  std::function<int(audit::DiskStep)> fault;  // As LogWriterOptions.
  std::chrono::milliseconds checkpoint_interval{1000};
};

// The column families that the store must have.
std::vector<std::string> AuditColumnFamilies();
// Who may call what.
std::vector<MethodRule> AuditRules();

class AuditService final : public v1::Audit::Service {
 public:
  // Opens the log of the present generation, brings it up to date and records backup.restored when a restore opened
  // it and it is empty, service.started, and clock.stepped when the clock stands
  // before the last entry; finishes what a crash left of a Forget, or says in its own log why it could not.
  // `store`, `keys` and `clock` must outlive the service. Errors: kInvalidArgument (names unfit for an
  // origin), kFailedPrecondition (the log has another origin; locked; a later format), those of
  // LogWriter::Open, People::Load and the key source.
  static StatusOr<std::unique_ptr<AuditService>> Open(AuditServiceOptions options, storage::KvStore& store,
                                                      const DatabaseId& database, storage::KeySource& keys,
                                                      const Clock& clock);
  ~AuditService() override;
  // Records service.stopped, makes the last checkpoint and refuses further records.
  void Stop();

  // For a backup: puts the log as of a checkpoint that covers what is durable now into `folder`/log, the logs of former
  // generations and the file kGenerationFile beside it. Files that never change are hard links. Thread-safe; blocks.
  // Errors: kDataLoss, kResourceExhausted, kUnavailable.
  StatusOr<v1::LogCheckpoint> CopyLog(const std::filesystem::path& folder) const;

  // Verifies the whole log and those of before, and opens every section that they speak of (see examination.h), while
  // records go on. Counts "log", "former logs" and "sections". Thread-safe; blocks. Errors: kCancelled, kUnavailable.
  Status ExamineLog(const storage::ExaminationOptions& options, storage::Examination& out) const;

  // Replacing keys (see services/server/key_rotation.h): those of people, subjects and quoted documents; those of the
  // service's own rows. Errors: kUnavailable.
  StatusOr<std::vector<KeyId>> SubjectKeys();
  StatusOr<std::vector<KeyId>> RowKeys() const;
  // Seals anew what is under a replaced key, while records go on: rows of people first, then the keys of sections. Returns
  // how many. Blocks. Errors: as storage::ResealRows; kUnavailable (the log is too busy; call again).
  StatusOr<uint64_t> Renew(const std::function<Status()>& go_on);

  grpc::Status Append(grpc::ServerContext*, const v1::AppendRequest*, v1::AppendResponse*) override;
  grpc::Status GetEntries(grpc::ServerContext*, const v1::GetEntriesRequest*,
                          v1::GetEntriesResponse*) override;
  grpc::Status GetReceipt(grpc::ServerContext*, const v1::GetReceiptRequest*,
                          v1::GetReceiptResponse*) override;
  grpc::Status Export(grpc::ServerContext*, const v1::ExportRequest*,
                      grpc::ServerWriter<v1::ExportFile>*) override;
  grpc::Status Unseal(grpc::ServerContext*, const v1::UnsealRequest*, v1::UnsealResponse*) override;
  grpc::Status Forget(grpc::ServerContext*, const v1::ForgetRequest*, v1::ForgetResponse*) override;
  grpc::Status FindReleases(grpc::ServerContext*, const v1::FindReleasesRequest*,
                            v1::FindReleasesResponse*) override;
  grpc::Status GetLogStatus(grpc::ServerContext*, const v1::GetLogStatusRequest*, v1::LogStatus*) override;

 private:
  AuditService(AuditServiceOptions options, LogGeneration generation, audit::NoteSigner signer,
               storage::KvStore& store, const DatabaseId& database, storage::KeySource& keys, const Clock& clock);
  Status OpenLog();
  // The first record of a generation that a restore opened.
  Status RecordRestored();
  // The next six are the RPCs without gRPC.
  StatusOr<uint64_t> Record(std::string_view identity, const v1::AppendRequest& request);
  Status Query(const v1::GetEntriesRequest& request, v1::GetEntriesResponse& response);
  Status Receive(const v1::GetReceiptRequest& request, v1::GetReceiptResponse& response);
  Status Open(const v1::UnsealRequest& request, v1::UnsealResponse& response);
  Status ForgetPeople(const v1::ForgetRequest& request, v1::ForgetResponse& response);
  Status FindReleased(const v1::FindReleasesRequest& request, v1::FindReleasesResponse& response,
                      const std::function<bool()>& cancelled);
  // The logs of before a restore. Errors: kUnavailable (keys).
  StatusOr<std::vector<FormerLog>> FormerLogsHere() const;
  // The one that a request means, or nothing when it means the present log. Errors: those of OpenFormerLog.
  StatusOr<std::optional<FormerLog>> FormerLogOf(uint32_t generation) const;
  StatusOr<std::string> LogKeyOf(const std::string& origin) const;
  // Destroys the keys of those whose forgetting was begun, then what is left of them. `forgetting_` is held.
  Status FinishForgetting(const std::vector<Person>& people, v1::ForgetResponse& response);
  void FinishInterruptedForgetting();
  // Checked and made into an event: pseudonyms for names, sealed bytes for sections.
  StatusOr<audit::Event> MakeEvent(const v1::AppendRequest& request);
  // `names`: the actor when it is a user, the subjects, whom the sections are about.
  StatusOr<audit::Event> FillEvent(const v1::AppendRequest& request, const std::vector<PersonName>& names,
                                   audit::Event event);
  // Records something this service did itself, for a person when `person` is not empty.
  StatusOr<uint64_t> RecordOwn(std::string_view event, const std::string& body_json,
                               const std::string& person, const std::string& person_section_json);
  // What witnesses say, and what follows from there being none.
  void TellWitnesses(v1::LogStatus& response) const;
  // Records clock.stepped when the wall clock ran backwards since the last record.
  Status NoteClock();

  const AuditServiceOptions options_;
  const LogGeneration generation_;
  const audit::NoteSigner signer_;
  const Clock& clock_;
  storage::KeySource& keys_;
  const DatabaseId database_;
  GuardedStore store_;
  People people_;
  Sections sections_;
  GoneDocuments gone_documents_;
  ClockWatch clock_watch_;
  std::unique_ptr<audit::LogWriter> log_;
  std::mutex forgetting_;  // One Forget at a time.
  // Held, shared, from the sealing of a record's sections until it is appended.
  std::shared_mutex sealing_;
};

}  // namespace cloister::services
