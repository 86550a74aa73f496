// SPDX-License-Identifier: Apache-2.0
#include "services/keys/keyring_examination.h"

#include <algorithm>
#include <string>

#include "keyring/escrow.h"

namespace cloister::services {
namespace {

constexpr const char* kPutBack =
    "stop the appliance and bring the keyring back: `cloister keys recover`, from the escrowed copy";

void ExamineEscrow(const keyring::Keyring& keyring, const std::filesystem::path& folder,
                   storage::Examination& out) {
  const auto tell = [&](const std::string& problem, const std::string& remedy) {
    out.Add({"escrow", folder.string(), problem, remedy, ""});
  };
  const auto header = keyring::ReadEscrowHeader(folder, keyring.appliance_id());
  if (header.status().code() == StatusCode::kNotFound) {
    return tell("no copy of this keyring is there", "mount the folder, then run `cloister keys escrow`");
  }
  if (!header.ok()) {
    return tell("the copy cannot be read: " + MessageOf(header.status()),
                "replace it: `cloister keys escrow`");
  }
  const keyring::KeyringStatus now = keyring.GetStatus();
  if (header->epoch != now.epoch) {
    return tell("the copy is of epoch " + std::to_string(header->epoch) + ", the keyring of " +
                    std::to_string(now.epoch) +
                    ": it opens nothing that was made since, and may open what was erased",
                "replace it: `cloister keys escrow`");
  }
  out.Checked("escrow", 1);
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
  if (!escrow_folder.empty()) ExamineEscrow(keyring, escrow_folder, out);
  return absl::OkStatus();
}

}  // namespace cloister::services
