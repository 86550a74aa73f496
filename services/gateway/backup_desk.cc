// SPDX-License-Identifier: Apache-2.0
#include "services/gateway/backup_desk.h"

#include <utility>

#include "common/log.h"
#include "crypto/random.h"

namespace cloister::services {
namespace {

constexpr std::string_view kOwnService = "gateway";
constexpr std::string_view kLogService = "audit";

Status NotUnderWay() {
  return NotFound(
      "no backup of this id is under way: another one was begun meanwhile, or gateway was restarted; "
      "begin again");
}

Status Add(const v1::CheckpointResponse& made, const std::string& service, backup::Manifest& manifest) {
  for (const v1::StoreCheckpoint& store : made.stores()) {
    CLOISTER_ASSIGN_OR_RETURN(const DatabaseId database, DatabaseId::FromBytes(store.database_id()));
    manifest.stores.push_back({service, store.name(), database, store.commit_sequence()});
  }
  if (service == kLogService) {
    manifest.log = {made.log().origin(), made.log().size(), made.log().root(), made.log().checkpoint()};
  }
  return absl::OkStatus();
}

}  // namespace

StatusOr<v1::KeyringStatus> BackupDesk::Keyring() {
  v1::KeyringStatus status;
  Peers::Call rpc(peers_, kQuickTimeout);
  CLOISTER_RETURN_IF_ERROR(FromPeer(peers_.keys().GetKeyringStatus(rpc.context(), {}, &status), "keys"));
  return status;
}

Status BackupDesk::CopyService(const std::string& service, backup::Manifest& manifest) {
  if (service == kOwnService) {
    CLOISTER_ASSIGN_OR_RETURN(const v1::CheckpointResponse made, own_.Make(manifest.id.bytes()));
    return Add(made, service, manifest);
  }
  v1::CheckpointRequest request;
  request.set_id(std::string(manifest.id.bytes()));
  v1::CheckpointResponse made;
  Peers::Call rpc(peers_, kCheckpointTimeout);
  CLOISTER_RETURN_IF_ERROR(Annotate(
      FromPeer(peers_.maintenance(service).Checkpoint(rpc.context(), request, &made), service), service));
  return Add(made, service, manifest);
}

// Epoch first and generation last: an erasure meanwhile makes the backup count as older than it, and keys
// made meanwhile as needed.
Status BackupDesk::CopyAll(backup::Manifest& manifest) {
  CLOISTER_RETURN_IF_ERROR(keys_.GetNamedKey(storage::KeyKind::kStore, backup::kSealingKey).status());
  CLOISTER_RETURN_IF_ERROR(keys_.GetNamedKey(storage::KeyKind::kSigning, backup::kSigningKey).status());
  CLOISTER_ASSIGN_OR_RETURN(const v1::KeyringStatus before, Keyring());
  CLOISTER_ASSIGN_OR_RETURN(manifest.appliance, DatabaseId::FromBytes(before.appliance_id()));
  manifest.epoch = before.epoch();
  for (const std::string& service : backup::BackedUpServices()) {
    CLOISTER_RETURN_IF_ERROR(CopyService(service, manifest));
  }
  CLOISTER_ASSIGN_OR_RETURN(const v1::KeyringStatus after, Keyring());
  manifest.keyring_generation = after.generation();
  return absl::OkStatus();
}

StatusOr<backup::Manifest> BackupDesk::Begin() {
  std::lock_guard beginning(begin_mutex_);
  {
    std::lock_guard lock(mutex_);
    draft_.reset();
  }
  backup::Manifest manifest;
  manifest.id = crypto::RandomId<backup::BackupId>();
  manifest.created_ns = clock_.Now().time_since_epoch().count();
  const Status copied = CopyAll(manifest);
  if (!copied.ok()) {
    DropEverywhere(manifest.id).IgnoreError();  // The next copy removes it, too.
    return copied;
  }
  std::lock_guard lock(mutex_);
  draft_ = manifest;
  return manifest;
}

Status BackupDesk::AddFiles(const backup::BackupId& id, std::vector<backup::FileEntry> files) {
  std::lock_guard lock(mutex_);
  if (!draft_ || draft_->id != id) return NotUnderWay();
  if (draft_->files.size() + files.size() > backup::kManifestFilesMax) {
    return InvalidArgument("a backup has at most " + std::to_string(backup::kManifestFilesMax) + " files");
  }
  std::move(files.begin(), files.end(), std::back_inserter(draft_->files));
  return absl::OkStatus();
}

StatusOr<backup::Manifest> BackupDesk::Complete(const backup::BackupId& id, const backup::BackupId& former,
                                                std::vector<backup::Setting> settings) {
  std::lock_guard lock(mutex_);
  if (!draft_ || draft_->id != id) return NotUnderWay();
  backup::Manifest manifest = *draft_;
  manifest.former = former;
  manifest.settings = std::move(settings);
  return manifest;
}

Status BackupDesk::DropEverywhere(const backup::BackupId& id) {
  Status status = own_.Drop(id.bytes());
  v1::DropCheckpointRequest request;
  request.set_id(std::string(id.bytes()));
  for (const std::string& service : backup::BackedUpServices()) {
    if (service == kOwnService) continue;
    v1::DropCheckpointResponse response;
    Peers::Call rpc(peers_, kQuickTimeout);
    const Status dropped =
        FromPeer(peers_.maintenance(service).DropCheckpoint(rpc.context(), request, &response), service);
    if (status.ok()) status = dropped;
  }
  if (!status.ok()) LogStatus(LogLevel::kWarning, "backup.copies_left", status);
  return status;
}

Status BackupDesk::Drop(const backup::BackupId& id) {
  {
    std::lock_guard lock(mutex_);
    if (draft_ && draft_->id == id) draft_.reset();
  }
  return DropEverywhere(id);
}

StatusOr<backup::Manifest> BackupDesk::Open(std::string_view bytes) {
  CLOISTER_ASSIGN_OR_RETURN(const v1::KeyringStatus keyring, Keyring());
  CLOISTER_ASSIGN_OR_RETURN(const DatabaseId appliance, DatabaseId::FromBytes(keyring.appliance_id()));
  return backup::OpenManifest(bytes, appliance, keys_);
}

}  // namespace cloister::services
