// SPDX-License-Identifier: Apache-2.0
#include "backup/manifest.h"

#include <algorithm>
#include <set>

#include "common/bytes.h"
#include "crypto/hash.h"
#include "crypto/signer.h"
#include "storage/sealed_record.h"

namespace cloister::backup {
namespace {

constexpr std::string_view kMagic = "CLBK";
constexpr std::string_view kSignedPrefix = "cloister/v1/backup\n";
constexpr std::string_view kRecordFamily = "backup-manifest";
constexpr size_t kHeadBytes = 4 + 1 + 3 + kIdBytes + kIdBytes;
constexpr size_t kEntryBytesMin = 4 + crypto::kSha256Bytes + 8;

struct Head {
  DatabaseId appliance;
  KeyId signing_key;
};

std::string HeadBytes(const Head& head) {
  ByteWriter out;
  out.Raw(kMagic);
  out.U8(kManifestFormat);
  out.Raw(std::string(3, '\0'));
  out.Raw(head.appliance.bytes());
  out.Raw(head.signing_key.bytes());
  return out.Take();
}

StatusOr<Head> ParseHead(std::string_view bytes) {
  ByteReader in(bytes.substr(0, kHeadBytes));
  const std::string_view magic = in.Raw(kMagic.size());
  const uint8_t format = in.U8();
  if (in.failed() || magic != kMagic) return DataLoss("this is no manifest of a backup, or it is cut short");
  if (format != kManifestFormat) {
    return FailedPrecondition(
        "the backup has format " + std::to_string(format) +
        ", which this version does not know; use the version that made it, or a newer one");
  }
  in.Raw(3);
  const auto appliance = DatabaseId::FromBytes(in.Raw(kIdBytes));
  const auto key = KeyId::FromBytes(in.Raw(kIdBytes));
  if (in.failed() || !appliance.ok() || !key.ok()) return DataLoss("the manifest of the backup is cut short");
  return Head{*appliance, *key};
}

void EncodeFiles(const Manifest& manifest, ByteWriter& out) {
  out.U32(static_cast<uint32_t>(manifest.files.size()));
  for (const FileEntry& file : manifest.files) {
    out.String(file.path);
    out.Raw(file.sha256);
    out.U64(file.bytes);
  }
  out.U32(static_cast<uint32_t>(manifest.settings.size()));
  for (const Setting& setting : manifest.settings) {
    out.String(setting.path);
    out.String(setting.content);
  }
}

std::string Encode(const Manifest& manifest) {
  ByteWriter out;
  out.Raw(manifest.id.bytes());
  out.Raw(manifest.former.bytes());
  out.U64(static_cast<uint64_t>(manifest.created_ns));
  out.Raw(manifest.appliance.bytes());
  out.U64(manifest.keyring_generation);
  out.U32(manifest.epoch);
  out.U32(static_cast<uint32_t>(manifest.stores.size()));
  for (const StoreEntry& store : manifest.stores) {
    out.String(store.service);
    out.String(store.name);
    out.Raw(store.database.bytes());
    out.U64(store.commit_sequence);
  }
  out.String(manifest.log.origin);
  out.U64(manifest.log.size);
  out.Raw(manifest.log.root);
  out.String(manifest.log.note);
  EncodeFiles(manifest, out);
  return out.Take();
}

void DecodeFiles(ByteReader& in, Manifest& manifest) {
  manifest.files.resize(in.Count(kEntryBytesMin));
  for (FileEntry& file : manifest.files) {
    file.path = in.String();
    file.sha256 = in.Raw(crypto::kSha256Bytes);
    file.bytes = in.U64();
  }
  manifest.settings.resize(in.Count(8));
  for (Setting& setting : manifest.settings) {
    setting.path = in.String();
    setting.content = in.String();
  }
}

StatusOr<Manifest> Decode(std::string_view bytes) {
  ByteReader in(bytes);
  Manifest manifest;
  const auto id = BackupId::FromBytes(in.Raw(kIdBytes));
  const auto former = BackupId::FromBytes(in.Raw(kIdBytes));
  manifest.created_ns = static_cast<int64_t>(in.U64());
  const auto appliance = DatabaseId::FromBytes(in.Raw(kIdBytes));
  if (!id.ok() || !former.ok() || !appliance.ok()) return DataLoss("the manifest of the backup is damaged");
  manifest.id = *id;
  manifest.former = *former;
  manifest.appliance = *appliance;
  manifest.keyring_generation = in.U64();
  manifest.epoch = in.U32();
  manifest.stores.resize(in.Count(4 + 4 + kIdBytes + 8));
  for (StoreEntry& store : manifest.stores) {
    store.service = in.String();
    store.name = in.String();
    const auto database = DatabaseId::FromBytes(in.Raw(kIdBytes));
    if (database.ok()) store.database = *database;
    store.commit_sequence = in.U64();
  }
  manifest.log.origin = in.String();
  manifest.log.size = in.U64();
  manifest.log.root = in.Raw(crypto::kSha256Bytes);
  manifest.log.note = in.String();
  DecodeFiles(in, manifest);
  CLOISTER_RETURN_IF_ERROR(in.Finish("manifest of the backup"));
  return manifest;
}

// The same for what is sealed and for what was opened: a signature does not make a path harmless.
Status CheckContent(const Manifest& manifest) {
  if (manifest.id.empty() || manifest.appliance.empty())
    return InvalidArgument("a backup has an id and an appliance");
  if (manifest.files.size() > kManifestFilesMax) {
    return InvalidArgument("a backup has at most " + std::to_string(kManifestFilesMax) + " files");
  }
  if (manifest.log.root.size() != crypto::kSha256Bytes || manifest.log.note.size() > kNoteBytesMax) {
    return InvalidArgument("the backup's log is not described");
  }
  std::set<std::string_view> paths;
  for (const FileEntry& file : manifest.files) {
    CLOISTER_RETURN_IF_ERROR(CheckPath(file.path));
    if (file.sha256.size() != crypto::kSha256Bytes) return InvalidArgument("a digest has 32 bytes");
    if (!paths.insert(file.path).second) return InvalidArgument("a file stands twice in the backup");
  }
  if (manifest.settings.size() > kSettingsMax) return InvalidArgument("a backup has too many settings");
  for (const Setting& setting : manifest.settings) {
    const auto& known = SettingPaths();
    if (std::find(known.begin(), known.end(), setting.path) == known.end() ||
        !paths.insert(setting.path).second || setting.content.size() > kSettingBytesMax) {
      return InvalidArgument("a small file of the backup is none that it may have");
    }
  }
  return absl::OkStatus();
}

StatusOr<storage::DataKey> KeyOf(const KeyId& id, storage::KeySource& keys) {
  auto key = keys.GetKey(id);
  if (key.status().code() == StatusCode::kNotFound || key.status().code() == StatusCode::kPermissionDenied) {
    return DataLoss(
        "the keys of the backup's manifest are not in this keyring: the manifest was altered, or the "
        "keyring is older than the backup");
  }
  return key;
}

std::string Signed(std::string_view bytes) { return std::string(kSignedPrefix) + std::string(bytes); }

}  // namespace

const std::vector<std::string>& BackedUpServices() {
  static const std::vector<std::string> services = {"gateway", "ingest", "retrieval", "audit"};
  return services;
}

const std::vector<std::string>& SettingPaths() {
  static const std::vector<std::string> paths = {"cloister.toml", "models/manifest"};
  return paths;
}

Status CheckPath(std::string_view path) {
  const Status bad = InvalidArgument("a file of the backup has a path that no service has");
  if (path.empty() || path.size() > kPathBytesMax) return bad;
  const auto& services = BackedUpServices();
  if (std::find(services.begin(), services.end(), path.substr(0, path.find('/'))) == services.end())
    return bad;
  size_t parts = 0;
  for (size_t at = 0; at <= path.size(); ++parts) {
    const std::string_view part = path.substr(at, path.find('/', at) - at);
    if (part.empty() || part == "." || part == "..") return bad;
    for (const char c : part) {
      const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                         c == '.' || c == '_' || c == '-';
      if (!plain) return bad;
    }
    at += part.size() + 1;
  }
  return parts >= 2 ? absl::OkStatus() : bad;
}

StatusOr<std::string> SealManifest(const Manifest& manifest, storage::KeySource& keys) {
  CLOISTER_RETURN_IF_ERROR(CheckContent(manifest));
  CLOISTER_ASSIGN_OR_RETURN(const auto sealing, keys.GetNamedKey(storage::KeyKind::kStore, kSealingKey));
  CLOISTER_ASSIGN_OR_RETURN(const auto seed, keys.GetNamedKey(storage::KeyKind::kSigning, kSigningKey));
  CLOISTER_ASSIGN_OR_RETURN(const auto signer, crypto::Ed25519Signer::FromSeed(seed.key->view()));
  const std::string head = HeadBytes({manifest.appliance, seed.id});
  CLOISTER_ASSIGN_OR_RETURN(const std::string record,
                            storage::SealRecord(sealing.id, sealing.key->view(),
                                                {manifest.appliance, kRecordFamily, head}, Encode(manifest)));
  const std::string bytes = head + record;
  if (bytes.size() > kManifestBytesMax - crypto::kEd25519SignatureBytes) {
    return InvalidArgument("the manifest of a backup has at most 256 MiB");
  }
  return bytes + signer.Sign(Signed(bytes));
}

StatusOr<DatabaseId> ManifestAppliance(std::string_view bytes) {
  CLOISTER_ASSIGN_OR_RETURN(const Head head, ParseHead(bytes));
  return head.appliance;
}

StatusOr<Manifest> OpenManifest(std::string_view bytes, const DatabaseId& appliance,
                                storage::KeySource& keys) {
  CLOISTER_ASSIGN_OR_RETURN(const Head head, ParseHead(bytes));
  if (head.appliance != appliance) {
    return FailedPrecondition("the backup was made by another appliance, which has another keyring");
  }
  if (bytes.size() < kHeadBytes + storage::kRecordHeaderBytes + crypto::kEd25519SignatureBytes) {
    return DataLoss("the manifest of the backup is cut short");
  }
  const std::string_view signed_bytes = bytes.substr(0, bytes.size() - crypto::kEd25519SignatureBytes);
  CLOISTER_ASSIGN_OR_RETURN(const auto seed, KeyOf(head.signing_key, keys));
  CLOISTER_ASSIGN_OR_RETURN(const auto signer, crypto::Ed25519Signer::FromSeed(seed.key->view()));
  if (!crypto::Ed25519Verify(signer.public_key(), Signed(signed_bytes), bytes.substr(signed_bytes.size()))) {
    return DataLoss("the signature of the backup's manifest does not hold: it was altered or cut short");
  }
  const std::string_view record = signed_bytes.substr(kHeadBytes);
  CLOISTER_ASSIGN_OR_RETURN(const KeyId sealing_id, storage::RecordKeyId(record));
  CLOISTER_ASSIGN_OR_RETURN(const auto sealing, KeyOf(sealing_id, keys));
  CLOISTER_ASSIGN_OR_RETURN(
      const std::string plain,
      storage::OpenRecord(sealing.key->view(), {appliance, kRecordFamily, signed_bytes.substr(0, kHeadBytes)},
                          record));
  CLOISTER_ASSIGN_OR_RETURN(Manifest manifest, Decode(plain));
  if (manifest.appliance != appliance || !CheckContent(manifest).ok()) {
    return DataLoss("the manifest of the backup holds what no appliance writes");
  }
  return manifest;
}

}  // namespace cloister::backup
