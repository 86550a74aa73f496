// SPDX-License-Identifier: Apache-2.0
// `cloister backup`: makes, lists, checks, restores and prunes backups.
#include <memory>
#include <ostream>
#include <utility>

#include "backup/repository.h"
#include "backup/restore.h"
#include "common/file.h"
#include "services/cli/backup_create.h"
#include "services/cli/backup_manifests.h"
#include "services/cli/backup_restore.h"
#include "services/cli/commands.h"
#include "services/cli/gateway_client.h"
#include "services/cli/terminal_text.h"

namespace cloister::services {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

struct BackupFlags {
  std::string folder, id, passphrase_file;
  uint32_t keep = 0, generation = 0;
  bool accept_older = false, json = false;
};

// Where manifests are opened: with a passphrase when one is given, through the appliance when it runs; else
// asked for.
class Reader {
 public:
  static StatusOr<Reader> New(CliContext& context, const CredentialFlags& credentials,
                              const BackupFlags& flags, bool may_ask) {
    Reader out;
    std::error_code error;
    if (flags.passphrase_file.empty() && fs::exists(context.gateway_socket(), error)) {
      CLOISTER_ASSIGN_OR_RETURN(GatewayClient client, MakeClient(context, credentials, false));
      out.client_ = std::make_unique<GatewayClient>(std::move(client));
      out.read_ = ReaderThrough(*out.client_);
      return out;
    }
    if (flags.passphrase_file.empty() && !may_ask) return FailedPrecondition("no key at hand");
    CLOISTER_ASSIGN_OR_RETURN(out.keyring_,
                              OpenOfflineKeyring(context.data_directory(), flags.passphrase_file));
    out.read_ = ReaderWith(*out.keyring_->keyring);
    return out;
  }
  const ManifestReader& read() const { return read_; }

 private:
  Reader() = default;
  std::unique_ptr<GatewayClient> client_;
  std::unique_ptr<OfflineKeyring> keyring_;
  ManifestReader read_;
};

std::string Size(uint64_t bytes) { return HumanBytes(static_cast<double>(bytes)); }

int RunCreate(CliContext& context, const CredentialFlags& credentials, const BackupFlags& flags) {
  StatusOr<GatewayClient> client = MakeClient(context, credentials, false);
  if (!client.ok()) return context.Fail(client.status());
  const auto made = CreateBackup(*client, context.data_directory(), fs::absolute(flags.folder),
                                 [&](const std::string& line) { context.error() << line << std::endl; });
  if (!made.ok()) return context.Fail(made.status());
  if (flags.json) {
    context.out() << made->dump(2) << std::endl;
    return kExitOk;
  }
  context.out() << "Backup " << (*made)["id"].get<std::string>() << ": " << (*made)["files"] << " files, "
                << Size((*made)["bytes"]) << "\n  new " << (*made)["files_new"] << " files, "
                << Size((*made)["bytes_new"]) << "; shared with earlier backups " << (*made)["files_shared"]
                << " files, " << Size((*made)["bytes_shared"]) << "\n";
  if ((*made)["garbage_files"] > 0) {
    context.out() << "  removed " << (*made)["garbage_files"] << " files that no backup names\n";
  }
  context.out() << "\n"
                << Wrap((*made)["escrow"].get<std::string>(), TerminalWidth(), "  ")
                << "\nCheck it: cloister backup verify " << flags.folder << std::endl;
  return kExitOk;
}

// Without a key, what the names say; nobody is asked for a passphrase to see a list.
int RunList(CliContext& context, const CredentialFlags& credentials, const BackupFlags& flags) {
  const auto repository = backup::Repository::OpenForReading(flags.folder);
  if (!repository.ok()) return context.Fail(repository.status());
  const auto manifests = repository->ListManifests();
  if (!manifests.ok()) return context.Fail(manifests.status());
  const auto reader = Reader::New(context, credentials, flags, false);
  if (!reader.ok() && !flags.passphrase_file.empty()) return context.Fail(reader.status());
  json listed = json::array();
  std::vector<std::vector<std::string>> rows{{"BACKUP", "TIME", "FILES", "SIZE", "LOG", "KEYRING", "EPOCH"}};
  for (const backup::ManifestFile& file : *manifests) {
    json row{{"id", file.id.hex()}, {"time", file.time}};
    std::vector<std::string> cells{file.id.hex(), file.time, "-", "-", "-", "-", "-"};
    const auto manifest = reader.ok() ? reader->read()(file) : StatusOr<backup::Manifest>(reader.status());
    if (manifest.ok()) {
      uint64_t bytes = 0;
      for (const backup::FileEntry& entry : manifest->files) bytes += entry.bytes;
      row.update({{"files", manifest->files.size()},
                  {"bytes", bytes},
                  {"log_origin", manifest->log.origin},
                  {"log_size", manifest->log.size},
                  {"keyring_generation", manifest->keyring_generation},
                  {"epoch", manifest->epoch}});
      cells = {file.id.hex(),
               file.time,
               std::to_string(manifest->files.size()),
               Size(bytes),
               std::to_string(manifest->log.size),
               std::to_string(manifest->keyring_generation),
               std::to_string(manifest->epoch)};
    } else if (reader.ok()) {
      row["error"] = MessageOf(manifest.status());
      cells[2] = MessageOf(manifest.status());
    }
    listed.push_back(std::move(row));
    rows.push_back(std::move(cells));
  }
  if (flags.json) {
    context.out() << json{{"backups", std::move(listed)}}.dump(2) << std::endl;
  } else {
    PrintTable(context.out(), rows);
    context.out() << std::flush;
  }
  return kExitOk;
}

struct Verified {
  backup::ManifestFile file;
  Status manifest;
  backup::CheckReport report;
  bool whole() const { return manifest.ok() && report.problem_count == 0; }
};

void PrintVerified(const Verified& verified, std::ostream& out) {
  out << verified.file.id.hex() << " (" << verified.file.time << "): ";
  if (!verified.manifest.ok()) {
    out << "REFUSED: " << MessageOf(verified.manifest) << "\n";
    return;
  }
  if (verified.whole()) {
    out << "whole: signature, seal and " << verified.report.files << " files, " << Size(verified.report.bytes)
        << "\n";
    return;
  }
  out << "DAMAGED: " << verified.report.problem_count << " of "
      << verified.report.problem_count + verified.report.files << " files\n";
  for (const std::string& problem : verified.report.problems) out << "  " << Printable(problem) << "\n";
}

json VerifiedJson(const Verified& verified) {
  json out{{"id", verified.file.id.hex()},        {"time", verified.file.time},
           {"whole", verified.whole()},           {"files", verified.report.files},
           {"bytes", verified.report.bytes},      {"problem_count", verified.report.problem_count},
           {"problems", verified.report.problems}};
  if (!verified.manifest.ok()) out["error"] = MessageOf(verified.manifest);
  return out;
}

int RunVerify(CliContext& context, const CredentialFlags& credentials, const BackupFlags& flags) {
  const auto repository = backup::Repository::OpenForReading(flags.folder);
  if (!repository.ok()) return context.Fail(repository.status());
  auto manifests = repository->ListManifests();
  if (!manifests.ok()) return context.Fail(manifests.status());
  const auto one = FindManifest(*manifests, flags.id);
  if (!one.ok()) return context.Fail(one.status());
  if (!flags.id.empty()) *manifests = {*one};
  const auto reader = Reader::New(context, credentials, flags, true);
  if (!reader.ok()) return context.Fail(reader.status());
  bool whole = true;
  json results = json::array();
  for (const backup::ManifestFile& file : *manifests) {
    Verified verified{file, {}, {}};
    const auto manifest = reader->read()(file);
    verified.manifest = manifest.status();
    if (verified.manifest.code() == StatusCode::kUnavailable) return context.Fail(verified.manifest);
    if (manifest.ok()) {
      const auto report = backup::CheckFiles(*repository, *manifest, {});
      if (!report.ok()) return context.Fail(report.status());
      verified.report = *report;
    }
    whole = whole && verified.whole();
    if (flags.json) {
      results.push_back(VerifiedJson(verified));
    } else {
      PrintVerified(verified, context.out());
    }
  }
  if (flags.json) context.out() << json{{"backups", std::move(results)}, {"whole", whole}}.dump(2) << "\n";
  context.out() << std::flush;
  return whole ? kExitOk : kExitFailed;
}

int RunRestore(CliContext& context, const BackupFlags& flags) {
  const fs::path data = context.data_directory();
  const auto restored = RestoreBackup(
      data, {flags.folder, flags.id, flags.passphrase_file, flags.accept_older, flags.generation});
  if (!restored.ok()) return context.Fail(restored.status());
  const backup::Manifest& manifest = restored->manifest;
  std::ostream& out = context.out();
  if (flags.json) {
    out << json{{"id", manifest.id.hex()},
                {"data", data.string()},
                {"files", restored->report.files},
                {"bytes", restored->report.bytes},
                {"former_log", restored->former_log.string()},
                {"consequences", restored->consequences}}
               .dump(2)
        << std::endl;
    return kExitOk;
  }
  out << "Restored backup " << manifest.id.hex() << " into " << data.string() << ": "
      << restored->report.files << " files, " << Size(restored->report.bytes) << "\n"
      << "  The log begins a new generation, whose first record cites this backup.\n"
      << "  The log of before, " << manifest.log.size << " records: " << restored->former_log.string()
      << ", an export that cloister-verify checks\n"
      << "  The index is made anew from the documents at the first start.\n";
  for (const std::string& sentence : restored->consequences)
    out << "\n" << Bullet(sentence, TerminalWidth());
  out << "\nNext: cloister up --data " << data.string() << std::endl;
  return kExitOk;
}

// Nothing is removed unless every backup that stays can be read: what it needs would not be known.
StatusOr<json> Prune(CliContext& context, const CredentialFlags& credentials, const BackupFlags& flags) {
  CLOISTER_ASSIGN_OR_RETURN(backup::Repository repository, backup::Repository::OpenForWriting(flags.folder));
  CLOISTER_ASSIGN_OR_RETURN(const auto manifests, repository.ListManifests());
  const size_t drop = manifests.size() > flags.keep ? manifests.size() - flags.keep : 0;
  CLOISTER_ASSIGN_OR_RETURN(const Reader reader, Reader::New(context, credentials, flags, true));
  // Also those that go: another appliance's are not ours to remove.
  CLOISTER_RETURN_IF_ERROR(NamedObjects(manifests, reader.read()).status());
  CLOISTER_ASSIGN_OR_RETURN(
      const auto named,
      NamedObjects({manifests.begin() + static_cast<std::ptrdiff_t>(drop), manifests.end()}, reader.read()));
  for (size_t i = 0; i < drop; ++i) CLOISTER_RETURN_IF_ERROR(repository.RemoveManifest(manifests[i]));
  CLOISTER_ASSIGN_OR_RETURN(const backup::RemovedObjects removed,
                            repository.RemoveUnnamed(named, SystemClock().Now(), std::chrono::hours(0)));
  return json{{"backups_removed", drop},
              {"backups_kept", manifests.size() - drop},
              {"files_removed", removed.files},
              {"bytes_removed", removed.bytes}};
}

int RunPrune(CliContext& context, const CredentialFlags& credentials, const BackupFlags& flags) {
  const auto pruned = Prune(context, credentials, flags);
  if (!pruned.ok()) return context.Fail(pruned.status());
  if (flags.json) {
    context.out() << pruned->dump(2) << std::endl;
  } else {
    context.out() << "removed " << (*pruned)["backups_removed"] << " backup(s) and "
                  << (*pruned)["files_removed"] << " files, " << Size((*pruned)["bytes_removed"]) << "; "
                  << (*pruned)["backups_kept"] << " kept" << std::endl;
  }
  return kExitOk;
}

using Runner = int (*)(CliContext&, const CredentialFlags&, const BackupFlags&);

CLI::App* AddAction(CLI::App& group, CliContext& context, const char* name, const char* help,
                    const std::shared_ptr<BackupFlags>& flags, Runner run) {
  CLI::App* command = group.add_subcommand(name, help);
  command->add_flag("--json", flags->json, "for programs");
  auto credentials = std::make_shared<CredentialFlags>();
  command->add_option(
      "--key-file", credentials->key_file,
      "file with an administrator's API key; without it, the owner of the data directory acts");
  command->callback([&context, credentials, flags, run] {
    context.command = [&context, credentials, flags, run] { return run(context, *credentials, *flags); };
  });
  return command;
}

void AddPassphraseFile(CLI::App& command, BackupFlags& flags) {
  command.add_option("--passphrase-file", flags.passphrase_file,
                     "file with the keyring's passphrase, to work without the running appliance");
}

}  // namespace

void AddBackupCommands(CLI::App& app, CliContext& context) {
  CLI::App* backup = app.add_subcommand("backup", "Copies of the appliance that can be restored elsewhere");
  backup->require_subcommand(1);
  backup->footer("A backup holds everything but the keyring, which must be kept apart: see `cloister keys`.");
  auto create = std::make_shared<BackupFlags>();
  AddAction(*backup, context, "create", "Make a backup while the appliance runs; only what is new is copied",
            create, RunCreate)
      ->add_option("--to", create->folder,
                   "backup folder, on another disk; made when the folder above is there")
      ->required();
  auto list = std::make_shared<BackupFlags>();
  CLI::App* listed = AddAction(*backup, context, "list", "List the backups of a folder", list, RunList);
  listed->add_option("folder", list->folder, "backup folder")->required();
  AddPassphraseFile(*listed, *list);
  auto verify = std::make_shared<BackupFlags>();
  CLI::App* verified =
      AddAction(*backup, context, "verify",
                "Check signature, seal and every file; status 1 when anything is wrong", verify, RunVerify);
  verified->add_option("folder", verify->folder, "backup folder")->required();
  verified->add_option("--id", verify->id, "one backup, by the beginning of its id [all]");
  AddPassphraseFile(*verified, *verify);
  auto restore = std::make_shared<BackupFlags>();
  CLI::App* restored = AddAction(
      *backup, context, "restore", "Restore into --data, a new data directory that holds the keyring alone",
      restore, [](CliContext& c, const CredentialFlags&, const BackupFlags& f) { return RunRestore(c, f); });
  restored->add_option("folder", restore->folder, "backup folder")->required();
  restored->add_option("--id", restore->id, "which backup, by the beginning of its id [the latest]");
  AddPassphraseFile(*restored, *restore);
  restored->add_flag("--accept-older", restore->accept_older,
                     "restore although keys were destroyed since, or are missing; says what that means");
  restored->add_option("--generation", restore->generation,
                       "number of the new log, when one more was begun already after this backup [the next]");
  auto prune = std::make_shared<BackupFlags>();
  CLI::App* pruned = AddAction(*backup, context, "prune",
                               "Remove the oldest backups, and what no backup needs", prune, RunPrune);
  pruned->add_option("folder", prune->folder, "backup folder")->required();
  pruned->add_option("--keep", prune->keep, "how many of the latest stay")
      ->required()
      ->check(CLI::Range(1, 100'000));
  AddPassphraseFile(*pruned, *prune);
}

}  // namespace cloister::services
