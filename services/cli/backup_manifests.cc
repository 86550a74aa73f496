// SPDX-License-Identifier: Apache-2.0
#include "services/cli/backup_manifests.h"

#include <utility>

#include "common/bytes.h"
#include "common/file.h"
#include "keyring/keyring_key_source.h"
#include "services/cli/keyring_access.h"
#include "services/cli/passphrase.h"
#include "services/keys/anchors.h"
#include "services/keys/key_records.h"
#include "services/keys/keys_service.h"

namespace cloister::services {
namespace {

using nlohmann::json;

constexpr size_t kUnrecordedBytesMax = 16 * 1024 * 1024;

Status CheckName(const backup::Manifest& manifest, const backup::ManifestFile& file) {
  if (manifest.id == file.id) return absl::OkStatus();
  return DataLoss("the manifest stands under the name of another backup");
}

StatusOr<backup::Manifest> FromJson(const json& object) {
  const Status bad = Internal("the appliance's reply cannot be read");
  if (!object.is_object() || !object.contains("files") || !object["files"].is_array()) return bad;
  backup::Manifest manifest;
  const auto id = backup::BackupId::FromHex(object.value("id", ""));
  if (!id.ok()) return bad;
  manifest.id = *id;
  manifest.created_ns = object.value("created_ns", int64_t{0});
  manifest.keyring_generation = object.value("keyring_generation", uint64_t{0});
  manifest.epoch = object.value("epoch", uint32_t{0});
  const json log = object.value("log", json::object());
  manifest.log.origin = log.value("origin", "");
  manifest.log.size = log.value("size", uint64_t{0});
  for (const json& file : object["files"]) {
    const auto digest = HexDecode(file.value("sha256", ""));
    if (!digest.ok()) return bad;
    manifest.files.push_back({file.value("path", ""), *digest, file.value("bytes", uint64_t{0})});
  }
  return manifest;
}

}  // namespace

StatusOr<std::unique_ptr<OfflineKeyring>> OpenOfflineKeyring(const std::filesystem::path& data,
                                                             const std::string& passphrase_file) {
  const std::filesystem::path path = KeyringPath(data);
  const auto kind = keyring::Keyring::AnchorOf(path);
  if (kind.status().code() == StatusCode::kNotFound) {
    return NotFound("there is no keyring in " + data.string() +
                    ": bring it first, by `cloister keys recover` or as a copy of the former keys/ folder");
  }
  CLOISTER_RETURN_IF_ERROR(kind.status());
  CLOISTER_ASSIGN_OR_RETURN(const Config config, ReadConfig(data));
  const std::string prompt = "The " + std::string(SecretWord(*kind)) + " of this keyring: ";
  StatusOr<crypto::Secret> secret = passphrase_file.empty()
                                        ? AskPassphrase(prompt, false)
                                        : ReadSecretFile(passphrase_file, SecretWord(*kind));
  CLOISTER_RETURN_IF_ERROR(secret.status());
  CLOISTER_ASSIGN_OR_RETURN(auto anchor, MakeAnchor(*kind, config, secret->view()));
  auto out = std::make_unique<OfflineKeyring>();
  auto opened = keyring::Keyring::Open({.path = path}, std::move(anchor), out->clock);
  if (opened.status().code() == StatusCode::kUnauthenticated) return WrongSecret(*kind);
  CLOISTER_RETURN_IF_ERROR(opened.status());
  out->keyring = *std::move(opened);
  return out;
}

ManifestReader ReaderThrough(GatewayClient& client) {
  return [&client](const backup::ManifestFile& file) -> StatusOr<backup::Manifest> {
    CLOISTER_ASSIGN_OR_RETURN(const json reply,
                              client.Call("POST", "/admin/v1/backups/open",
                                          {{"manifest", std::filesystem::absolute(file.path).string()}}));
    CLOISTER_ASSIGN_OR_RETURN(backup::Manifest manifest, FromJson(reply));
    CLOISTER_RETURN_IF_ERROR(CheckName(manifest, file));
    return manifest;
  };
}

ManifestReader ReaderWith(keyring::Keyring& keyring) {
  return [&keyring](const backup::ManifestFile& file) -> StatusOr<backup::Manifest> {
    CLOISTER_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(file.path, backup::kManifestBytesMax));
    keyring::KeyringKeySource keys(keyring, std::string(backup::kOwner));
    CLOISTER_ASSIGN_OR_RETURN(backup::Manifest manifest,
                              backup::OpenManifest(bytes, keyring.appliance_id(), keys));
    CLOISTER_RETURN_IF_ERROR(CheckName(manifest, file));
    return manifest;
  };
}

StatusOr<backup::ManifestFile> FindManifest(const std::vector<backup::ManifestFile>& manifests,
                                            const std::string& id) {
  if (manifests.empty()) return NotFound("there is no backup in this folder");
  if (id.empty()) return manifests.back();
  std::optional<backup::ManifestFile> found;
  for (const backup::ManifestFile& manifest : manifests) {
    if (!manifest.id.hex().starts_with(id)) continue;
    if (found) return InvalidArgument("several backups begin with this id; give more of it");
    found = manifest;
  }
  if (!found)
    return NotFound("there is no backup of this id in the folder; `cloister backup list` shows them");
  return *found;
}

StatusOr<std::set<std::string>> NamedObjects(const std::vector<backup::ManifestFile>& manifests,
                                             const ManifestReader& reader) {
  std::set<std::string> named;
  for (const backup::ManifestFile& file : manifests) {
    const auto manifest = reader(file);
    if (!manifest.ok()) return Annotate(manifest.status(), file.id.hex());
    for (const backup::FileEntry& entry : manifest->files) named.insert(entry.sha256);
  }
  return named;
}

}  // namespace cloister::services
