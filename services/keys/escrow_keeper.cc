// SPDX-License-Identifier: Apache-2.0
#include "services/keys/escrow_keeper.h"

#include <sys/stat.h>

#include <utility>

#include "common/log.h"

namespace cloister::services {
namespace {

constexpr const char* kNone = "none is configured";

bool OnOneDevice(const std::filesystem::path& a, const std::filesystem::path& b) {
  struct stat first, second;
  return ::stat(a.c_str(), &first) == 0 && ::stat(b.c_str(), &second) == 0 && first.st_dev == second.st_dev;
}

}  // namespace

EscrowKeeper::EscrowKeeper(keyring::Keyring& keyring, std::filesystem::path folder,
                           std::filesystem::path keyring_path, const Clock& clock)
    : keyring_(keyring), folder_(std::move(folder)), keyring_path_(std::move(keyring_path)), clock_(clock) {
  if (folder_.empty()) return;
  const auto found = keyring::ReadEscrowHeader(folder_, keyring_.appliance_id());
  present_ = found.ok();
  if (found.ok()) copy_ = *found;
}

Status EscrowKeeper::WriteLocked() {
  CLOISTER_ASSIGN_OR_RETURN(const keyring::Keyring::Snapshot snapshot, keyring_.TakeSnapshot());
  const std::string bytes = keyring::SealEscrow(snapshot, clock_);
  const Status written = keyring::WriteEscrow(folder_, keyring_.appliance_id(), bytes);
  if (!written.ok()) {
    problem_ = MessageOf(written);
    return Unavailable("the escrowed keyring could not be replaced (" + problem_ + "): mount the folder " +
                       folder_.string() + "; it is tried again");
  }
  problem_.clear();
  present_ = true;
  copy_ = keyring::ParseEscrow(bytes)->header;
  return absl::OkStatus();
}

StatusOr<std::string> EscrowKeeper::AfterChangeOfEpoch() {
  if (folder_.empty()) return std::string(kNone);
  std::lock_guard lock(mutex_);
  const keyring::KeyringStatus status = keyring_.GetStatus();
  if (!present_ || !problem_.empty() || copy_.epoch != status.epoch || copy_.recovery != status.recovery) {
    CLOISTER_RETURN_IF_ERROR(WriteLocked());
  }
  return Words();
}

StatusOr<std::string> EscrowKeeper::Replace() {
  if (folder_.empty()) {
    return FailedPrecondition(
        "no folder for the escrowed keyring is configured: set keys.escrow_directory, or name one "
        "with --to");
  }
  std::lock_guard lock(mutex_);
  CLOISTER_RETURN_IF_ERROR(WriteLocked());
  return Words();
}

void EscrowKeeper::Refresh() {
  if (folder_.empty()) return;
  std::lock_guard lock(mutex_);
  if (present_ && problem_.empty() && copy_.generation == keyring_.generation()) return;
  const std::string before = problem_;
  const Status status = WriteLocked();
  if (!status.ok() && problem_ != before) LogStatus(LogLevel::kWarning, "keys.escrow_not_replaced", status);
}

EscrowState EscrowKeeper::state() const {
  EscrowState out;
  out.folder = folder_;
  if (folder_.empty()) return out;
  std::lock_guard lock(mutex_);
  const uint64_t generation = keyring_.generation();
  out.present = present_;
  out.copy = copy_;
  out.behind = present_ && generation > copy_.generation ? generation - copy_.generation : 0;
  out.problem = problem_;
  out.same_device = OnOneDevice(folder_, keyring_path_);
  return out;
}

Status CheckNotOlderThanEscrow(const std::filesystem::path& folder, const DatabaseId& appliance,
                               uint64_t generation) {
  if (folder.empty()) return absl::OkStatus();
  const auto copy = keyring::ReadEscrowHeader(folder, appliance);
  if (!copy.ok() || copy->generation <= generation) return absl::OkStatus();
  return FailedPrecondition(
      "the keyring (generation " + std::to_string(generation) +
      ") is older than its escrowed copy (generation " + std::to_string(copy->generation) +
      "): an older file was put in its place. Put the newer one back, or move this one away and "
      "run `cloister keys recover`");
}

}  // namespace cloister::services
