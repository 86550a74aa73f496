// SPDX-License-Identifier: Apache-2.0
// cloister-audit: the transparency log of the appliance.
#include <cstdlib>
#include <memory>
#include <thread>
#include <utility>

#include "common/clock.h"
#include "common/log.h"
#include "services/audit/audit_service.h"
#include "services/audit/examination.h"
#include "services/audit/relay_client.h"
#include "services/audit/witness_watch.h"
#include "services/server/database_rotation.h"
#include "services/server/freshness_watch.h"
#include "services/server/grpc_key_source.h"
#include "services/server/maintenance.h"
#include "services/server/service_main.h"
#include "storage/rocksdb_store.h"

namespace cloister::services {
namespace {

// How long answers to those who wait may take to leave before the process ends.
constexpr std::chrono::milliseconds kFarewell{200};

// A disk that failed a sync may have lost pages it had promised. Nothing here may be trusted until all of it
// was read again, which a fresh process does.
void EndProcess() {
  Log(LogLevel::kError, "service.failed", {{"reason", std::string("disk")}});
  std::this_thread::sleep_for(kFarewell);
  std::_Exit(EXIT_FAILURE);
}

class AuditProcess final : public RunningService {
 public:
  static StatusOr<std::unique_ptr<RunningService>> Start(const ServiceContext& context) {
    auto process =
        std::unique_ptr<AuditProcess>(new AuditProcess(NewGrpcKeySource(context.ChannelTo("keys"))));
    storage::RocksDbStoreOptions store;
    store.directory = context.OwnDirectory() / "sections";
    store.column_families = AuditColumnFamilies();
    store.keys = process->keys_.get();
    CLOISTER_ASSIGN_OR_RETURN(process->store_, storage::RocksDbStore::Open(store));
    AuditServiceOptions options;
    options.log_directory = context.OwnDirectory() / "log";
    options.appliance = context.config().String("appliance.name");
    options.tenant = context.config().String("appliance.tenant");
    options.on_failure = EndProcess;
    options.on_log_open = [&](const audit::LogWriter& log) -> Status {
      CLOISTER_RETURN_IF_ERROR(process->WatchFreshness(context, log));
      return process->WatchWitnesses(context, log);
    };
    options.witnesses = [own = process.get()] { return own->witnesses_.get(); };
    CLOISTER_ASSIGN_OR_RETURN(process->service_, AuditService::Open(std::move(options), *process->store_,
                                                                    process->store_->database_id(),
                                                                    *process->keys_, process->clock_));
    process->freshness_->Start();
    if (process->witnesses_) process->witnesses_->Start();
    MaintenanceParts parts;
    parts.directory = context.OwnDirectory();
    parts.stores["sections"] = {process->store_->database_id(),
                                [store = process->store_.get()](const auto& folder) { return store->Checkpoint(folder); }};
    parts.log = [service = process->service_.get()](const auto& folder) { return service->CopyLog(folder); };
    parts.examine = [own = process.get()](const auto& options, auto& found) { return own->Examine(options, found); };
    CLOISTER_RETURN_IF_ERROR(process->OpenRotation(context));
    parts.rotation = process->rotation_.get();
    CLOISTER_ASSIGN_OR_RETURN(process->maintenance_, MaintenanceService::New(std::move(parts)));
    return process;
  }
  std::vector<grpc::Service*> RpcServices() override { return {service_.get(), maintenance_.get()}; }
  std::vector<MethodRule> Rules() const override { return AuditRules(); }
  void Stop() override {
    maintenance_->Stop();
    service_->Stop();
    witnesses_.reset();  // It may wait for an answer; the log is whole by then, and still there.
    freshness_.reset();  // States the last checkpoint.
  }

 private:
  explicit AuditProcess(std::unique_ptr<storage::KeySource> keys) : keys_(std::move(keys)) {}
  // Before the first record of this run: on a log that is older than it was, that one would begin a fork.
  Status WatchFreshness(const ServiceContext& context, const audit::LogWriter& log) {
    FreshnessParts parts;
    parts.stores["sections"] = {store_->database_id(), [this] { return store_->CommitSequence(); }};
    parts.log = [&log]() -> StatusOr<v1::LogFreshness> {
      const audit::Checkpoint last = log.LastCheckpoint();
      v1::LogFreshness out;
      out.set_origin(last.origin);
      out.set_size(last.size);
      out.set_root(std::string(last.root.bytes()));
      return out;
    };
    parts.check_log = [&log](const v1::LogFreshness& stated) -> Status {
      CLOISTER_ASSIGN_OR_RETURN(const audit::Hash root, audit::Hash::FromBytes(stated.root()));
      if (log.LastCheckpoint().origin != stated.origin()) return absl::OkStatus();  // Keys says so, with what to do.
      return log.CheckExtends(stated.size(), root);
    };
    CLOISTER_ASSIGN_OR_RETURN(freshness_, FreshnessWatch::Compare(context.ChannelTo("keys"), std::move(parts)));
    return absl::OkStatus();
  }
  Status WatchWitnesses(const ServiceContext& context, const audit::LogWriter& log) {
    const Config& config = context.config();
    WitnessWatchParts parts;
    CLOISTER_ASSIGN_OR_RETURN(parts.witnesses, witness::ParseWitnesses(config.Strings("audit.witnesses")));
    if (parts.witnesses.empty()) return absl::OkStatus();
    parts.hold = [&log] { return log.Hold(); };
    parts.check = [&log](uint64_t size, const audit::Hash& root) { return log.CheckExtends(size, root); };
    parts.log_key = log.verifier_key();
    parts.quorum = static_cast<uint32_t>(config.Int("audit.witness_quorum"));
    parts.file = context.OwnDirectory() / kWitnessedFile;
    parts.interval = std::chrono::seconds(config.Int("audit.witness_seconds"));
    parts.patience = std::chrono::seconds(config.Int("audit.witness_wait_seconds"));
    parts.ask = AskThroughRelay(context.ChannelTo("relay"));
    parts.on_rollback = [] {
      Log(LogLevel::kError, "service.failed", {{"reason", std::string("rollback")}});
      std::_Exit(EXIT_FAILURE);
    };
    CLOISTER_ASSIGN_OR_RETURN(witnesses_, WitnessWatch::Compare(std::move(parts)));
    return absl::OkStatus();
  }
  Status OpenRotation(const ServiceContext& context) {
    AuditService* service = service_.get();
    KeyRotationParts parts = RotationOfDatabase(
        context.OwnDirectory(), *keys_, clock_, *store_,
        [service](const std::function<Status()>& go_on) { return service->Renew(go_on); });
    parts.levels[kLevelRows] = [service] { return service->RowKeys(); };
    parts.levels[kLevelSubjects] = [service] { return service->SubjectKeys(); };
    CLOISTER_ASSIGN_OR_RETURN(rotation_, KeyRotation::Open(std::move(parts)));
    return absl::OkStatus();
  }
  Status Examine(const storage::ExaminationOptions& options, storage::Examination& found) {
    CLOISTER_RETURN_IF_ERROR(store_->Flush());
    CLOISTER_RETURN_IF_ERROR(storage::ExamineStore(*store_, *keys_, SectionsToExamine(*keys_), options, found));
    return service_->ExamineLog(options, found);
  }
  SystemClock clock_;
  std::unique_ptr<storage::KeySource> keys_;
  std::unique_ptr<storage::RocksDbStore> store_;
  std::unique_ptr<AuditService> service_;
  std::unique_ptr<WitnessWatch> witnesses_;
  std::unique_ptr<KeyRotation> rotation_;
  std::unique_ptr<MaintenanceService> maintenance_;
  std::unique_ptr<FreshnessWatch> freshness_;
};

}  // namespace
}  // namespace cloister::services

int main(int argc, char** argv) {
  cloister::services::ServiceDefinition definition;
  definition.identity = "audit";
  definition.needs = {"keys"};
  definition.start = cloister::services::AuditProcess::Start;
  return cloister::services::ServiceMain(argc, argv, definition);
}
