// SPDX-License-Identifier: Apache-2.0
// How the backup commands come to what a manifest says: through the running appliance, or with the keyring of
// the data directory and its passphrase. Knows no command. Not thread-safe; blocks.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "backup/manifest.h"
#include "backup/repository.h"
#include "common/clock.h"
#include "common/status.h"
#include "keyring/keyring.h"
#include "services/cli/commands.h"
#include "services/cli/gateway_client.h"

namespace cloister::services {

// A keyring that this process has open, with what it needs.
struct OfflineKeyring {
  SystemClock clock;
  std::unique_ptr<keyring::Keyring> keyring;
};
// `passphrase_file` has the passphrase or PIN; it is asked for when empty. Errors: kNotFound (no keyring in
// `data`), kFailedPrecondition (the appliance runs), kUnauthenticated (wrong passphrase or PIN), those of
// Keyring::Open, of MakeAnchor and of passphrase.h.
StatusOr<std::unique_ptr<OfflineKeyring>> OpenOfflineKeyring(const std::filesystem::path& data,
                                                             const std::string& passphrase_file);

// What the manifest file at a path says. Errors: those of backup::OpenManifest; kDataLoss also when it stands
// under the name of another backup.
using ManifestReader = std::function<StatusOr<backup::Manifest>(const backup::ManifestFile& file)>;

// `client` and `keyring` must outlive the reader.
ManifestReader ReaderThrough(GatewayClient& client);
ManifestReader ReaderWith(keyring::Keyring& keyring);

// The one with `id`, which may be cut short as long as one alone begins so; the latest when `id` is empty.
// Errors: kNotFound, kInvalidArgument (several begin so).
StatusOr<backup::ManifestFile> FindManifest(const std::vector<backup::ManifestFile>& manifests,
                                            const std::string& id);

// The digests that any of `manifests` names. Errors: that of the first that cannot be read: what it names is
// not known.
StatusOr<std::set<std::string>> NamedObjects(const std::vector<backup::ManifestFile>& manifests,
                                             const ManifestReader& reader);

}  // namespace cloister::services
