// SPDX-License-Identifier: Apache-2.0
#include "keyring/escrow.h"

#include "common/bytes.h"
#include "common/file.h"
#include "crypto/hash.h"
#include "crypto/hpke.h"
#include "keyring/keyring_file.h"

namespace cloister::keyring {
namespace {

constexpr std::string_view kMagic = "CLES";
constexpr uint8_t kFormat = 1;
constexpr std::string_view kInfo = "cloister/v1/escrow";
constexpr size_t kPublicKeyBytes = 32;
constexpr size_t kSealedKeyBytes = kEpochKeyBytes + crypto::kHpkeOverheadBytes;
constexpr size_t kFileHeadBytes = 4 + 1 + kIdBytes;  // Enough to see whose copy it is.

EscrowHeader ReadHeader(ByteReader& in) {
  EscrowHeader header;
  const auto appliance = DatabaseId::FromBytes(in.Raw(kIdBytes));
  if (appliance.ok()) header.appliance = *appliance;
  header.generation = in.U64();
  header.epoch = in.U32();
  header.created_ns = static_cast<int64_t>(in.U64());
  if (in.U8() == 0) return header;
  RecoveryKey recovery;
  recovery.set_id = in.Raw(kIdBytes);
  recovery.public_key = in.Raw(kPublicKeyBytes);
  recovery.threshold = in.U8();
  recovery.shares = in.U8();
  recovery.created_ns = static_cast<int64_t>(in.U64());
  header.recovery = std::move(recovery);
  return header;
}

Status Damaged() { return DataLoss("the escrowed keyring is damaged or truncated; use another copy of it"); }
Status Altered() { return DataLoss("the escrowed keyring was altered: its parts do not belong together"); }

// The epoch key must open the table, and the table must know the same recovery key as the header.
Status CheckOpens(const Escrow& escrow, const crypto::Secret& epoch_key) {
  const auto table = OpenKeyringTable(epoch_key, escrow.keyring_file);
  if (!table.ok()) return table.status().code() == StatusCode::kDataLoss ? Altered() : table.status();
  return table->recovery == escrow.header.recovery ? absl::OkStatus() : Altered();
}

bool IsCopyOf(const std::filesystem::path& path, const DatabaseId& appliance) {
  const std::string head = ReadHead(path, kFileHeadBytes);
  return head.size() == kFileHeadBytes && head.starts_with(kMagic) && head.substr(5) == appliance.bytes();
}

// A copy that nobody replaces would open what is destroyed later.
Status CheckAlone(const std::filesystem::path& path, const DatabaseId& appliance) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(path.parent_path(), error)) {
    std::error_code ignored;
    if (entry.path() == path || !entry.is_regular_file(ignored) || !IsCopyOf(entry.path(), appliance))
      continue;
    return FailedPrecondition("another copy of the escrowed keyring lies beside it (" +
                              entry.path().filename().string() +
                              "); remove it: it opens what is erased later");
  }
  return error ? Unavailable("the folder for the escrowed keyring cannot be read") : absl::OkStatus();
}

// What lies under our name and is not ours is left alone.
Status CheckOurs(const std::filesystem::path& path, const DatabaseId& appliance) {
  // One that is damaged beyond recognition is replaced.
  if (!ReadHead(path, kFileHeadBytes).starts_with(kMagic) || IsCopyOf(path, appliance))
    return absl::OkStatus();
  return FailedPrecondition("the escrowed keyring in the folder is of another appliance; move it away first");
}

}  // namespace

std::string EscrowHeaderBytes(const EscrowHeader& header) {
  ByteWriter out;
  out.Raw(kMagic);
  out.U8(kFormat);
  out.Raw(header.appliance.bytes());
  out.U64(header.generation);
  out.U32(header.epoch);
  out.U64(static_cast<uint64_t>(header.created_ns));
  out.U8(header.recovery ? 1 : 0);
  if (header.recovery) {
    out.Raw(header.recovery->set_id);
    out.Raw(header.recovery->public_key);
    out.U8(header.recovery->threshold);
    out.U8(header.recovery->shares);
    out.U64(static_cast<uint64_t>(header.recovery->created_ns));
  }
  return out.Take();
}

std::string JoinEscrow(const EscrowHeader& header, std::string_view sealed_epoch_key,
                       std::string_view keyring_file) {
  ByteWriter out;
  out.Raw(EscrowHeaderBytes(header));
  out.String(sealed_epoch_key);
  out.U64(keyring_file.size());
  out.Raw(keyring_file);
  std::string bytes = out.Take();
  bytes += crypto::Sha256(bytes);
  return bytes;
}

std::string SealEscrow(const Keyring::Snapshot& snapshot, const Clock& clock) {
  const EscrowHeader header{snapshot.header.appliance, snapshot.header.generation, snapshot.header.epoch,
                            clock.Now().time_since_epoch().count(), snapshot.recovery};
  std::string sealed;
  if (header.recovery) {
    auto made = crypto::HpkeSeal(header.recovery->public_key, kInfo, EscrowHeaderBytes(header),
                                 snapshot.epoch_key.view());
    CLOISTER_CHECK(made.ok());  // SetRecovery takes public keys that seal, and no others.
    sealed = *std::move(made);
  }
  return JoinEscrow(header, sealed, snapshot.file);
}

StatusOr<Escrow> ParseEscrow(std::string_view bytes) {
  ByteReader in(bytes);
  if (in.Raw(kMagic.size()) != kMagic) return DataLoss("the file is not an escrowed keyring");
  const uint8_t format = in.U8();
  if (in.failed()) return Damaged();
  if (format != kFormat) {
    return FailedPrecondition("the escrowed keyring has format " + std::to_string(format) +
                              ", which this version does not know; use the version that wrote it");
  }
  if (bytes.size() < crypto::kSha256Bytes) return Damaged();
  const std::string_view body = bytes.substr(0, bytes.size() - crypto::kSha256Bytes);
  if (crypto::Sha256(body) != bytes.substr(body.size())) return Damaged();
  Escrow out;
  out.header = ReadHeader(in);
  out.header_bytes = bytes.substr(0, bytes.size() - in.remaining());
  out.sealed_epoch_key = in.String();
  const uint64_t file_bytes = in.U64();
  if (in.failed() || in.remaining() < crypto::kSha256Bytes ||
      in.remaining() - crypto::kSha256Bytes != file_bytes) {
    return Damaged();
  }
  out.keyring_file = in.Raw(file_bytes);
  const bool sealed = out.sealed_epoch_key.size() == kSealedKeyBytes;
  if (out.header_bytes != EscrowHeaderBytes(out.header) ||
      (out.header.recovery ? !sealed : !out.sealed_epoch_key.empty())) {
    return Altered();
  }
  CLOISTER_ASSIGN_OR_RETURN(const KeyringHeader inner, ParseKeyringHeader(out.keyring_file));
  if (inner.appliance != out.header.appliance || inner.generation != out.header.generation ||
      inner.epoch != out.header.epoch) {
    return Altered();
  }
  return out;
}

StatusOr<crypto::Secret> OpenEscrow(const Escrow& escrow, const crypto::Secret& recovery_private_key) {
  if (!escrow.header.recovery) {
    return FailedPrecondition(
        "this copy was made before there were recovery shares; only its anchor opens it");
  }
  auto key =
      crypto::HpkeOpen(recovery_private_key.view(), kInfo, escrow.header_bytes, escrow.sealed_epoch_key);
  if (!key.ok() || key->size() != kEpochKeyBytes) return Altered();
  CLOISTER_RETURN_IF_ERROR(CheckOpens(escrow, *key));
  return key;
}

StatusOr<crypto::Secret> OpenEscrow(const Escrow& escrow, EpochAnchor& anchor) {
  CLOISTER_ASSIGN_OR_RETURN(const KeyringHeader header, ParseKeyringHeader(escrow.keyring_file));
  if (header.anchor != anchor.kind()) {
    return FailedPrecondition("this copy opens with " + std::string(NameOf(header.anchor)) +
                              " or with shares");
  }
  CLOISTER_ASSIGN_OR_RETURN(crypto::Secret key,
                            anchor.Open(header.location, EpochContext(header.appliance, header.epoch)));
  CLOISTER_RETURN_IF_ERROR(CheckOpens(escrow, key));
  return key;
}

std::filesystem::path EscrowPath(const std::filesystem::path& folder, const DatabaseId& appliance) {
  return folder / (appliance.hex() + ".escrow");
}

StatusOr<EscrowHeader> ReadEscrowHeader(const std::filesystem::path& folder, const DatabaseId& appliance) {
  CLOISTER_ASSIGN_OR_RETURN(const std::string bytes,
                            ReadFile(EscrowPath(folder, appliance), kEscrowFileBytesMax));
  CLOISTER_ASSIGN_OR_RETURN(Escrow escrow, ParseEscrow(bytes));
  if (escrow.header.appliance != appliance) {
    return FailedPrecondition(
        "the escrowed keyring in the folder is of another appliance; move it away first");
  }
  return std::move(escrow.header);
}

Status WriteEscrow(const std::filesystem::path& folder, const DatabaseId& appliance, std::string_view bytes) {
  std::error_code error;
  if (!std::filesystem::is_directory(folder, error)) {
    return Unavailable("the folder for the escrowed keyring is not there");
  }
  const std::filesystem::path path = EscrowPath(folder, appliance);
  CLOISTER_RETURN_IF_ERROR(CheckOurs(path, appliance));
  CLOISTER_RETURN_IF_ERROR(ReplaceAndOverwrite(path, bytes));
  RemoveLeftOverKeyrings(path);
  CLOISTER_ASSIGN_OR_RETURN(const std::string found, ReadFile(path, kEscrowFileBytesMax));
  if (found != bytes) return Unavailable("the escrowed keyring does not read back as it was written");
  return CheckAlone(path, appliance);
}

Status CheckEscrowNotOlder(const EscrowHeader& escrow, const DatabaseId& appliance, uint64_t generation) {
  if (escrow.appliance != appliance)
    return FailedPrecondition("the escrowed keyring is of another appliance");
  if (escrow.generation >= generation) return absl::OkStatus();
  return FailedPrecondition("the escrowed keyring (generation " + std::to_string(escrow.generation) +
                            ") is older than the keyring was (generation " + std::to_string(generation) +
                            "); look for a newer copy");
}

}  // namespace cloister::keyring
