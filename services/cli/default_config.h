// SPDX-License-Identifier: Apache-2.0
// The configuration file that `cloister init` writes: every key with its default, commented out.
#pragma once

#include <string>

namespace cloister::services {

std::string DefaultConfigFile();

}  // namespace cloister::services
