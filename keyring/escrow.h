// SPDX-License-Identifier: Apache-2.0
// A copy of the keyring for another place: the keyring file as it was, and its epoch key sealed to the
// recovery key, so that the machine may be lost. Says nothing to who holds neither shares nor what the anchor
// asks for. Does not know people or services. Functions block on the disk; thread-safe unless two write one
// folder. SPEC: docs/formats/escrow.md
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "common/clock.h"
#include "common/status.h"
#include "crypto/secret.h"
#include "keyring/keyring.h"

namespace cloister::keyring {

constexpr size_t kEscrowFileBytesMax = kKeyringFileBytesMax + 4096;

struct EscrowHeader {
  DatabaseId appliance;
  uint64_t generation = 0;
  uint32_t epoch = 0;
  int64_t created_ns = 0;               // Unix time of this copy.
  std::optional<RecoveryKey> recovery;  // Whose shares open it; absent: the anchor alone does.
};

struct Escrow {
  EscrowHeader header;
  std::string header_bytes;      // What the sealed key is bound to.
  std::string sealed_epoch_key;  // Empty without a recovery key.
  std::string keyring_file;
};

// The bytes of a copy of `snapshot`.
std::string SealEscrow(const Keyring::Snapshot& snapshot, const Clock& clock);
// The part before the sealed key, and the whole; for SealEscrow and the worked example.
std::string EscrowHeaderBytes(const EscrowHeader& header);
std::string JoinEscrow(const EscrowHeader& header, std::string_view sealed_epoch_key,
                       std::string_view keyring_file);

// Errors: kDataLoss (no escrow, damaged, or its parts do not belong together), kFailedPrecondition (unknown
// format).
StatusOr<Escrow> ParseEscrow(std::string_view bytes);

// The epoch key, which opens the table of `escrow.keyring_file`; for Keyring::Restore.
// Errors: kFailedPrecondition (made without a recovery key), kDataLoss (altered).
StatusOr<crypto::Secret> OpenEscrow(const Escrow& escrow, const crypto::Secret& recovery_private_key);
// By what opened the keyring at the time: its passphrase, or the device. Errors: those of EpochAnchor::Open;
// kFailedPrecondition (another kind of anchor).
StatusOr<crypto::Secret> OpenEscrow(const Escrow& escrow, EpochAnchor& anchor);

// FOLDER/<appliance id>.escrow
std::filesystem::path EscrowPath(const std::filesystem::path& folder, const DatabaseId& appliance);

// What lies in `folder` for `appliance`. Reads the whole file. Errors: kNotFound (none, or no folder),
// kDataLoss, kFailedPrecondition (unknown format, or of another appliance), kUnavailable.
StatusOr<EscrowHeader> ReadEscrowHeader(const std::filesystem::path& folder, const DatabaseId& appliance);

// Replaces the copy in `folder`, which must be there: a folder that is not mounted is not made. Zeros over
// the blocks of the one before, and looks whether another copy of this appliance's is left under any name.
// Errors: kUnavailable (the folder is not there or cannot be written; what was written does not read back),
// kResourceExhausted (no room), kFailedPrecondition (the file is of another appliance, or another copy of
// this one's lies beside it: remove it).
Status WriteEscrow(const std::filesystem::path& folder, const DatabaseId& appliance, std::string_view bytes);

// kFailedPrecondition with what to do when `escrow` is of another appliance than `appliance`, or older than a
// keyring that had reached `generation`.
Status CheckEscrowNotOlder(const EscrowHeader& escrow, const DatabaseId& appliance, uint64_t generation);

}  // namespace cloister::keyring
