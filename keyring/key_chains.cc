// SPDX-License-Identifier: Apache-2.0
#include "keyring/key_chains.h"

namespace cloister::keyring {

KeyId CurrentKey(const KeyringTable& table, KeyId id) {
  for (auto it = table.entries.find(id); it != table.entries.end() && !it->second.successor.empty();
       it = table.entries.find(id)) {
    id = it->second.successor;
  }
  return id;
}

std::set<KeyId> WithReplacements(const KeyringTable& table, const std::vector<KeyId>& ids) {
  std::set<KeyId> current;
  for (const KeyId& id : ids) current.insert(CurrentKey(table, id));
  std::set<KeyId> all = current;
  if (current.empty()) return all;
  for (const auto& [id, entry] : table.entries) {
    if (!entry.successor.empty() && current.contains(CurrentKey(table, id))) all.insert(id);
  }
  return all;
}

std::set<KeyId> FormerKeys(const KeyringTable& table, std::string_view owner) {
  std::set<KeyId> former;
  for (const auto& [id, entry] : table.entries) {
    if (entry.owner == owner && !entry.successor.empty()) former.insert(id);
  }
  return former;
}

}  // namespace cloister::keyring
