// SPDX-License-Identifier: Apache-2.0
#include "ingest/manifest_parser.h"

#include <toml++/toml.h>

#include <algorithm>
#include <sstream>
#include <vector>

#include "common/config.h"
#include "ingest/metadata.h"

namespace cloister::ingest {
namespace {

Status Wrong(const toml::node& node, const std::string& what) {
  return InvalidArgument("line " + std::to_string(node.source().begin.line) + ": " + what);
}

// A string, a date or an array of strings as values; false for anything else.
bool ValuesOf(const toml::node& node, std::vector<std::string>& values) {
  if (const auto* text = node.as_string()) {
    values.push_back(text->get());
    return true;
  }
  if (const auto* date = node.as_date()) {
    std::ostringstream out;
    out << date->get();
    values.push_back(out.str());
    return true;
  }
  const auto* array = node.as_array();
  if (array == nullptr) return false;
  for (const toml::node& element : *array) {
    if (!element.is_string()) return false;
    values.push_back(element.as_string()->get());
  }
  return true;
}

StatusOr<Metadata> ReadEntry(const toml::table& table) {
  Metadata metadata;
  const auto& known = MetadataKeys();
  for (const auto& [name, value] : table) {
    const std::string key(name.str());
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      return Wrong(value, "there is no such key; the nearest known one is " + NearestName(key, known));
    }
    std::vector<std::string> values;
    std::vector<Note> notes;
    if (!ValuesOf(value, values))
      return Wrong(value, key + " must be text" + (key == "subjects" ? " or a list of texts" : ""));
    SetMetadata(key, values, 0, metadata, notes);
    if (!notes.empty()) return Wrong(value, "the value of " + key + " is not valid");
  }
  return metadata;
}

StatusOr<Manifest::Entries> ReadEntries(const toml::table& root) {
  if (root.size() > kManifestEntriesMax) {
    return InvalidArgument("there are more than " + std::to_string(kManifestEntriesMax) +
                           " entries; divide the folder");
  }
  Manifest::Entries entries;
  for (const auto& [name, node] : root) {
    const toml::table* table = node.as_table();
    if (table == nullptr) return Wrong(node, "expected a table for each file, such as [\"folder/file.pdf\"]");
    std::string source(name.str());
    if (source.size() > kManifestSourceBytesMax) return Wrong(node, "the name of a file is too long");
    CLOISTER_ASSIGN_OR_RETURN(entries[std::move(source)], ReadEntry(*table));
  }
  return entries;
}

}  // namespace

ManifestResult ParseManifest(std::string_view toml_text) {
  ManifestResult result;
  try {
    auto entries = ReadEntries(toml::parse(toml_text));
    if (entries.ok()) {
      result.manifest = Manifest(*std::move(entries));
    } else {
      result.problem = MessageOf(entries.status());
    }
  } catch (const toml::parse_error& error) {
    result.problem = "line " + std::to_string(error.source().begin.line) + ": not valid TOML";
  }
  return result;
}

}  // namespace cloister::ingest
