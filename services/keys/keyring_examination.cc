// SPDX-License-Identifier: Apache-2.0
#include "services/keys/keyring_examination.h"

#include <algorithm>
#include <string>

#include "common/file.h"
#include "keyring/escrow.h"
#include "keyring/keyring_format.h"

namespace cloister::services {
namespace {

constexpr const char* kReplace = "replace it: `cloister keys escrow`";
constexpr const char* kPutBack =
    "stop the appliance and bring the keyring back: `cloister keys recover`, from the escrowed copy";

struct EscrowProblem {
  std::string problem, remedy;
};

// What the present keyring holds and a copy that is behind does not.
size_t LackedBy(const keyring::KeyringTable& copy, const keyring::KeyringTable& present) {
  size_t lacked = 0;
  for (const auto& [id, entry] : present.entries) lacked += copy.entries.contains(id) ? 0 : 1;
  for (const std::string& mark : present.marks) lacked += copy.marks.contains(mark) ? 0 : 1;
  return lacked;
}

// A copy that parses and is this appliance's, against the keyring that is open. Errors: kDataLoss
// (the table in memory).
StatusOr<EscrowProblem> CompareEscrow(const keyring::Escrow& copy, const keyring::Keyring& keyring) {
  CLOISTER_ASSIGN_OR_RETURN(const keyring::Keyring::Snapshot now, keyring.TakeSnapshot());
  const keyring::EscrowHeader& header = copy.header;
  const std::string generations = "generation " + std::to_string(header.generation) + ", the keyring of " +
                                  std::to_string(now.header.generation);
  if (header.generation > now.header.generation) {
    return EscrowProblem{
        "the copy is newer than the keyring (" + generations + "): an older keyring was put in its place",
        "put the newer keyring back, or move this one away and run `cloister keys recover`"};
  }
  if (header.epoch != now.header.epoch) {
    return EscrowProblem{"the copy is of epoch " + std::to_string(header.epoch) + ", the keyring of " +
                             std::to_string(now.header.epoch) +
                             ": it opens nothing that was made since, and may open what was erased",
                         kReplace};
  }
  if (header.recovery != now.recovery) {
    return EscrowProblem{"the copy is not for the present recovery key: its shares do not open it", kReplace};
  }
  const auto table = keyring::OpenKeyringTable(now.epoch_key, copy.keyring_file);
  if (!table.ok()) {
    return EscrowProblem{
        "the keyring inside the copy does not open with its epoch key: it was altered or damaged", kReplace};
  }
  if (header.generation == now.header.generation) return EscrowProblem();
  CLOISTER_ASSIGN_OR_RETURN(const keyring::KeyringTable present,
                            keyring::OpenKeyringTable(now.epoch_key, now.file));
  const size_t lacked = LackedBy(*table, present);
  if (lacked == 0) return EscrowProblem();
  return EscrowProblem{"the copy is behind (" + generations + "): it lacks " + std::to_string(lacked) +
                           " keys or marks of erasure that were made since",
                       kReplace};
}

// Digest, form and appliance first, then against the keyring that is open, by its epoch key. What shares or
// an anchor would have to open, the key that is sealed to them, is not looked into.
Status ExamineEscrow(const keyring::Keyring& keyring, const std::filesystem::path& folder,
                     storage::Examination& out) {
  const auto tell = [&](const EscrowProblem& found) {
    out.Add({"escrow", folder.string(), found.problem, found.remedy, ""});
    return absl::OkStatus();
  };
  const auto bytes =
      ReadFile(keyring::EscrowPath(folder, keyring.appliance_id()), keyring::kEscrowFileBytesMax);
  if (bytes.status().code() == StatusCode::kNotFound) {
    return tell({"no copy of this keyring is there", "mount the folder, then run `cloister keys escrow`"});
  }
  const auto copy = bytes.ok() ? keyring::ParseEscrow(*bytes) : bytes.status();
  if (!copy.ok()) return tell({"the copy cannot be read: " + MessageOf(copy.status()), kReplace});
  if (copy->header.appliance != keyring.appliance_id()) {
    return tell({"the copy under this appliance's name is of another appliance",
                 "move it away, then run `cloister keys escrow`"});
  }
  CLOISTER_ASSIGN_OR_RETURN(const EscrowProblem found, CompareEscrow(*copy, keyring));
  if (!found.problem.empty()) return tell(found);
  out.Checked("escrow", 1, bytes->size());
  return absl::OkStatus();
}

}  // namespace

Status ExamineKeyring(const keyring::Keyring& keyring, const std::filesystem::path& keyring_path,
                      const std::filesystem::path& escrow_folder, const storage::ExaminationOptions& options,
                      storage::Examination& out) {
  CLOISTER_RETURN_IF_ERROR(options.CheckCancelled());
  const uint64_t unreadable = keyring.CountUnreadable(), all = keyring.size();
  out.Checked("keys", all - std::min(all, unreadable));
  if (unreadable > 0) {
    out.Add({"keys", "keyring",
             std::to_string(unreadable) +
                 " keys do not open with the epoch key: the memory or the file was altered",
             kPutBack, ""});
  }
  // What is open is a copy in memory; the next start reads the file.
  const auto header = keyring::Keyring::HeaderOf(keyring_path);
  if (!header.ok()) {
    out.Add({"keys", "keys/keyring", "the file cannot be read any more: " + MessageOf(header.status()),
             "do not stop the appliance; copy the keyring out first: `cloister keys escrow --to FOLDER`",
             ""});
  } else if (header->generation < keyring.GetStatus().generation) {
    out.Add({"keys", "keys/keyring", "the file is older than the keyring that is open: somebody put it back",
             "do not stop the appliance; `cloister keys rotate epoch` writes it anew", ""});
  }
  if (const size_t doomed = keyring.GetStatus().doomed; doomed > 0) {
    out.Add({"keys", "anchor", std::to_string(doomed) + " former epoch keys are still in the device",
             "it is tried again by itself; see whether the device answers", ""});
  }
  return escrow_folder.empty() ? absl::OkStatus() : ExamineEscrow(keyring, escrow_folder, out);
}

}  // namespace cloister::services
