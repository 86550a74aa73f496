// SPDX-License-Identifier: Apache-2.0
#include "services/cli/default_config.h"

#include <gtest/gtest.h>

#include <sstream>

#include "common/config.h"
#include "services/config_keys.h"

namespace cloister::services {
namespace {

// The file with every key switched on.
std::string Uncommented() {
  std::istringstream in(DefaultConfigFile());
  std::string out;
  for (std::string line; std::getline(in, line);) {
    const bool is_key = line.size() > 1 && line[0] == '#' && line[1] != ' ';
    out += (is_key ? line.substr(1) : line) + "\n";
  }
  return out;
}

TEST(DefaultConfigTest, IsValidAsItIsAndWithEveryKeySwitchedOn) {
  const auto as_it_is = Config::Parse(DefaultConfigFile(), AllConfigKeys());
  EXPECT_TRUE(as_it_is.ok()) << as_it_is.status();
  const auto switched_on = Config::Parse(Uncommented(), AllConfigKeys());
  EXPECT_TRUE(switched_on.ok()) << switched_on.status();
}

TEST(DefaultConfigTest, ShowsEveryKeyWithItsDefault) {
  // With the defaults taken away from the known keys, only the file can supply them.
  std::vector<ConfigKey> emptied = AllConfigKeys();
  for (ConfigKey& key : emptied) {
    if (std::holds_alternative<std::string>(key.default_value)) key.default_value = std::string("(absent)");
    if (std::holds_alternative<int64_t>(key.default_value)) key.default_value = int64_t{-1};
  }
  const auto config = Config::Parse(Uncommented(), emptied);
  ASSERT_TRUE(config.ok()) << config.status();
  for (const ConfigKey& key : AllConfigKeys()) {
    if (const auto* text = std::get_if<std::string>(&key.default_value)) {
      EXPECT_EQ(config->String(key.name), *text) << key.name;
    }
    if (const auto* number = std::get_if<int64_t>(&key.default_value)) {
      EXPECT_EQ(config->Int(key.name), *number) << key.name;
    }
  }
}

}  // namespace
}  // namespace cloister::services
