// SPDX-License-Identifier: Apache-2.0
// The databases and the log of a stopped appliance, opened with its keyring by the code that the services
// use.
#include <chrono>
#include <memory>
#include <optional>
#include <system_error>

#include "keyring/keyring.h"
#include "keyring/keyring_key_source.h"
#include "retrieval/examination.h"
#include "services/audit/examination.h"
#include "services/cli/backup_manifests.h"
#include "services/cli/doctor.h"
#include "services/cli/keyring_access.h"
#include "services/gateway/credentials.h"
#include "services/ingest/job_store.h"
#include "services/keys/keyring_examination.h"
#include "services/keys/keys_service.h"
#include "storage/rocksdb_store.h"

namespace cloister::services {
namespace {

namespace fs = std::filesystem;
using storage::Examination;

constexpr const char* kRestore =
    "restore a backup: `cloister backup restore FOLDER` into a new data directory";

struct OfflineStore {
  std::string folder;  // In the service's own.
  std::vector<std::string> column_families;
};

OfflineStore StoreOf(const std::string& service) {
  if (service == "retrieval") return {"db", retrieval::ColumnFamilies()};
  if (service == "audit") return {"sections", AuditColumnFamilies()};
  if (service == "ingest") return {"jobs", {std::string(kJobsFamily)}};
  return {"store", {std::begin(kCredentialColumnFamilies), std::end(kCredentialColumnFamilies)}};
}

// What it means that a database does not open, beside what it says itself.
std::string RemedyOf(const Status& status) {
  switch (status.code()) {
    case StatusCode::kDataLoss:
      return std::string(kRestore) + "; the service does not start with it as it is";
    case StatusCode::kFailedPrecondition:
      return "the database is not damaged: use the version or the process that the message names";
    case StatusCode::kResourceExhausted:
      return "nothing is damaged: free space and try again";
    default:
      return "check the disk and its mount, then try again; nothing says that the data are damaged";
  }
}

Status ExamineOpened(const std::string& service, const fs::path& folder, storage::RocksDbStore& store,
                     storage::KeySource& keys, const storage::ExaminationOptions& options, Examination& out) {
  if (service == "retrieval") return retrieval::ExamineClosed(store, keys, folder / "segments", options, out);
  if (service == "audit") return storage::ExamineStore(store, keys, SectionsToExamine(keys), options, out);
  const OfflineStore own = StoreOf(service);
  const storage::StoreToExamine what{
      own.folder,
      {own.column_families, {}, {}},
      {},
      "start the appliance and run `cloister doctor --repair`; if it does not start, " +
          std::string(kRestore)};
  return storage::ExamineStore(store, keys, what, options, out);
}

Status ExamineService(const fs::path& data, const std::string& service, keyring::Keyring& keyring,
                      const storage::ExaminationOptions& options, Examination& out) {
  const fs::path folder = data / service;
  const OfflineStore own = StoreOf(service);
  keyring::KeyringKeySource keys(keyring, service);
  std::error_code error;
  if (!fs::exists(folder / own.folder, error)) return absl::OkStatus();  // It has never run.
  storage::RocksDbStoreOptions how;
  how.directory = folder / own.folder;
  how.column_families = own.column_families;
  how.keys = &keys;
  const auto store = storage::RocksDbStore::Open(how);
  std::optional<ClosedSections> sections;
  if (store.ok()) {
    CLOISTER_RETURN_IF_ERROR(ExamineOpened(service, folder, **store, keys, options, out));
    sections.emplace(ClosedSections{**store, (*store)->database_id()});
  } else {
    out.Add({"database", service + "/" + own.folder, "does not open: " + MessageOf(store.status()),
             RemedyOf(store.status()), ""});
  }
  return service == "audit" && fs::exists(folder / "log", error)
             ? ExamineClosedLog(folder, keys, sections, options, out)
             : absl::OkStatus();
}

}  // namespace

Status ExamineOffline(const fs::path& data, const std::string& passphrase_file,
                      const std::vector<std::string>& services, bool repair,
                      const std::function<void(DoctorReport)>& done) {
  CLOISTER_ASSIGN_OR_RETURN(const auto opened, OpenOfflineKeyring(data, passphrase_file));
  CLOISTER_ASSIGN_OR_RETURN(const Config config, ReadConfig(data));
  keyring::Keyring& keyring = *opened->keyring;
  storage::ExaminationOptions options;
  options.repair = repair;
  for (const std::string& service : services) {
    const auto start = std::chrono::steady_clock::now();
    DoctorReport report;
    report.name = service;
    const Status status = service == "keys"
                              ? ExamineKeyring(keyring, KeyringPath(data),
                                               config.String("keys.escrow_directory"), options, report.found)
                              : ExamineService(data, service, keyring, options, report.found);
    if (!status.ok()) {
      report.found.Add({"examination", service, "could not be examined to its end: " + MessageOf(status),
                        RemedyOf(status), ""});
    }
    report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    done(std::move(report));
  }
  return absl::OkStatus();
}

}  // namespace cloister::services
