// SPDX-License-Identifier: Apache-2.0
// Reads the worked examples of docs/formats, so that tests hold documents and code together. For tests only.
#pragma once

#include <fstream>
#include <map>
#include <string>
#include <string_view>

#include "common/bytes.h"

namespace cloister {

// The "name = value" lines of the first block of `path` that begins with "```example NAME". Indented lines
// continue the value before them, without the space between. Empty when there is no such block.
inline std::map<std::string, std::string> DocumentExample(const std::string& path, const std::string& name) {
  std::map<std::string, std::string> out;
  std::ifstream in(path);
  std::string line, last;
  bool inside = false;
  while (std::getline(in, line)) {
    if (!inside) {
      inside = line == "```example " + name;
      continue;
    }
    if (line.starts_with("```")) return out;
    const size_t equals = line.find(" = ");
    if (line.starts_with(" ") && !last.empty()) {
      out[last] += line.substr(line.find_first_not_of(' '));
    } else if (equals != std::string::npos) {
      last = line.substr(0, line.find(' '));
      out[last] = line.substr(equals + 3);
    }
  }
  return out;
}

// The bytes of a hexadecimal value; crashes when it is absent or not hexadecimal.
inline std::string ExampleBytes(const std::map<std::string, std::string>& example, const std::string& name) {
  const auto it = example.find(name);
  CLOISTER_CHECK(it != example.end());
  const auto bytes = HexDecode(it->second);
  CLOISTER_CHECK(bytes.ok());
  return *bytes;
}

}  // namespace cloister
