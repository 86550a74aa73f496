// SPDX-License-Identifier: Apache-2.0
// cloister-gateway: the composition root of the only process with a network listener.
#include <sys/stat.h>

#include <memory>

#include "common/file.h"
#include "common/log.h"
#include "services/gateway/backup_desk.h"
#include "services/gateway/gateway.h"
#include "services/http/http_server.h"
#include "services/gateway/tls_identity.h"
#include "services/server/database_rotation.h"
#include "services/server/freshness_watch.h"
#include "services/server/grpc_key_source.h"
#include "services/server/service_main.h"
#include "services/server/store_stop.h"
#include "storage/rocksdb_store.h"

namespace cloister::services {
namespace {

// Besides those that run an ask: status, administration and health must be answered while all asks are taken.
constexpr uint32_t kWorkersBesideAsks = 8;
constexpr std::string_view kRowsKeyName = "rows";

class GatewayService final : public RunningService {
 public:
  static StatusOr<std::unique_ptr<RunningService>> Start(const ServiceContext& context);
  std::vector<grpc::Service*> RpcServices() override { return {}; }
  std::vector<MethodRule> Rules() const override { return {}; }
  void Stop() override {
    maintenance_->Stop();
    peers_->CancelAll();
    http_->Stop();
  }

 private:
  Status OpenStore(const ServiceContext& context);
  Status OpenRotation(const ServiceContext& context);
  Status StartHttp(const ServiceContext& context);

  // Destroyed from the last to the first.
  SystemClock clock_;
  std::unique_ptr<storage::KeySource> keys_;
  std::unique_ptr<storage::RocksDbStore> store_;
  std::unique_ptr<FreshnessWatch> freshness_;
  std::unique_ptr<storage::SealedStore> sealed_;
  storage::DataKey row_key_;
  std::unique_ptr<CredentialStore> credentials_;
  std::unique_ptr<Peers> peers_;
  std::unique_ptr<AssertionSigner> signer_;
  std::unique_ptr<Authenticator> authenticator_;
  std::unique_ptr<AskRunner> asks_;
  std::unique_ptr<KeyRotation> rotation_;
  std::unique_ptr<MaintenanceService> maintenance_;  // Not on the wire: gateway does not call itself.
  std::unique_ptr<BackupDesk> backups_;
  Metrics metrics_;
  std::unique_ptr<Gateway> gateway_;
  std::unique_ptr<HttpServer> http_;
};

Status GatewayService::OpenStore(const ServiceContext& context) {
  storage::RocksDbStoreOptions options;
  options.directory = context.OwnDirectory() / "store";
  for (const std::string_view family : kCredentialColumnFamilies) options.column_families.emplace_back(family);
  options.keys = keys_.get();
  options.on_stopped = EndWhenStopped({.directory = options.directory});
  CLOISTER_ASSIGN_OR_RETURN(store_, storage::RocksDbStore::Open(options));
  FreshnessParts fresh;
  fresh.stores["store"] = {store_->database_id(), [store = store_.get()] { return store->CommitSequence(); }};
  CLOISTER_ASSIGN_OR_RETURN(freshness_, FreshnessWatch::Compare(context.ChannelTo("keys"), std::move(fresh)));
  freshness_->Start();
  sealed_ = std::make_unique<storage::SealedStore>(store_->database_id(), *keys_);
  CLOISTER_ASSIGN_OR_RETURN(row_key_, keys_->GetNamedKey(storage::KeyKind::kStore, kRowsKeyName));
  CLOISTER_ASSIGN_OR_RETURN(credentials_, CredentialStore::Open(*store_, *sealed_, row_key_, clock_));
  return absl::OkStatus();
}

Status GatewayService::OpenRotation(const ServiceContext& context) {
  KeyRotationParts parts = RotationOfDatabase(
      context.OwnDirectory(), *keys_, clock_, *store_,
      [this](const std::function<Status()>& go_on) -> StatusOr<uint64_t> {
        CLOISTER_ASSIGN_OR_RETURN(storage::DataKey key, keys_->GetNamedKey(storage::KeyKind::kStore, kRowsKeyName));
        return credentials_->Renew(*keys_, std::move(key), store_->database_id(), go_on);
      });
  parts.levels[kLevelRows] = [this]() -> StatusOr<std::vector<KeyId>> {
    CLOISTER_ASSIGN_OR_RETURN(const storage::DataKey key, keys_->GetNamedKey(storage::KeyKind::kStore, kRowsKeyName));
    return std::vector<KeyId>{key.id};
  };
  CLOISTER_ASSIGN_OR_RETURN(rotation_, KeyRotation::Open(std::move(parts)));
  return absl::OkStatus();
}

Status GatewayService::StartHttp(const ServiceContext& context) {
  const Config& config = context.config();
  HttpServerOptions options;
  options.socket = context.data_directory() / "run" / "gateway-http.sock";
  options.listen = config.String("gateway.listen");
  options.limits.workers = static_cast<uint32_t>(config.Int("gateway.asks_concurrent_max")) + kWorkersBesideAsks;
  crypto::CertificateAndKey identity;
  if (!options.listen.empty()) {
    CLOISTER_ASSIGN_OR_RETURN(identity, LoadTlsIdentity(*store_, *sealed_, row_key_, NamesForListener(options.listen),
                                                        clock_, context.data_directory() / "gateway.crt"));
    options.certificate_pem = identity.certificate_pem;
    options.private_key_pem = identity.private_key_pem.view();
  }
  CLOISTER_ASSIGN_OR_RETURN(
      http_, HttpServer::Start(std::move(options), [this](const HttpRequest& request, HttpWriter& writer) {
        gateway_->Handle(request, writer);
      }));
  Log(LogLevel::kInfo, "gateway.listening", {{"listen", config.String("gateway.listen")}});
  return absl::OkStatus();
}

StatusOr<std::unique_ptr<RunningService>> GatewayService::Start(const ServiceContext& context) {
  auto service = std::make_unique<GatewayService>();
  const Config& config = context.config();
  service->keys_ = NewGrpcKeySource(context.ChannelTo("keys"));
  CLOISTER_RETURN_IF_ERROR(service->OpenStore(context));
  CLOISTER_ASSIGN_OR_RETURN(const storage::DataKey seed,
                            service->keys_->GetNamedKey(storage::KeyKind::kSigning, "assertion"));
  CLOISTER_ASSIGN_OR_RETURN(auto signer, crypto::Ed25519Signer::FromSeed(seed.key->view()));
  service->signer_ =
      std::make_unique<AssertionSigner>(std::move(signer), config.String("appliance.tenant"), service->clock_);
  service->peers_ = std::make_unique<Peers>([&](std::string_view identity) { return context.ChannelTo(identity); });
  struct stat data {};
  if (::stat(context.data_directory().c_str(), &data) != 0) return ErrnoStatus(errno, "data directory");
  CLOISTER_ASSIGN_OR_RETURN(service->authenticator_,
                            Authenticator::New(*service->credentials_, service->peers_->audit_log(), service->clock_,
                                               data.st_uid));
  service->asks_ = std::make_unique<AskRunner>(*service->peers_, *service->signer_, service->clock_,
                                               static_cast<uint32_t>(config.Int("gateway.asks_concurrent_max")));
  MaintenanceParts copies;
  copies.directory = context.OwnDirectory();
  copies.stores["store"] = {service->store_->database_id(),
                            [store = service->store_.get()](const auto& folder) { return store->Checkpoint(folder); }};
  copies.examine = [own = service.get()](const auto& options, auto& found) -> Status {
    CLOISTER_RETURN_IF_ERROR(own->store_->Flush());
    return storage::ExamineStore(*own->store_, *own->keys_, CredentialsToExamine(), options, found);
  };
  CLOISTER_RETURN_IF_ERROR(service->OpenRotation(context));
  copies.rotation = service->rotation_.get();
  CLOISTER_ASSIGN_OR_RETURN(service->maintenance_, MaintenanceService::New(std::move(copies)));
  service->backups_ = std::make_unique<BackupDesk>(*service->peers_, *service->keys_, *service->maintenance_,
                                                   service->clock_);
  GatewayOptions options;
  options.question_bytes_max = static_cast<size_t>(config.Int("gateway.question_bytes_max"));
  service->gateway_ = std::make_unique<Gateway>(GatewayParts{*service->peers_, *service->credentials_,
                                                             *service->authenticator_, *service->asks_,
                                                             service->metrics_, service->clock_, options, service->backups_.get(), service->maintenance_.get()});
  CLOISTER_RETURN_IF_ERROR(service->StartHttp(context));
  return std::unique_ptr<RunningService>(std::move(service));
}

}  // namespace
}  // namespace cloister::services

int main(int argc, char** argv) {
  cloister::services::ServiceDefinition definition;
  definition.identity = "gateway";
  definition.needs = {"keys", "audit", "embedding", "retrieval", "generation", "ingest"};
  definition.start = cloister::services::GatewayService::Start;
  return cloister::services::ServiceMain(argc, argv, definition);
}
