// SPDX-License-Identifier: Apache-2.0
// cloister-retrieval: the truth about documents, and the one door that their text leaves by.
#include <memory>
#include <string>
#include <utility>

#include "cloister/v1/keys.grpc.pb.h"
#include "common/clock.h"
#include "common/log.h"
#include "retrieval/corpus.h"
#include "retrieval/examination.h"
#include "retrieval/releaser.h"
#include "retrieval/searcher.h"
#include "services/retrieval/assertion_verifier.h"
#include "services/retrieval/audit_records.h"
#include "services/retrieval/erasure_audit.h"
#include "services/retrieval/erasure_service.h"
#include "services/retrieval/retrieval_service.h"
#include "services/retrieval/upkeep.h"
#include "services/retrieval/version_service.h"
#include "services/server/audit_client.h"
#include "services/server/database_rotation.h"
#include "services/server/freshness_watch.h"
#include "services/server/grpc_key_source.h"
#include "services/server/maintenance.h"
#include "services/server/rpc_client.h"
#include "services/server/rpc_status.h"
#include "services/server/service_main.h"
#include "services/server/store_stop.h"
#include "storage/rocksdb_store.h"

namespace cloister::services {
namespace {

constexpr std::chrono::milliseconds kKeyTimeout{5'000};

std::function<StatusOr<std::string>()> FetchAssertionKey(std::shared_ptr<grpc::Channel> keys) {
  return [stub = std::shared_ptr<v1::Keys::Stub>(v1::Keys::NewStub(keys))]() -> StatusOr<std::string> {
    v1::GetPublicKeyRequest request;
    request.set_owner("gateway");
    request.set_name("assertion");
    v1::PublicKeyResponse response;
    grpc::ClientContext context;
    SetDeadline(context, kKeyTimeout);
    CLOISTER_RETURN_IF_ERROR(FromGrpc(stub->GetPublicKey(&context, request, &response)));
    return response.public_key();
  };
}

// Members are made in this order and destroyed in the other: each rests on those before it.
class RetrievalProcess final : public RunningService {
 public:
  static StatusOr<std::unique_ptr<RunningService>> Start(const ServiceContext& context) {
    auto process = std::unique_ptr<RetrievalProcess>(new RetrievalProcess(context));
    storage::RocksDbStoreOptions store_options;
    store_options.directory = context.OwnDirectory() / "db";
    store_options.column_families = retrieval::ColumnFamilies();
    store_options.keys = process->keys_.get();
    store_options.on_stopped = EndWhenStopped({.directory = store_options.directory});
    CLOISTER_ASSIGN_OR_RETURN(process->store_, storage::RocksDbStore::Open(store_options));
    FreshnessParts fresh;
    fresh.stores["db"] = {process->store_->database_id(),
                          [store = process->store_.get()] { return store->CommitSequence(); }};
    CLOISTER_ASSIGN_OR_RETURN(process->freshness_,
                              FreshnessWatch::Compare(context.ChannelTo("keys"), std::move(fresh)));
    process->freshness_->Start();
    retrieval::CorpusOptions options;
    options.segment_directory = context.OwnDirectory() / "segments";
    options.segment_documents = static_cast<uint32_t>(context.config().Int("retrieval.segment_documents"));
    CLOISTER_ASSIGN_OR_RETURN(process->corpus_,
                              retrieval::Corpus::Open(*process->store_, process->store_->database_id(),
                                                      *process->keys_, process->clock_, std::move(options)));
    const std::string region = context.config().String("appliance.region");
    process->searcher_ =
        std::make_unique<retrieval::Searcher>(*process->corpus_, process->contexts_, process->clock_, region);
    process->releaser_ = std::make_unique<retrieval::Releaser>(*process->corpus_, process->contexts_,
                                                               process->recorder_, process->clock_, region);
    process->retrieval_ =
        std::make_unique<RetrievalService>(*process->searcher_, *process->releaser_, process->verifier_);
    process->versions_ = std::make_unique<VersionsService>(*process->releaser_, process->verifier_);
    process->documents_ = std::make_unique<DocumentsService>(*process->corpus_, process->audit_);
    process->directory_ = std::make_unique<DirectoryService>(*process->corpus_, process->audit_);
    process->erasure_audit_ = std::make_unique<ServiceErasureAudit>(process->audit_, context.ChannelTo("audit"),
                                                                    process->corpus_->rows());
    CLOISTER_ASSIGN_OR_RETURN(process->eraser_, retrieval::Eraser::Open(*process->corpus_, *process->erasure_audit_,
                                                                        process->clock_));
    process->erasure_ = std::make_unique<ErasureService>(*process->corpus_, *process->eraser_, process->audit_);
    MaintenanceParts parts;  // Segments are left out: they are made from the documents.
    parts.directory = context.OwnDirectory();
    parts.stores["db"] = {process->store_->database_id(),
                          [store = process->store_.get()](const auto& folder) { return store->Checkpoint(folder); }};
    parts.examine = [corpus = process->corpus_.get(), store = process->store_.get()](const auto& options, auto& found) {
      return retrieval::ExamineCorpus(*corpus, store, options, found);
    };
    CLOISTER_RETURN_IF_ERROR(process->OpenRotation(context));
    parts.rotation = process->rotation_.get();
    CLOISTER_ASSIGN_OR_RETURN(process->maintenance_, MaintenanceService::New(std::move(parts)));
    // What a crash left; what fails now is tried again by the upkeep.
    const Status delivered = DeliverOutbox(process->corpus_->rows(), process->audit_);
    if (!delivered.ok()) LogStatus(LogLevel::kWarning, "retrieval.outbox_waits", delivered);
    const Status resumed = process->eraser_->Resume();
    if (!resumed.ok()) LogStatus(LogLevel::kWarning, "retrieval.erasure_waits", resumed);
    process->upkeep_ = std::make_unique<Upkeep>(
        *process->corpus_, *process->eraser_, process->audit_,
        std::chrono::hours(context.config().Int("retention.shred_hours")));
    return StatusOr<std::unique_ptr<RunningService>>(std::move(process));
  }
  std::vector<grpc::Service*> RpcServices() override {
    return {retrieval_.get(), documents_.get(), directory_.get(), erasure_.get(), versions_.get(),
            maintenance_.get()};
  }
  std::vector<MethodRule> Rules() const override { return RetrievalRules(); }
  void Stop() override { maintenance_->Stop(); }

 private:
  explicit RetrievalProcess(const ServiceContext& context)
      : keys_channel_(context.ChannelTo("keys")),
        keys_(NewGrpcKeySource(keys_channel_)),
        audit_(context.ChannelTo("audit")),
        recorder_(audit_),
        verifier_(context.config().String("appliance.tenant"), FetchAssertionKey(keys_channel_), clock_),
        contexts_(clock_) {}

  Status OpenRotation(const ServiceContext& context) {
    retrieval::Corpus* corpus = corpus_.get();
    KeyRotationParts parts = RotationOfDatabase(
        context.OwnDirectory(), *keys_, clock_, *store_,
        [corpus](const std::function<Status()>& go_on) { return corpus->Renew(go_on); });
    parts.levels[kLevelRows] = [corpus] { return corpus->RowKeys(); };
    parts.levels[kLevelDocuments] = [corpus] { return corpus->DocumentKeys(); };
    parts.levels[kLevelSegments] = [corpus] { return corpus->SegmentKeys(); };
    CLOISTER_ASSIGN_OR_RETURN(rotation_, KeyRotation::Open(std::move(parts)));
    return absl::OkStatus();
  }

  SystemClock clock_;
  std::shared_ptr<grpc::Channel> keys_channel_;
  std::unique_ptr<storage::KeySource> keys_;
  AuditClient audit_;
  AuditReleaseRecorder recorder_;
  AssertionVerifier verifier_;
  retrieval::SearchContexts contexts_;
  std::unique_ptr<storage::RocksDbStore> store_;
  std::unique_ptr<FreshnessWatch> freshness_;
  std::unique_ptr<retrieval::Corpus> corpus_;
  std::unique_ptr<retrieval::Searcher> searcher_;
  std::unique_ptr<retrieval::Releaser> releaser_;
  std::unique_ptr<RetrievalService> retrieval_;
  std::unique_ptr<VersionsService> versions_;
  std::unique_ptr<DocumentsService> documents_;
  std::unique_ptr<DirectoryService> directory_;
  std::unique_ptr<ServiceErasureAudit> erasure_audit_;
  std::unique_ptr<retrieval::Eraser> eraser_;
  std::unique_ptr<ErasureService> erasure_;
  std::unique_ptr<KeyRotation> rotation_;
  std::unique_ptr<MaintenanceService> maintenance_;
  std::unique_ptr<Upkeep> upkeep_;
};

}  // namespace
}  // namespace cloister::services

int main(int argc, char** argv) {
  using namespace cloister::services;
  ServiceDefinition definition;
  definition.identity = "retrieval";
  definition.needs = {"keys", "audit"};
  definition.start = RetrievalProcess::Start;
  return ServiceMain(argc, argv, definition);
}
