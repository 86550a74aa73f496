// SPDX-License-Identifier: Apache-2.0
#include "keyring/keyring_format.h"

#include "common/bytes.h"
#include "crypto/aead.h"
#include "crypto/hash.h"

namespace cloister::keyring {
namespace {

using storage::KeyKind;

constexpr std::string_view kMagic = "CLKR";
constexpr uint8_t kFormat = 4;
constexpr size_t kFixedHeaderBytes = 4 + 1 + 1 + 2 + kIdBytes + 8 + 4;
constexpr size_t kKeyBytes = 32;
constexpr size_t kWrappedKeyBytes = kKeyBytes + crypto::kAeadTagBytes;
// key_id, kind, created, two empty strings, successor, wrapped key.
constexpr size_t kEntryBytesMin = kIdBytes + 1 + 8 + 4 + 4 + kIdBytes + kWrappedKeyBytes;

crypto::Secret Derive(const crypto::Secret& key, std::string_view salt, std::string_view purpose) {
  return crypto::HkdfSha512(key.view(), salt, "cloister/v1/keyring/" + std::string(purpose), kKeyBytes);
}

// The table's key seals one message in its life, so the nonce may be constant.
std::string ZeroNonce() { return std::string(crypto::kAeadNonceBytes, '\0'); }

std::string_view EntryNonce(const KeyId& id) { return id.bytes().substr(0, crypto::kAeadNonceBytes); }

std::string EntryAad(const KeyringHeader& header, const KeyId& id, const KeyringEntry& entry) {
  ByteWriter out;
  out.Raw(header.appliance.bytes());
  out.U32(header.epoch);
  out.Raw(id.bytes());
  out.U8(static_cast<uint8_t>(entry.kind));
  out.U64(static_cast<uint64_t>(entry.created_ns));
  out.String(entry.owner);
  out.String(entry.name);
  return out.Take();
}

void WriteEntry(const KeyId& id, const KeyringEntry& entry, ByteWriter& out) {
  out.Raw(id.bytes());
  out.U8(static_cast<uint8_t>(entry.kind));
  out.U64(static_cast<uint64_t>(entry.created_ns));
  out.String(entry.owner);
  out.String(entry.name);
  out.Raw(entry.successor.bytes());
  out.Raw(entry.wrapped_key);
}

void WriteRecovery(const std::optional<RecoveryKey>& recovery, ByteWriter& out) {
  out.U8(recovery ? 1 : 0);
  if (!recovery) return;
  out.Raw(recovery->set_id);
  out.Raw(recovery->public_key);
  out.U8(recovery->threshold);
  out.U8(recovery->shares);
  out.U64(static_cast<uint64_t>(recovery->created_ns));
}

std::optional<RecoveryKey> ReadRecovery(ByteReader& in) {
  if (in.U8() != 1) return std::nullopt;
  RecoveryKey recovery;
  recovery.set_id = in.Raw(kIdBytes);
  recovery.public_key = in.Raw(kKeyBytes);
  recovery.threshold = in.U8();
  recovery.shares = in.U8();
  recovery.created_ns = static_cast<int64_t>(in.U64());
  return recovery;
}

// Both sets of entries as one, in ascending order of id, without copying the large one.
std::string TablePlaintext(const KeyringTable& table, const std::map<KeyId, KeyringEntry>& added) {
  ByteWriter out;
  WriteRecovery(table.recovery, out);
  out.U32(table.erasure_epoch);
  out.U32(static_cast<uint32_t>(table.marks.size()));
  for (const std::string& mark : table.marks) out.Raw(mark);
  out.U32(static_cast<uint32_t>(table.renewed.size()));
  for (const auto& [owner, epoch] : table.renewed) {
    out.String(owner);
    out.U32(epoch);
  }
  out.U32(static_cast<uint32_t>(table.entries.size() + added.size()));
  auto next = added.begin();
  for (const auto& [id, entry] : table.entries) {
    for (; next != added.end() && next->first < id; ++next) WriteEntry(next->first, next->second, out);
    WriteEntry(id, entry, out);
  }
  for (; next != added.end(); ++next) WriteEntry(next->first, next->second, out);
  return out.Take();
}

std::string WriteHeader(const KeyringHeader& header, uint64_t table_bytes) {
  ByteWriter out;
  out.Raw(kMagic);
  out.U8(kFormat);
  out.U8(static_cast<uint8_t>(header.anchor));
  out.U16(0);
  out.Raw(header.appliance.bytes());
  out.U64(header.generation);
  out.U32(header.epoch);
  out.String(header.location.name);
  out.String(header.location.blob);
  out.U32(static_cast<uint32_t>(header.doomed.size()));
  for (const std::string& name : header.doomed) out.String(name);
  out.Raw(header.table_salt);
  out.U64(table_bytes);
  return out.Take();
}

Status Unknown(std::string_view what, unsigned value) {
  return FailedPrecondition("the keyring has " + std::string(what) + " " + std::to_string(value) +
                            ", which this version does not know; use the version that wrote it");
}

struct ParsedHeader {
  KeyringHeader header;
  size_t bytes = 0;
};

StatusOr<ParsedHeader> Parse(std::string_view file) {
  ByteReader in(file);
  if (in.Raw(kMagic.size()) != kMagic) return DataLoss("the keyring file is not a keyring");
  const uint8_t format = in.U8();
  const uint8_t anchor = in.U8();
  const uint16_t flags = in.U16();
  if (in.failed()) return DataLoss("the keyring is truncated; restore it from the escrowed copy");
  if (format != kFormat) return Unknown("format", format);
  const Status damaged = DataLoss("the keyring is damaged; restore it from the escrowed copy");
  if (file.size() < kFixedHeaderBytes + crypto::kSha256Bytes) return damaged;
  const std::string_view body = file.substr(0, file.size() - crypto::kSha256Bytes);
  if (crypto::Sha256(body) != file.substr(body.size())) return damaged;
  if (anchor < 1 || anchor > static_cast<uint8_t>(AnchorKind::kPkcs11)) return Unknown("anchor", anchor);
  if (flags != 0) return Unknown("flags", flags);
  ParsedHeader out;
  KeyringHeader& header = out.header;
  header.anchor = static_cast<AnchorKind>(anchor);
  CLOISTER_ASSIGN_OR_RETURN(header.appliance, DatabaseId::FromBytes(in.Raw(kIdBytes)));
  header.generation = in.U64();
  header.epoch = in.U32();
  header.location.name = in.String();
  header.location.blob = in.String();
  header.doomed.resize(in.Count(4));
  for (std::string& name : header.doomed) name = in.String();
  header.table_salt = in.Raw(kKeyringSaltBytes);
  const uint64_t table_bytes = in.U64();
  if (in.failed() || header.location.name.size() > kEpochNameBytesMax ||
      header.location.blob.size() > kEpochBlobBytesMax || header.doomed.size() > kDoomedMax ||
      table_bytes < crypto::kAeadTagBytes) {
    return damaged;
  }
  if (in.remaining() != table_bytes + crypto::kSha256Bytes) return damaged;
  out.bytes = file.size() - in.remaining();
  return out;
}

}  // namespace

std::string_view NameOf(AnchorKind kind) {
  switch (kind) {
    case AnchorKind::kPassphrase:
      return "passphrase";
    case AnchorKind::kTpm:
      return "tpm";
    case AnchorKind::kPkcs11:
      return "pkcs11";
  }
  return "unknown";
}

std::string EpochContext(const DatabaseId& appliance, uint32_t epoch) {
  ByteWriter out;
  out.Raw(appliance.bytes());
  out.U32(epoch);
  return out.Take();
}

crypto::Secret EntriesKey(const crypto::Secret& epoch_key) { return Derive(epoch_key, "", "entries"); }

std::string WrapKey(const crypto::Secret& entries_key, const KeyringHeader& header, const KeyId& id,
                    const KeyringEntry& entry, std::string_view key) {
  CLOISTER_CHECK(key.size() == kKeyBytes);
  return crypto::AeadSeal(entries_key.view(), EntryNonce(id), EntryAad(header, id, entry), key);
}

StatusOr<crypto::Secret> UnwrapKey(const crypto::Secret& entries_key, const KeyringHeader& header, const KeyId& id,
                                   const KeyringEntry& entry) {
  CLOISTER_ASSIGN_OR_RETURN(std::string opened, crypto::AeadOpen(entries_key.view(), EntryNonce(id),
                                                                 EntryAad(header, id, entry), entry.wrapped_key));
  crypto::Secret out{std::string_view(opened)};
  crypto::Wipe(opened.data(), opened.size());
  if (out.size() != kKeyBytes) return DataLoss("a key of the keyring has a wrong length");
  return out;
}

std::string SealKeyring(const crypto::Secret& epoch_key, const KeyringHeader& header, const KeyringTable& table,
                        const std::map<KeyId, KeyringEntry>& added) {
  const std::string plaintext = TablePlaintext(table, added);
  std::string file = WriteHeader(header, plaintext.size() + crypto::kAeadTagBytes);
  const crypto::Secret table_key = Derive(epoch_key, header.table_salt, "table");
  file += crypto::AeadSeal(table_key.view(), ZeroNonce(), file, plaintext);
  // Not a defence: it tells accidental damage apart before anybody is asked for the passphrase again.
  file += crypto::Sha256(file);
  return file;
}

StatusOr<KeyringHeader> ParseKeyringHeader(std::string_view file) {
  CLOISTER_ASSIGN_OR_RETURN(ParsedHeader parsed, Parse(file));
  return std::move(parsed.header);
}

StatusOr<KeyringTable> OpenKeyringTable(const crypto::Secret& epoch_key, std::string_view file) {
  CLOISTER_ASSIGN_OR_RETURN(const ParsedHeader parsed, Parse(file));
  const std::string_view sealed =
      file.substr(parsed.bytes, file.size() - parsed.bytes - crypto::kSha256Bytes);
  const crypto::Secret table_key = Derive(epoch_key, parsed.header.table_salt, "table");
  CLOISTER_ASSIGN_OR_RETURN(const std::string plaintext, crypto::AeadOpen(table_key.view(), ZeroNonce(),
                                                                          file.substr(0, parsed.bytes), sealed));
  ByteReader in(plaintext);
  KeyringTable table;
  table.recovery = ReadRecovery(in);
  table.erasure_epoch = in.U32();
  const uint32_t marks = in.Count(storage::kMarkBytes);
  for (uint32_t i = 0; i < marks && !in.failed(); ++i) {
    std::string mark(in.Raw(storage::kMarkBytes));
    if (!table.marks.empty() && mark <= *table.marks.rbegin()) return DataLoss("the keyring's table is out of order");
    table.marks.insert(table.marks.end(), std::move(mark));
  }
  const uint32_t owners = in.Count(4 + 4);
  for (uint32_t i = 0; i < owners && !in.failed(); ++i) {
    const std::string owner(in.String());
    if (!table.renewed.empty() && owner <= table.renewed.rbegin()->first)
      return DataLoss("the keyring's table is out of order");
    table.renewed.emplace(owner, in.U32());
  }
  const uint32_t count = in.Count(kEntryBytesMin);
  for (uint32_t i = 0; i < count && !in.failed(); ++i) {
    const auto id = KeyId::FromBytes(in.Raw(kIdBytes));
    KeyringEntry entry;
    entry.kind = static_cast<KeyKind>(in.U8());
    entry.created_ns = static_cast<int64_t>(in.U64());
    entry.owner = in.String();
    entry.name = in.String();
    const auto successor = KeyId::FromBytes(in.Raw(kIdBytes));
    if (successor.ok()) entry.successor = *successor;
    entry.wrapped_key = in.Raw(kWrappedKeyBytes);
    // Ascending ids: one table has one spelling, and no id twice.
    if (!id.ok() || (!table.entries.empty() && *id <= table.entries.rbegin()->first)) {
      return DataLoss("the keyring's table is out of order");
    }
    table.entries.emplace_hint(table.entries.end(), *id, std::move(entry));
  }
  CLOISTER_RETURN_IF_ERROR(in.Finish("the keyring's table"));
  return table;
}

}  // namespace cloister::keyring
