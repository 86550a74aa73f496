// SPDX-License-Identifier: Apache-2.0
#include "services/server/database_rotation.h"

#include <utility>
#include <vector>

#include "storage/rocksdb_store.h"

namespace cloister::services {

KeyRotationParts RotationOfDatabase(const std::filesystem::path& own_folder, storage::KeySource& keys,
                                    const Clock& clock, storage::RocksDbStore& store, RenewRows renew_rows) {
  KeyRotationParts parts{.file = own_folder / kRotationFile, .keys = keys, .clock = clock};
  parts.levels[kLevelVolumes] = [&store] { return std::vector<KeyId>{store.volume_key()}; };
  parts.renew = [&store, renew = std::move(renew_rows)](const std::function<Status()>& go_on) -> StatusOr<uint64_t> {
    CLOISTER_ASSIGN_OR_RETURN(const uint64_t rows, renew(go_on));
    CLOISTER_ASSIGN_OR_RETURN(const uint64_t files, store.RewriteFiles(go_on));
    return rows + files;
  };
  return parts;
}

}  // namespace cloister::services
