// SPDX-License-Identifier: Apache-2.0
// What the rotations of all services with one database have in common: the key of the database's files, and that they
// are written anew after the rows. A service adds the levels of its rows. SPEC: docs/key-rotation.md
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

#include "common/clock.h"
#include "common/status.h"
#include "services/server/key_rotation.h"
#include "storage/key_source.h"

namespace cloister::storage {
class RocksDbStore;
}

namespace cloister::services {

// Seals anew the rows under a replaced key, as KeyRotationParts::renew does.
using RenewRows = std::function<StatusOr<uint64_t>(const std::function<Status()>& go_on)>;

// `own_folder` is DATA/<service>. The others must outlive the rotation that is opened with it.
KeyRotationParts RotationOfDatabase(const std::filesystem::path& own_folder, storage::KeySource& keys,
                                    const Clock& clock, storage::RocksDbStore& store, RenewRows renew_rows);

}  // namespace cloister::services
