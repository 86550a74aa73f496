// SPDX-License-Identifier: Apache-2.0
// Reads the one TOML configuration file against a list of known keys. Does not know what the keys mean; each
// service has its own. Never holds secrets: those come from files or inherited descriptors.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/status.h"

namespace cloister {

using ConfigValue = std::variant<bool, int64_t, double, std::string, std::vector<std::string>>;

// One key that a configuration may set, with its default. The type of the default is the type of the key.
struct ConfigKey {
  std::string name;  // "gateway.listen"
  ConfigValue default_value;
  std::string help;  // One line, with the unit.
  // Inclusive bounds for integers and doubles; ignored when both are 0.
  double minimum = 0;
  double maximum = 0;
};

// Immutable after Parse. Thread-safe for reading.
class Config {
 public:
  // `toml` may be empty: every key has a safe default. Environment variables named CLOISTER_GATEWAY_LISTEN for
  // "gateway.listen" win over the file. `environment` is passed in so that tests need not change their own.
  // Errors: kInvalidArgument with line and column; an unknown key names the nearest known one; a wrong type or
  // a value out of bounds names the key and what is expected.
  static StatusOr<Config> Parse(std::string_view toml, const std::vector<ConfigKey>& known,
                                const std::map<std::string, std::string>& environment = {});

  // Crash when `name` is not among the known keys or has another type: that is a programmer error.
  bool Bool(std::string_view name) const;
  int64_t Int(std::string_view name) const;
  double Double(std::string_view name) const;
  const std::string& String(std::string_view name) const;
  const std::vector<std::string>& Strings(std::string_view name) const;

 private:
  std::map<std::string, ConfigValue, std::less<>> values_;
};

// The CLOISTER_* variables of this process.
std::map<std::string, std::string> CloisterEnvironment();

// The member of `known` with the least edit distance to `name`; empty when `known` is.
std::string NearestName(std::string_view name, const std::vector<std::string>& known);

}  // namespace cloister
