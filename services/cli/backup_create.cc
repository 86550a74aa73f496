// SPDX-License-Identifier: Apache-2.0
#include "services/cli/backup_create.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>
#include <vector>

#include "backup/manifest.h"
#include "backup/repository.h"
#include "common/bytes.h"
#include "common/file.h"
#include "services/cli/backup_manifests.h"
#include "services/cli/terminal_text.h"
#include "services/server/maintenance.h"

namespace cloister::services {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

// Below gateway's limit of a request, with room for its own words.
constexpr size_t kBatchBytesMax = 512 * 1024;
constexpr size_t kBatchFilesMax = 4'000;
constexpr std::chrono::seconds kProgressInterval{2};
constexpr const char* kNotInBackup =
    "the keyring is not in this backup: without its escrowed copy nothing in it can be read";

struct Carried {
  std::vector<backup::FileEntry> files;
  uint64_t bytes = 0, files_new = 0, bytes_new = 0;
};

bool IsInside(const fs::path& inner, const fs::path& outer) {
  const fs::path relative = fs::weakly_canonical(inner).lexically_relative(fs::weakly_canonical(outer));
  return !relative.empty() && *relative.begin() != "..";
}

// The files of one service's copy, by their path in it, in one order.
StatusOr<std::vector<fs::path>> FilesOf(const fs::path& copy) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::recursive_directory_iterator it(copy, error), end; !error && it != end; it.increment(error)) {
    if (it->is_regular_file(error)) files.push_back(it->path().lexically_relative(copy));
  }
  if (error) return ErrnoStatus(error.value(), "reading a service's copy");
  std::sort(files.begin(), files.end());
  return files;
}

StatusOr<Carried> CarryFiles(const fs::path& data, const std::string& id, backup::Repository& repository,
                             const std::function<void(const std::string&)>& say) {
  Carried carried;
  auto said = std::chrono::steady_clock::now();
  for (const std::string& service : backup::BackedUpServices()) {
    const fs::path copy = data / service / kCheckpointsFolder / id;
    CLOISTER_ASSIGN_OR_RETURN(const std::vector<fs::path> files, FilesOf(copy));
    for (const fs::path& file : files) {
      const std::string path = service + "/" + file.string();
      CLOISTER_RETURN_IF_ERROR(backup::CheckPath(path));
      CLOISTER_ASSIGN_OR_RETURN(const backup::StoredFile stored, repository.PutFile(copy / file));
      carried.files.push_back({path, stored.sha256, stored.bytes});
      carried.bytes += stored.bytes;
      carried.files_new += stored.is_new ? 1 : 0;
      carried.bytes_new += stored.is_new ? stored.bytes : 0;
      if (const auto now = std::chrono::steady_clock::now(); now - said >= kProgressInterval) {
        said = now;
        say(std::to_string(carried.files.size()) + " files, " +
            HumanBytes(static_cast<double>(carried.bytes)));
      }
    }
  }
  return carried;
}

Status SendFiles(GatewayClient& client, const std::string& id, const std::vector<backup::FileEntry>& files) {
  json batch = json::array();
  size_t bytes = 0;
  const auto send = [&]() -> Status {
    bytes = 0;
    return client
        .Call("POST", "/admin/v1/backups/" + id + "/files", {{"files", std::exchange(batch, json::array())}})
        .status();
  };
  for (const backup::FileEntry& file : files) {
    batch.push_back({{"path", file.path}, {"sha256", HexEncode(file.sha256)}, {"bytes", file.bytes}});
    bytes += batch.back().dump().size() + 1;
    if (batch.size() == kBatchFilesMax || bytes > kBatchBytesMax) CLOISTER_RETURN_IF_ERROR(send());
  }
  return batch.empty() ? absl::OkStatus() : send();
}

StatusOr<json> Settings(const fs::path& data) {
  json settings = json::object();
  for (const std::string& path : backup::SettingPaths()) {
    const auto content = ReadFile(data / path, backup::kSettingBytesMax);
    if (content.status().code() == StatusCode::kNotFound) continue;
    if (!content.ok()) return Annotate(content.status(), path);
    settings[path] = Base64Encode(*content);
  }
  return settings;
}

// The manifest goes to the folder last: before, there is no backup.
StatusOr<json> CarryAndSeal(GatewayClient& client, const fs::path& data, backup::Repository& repository,
                            const json& begun, const std::function<void(const std::string&)>& say) {
  const std::string id = begun.value("id", "");
  CLOISTER_ASSIGN_OR_RETURN(const backup::BackupId backup_id, backup::BackupId::FromHex(id));
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<backup::ManifestFile> before, repository.ListManifests());
  CLOISTER_ASSIGN_OR_RETURN(const Carried carried, CarryFiles(data, id, repository, say));
  CLOISTER_RETURN_IF_ERROR(SendFiles(client, id, carried.files));
  json request = json::object();
  CLOISTER_ASSIGN_OR_RETURN(request["settings"], Settings(data));
  if (!before.empty()) request["former"] = before.back().id.hex();
  CLOISTER_ASSIGN_OR_RETURN(const json sealed,
                            client.Call("POST", "/admin/v1/backups/" + id + "/seal", request));
  CLOISTER_ASSIGN_OR_RETURN(const std::string manifest, Base64Decode(sealed.value("manifest", "")));
  const WallTime time(std::chrono::nanoseconds(sealed.value("created_ns", int64_t{0})));
  CLOISTER_RETURN_IF_ERROR(repository.PutManifest(backup_id, time, manifest));
  return json{{"id", id},
              {"created_at", sealed.value("created_at", "")},
              {"files", carried.files.size()},
              {"bytes", carried.bytes},
              {"files_new", carried.files_new},
              {"bytes_new", carried.bytes_new},
              {"files_shared", carried.files.size() - carried.files_new},
              {"bytes_shared", carried.bytes - carried.bytes_new}};
}

// What earlier commands that were stopped left. The backup stands whatever comes of this.
void RemoveGarbage(GatewayClient& client, backup::Repository& repository, json& result,
                   const std::function<void(const std::string&)>& say) {
  const auto manifests = repository.ListManifests();
  const auto named = manifests.ok() ? NamedObjects(*manifests, ReaderThrough(client))
                                    : StatusOr<std::set<std::string>>(manifests.status());
  const auto removed = named.ok() ? repository.RemoveUnnamed(*named, SystemClock().Now(), backup::kGarbageAge)
                                  : StatusOr<backup::RemovedObjects>(named.status());
  if (!removed.ok()) say("what no backup needs was left in the folder: " + MessageOf(removed.status()));
  result["garbage_files"] = removed.ok() ? removed->files : 0;
  result["garbage_bytes"] = removed.ok() ? removed->bytes : 0;
}

// The keyring goes elsewhere, and anew with each backup.
std::string ReplaceEscrow(GatewayClient& client) {
  const auto reply = client.Call("POST", "/admin/v1/keyring/escrow", json::object());
  if (reply.ok()) return "the escrowed keyring was replaced";
  const bool none =
      reply.status().code() == StatusCode::kNotFound || reply.status().code() == StatusCode::kAlreadyExists;
  return none
             ? kNotInBackup
             : std::string(kNotInBackup) + " (replacing that copy failed: " + MessageOf(reply.status()) + ")";
}

}  // namespace

StatusOr<json> CreateBackup(GatewayClient& client, const fs::path& data, const fs::path& folder,
                            const std::function<void(const std::string&)>& say) {
  if (IsInside(folder, data)) {
    return InvalidArgument(
        "a backup inside the data directory is lost with it; take a folder on another disk");
  }
  CLOISTER_ASSIGN_OR_RETURN(backup::Repository repository, backup::Repository::OpenForWriting(folder));
  say("the services copy themselves");
  CLOISTER_ASSIGN_OR_RETURN(const json begun, client.Call("POST", "/admin/v1/backups", nullptr));
  StatusOr<json> result = CarryAndSeal(client, data, repository, begun, say);
  if (!result.ok()) {
    client.Call("DELETE", "/admin/v1/backups/" + begun.value("id", ""), nullptr).status().IgnoreError();
    return result;
  }
  RemoveGarbage(client, repository, *result, say);
  (*result)["escrow"] = ReplaceEscrow(client);
  return result;
}

}  // namespace cloister::services
