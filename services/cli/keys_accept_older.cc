// SPDX-License-Identifier: Apache-2.0
// `cloister keys accept-older`: an older data directory is meant, so what was stated of the newer one is
// dropped, with a record of it.
#include <unistd.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "audit/log_directory.h"
#include "audit/log_writer.h"
#include "common/file.h"
#include "services/audit/generation.h"
#include "services/cli/backup_manifests.h"
#include "services/cli/keyring_access.h"
#include "services/cli/keys.h"
#include "services/keys/escrow_keeper.h"
#include "services/keys/freshness_keeper.h"
#include "services/keys/key_records.h"
#include "services/supervisor/supervisor.h"

namespace cloister::services {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Words instead of free text: what a person writes may name somebody, and this goes into the public part of a
// record.
const std::vector<std::string> kReasons = {"machine-snapshot", "disk-replaced", "device-replaced", "other"};

struct AcceptFlags {
  std::string passphrase_file, reason;
  bool new_log = false;
};

// Whether the log in `folder` goes on from what was stated.
Status CheckLog(const fs::path& folder, const FreshLog& stated, keyring::Keyring& keyring) {
  CLOISTER_ASSIGN_OR_RETURN(const auto seed, keyring.GetNamedKey("audit", storage::KeyKind::kSigning, "log"));
  CLOISTER_ASSIGN_OR_RETURN(const auto signer, audit::NoteSigner::New(stated.origin, seed.key->view()));
  CLOISTER_ASSIGN_OR_RETURN(const auto verifier, audit::NoteVerifier::Parse(signer.verifier_key()));
  CLOISTER_ASSIGN_OR_RETURN(const audit::Hash root, audit::Hash::FromBytes(stated.root));
  const audit::LogDirectory log(folder);
  CLOISTER_ASSIGN_OR_RETURN(const audit::Recovered recovered, log.Recover(verifier));
  return log.CheckExtends(recovered.published, stated.size, root);
}

// The log becomes a former one, and the next generation says from where it comes: somebody may have seen more
// of it.
StatusOr<uint32_t> BeginGeneration(const fs::path& data, const FreshLog& stated) {
  const fs::path audit = data / "audit", log = audit / "log";
  CLOISTER_ASSIGN_OR_RETURN(const uint32_t former, GenerationOf(stated.origin));
  LogGeneration next;
  next.number = former + 1;
  next.backup = std::string(kIdBytes, '\0');  // No backup: an older image.
  next.restored_ns = SystemClock().Now().time_since_epoch().count();
  const auto note = ReadFile(log / audit::kCheckpointFile, audit::kNoteBytesMax);
  if (note.ok()) next.former_checkpoint = *note;
  CLOISTER_RETURN_IF_ERROR(MakePrivateDirectory(audit / kFormerLogsFolder));
  std::error_code error;
  const fs::path place = audit / kFormerLogsFolder / std::to_string(former);
  if (fs::exists(place, error))
    return AlreadyExists(place.string() + " is there already: move it away first");
  if (fs::exists(log, error)) fs::rename(log, place, error);
  if (error) return ErrnoStatus(error.value(), "moving the log of before");
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomic(audit / kGenerationFile, SerialiseGeneration(next), 0600));
  CLOISTER_RETURN_IF_ERROR(SyncDirectory(audit));
  return next.number;
}

struct Accepted {
  uint64_t statement = 0;
  std::string log_problem;  // Empty: the log goes on.
  uint32_t generation = 0;  // The new one, otherwise.
};

StatusOr<Accepted> Accept(const fs::path& data, const AcceptFlags& flags) {
  if (RunningSupervisor(data).ok())
    return FailedPrecondition("the appliance runs: stop it first, by `cloister down`");
  CLOISTER_ASSIGN_OR_RETURN(const Config config, ReadConfig(data));
  const fs::path escrow = config.String("keys.escrow_directory");
  CLOISTER_ASSIGN_OR_RETURN(const auto offline, OpenOfflineKeyring(data, flags.passphrase_file));
  keyring::Keyring& keyring = *offline->keyring;
  // A keyring that lacks keys is another matter: a newer copy of it is there.
  CLOISTER_RETURN_IF_ERROR(CheckNotOlderThanEscrow(escrow, keyring.appliance_id(), keyring.generation()));
  if (LastGeneration(UnrecordedPath(data)) > keyring.generation()) ::unlink(UnrecordedPath(data).c_str());
  Accepted out;
  std::optional<FreshLog> stated;
  CLOISTER_RETURN_IF_ERROR(
      RestateFreshness(FreshnessPath(data), escrow, keyring, offline->clock, [&](FreshnessStatement& next) {
        stated = next.log;
        out.statement = next.number + 1;
        next.stores.clear();
      }));
  if (flags.new_log && !stated) {
    return FailedPrecondition("nothing here states which log it is; restore a backup (`cloister backup restore`) instead");
  }
  if (stated) {
    // What witnesses saw is not known here: whoever gives the flag was told by the start that was refused.
    const Status goes_on = flags.new_log ? FailedPrecondition("witnesses saw more of it, or another one")
                                         : CheckLog(data / "audit" / "log", *stated, keyring);
    if (!goes_on.ok()) {
      out.log_problem = MessageOf(goes_on);
      CLOISTER_ASSIGN_OR_RETURN(out.generation, BeginGeneration(data, *stated));
      CLOISTER_RETURN_IF_ERROR(RestateFreshness(FreshnessPath(data), escrow, keyring, offline->clock,
                                                [](FreshnessStatement& next) { next.log.reset(); }));
    }
  }
  KeyRecordsOptions options;
  options.file = UnrecordedPath(data);
  CLOISTER_ASSIGN_OR_RETURN(const auto records,
                            KeyRecords::Open(std::move(options), keyring, offline->clock, nullptr));
  records->AddAccepted(json{{"reason", flags.reason},
                            {"statement", std::to_string(out.statement)},
                            {"generation", out.generation}}
                           .dump(),
                       "local administrator");
  return out;
}

int RunAccept(CliContext& context, const AcceptFlags& flags) {
  const fs::path data = context.data_directory();
  const auto accepted = Accept(data, flags);
  if (!accepted.ok()) return context.Fail(accepted.status());
  context.out()
      << "The data directory is taken as it is; what was stated of its databases is dropped (statement "
      << accepted->statement << ").\n";
  if (accepted->generation > 0) {
    context.out() << "The audit log does not go on: " << accepted->log_problem << ".\n  It lies in "
                  << (data / "audit" / kFormerLogsFolder).string() << " now, and generation "
                  << accepted->generation << " begins with a record that cites it.\n";
  }
  context.out() << "The next start records freshness.accepted.\nNext: cloister up --data " << data.string()
                << std::endl;
  return kExitOk;
}

}  // namespace

void AddAcceptOlderCommand(CLI::App& keys, CliContext& context) {
  auto flags = std::make_shared<AcceptFlags>();
  CLI::App* command = keys.add_subcommand(
      "accept-older", "Take a stopped data directory that is older than it was; this is recorded");
  command->add_option("--reason", flags->reason, "machine-snapshot, disk-replaced, device-replaced or other")
      ->required()
      ->check(CLI::IsMember(kReasons));
  command->add_flag("--new-log", flags->new_log,
                    "begin a new generation of the audit log, because a witness saw more of it than there is here");
  command->add_option("--passphrase-file", flags->passphrase_file,
                      "file with the passphrase or PIN; without it you are asked");
  command->callback(
      [&context, flags] { context.command = [&context, flags] { return RunAccept(context, *flags); }; });
}

}  // namespace cloister::services
