// SPDX-License-Identifier: Apache-2.0
#include "common/config.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cctype>
#include <numeric>

// Debian's shared library has only the throwing parser, so the header's own is compiled here.
#undef TOML_HEADER_ONLY
#undef TOML_SHARED_LIB
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

namespace cloister {
namespace {

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::string TypeName(const ConfigValue& value) {
  static constexpr const char* kNames[] = {"true or false", "a whole number", "a number", "a string",
                                           "a list of strings"};
  return kNames[value.index()];
}

std::string Where(const toml::node& node) {
  const auto& begin = node.source().begin;
  return "line " + std::to_string(begin.line) + ", column " + std::to_string(begin.column) + ": ";
}

StatusOr<ConfigValue> Convert(const toml::node& node, const ConfigKey& key) {
  const auto wrong = [&] {
    return InvalidArgument(Where(node) + "'" + key.name + "' must be " + TypeName(key.default_value));
  };
  switch (key.default_value.index()) {
    case 0:
      if (const auto v = node.value_exact<bool>()) return ConfigValue(*v);
      return wrong();
    case 1:
      if (const auto v = node.value_exact<int64_t>()) return ConfigValue(*v);
      return wrong();
    case 2:
      if (node.is_number()) return ConfigValue(*node.value<double>());
      return wrong();
    case 3:
      if (const auto v = node.value_exact<std::string>()) return ConfigValue(*v);
      return wrong();
    default: {
      const toml::array* array = node.as_array();
      if (array == nullptr) return wrong();
      std::vector<std::string> out;
      for (const toml::node& element : *array) {
        const auto v = element.value_exact<std::string>();
        if (!v) return wrong();
        out.push_back(*v);
      }
      return ConfigValue(std::move(out));
    }
  }
}

std::string EnvironmentName(std::string_view key) {
  std::string out = "CLOISTER_";
  for (char c : key) out.push_back(c == '.' || c == '-' ? '_' : static_cast<char>(std::toupper(c)));
  return out;
}

std::string VariableOf(const ConfigKey& key) {
  return "environment variable " + EnvironmentName(key.name) + ": ";
}

// An environment variable is text; numbers and booleans are read from it as TOML would.
StatusOr<ConfigValue> ConvertText(const std::string& text, const ConfigKey& key) {
  if (std::holds_alternative<std::string>(key.default_value)) return ConfigValue(text);
  const Status wrong = InvalidArgument(VariableOf(key) + "'" + key.name + "' must be " + TypeName(key.default_value));
  const toml::parse_result parsed = toml::parse("v = " + text);
  // More than one key: the value had a line break and went on.
  if (!parsed || parsed.table().size() != 1) return wrong;
  auto value = Convert(*parsed.table().get("v"), key);
  return value.ok() ? std::move(value) : wrong;  // Convert names a line, which a variable does not have.
}

// `where` says which line or variable the value came from.
Status CheckBounds(const std::string& where, const ConfigKey& key, const ConfigValue& value) {
  if (key.minimum == 0 && key.maximum == 0) return absl::OkStatus();
  double number = 0;
  if (const auto* i = std::get_if<int64_t>(&value)) {
    number = static_cast<double>(*i);
  } else if (const auto* d = std::get_if<double>(&value)) {
    number = *d;
  } else {
    return absl::OkStatus();
  }
  if (number >= key.minimum && number <= key.maximum) return absl::OkStatus();
  const auto plain = [](double v) {
    std::string s = std::to_string(v);
    s.erase(s.find_last_not_of('0') + 1);
    if (s.back() == '.') s.pop_back();
    return s;
  };
  return InvalidArgument(where + "'" + key.name + "' must be between " + plain(key.minimum) + " and " +
                         plain(key.maximum) + " (" + key.help + ")");
}

// Whether some key stands inside the table `name`: its header alone, with every key commented out, says nothing.
bool IsSection(const std::string& name, const std::vector<std::string>& keys) {
  return std::any_of(keys.begin(), keys.end(), [&](const std::string& key) { return key.starts_with(name + "."); });
}

}  // namespace

std::string NearestName(std::string_view name, const std::vector<std::string>& known) {
  const auto best = std::min_element(known.begin(), known.end(), [&](const auto& a, const auto& b) {
    return EditDistance(name, a) < EditDistance(name, b);
  });
  return best == known.end() ? std::string() : *best;
}

StatusOr<Config> Config::Parse(std::string_view toml, const std::vector<ConfigKey>& known,
                               const std::map<std::string, std::string>& environment) {
  std::map<std::string, const ConfigKey*> by_name;
  std::vector<std::string> names;
  Config config;
  for (const ConfigKey& key : known) {
    by_name[key.name] = &key;
    names.push_back(key.name);
    config.values_[key.name] = key.default_value;
  }
  const toml::parse_result parsed = toml::parse(toml);
  if (!parsed) {
    const auto& begin = parsed.error().source().begin;
    return InvalidArgument("line " + std::to_string(begin.line) + ", column " + std::to_string(begin.column) +
                           ": " + std::string(parsed.error().description()));
  }
  std::vector<std::pair<std::string, const toml::node*>> pending;
  for (const auto& [name, node] : parsed.table()) pending.emplace_back(std::string(name.str()), &node);
  for (size_t i = 0; i < pending.size(); ++i) {
    const auto [name, node] = pending[i];
    if (const auto it = by_name.find(name); it != by_name.end()) {
      CLOISTER_ASSIGN_OR_RETURN(ConfigValue value, Convert(*node, *it->second));
      CLOISTER_RETURN_IF_ERROR(CheckBounds(Where(*node), *it->second, value));
      config.values_[name] = std::move(value);
    } else if (const toml::table* table = node->as_table();
               table != nullptr && (!table->empty() || IsSection(name, names))) {
      for (const auto& [child, child_node] : *table) {
        pending.emplace_back(name + "." + std::string(child.str()), &child_node);
      }
    } else {
      return InvalidArgument(Where(*node) + "unknown key '" + name + "'; did you mean '" +
                             NearestName(name, names) + "'?");
    }
  }
  for (const ConfigKey& key : known) {
    const auto it = environment.find(EnvironmentName(key.name));
    if (it == environment.end()) continue;
    CLOISTER_ASSIGN_OR_RETURN(ConfigValue value, ConvertText(it->second, key));
    CLOISTER_RETURN_IF_ERROR(CheckBounds(VariableOf(key), key, value));
    config.values_[key.name] = std::move(value);
  }
  return config;
}

namespace {

template <class T>
const T& Get(const std::map<std::string, ConfigValue, std::less<>>& values, std::string_view name) {
  const auto it = values.find(name);
  CLOISTER_CHECK(it != values.end());
  const T* value = std::get_if<T>(&it->second);
  CLOISTER_CHECK(value != nullptr);
  return *value;
}

}  // namespace

bool Config::Bool(std::string_view name) const { return Get<bool>(values_, name); }
int64_t Config::Int(std::string_view name) const { return Get<int64_t>(values_, name); }
double Config::Double(std::string_view name) const { return Get<double>(values_, name); }
const std::string& Config::String(std::string_view name) const { return Get<std::string>(values_, name); }
const std::vector<std::string>& Config::Strings(std::string_view name) const {
  return Get<std::vector<std::string>>(values_, name);
}

std::map<std::string, std::string> CloisterEnvironment() {
  std::map<std::string, std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view line(*entry);
    const size_t equals = line.find('=');
    if (line.starts_with("CLOISTER_") && equals != std::string_view::npos) {
      out.emplace(line.substr(0, equals), line.substr(equals + 1));
    }
  }
  return out;
}

}  // namespace cloister
