// SPDX-License-Identifier: Apache-2.0
#include "services/cli/backup_restore.h"

#include <algorithm>
#include <utility>

#include "backup/repository.h"
#include "services/audit/generation.h"
#include "services/cli/backup_manifests.h"
#include "services/cli/keyring_access.h"
#include "services/keys/freshness_keeper.h"

namespace cloister::services {
namespace {

namespace fs = std::filesystem;

// The log of the backup becomes a former one, and the next generation says from where it comes.
StatusOr<backup::RestorePlan> PlanFor(const backup::Manifest& manifest, const fs::path& data,
                                      uint32_t generation) {
  CLOISTER_ASSIGN_OR_RETURN(const uint32_t former, GenerationOf(manifest.log.origin));
  LogGeneration next;
  next.number = generation == 0 ? former + 1 : generation;
  if (next.number <= former || next.number > kGenerationMax) {
    return InvalidArgument("the log of the backup is of generation " + std::to_string(former) +
                           "; --generation must be above");
  }
  next.backup = std::string(manifest.id.bytes());
  next.restored_ns = SystemClock().Now().time_since_epoch().count();
  next.former_checkpoint = manifest.log.note;
  backup::RestorePlan plan;
  plan.data = data;
  const std::string log = "audit/log/";
  const std::string beside = "audit/" + std::string(kGenerationFile);
  plan.place = [=](const std::string& path) -> std::string {
    if (path == beside) return "";
    if (!path.starts_with(log)) return path;
    return "audit/" + std::string(kFormerLogsFolder) + "/" + std::to_string(former) + "/" +
           path.substr(log.size());
  };
  plan.more = {{beside, SerialiseGeneration(next)}};
  return plan;
}

// What was stated of the databases and the log that were here: what comes now is older, and that is meant.
Status Forget(const fs::path& data, OfflineKeyring& keyring) {
  CLOISTER_ASSIGN_OR_RETURN(const Config config, ReadConfig(data));
  return RestateFreshness(FreshnessPath(data), config.String("keys.escrow_directory"), *keyring.keyring, keyring.clock,
                          [](FreshnessStatement& next) {
                            next.stores.clear();
                            next.log.reset();
                          });
}

}  // namespace

// Everything is checked before anything is written.
StatusOr<Restored> RestoreBackup(const fs::path& data, const RestoreRequest& request) {
  CLOISTER_ASSIGN_OR_RETURN(const backup::Repository repository,
                            backup::Repository::OpenForReading(request.folder));
  CLOISTER_ASSIGN_OR_RETURN(const auto manifests, repository.ListManifests());
  CLOISTER_ASSIGN_OR_RETURN(const backup::ManifestFile file, FindManifest(manifests, request.id));
  CLOISTER_ASSIGN_OR_RETURN(const auto interrupted, backup::InterruptedRestore(data));
  if (interrupted && *interrupted != file.id) {
    return FailedPrecondition("a restore of backup " + interrupted->hex() +
                              " was interrupted here: restore that one to finish it, or empty the data directory save keys/");
  }
  if (!interrupted) CLOISTER_RETURN_IF_ERROR(backup::CheckTarget(data));
  CLOISTER_ASSIGN_OR_RETURN(const auto keyring, OpenOfflineKeyring(data, request.passphrase_file));
  Restored out;
  CLOISTER_ASSIGN_OR_RETURN(out.manifest, ReaderWith(*keyring->keyring)(file));
  const keyring::KeyringStatus keys = keyring->keyring->GetStatus();
  const backup::BackupAge age =
      backup::CompareWithKeyring(out.manifest, {keys.generation, keys.epoch, keys.erasure_epoch});
  CLOISTER_RETURN_IF_ERROR(backup::CheckAge(age, request.accept_older));
  out.consequences = backup::Consequences(age);
  CLOISTER_ASSIGN_OR_RETURN(const backup::RestorePlan plan, PlanFor(out.manifest, data, request.generation));
  CLOISTER_ASSIGN_OR_RETURN(out.report, backup::CheckFiles(repository, out.manifest, {}));
  if (out.report.problem_count > 0) {
    return DataLoss(
        "the backup is damaged, and nothing was restored: " + std::to_string(out.report.problem_count) +
        " file(s), first " + out.report.problems.front() + "; `cloister backup verify` lists them");
  }
  CLOISTER_RETURN_IF_ERROR(backup::CheckDatabaseKeys(repository, out.manifest, *keyring->keyring));
  CLOISTER_RETURN_IF_ERROR(Forget(data, *keyring));
  CLOISTER_RETURN_IF_ERROR(interrupted ? backup::FinishRestore(data)
                                       : backup::Restore(repository, out.manifest, plan));
  CLOISTER_ASSIGN_OR_RETURN(const uint32_t former, GenerationOf(out.manifest.log.origin));
  out.former_log = data / "audit" / kFormerLogsFolder / std::to_string(former);
  return out;
}

}  // namespace cloister::services
