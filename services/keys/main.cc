// SPDX-License-Identifier: Apache-2.0
// cloister-keys: the only process that holds root and epoch keys, in locked memory.
#include <charconv>
#include <memory>
#include <string>
#include <utility>

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "crypto/password.h"
#include "services/keys/anchors.h"
#include "services/keys/keyring_examination.h"
#include "services/keys/keys_service.h"
#include "services/server/audit_client.h"
#include "services/server/maintenance.h"
#include "services/server/service_main.h"
#include "services/server/store_stop.h"

namespace cloister::services {
namespace {

// A record that audit has not taken in this time is tried again later; a stop must not wait for one.
constexpr std::chrono::milliseconds kRecordTimeout{2'000};

class KeysProcess final : public RunningService {
 public:
  static StatusOr<std::unique_ptr<KeysProcess>> Open(const ServiceContext& context, std::string_view secret,
                                                     PassphraseSource source) {
    std::unique_ptr<KeysProcess> out(new KeysProcess(context));
    CLOISTER_RETURN_IF_ERROR(out->Start(secret, source));
    return out;
  }
  std::vector<grpc::Service*> RpcServices() override { return {service_.get(), maintenance_.get()}; }
  std::vector<MethodRule> Rules() const override { return KeysRules(); }
  // A stopped appliance has a copy with every key.
  void Stop() override { escrow_->Refresh(); }

 private:
  explicit KeysProcess(const ServiceContext& context)
      : config_(context.config()),
        path_(KeyringPath(context.data_directory())),
        unrecorded_(UnrecordedPath(context.data_directory())),
        freshness_file_(FreshnessPath(context.data_directory())),
        audit_(context.ChannelTo("audit"), kRecordTimeout) {}

  Status Start(std::string_view secret, PassphraseSource source) {
    CLOISTER_ASSIGN_OR_RETURN(const keyring::KeyringHeader header, keyring::Keyring::HeaderOf(path_));
    // Said before a device is asked for an epoch key that it may no longer have.
    const std::filesystem::path folder = config_.String("keys.escrow_directory");
    CLOISTER_RETURN_IF_ERROR(CheckNotOlderThanLastRun(unrecorded_, header.generation));
    CLOISTER_RETURN_IF_ERROR(CheckNotOlderThanEscrow(folder, header.appliance, header.generation));
    CLOISTER_ASSIGN_OR_RETURN(auto anchor, MakeAnchor(header.anchor, config_, secret));
    keyring::KeyringOptions opened{.path = path_};
    // Whoever starts this process again finds out which passphrase the file asks for.
    opened.on_unsound = [end = EndWhenStopped({.directory = path_.parent_path()})] {
      end(Unavailable("a write of the keyring failed half-way"));
    };
    CLOISTER_ASSIGN_OR_RETURN(keyring_, keyring::Keyring::Open(std::move(opened), std::move(anchor), clock_));
    escrow_ = std::make_unique<EscrowKeeper>(*keyring_, folder, path_, clock_);
    CLOISTER_ASSIGN_OR_RETURN(auto counter, MakeRollbackCounter(header.anchor, config_));
    FreshnessOptions fresh;
    fresh.file = freshness_file_;
    fresh.escrow_folder = folder;
    fresh.counter = std::move(counter);
    CLOISTER_ASSIGN_OR_RETURN(freshness_, FreshnessKeeper::Open(std::move(fresh), *keyring_, clock_));
    KeyRecordsOptions options;
    options.file = unrecorded_;
    options.on_tick = [this] { Catch(); };
    CLOISTER_ASSIGN_OR_RETURN(records_, KeyRecords::Open(std::move(options), *keyring_, clock_,
                                                         [this](const v1::AppendRequest& record) {
                                                           return audit_.Append(record).status();
                                                         }));
    service_ = std::make_unique<KeysService>(KeysServiceParts{
        *keyring_, *escrow_, *records_, *freshness_, source,
        [this](keyring::AnchorKind to, std::string_view with) { return MakeAnchor(to, config_, with); },
        [this](keyring::AnchorKind to) { return MakeRollbackCounter(to, config_).value_or(nullptr); }});
    MaintenanceParts parts;  // Nothing is copied: a keyring never comes into a backup.
    parts.directory = path_.parent_path();
    parts.examine = [this, folder](const auto& how, auto& found) {
      escrow_->Refresh();  // What was made since the last tick is no finding.
      return ExamineKeyring(*keyring_, path_, folder, how, found);
    };
    CLOISTER_ASSIGN_OR_RETURN(maintenance_, MaintenanceService::New(std::move(parts)));
    return absl::OkStatus();
  }

  // What could not be finished before: a device's former epoch key, an escrowed copy.
  void Catch() {
    if (keyring_->GetStatus().doomed > 0) {
      const auto done = keyring_->DestroyKeys("keys", {}, storage::DestroyFor::kUpkeep);
      if (!done.ok()) LogStatus(LogLevel::kWarning, "keys.former_epoch_not_destroyed", done.status());
    }
    escrow_->Refresh();
    freshness_->Tick();
  }

  const Config& config_;
  const std::filesystem::path path_;
  const std::filesystem::path unrecorded_;
  const std::filesystem::path freshness_file_;
  const SystemClock clock_;
  const AuditClient audit_;
  std::unique_ptr<keyring::Keyring> keyring_;
  std::unique_ptr<EscrowKeeper> escrow_;
  std::unique_ptr<FreshnessKeeper> freshness_;
  std::unique_ptr<KeyRecords> records_;  // Its thread uses all of the above.
  std::unique_ptr<KeysService> service_;
  std::unique_ptr<MaintenanceService> maintenance_;
};

StatusOr<crypto::Secret> ReadPassphrase(const std::string& fd_flag) {
  int number = -1;
  const char* end = fd_flag.data() + fd_flag.size();
  const auto parsed = std::from_chars(fd_flag.data(), end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end || number < 0) {
    return InvalidArgument("--passphrase-fd needs the number of an inherited descriptor");
  }
  FileDescriptor fd(number);
  CLOISTER_ASSIGN_OR_RETURN(std::string bytes, ReadAll(fd.get(), crypto::kPassphraseBytesMax));
  crypto::Secret passphrase(bytes);
  crypto::Wipe(bytes.data(), bytes.size());
  return passphrase;
}

}  // namespace
}  // namespace cloister::services

int main(int argc, char** argv) {
  using namespace cloister;
  using namespace cloister::services;
  std::string passphrase_fd;
  std::string source_name = "typed";
  ServiceDefinition definition;
  definition.identity = "keys";
  definition.flags = {
      {"--passphrase-fd", "inherited descriptor with the passphrase", &passphrase_fd},
      {"--passphrase-source", "where it came from: typed, file or file-same-disk", &source_name},
  };
  definition.start = [&](const ServiceContext& context) -> StatusOr<std::unique_ptr<RunningService>> {
    CLOISTER_ASSIGN_OR_RETURN(const PassphraseSource source, ParsePassphraseSource(source_name));
    CLOISTER_ASSIGN_OR_RETURN(const crypto::Secret passphrase, ReadPassphrase(passphrase_fd));
    return KeysProcess::Open(context, passphrase.view(), source);
  };
  return ServiceMain(argc, argv, definition);
}
