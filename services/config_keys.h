// SPDX-License-Identifier: Apache-2.0
// Every key of the one configuration file, gathered from the services that own them. A key that no service owns is
// refused by name.
#pragma once

#include <vector>

#include "common/config.h"

namespace cloister::services {

std::vector<ConfigKey> AllConfigKeys();

}  // namespace cloister::services
