// SPDX-License-Identifier: Apache-2.0
// /admin/v1/backups: copies of every service for a backup, its manifest, and what an earlier manifest says.
#include <nlohmann/json.hpp>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/file.h"
#include "crypto/hash.h"
#include "services/gateway/backup_desk.h"
#include "services/gateway/gateway.h"
#include "services/gateway/http_error.h"
#include "services/gateway/json_body.h"

namespace cloister::services {
namespace {

using backup::BackupId;
using nlohmann::json;

constexpr uint64_t kFileBytesMax = uint64_t{1} << 50;

json ManifestJson(const backup::Manifest& manifest, bool with_files) {
  json stores = json::array();
  for (const backup::StoreEntry& store : manifest.stores) {
    stores.push_back({{"service", store.service},
                      {"store", store.name},
                      {"database", store.database.hex()},
                      {"commit_sequence", store.commit_sequence}});
  }
  json out{{"id", manifest.id.hex()},
           {"former", manifest.former.empty() ? json(nullptr) : json(manifest.former.hex())},
           {"created_at", FormatTime(WallTime(std::chrono::nanoseconds(manifest.created_ns)))},
           {"created_ns", manifest.created_ns},
           {"appliance", manifest.appliance.hex()},
           {"keyring_generation", manifest.keyring_generation},
           {"epoch", manifest.epoch},
           {"stores", std::move(stores)},
           {"log",
            {{"origin", manifest.log.origin},
             {"size", manifest.log.size},
             {"root", Base64Encode(manifest.log.root)}}}};
  if (!with_files) return out;
  json files = json::array();
  for (const backup::FileEntry& file : manifest.files) {
    files.push_back({{"path", file.path}, {"sha256", HexEncode(file.sha256)}, {"bytes", file.bytes}});
  }
  out["files"] = std::move(files);
  return out;
}

StatusOr<BackupId> IdFrom(const std::string& hex) {
  const auto id = BackupId::FromHex(hex);
  return id.ok() ? id : NotFound("there is no such backup");
}

Status Begin(const RouteCall& call, BackupDesk& desk) {
  CLOISTER_ASSIGN_OR_RETURN(const backup::Manifest manifest, desk.Begin());
  call.writer.Send(JsonResponse(ManifestJson(manifest, false), 201));
  return absl::OkStatus();
}

StatusOr<backup::FileEntry> FileFrom(const json& object) {
  if (!object.is_object()) return FieldError("files", "must hold objects");
  const JsonBody body = JsonBody::Inner(object);
  CLOISTER_RETURN_IF_ERROR(body.OnlyKnown({"path", "sha256", "bytes"}));
  backup::FileEntry file;
  CLOISTER_ASSIGN_OR_RETURN(file.path, body.RequiredString("path"));
  CLOISTER_RETURN_IF_ERROR(backup::CheckPath(file.path));
  CLOISTER_ASSIGN_OR_RETURN(const std::string digest, body.RequiredString("sha256"));
  const auto bytes = HexDecode(digest);
  if (!bytes.ok() || bytes->size() != crypto::kSha256Bytes)
    return FieldError("sha256", "must have 64 hexadecimal digits");
  file.sha256 = *bytes;
  CLOISTER_ASSIGN_OR_RETURN(file.bytes, body.Uint("bytes", 0, 0, kFileBytesMax));
  return file;
}

Status AddFiles(const RouteCall& call, BackupDesk& desk, const BackupId& id) {
  CLOISTER_ASSIGN_OR_RETURN(const JsonBody body, JsonBody::Parse(call.request));
  CLOISTER_RETURN_IF_ERROR(body.OnlyKnown({"files"}));
  if (!body.object().contains("files") || !body.object()["files"].is_array() ||
      body.object()["files"].size() > kBackupFilesPerCallMax) {
    return FieldError("files",
                      "must be an array of at most " + std::to_string(kBackupFilesPerCallMax) + " files");
  }
  std::vector<backup::FileEntry> files;
  for (const json& object : body.object()["files"]) {
    CLOISTER_ASSIGN_OR_RETURN(backup::FileEntry file, FileFrom(object));
    files.push_back(std::move(file));
  }
  CLOISTER_RETURN_IF_ERROR(desk.AddFiles(id, std::move(files)));
  call.writer.Send(JsonResponse({{"id", id.hex()}}));
  return absl::OkStatus();
}

// {"cloister.toml": content in base64}
StatusOr<std::vector<backup::Setting>> SettingsFrom(const JsonBody& body) {
  std::vector<backup::Setting> settings;
  if (!body.object().contains("settings")) return settings;
  if (!body.object()["settings"].is_object()) return FieldError("settings", "must be an object");
  for (const auto& [path, content] : body.object()["settings"].items()) {
    const auto bytes = content.is_string() ? Base64Decode(content.get<std::string>())
                                           : StatusOr<std::string>(InvalidArgument("no string"));
    if (!bytes.ok()) return FieldError("settings", "must hold base64");
    settings.push_back({path, *bytes});
  }
  return settings;
}

// Recorded before the manifest leaves: without it nobody can restore.
Status Seal(const RouteCall& call, BackupDesk& desk, const BackupId& id) {
  CLOISTER_ASSIGN_OR_RETURN(const JsonBody body, JsonBody::Parse(call.request));
  CLOISTER_RETURN_IF_ERROR(body.OnlyKnown({"former", "settings"}));
  CLOISTER_ASSIGN_OR_RETURN(const auto former_hex, body.OptionalString("former"));
  BackupId former;
  if (former_hex) {
    CLOISTER_ASSIGN_OR_RETURN(former, IdFrom(*former_hex));
  }
  CLOISTER_ASSIGN_OR_RETURN(std::vector<backup::Setting> settings, SettingsFrom(body));
  CLOISTER_ASSIGN_OR_RETURN(const backup::Manifest manifest, desk.Complete(id, former, std::move(settings)));
  CLOISTER_ASSIGN_OR_RETURN(const std::string sealed, desk.Seal(manifest));
  uint64_t bytes = 0;
  for (const backup::FileEntry& file : manifest.files) bytes += file.bytes;
  const json record{{"backup", id.hex()},
                    {"former", former.empty() ? json("") : json(former.hex())},
                    {"files", manifest.files.size()},
                    {"bytes", std::to_string(bytes)},
                    {"log_size", std::to_string(manifest.log.size)},
                    {"keyring_generation", std::to_string(manifest.keyring_generation)},
                    {"epoch", manifest.epoch}};
  CLOISTER_RETURN_IF_ERROR(RecordAdmin(call, "backup.created", record.dump(), "", ""));
  json reply = ManifestJson(manifest, false);
  reply["manifest"] = Base64Encode(sealed);
  const Status dropped = desk.Drop(id);
  reply["copies_dropped"] = dropped.ok();
  call.writer.Send(JsonResponse(reply));
  return absl::OkStatus();
}

// By its path, since a manifest may be larger than a request. What is no manifest of this appliance is not
// shown.
Status Open(const RouteCall& call, BackupDesk& desk) {
  CLOISTER_ASSIGN_OR_RETURN(const JsonBody body, JsonBody::Parse(call.request));
  CLOISTER_RETURN_IF_ERROR(body.OnlyKnown({"manifest"}));
  CLOISTER_ASSIGN_OR_RETURN(const std::string path, body.RequiredString("manifest"));
  if (!path.starts_with('/') || !path.ends_with(".backup")) {
    return FieldError("manifest", "must be the absolute path of a file *.backup on the appliance");
  }
  CLOISTER_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, backup::kManifestBytesMax));
  CLOISTER_ASSIGN_OR_RETURN(const backup::Manifest manifest, desk.Open(bytes));
  call.writer.Send(JsonResponse(ManifestJson(manifest, true)));
  return absl::OkStatus();
}

}  // namespace

Status HandleAdminBackups(const RouteCall& call) {
  CLOISTER_RETURN_IF_ERROR(RequireRole(call.caller, {}));
  if (call.parts.backups == nullptr) return Unavailable("this gateway makes no backups");
  BackupDesk& desk = *call.parts.backups;
  if (call.Is("POST", "/admin/v1/backups")) return Begin(call, desk);
  if (call.Is("POST", "/admin/v1/backups/open")) return Open(call, desk);
  if (call.segments.size() < 4) return NoRoute();
  const bool remove = call.Is("DELETE", "/admin/v1/backups/*");
  const bool files = call.Is("POST", "/admin/v1/backups/*/files");
  const bool seal = call.Is("POST", "/admin/v1/backups/*/seal");
  if (!remove && !files && !seal) return NoRoute();
  CLOISTER_ASSIGN_OR_RETURN(const BackupId id, IdFrom(call.segments[3]));
  if (files) return AddFiles(call, desk, id);
  if (seal) return Seal(call, desk, id);
  CLOISTER_RETURN_IF_ERROR(desk.Drop(id));
  call.writer.Send(JsonResponse({{"dropped", true}}));
  return absl::OkStatus();
}

}  // namespace cloister::services
