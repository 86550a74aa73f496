// SPDX-License-Identifier: Apache-2.0
#include "services/cli/default_config.h"

#include <charconv>
#include <string_view>
#include <variant>

#include "services/config_keys.h"

namespace cloister::services {
namespace {

std::string Number(double value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  return std::string(text, end);
}

// Defaults hold neither quotes nor backslashes; a test reads this file back.
std::string Quoted(const std::string& text) { return '"' + text + '"'; }

struct TomlValue {
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(int64_t value) const { return std::to_string(value); }
  std::string operator()(double value) const { return Number(value); }
  std::string operator()(const std::string& value) const { return Quoted(value); }
  std::string operator()(const std::vector<std::string>& values) const {
    std::string out;
    for (const std::string& value : values) out += (out.empty() ? "" : ", ") + Quoted(value);
    return "[" + out + "]";
  }
};

std::string Bounds(const ConfigKey& key) {
  if (key.minimum == 0 && key.maximum == 0) return "";
  return " (" + Number(key.minimum) + " to " + Number(key.maximum) + ")";
}

}  // namespace

std::string DefaultConfigFile(const std::map<std::string, std::string>& set) {
  std::string out =
      "# Configuration of this appliance. Every line is optional: what is commented out is the default.\n"
      "# An environment variable such as CLOISTER_GATEWAY_LISTEN wins over this file. Secrets never stand "
      "here.\n";
  std::string section;
  for (const ConfigKey& key : AllConfigKeys()) {
    const size_t dot = key.name.find('.');
    if (key.name.substr(0, dot) != section) {
      section = key.name.substr(0, dot);
      out += "\n[" + section + "]\n";
    }
    const auto given = set.find(key.name);
    out += "# " + key.help + Bounds(key) + "\n";
    out += given == set.end()
               ? "#" + key.name.substr(dot + 1) + " = " + std::visit(TomlValue(), key.default_value) + "\n"
               : key.name.substr(dot + 1) + " = " + given->second + "\n";
  }
  return out;
}

}  // namespace cloister::services
