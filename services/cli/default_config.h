// SPDX-License-Identifier: Apache-2.0
// The configuration file that `cloister init` writes: every key with its default, commented out.
#pragma once

#include <map>
#include <string>

namespace cloister::services {

// `set`: keys with a value in TOML that stand uncommented.
std::string DefaultConfigFile(const std::map<std::string, std::string>& set = {});

}  // namespace cloister::services
