// SPDX-License-Identifier: Apache-2.0
#include "storage/keyring_format.h"

#include "common/bytes.h"
#include "crypto/aead.h"
#include "crypto/hash.h"

namespace cloister::storage {
namespace {

constexpr std::string_view kMagic = "CLKR";
constexpr uint8_t kFormat = 1;
constexpr uint8_t kRootPassphrase = 1;
constexpr size_t kKeyBytes = 32;
constexpr size_t kWrappedKeyBytes = kKeyBytes + crypto::kAeadTagBytes;
// key_id, kind, created, two empty strings, wrapped key.
constexpr size_t kEntryBytesMin = kIdBytes + 1 + 8 + 4 + 4 + kWrappedKeyBytes;

// Each derived key seals one message in its life, so the nonce may be constant.
std::string ZeroNonce() { return std::string(crypto::kAeadNonceBytes, '\0'); }

crypto::Secret Derive(const crypto::Secret& key, std::string_view salt, std::string_view purpose) {
  return crypto::HkdfSha512(key.view(), salt, "cloister/v1/keyring/" + std::string(purpose), kKeyBytes);
}

StatusOr<crypto::Secret> OpenToSecret(const crypto::Secret& key, std::string_view aad,
                                      std::string_view sealed) {
  CLOISTER_ASSIGN_OR_RETURN(std::string opened, crypto::AeadOpen(key.view(), ZeroNonce(), aad, sealed));
  crypto::Secret out{std::string_view(opened)};
  crypto::Wipe(opened.data(), opened.size());
  if (out.size() != kKeyBytes) return DataLoss("a key of the keyring has a wrong length");
  return out;
}

std::string EpochAad(const KeyringHeader& header) {
  ByteWriter out;
  out.Raw(header.appliance.bytes());
  out.U32(header.epoch);
  return out.Take();
}

std::string EntryAad(const KeyringHeader& header, const KeyringEntry& entry) {
  ByteWriter out;
  out.Raw(header.appliance.bytes());
  out.U32(header.epoch);
  out.U8(static_cast<uint8_t>(entry.kind));
  out.U64(static_cast<uint64_t>(entry.created_ns));
  out.String(entry.owner);
  out.String(entry.name);
  return out.Take();
}

void WriteEntry(const KeyringTable::value_type& row, ByteWriter& out) {
  const auto& [id, entry] = row;
  out.Raw(id.bytes());
  out.U8(static_cast<uint8_t>(entry.kind));
  out.U64(static_cast<uint64_t>(entry.created_ns));
  out.String(entry.owner);
  out.String(entry.name);
  out.Raw(entry.wrapped_key);
}

// Both tables as one, in ascending order of id, without copying the large one.
std::string MergedEntries(const KeyringTable& table, const KeyringTable& added) {
  ByteWriter out;
  out.U32(static_cast<uint32_t>(table.size() + added.size()));
  auto next = added.begin();
  for (const auto& row : table) {
    for (; next != added.end() && next->first < row.first; ++next) WriteEntry(*next, out);
    WriteEntry(row, out);
  }
  for (; next != added.end(); ++next) WriteEntry(*next, out);
  return out.Take();
}

std::string WriteHeader(const KeyringHeader& header, uint64_t table_bytes) {
  ByteWriter out;
  out.Raw(kMagic);
  out.U8(kFormat);
  out.U8(kRootPassphrase);
  out.U16(0);
  out.Raw(header.appliance.bytes());
  out.U64(header.generation);
  out.U32(header.cost.memory_kib);
  out.U32(header.cost.passes);
  out.U32(header.cost.lanes);
  out.Raw(header.root_salt);
  out.Raw(header.root_check);
  out.U32(header.epoch);
  out.Raw(header.epoch_salt);
  out.Raw(header.wrapped_epoch_key);
  out.Raw(header.table_salt);
  out.U64(table_bytes);
  CLOISTER_CHECK(out.bytes().size() == kKeyringHeaderBytes);
  return out.Take();
}

Status Unknown(std::string_view what, unsigned value) {
  return FailedPrecondition("the keyring has " + std::string(what) + " " + std::to_string(value) +
                            ", which this version does not know; use a newer one");
}

}  // namespace

std::string RootCheck(const crypto::Secret& root_key, const KeyringHeader& header) {
  return std::string(Derive(root_key, header.root_salt, "root-check").view());
}

std::string WrapEpochKey(const crypto::Secret& root_key, const KeyringHeader& header,
                         const crypto::Secret& epoch_key) {
  const crypto::Secret wrapping = Derive(root_key, header.epoch_salt, "epoch");
  return crypto::AeadSeal(wrapping.view(), ZeroNonce(), EpochAad(header), epoch_key.view());
}

StatusOr<crypto::Secret> UnwrapEpochKey(const crypto::Secret& root_key, const KeyringHeader& header) {
  return OpenToSecret(Derive(root_key, header.epoch_salt, "epoch"), EpochAad(header),
                      header.wrapped_epoch_key);
}

std::string WrapKey(const crypto::Secret& epoch_key, const KeyringHeader& header, const KeyId& id,
                    const KeyringEntry& entry, std::string_view key) {
  CLOISTER_CHECK(key.size() == kKeyBytes);
  const crypto::Secret wrapping = Derive(epoch_key, id.bytes(), "entry");
  return crypto::AeadSeal(wrapping.view(), ZeroNonce(), EntryAad(header, entry), key);
}

StatusOr<crypto::Secret> UnwrapKey(const crypto::Secret& epoch_key, const KeyringHeader& header,
                                   const KeyId& id, const KeyringEntry& entry) {
  return OpenToSecret(Derive(epoch_key, id.bytes(), "entry"), EntryAad(header, entry), entry.wrapped_key);
}

std::string SealKeyring(const crypto::Secret& epoch_key, const KeyringHeader& header,
                        const KeyringTable& table, const KeyringTable& added) {
  const std::string entries = MergedEntries(table, added);
  std::string file = WriteHeader(header, entries.size() + crypto::kAeadTagBytes);
  const crypto::Secret table_key = Derive(epoch_key, header.table_salt, "table");
  file += crypto::AeadSeal(table_key.view(), ZeroNonce(), file, entries);
  // Not a defence: it tells accidental damage apart before anybody is asked for the passphrase again.
  file += crypto::Sha256(file);
  return file;
}

StatusOr<KeyringHeader> ParseKeyringHeader(std::string_view file) {
  ByteReader in(file);
  if (in.Raw(kMagic.size()) != kMagic) return DataLoss("the keyring file is not a keyring");
  const uint8_t format = in.U8();
  const uint8_t root_kind = in.U8();
  const uint16_t flags = in.U16();
  if (in.failed()) return DataLoss("the keyring is truncated; restore it from the escrowed copy");
  if (format != kFormat) return Unknown("format", format);
  const Status damaged = DataLoss("the keyring is damaged; restore it from the escrowed copy");
  if (file.size() < kKeyringHeaderBytes + crypto::kAeadTagBytes + crypto::kSha256Bytes) return damaged;
  const std::string_view body = file.substr(0, file.size() - crypto::kSha256Bytes);
  if (crypto::Sha256(body) != file.substr(body.size())) return damaged;
  if (root_kind != kRootPassphrase) return Unknown("root kind", root_kind);
  if (flags != 0) return Unknown("flags", flags);
  KeyringHeader header;
  CLOISTER_ASSIGN_OR_RETURN(header.appliance, DatabaseId::FromBytes(in.Raw(kIdBytes)));
  header.generation = in.U64();
  header.cost.memory_kib = in.U32();
  header.cost.passes = in.U32();
  header.cost.lanes = in.U32();
  header.root_salt = in.Raw(kKeyringSaltBytes);
  header.root_check = in.Raw(kKeyBytes);
  header.epoch = in.U32();
  header.epoch_salt = in.Raw(kKeyringSaltBytes);
  header.wrapped_epoch_key = in.Raw(kWrappedKeyBytes);
  header.table_salt = in.Raw(kKeyringSaltBytes);
  if (in.U64() != body.size() - kKeyringHeaderBytes) return damaged;
  return header;
}

StatusOr<KeyringTable> OpenKeyringTable(const crypto::Secret& epoch_key, std::string_view file) {
  CLOISTER_ASSIGN_OR_RETURN(const KeyringHeader header, ParseKeyringHeader(file));
  const std::string_view sealed =
      file.substr(kKeyringHeaderBytes, file.size() - kKeyringHeaderBytes - crypto::kSha256Bytes);
  const crypto::Secret table_key = Derive(epoch_key, header.table_salt, "table");
  CLOISTER_ASSIGN_OR_RETURN(
      const std::string entries,
      crypto::AeadOpen(table_key.view(), ZeroNonce(), file.substr(0, kKeyringHeaderBytes), sealed));
  ByteReader in(entries);
  const uint32_t count = in.Count(kEntryBytesMin);
  KeyringTable table;
  for (uint32_t i = 0; i < count && !in.failed(); ++i) {
    const auto id = KeyId::FromBytes(in.Raw(kIdBytes));
    KeyringEntry entry;
    entry.kind = static_cast<KeyKind>(in.U8());
    entry.created_ns = static_cast<int64_t>(in.U64());
    entry.owner = in.String();
    entry.name = in.String();
    entry.wrapped_key = in.Raw(kWrappedKeyBytes);
    // Ascending ids: one table has one spelling, and no id twice.
    if (!id.ok() || (!table.empty() && *id <= table.rbegin()->first)) {
      return DataLoss("the keyring's table is out of order");
    }
    table.emplace_hint(table.end(), *id, std::move(entry));
  }
  CLOISTER_RETURN_IF_ERROR(in.Finish("the keyring's table"));
  return table;
}

}  // namespace cloister::storage
