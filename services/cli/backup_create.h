// SPDX-License-Identifier: Apache-2.0
// `cloister backup create`, without its flags. Blocks; one at a time per backup folder.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "common/status.h"
#include "services/cli/gateway_client.h"

namespace cloister::services {

// Has the appliance in `data` copied into the backup folder. `say` is given lines for a person meanwhile.
// Returns
// {"id", "created_at", "files", "bytes", "files_new", "bytes_new", "files_shared", "bytes_shared",
// "garbage_files", "garbage_bytes", "escrow"}. After an error the folder holds the backups it held before.
// Errors: kInvalidArgument (the folder is inside the data directory), those of the repository and of gateway.
StatusOr<nlohmann::json> CreateBackup(GatewayClient& client, const std::filesystem::path& data,
                                      const std::filesystem::path& folder,
                                      const std::function<void(const std::string& line)>& say);

}  // namespace cloister::services
