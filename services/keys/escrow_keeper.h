// SPDX-License-Identifier: Apache-2.0
// Keeps the escrowed copy of a keyring in its folder up with the keyring. Does not know callers or records,
// and never decides what is destroyed. Thread-safe. Blocks on both disks.
#pragma once

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>

#include "common/clock.h"
#include "common/status.h"
#include "keyring/escrow.h"
#include "keyring/keyring.h"

namespace cloister::services {

struct EscrowState {
  std::filesystem::path folder;  // Empty: none is configured.
  bool present = false;
  keyring::EscrowHeader copy;  // When present.
  uint64_t behind = 0;         // Changes of the keyring that the copy lacks.
  std::string problem;         // Of the last attempt; empty: it succeeded.
  bool same_device = false;    // Folder and keyring lie on one device.
};

class EscrowKeeper {
 public:
  // `keyring` and `clock` must outlive it. An empty `folder`: none is configured. Looks at what is there.
  EscrowKeeper(keyring::Keyring& keyring, std::filesystem::path folder, std::filesystem::path keyring_path,
               const Clock& clock);

  // Replaces the copy when it is of another epoch than the keyring: after every change of epoch, before that
  // is acknowledged. What became of it, in words for a receipt: "replaced in FOLDER", "none is configured".
  // Errors: kUnavailable with what to do; it is tried again by the next call and by Refresh.
  StatusOr<std::string> AfterChangeOfEpoch();
  // Replaces it in any case. Errors: likewise, and kFailedPrecondition (no folder is configured).
  StatusOr<std::string> Replace();
  // Replaces it when anything has changed, such as new keys. Logs what fails, once until something else
  // fails.
  void Refresh();

  EscrowState state() const;

 private:
  Status WriteLocked();
  std::string Words() const { return "replaced in " + folder_.string(); }

  keyring::Keyring& keyring_;
  const std::filesystem::path folder_;
  const std::filesystem::path keyring_path_;
  const Clock& clock_;
  mutable std::mutex mutex_;  // One write at a time, so that an older snapshot never replaces a newer one.
  bool present_ = false;
  keyring::EscrowHeader copy_;
  std::string problem_;
};

// kFailedPrecondition when the copy in `folder` is newer than a keyring of `generation`: that one was put
// back.
Status CheckNotOlderThanEscrow(const std::filesystem::path& folder, const DatabaseId& appliance,
                               uint64_t generation);

}  // namespace cloister::services
