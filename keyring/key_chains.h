// SPDX-License-Identifier: Apache-2.0
// Keys that replaced one another, as a keyring's table records them: each former key names its successor, and the last of
// a chain is current. What replaced a key is in the table as long as that is. Pure functions; whoever calls them sees to it
// that the table does not change meanwhile.
#pragma once

#include <set>
#include <string_view>
#include <vector>

#include "common/id.h"
#include "keyring/keyring_format.h"

namespace cloister::keyring {

// The last of the chain that `id` is in; `id` itself where nothing replaced it or the table does not have it.
KeyId CurrentKey(const KeyringTable& table, KeyId id);
// `ids` with all that they replaced and that replaced them. Reads the whole table.
std::set<KeyId> WithReplacements(const KeyringTable& table, const std::vector<KeyId>& ids);
// The keys of `owner` that another one replaced. Reads the whole table.
std::set<KeyId> FormerKeys(const KeyringTable& table, std::string_view owner);

}  // namespace cloister::keyring
