// SPDX-License-Identifier: Apache-2.0
// The keyring's status as the administration API shows it. Pure; no key material.
#pragma once

#include <nlohmann/json.hpp>

#include "cloister/v1/keys.pb.h"

namespace cloister::services {

nlohmann::json KeyringJson(const v1::KeyringStatus& keyring);

}  // namespace cloister::services
