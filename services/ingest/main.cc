// SPDX-License-Identifier: Apache-2.0
// cloister-ingest: brings folders in. Starts one cloister-parse per file and parses nothing itself.
#include <memory>
#include <string>

#include "common/clock.h"
#include "services/ingest/ingest_service.h"
#include "services/server/database_rotation.h"
#include "services/server/freshness_watch.h"
#include "services/server/grpc_key_source.h"
#include "services/server/maintenance.h"
#include "services/server/service_main.h"
#include "services/server/store_stop.h"
#include "storage/rocksdb_store.h"

namespace cloister::services {
namespace {

IngestOptions OptionsFrom(const ServiceContext& context) {
  const Config& config = context.config();
  IngestOptions options;
  options.data_directory = context.data_directory();
  options.parser.binary = ServiceContext::BinaryDirectory() / "cloister-parse";
  options.parser.memory_bytes_max = static_cast<uint64_t>(config.Int("ingest.parse_memory_mib_max")) << 20;
  options.parser.cpu_seconds_max = static_cast<uint32_t>(config.Int("ingest.parse_seconds_max"));
  // A busy machine may take six times as long to give a process its seconds.
  options.parser.wall_max = std::chrono::seconds(6 * config.Int("ingest.parse_seconds_max"));
  options.file_bytes_max = static_cast<size_t>(config.Int("ingest.file_bytes_max"));
  options.chunks.tokens_aim = static_cast<uint32_t>(config.Int("ingest.chunk_tokens"));
  return options;
}

class IngestProcess final : public RunningService {
 public:
  static StatusOr<std::unique_ptr<RunningService>> Start(const ServiceContext& context) {
    auto process = std::unique_ptr<IngestProcess>(new IngestProcess(context));
    storage::RocksDbStoreOptions store;
    store.directory = context.OwnDirectory() / "jobs";
    store.column_families = {std::string(kJobsFamily)};
    store.keys = process->keys_.get();
    store.on_stopped = EndWhenStopped({.directory = store.directory});
    CLOISTER_ASSIGN_OR_RETURN(process->store_, storage::RocksDbStore::Open(store));
    FreshnessParts fresh;
    fresh.stores["jobs"] = {process->store_->database_id(),
                          [store = process->store_.get()] { return store->CommitSequence(); }};
    CLOISTER_ASSIGN_OR_RETURN(process->freshness_,
                              FreshnessWatch::Compare(context.ChannelTo("keys"), std::move(fresh)));
    process->freshness_->Start();
    CLOISTER_ASSIGN_OR_RETURN(process->jobs_,
                              JobStore::Open(*process->store_, process->store_->database_id(), *process->keys_));
    CLOISTER_ASSIGN_OR_RETURN(process->service_, IngestService::Open(OptionsFrom(context), *process->jobs_,
                                                                     process->peers_, process->clock_));
    MaintenanceParts parts;
    parts.directory = context.OwnDirectory();
    parts.stores["jobs"] = {process->store_->database_id(),
                            [store = process->store_.get()](const auto& folder) { return store->Checkpoint(folder); }};
    parts.examine = [own = process.get()](const auto& options, auto& found) -> Status {
      CLOISTER_RETURN_IF_ERROR(own->store_->Flush());
      return storage::ExamineStore(*own->store_, *own->keys_, JobsToExamine(), options, found);
    };
    CLOISTER_RETURN_IF_ERROR(process->OpenRotation(context));
    parts.rotation = process->rotation_.get();
    CLOISTER_ASSIGN_OR_RETURN(process->maintenance_, MaintenanceService::New(std::move(parts)));
    return process;
  }
  std::vector<grpc::Service*> RpcServices() override { return {service_.get(), maintenance_.get()}; }
  std::vector<MethodRule> Rules() const override { return IngestRules(); }
  void Stop() override {
    maintenance_->Stop();
    service_->Stop();
  }

 private:
  explicit IngestProcess(const ServiceContext& context)
      : keys_(NewGrpcKeySource(context.ChannelTo("keys"))),
        peers_(context.ChannelTo("embedding"), context.ChannelTo("retrieval"), context.ChannelTo("audit")) {}
  Status OpenRotation(const ServiceContext& context) {
    JobStore* jobs = jobs_.get();
    KeyRotationParts parts =
        RotationOfDatabase(context.OwnDirectory(), *keys_, clock_, *store_,
                           [jobs](const std::function<Status()>& go_on) { return jobs->Renew(go_on); });
    parts.levels[kLevelRows] = [jobs]() -> StatusOr<std::vector<KeyId>> {
      CLOISTER_ASSIGN_OR_RETURN(const KeyId key, jobs->RowKey());
      return std::vector<KeyId>{key};
    };
    CLOISTER_ASSIGN_OR_RETURN(rotation_, KeyRotation::Open(std::move(parts)));
    return absl::OkStatus();
  }

  SystemClock clock_;
  std::unique_ptr<storage::KeySource> keys_;
  IngestPeers peers_;
  std::unique_ptr<storage::RocksDbStore> store_;
  std::unique_ptr<FreshnessWatch> freshness_;
  std::unique_ptr<JobStore> jobs_;
  std::unique_ptr<IngestService> service_;
  std::unique_ptr<KeyRotation> rotation_;
  std::unique_ptr<MaintenanceService> maintenance_;
};

}  // namespace
}  // namespace cloister::services

int main(int argc, char** argv) {
  cloister::services::ServiceDefinition definition;
  definition.identity = "ingest";
  definition.needs = {"keys"};
  definition.start = cloister::services::IngestProcess::Start;
  return cloister::services::ServiceMain(argc, argv, definition);
}
