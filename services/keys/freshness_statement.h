// SPDX-License-Identifier: Apache-2.0
// What the appliance had reached when it last said so: each database's commit sequence, the log's size and
// root, the keyring's generation, in a signed note. Whoever puts an older file in the place of a newer one
// contradicts it. Does no I/O and keeps nothing; see services/keys/freshness_keeper.h. Values are not
// thread-safe. SPEC: docs/formats/freshness.md
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "audit/note.h"
#include "common/id.h"
#include "common/status.h"

namespace cloister::services {

constexpr size_t kFreshStoresMax = 64;

// By the service that owns the database, and the name of the database's folder inside the service's.
using StoreName = std::pair<std::string, std::string>;

struct FreshStore {
  DatabaseId database;
  uint64_t sequence = 0;  // Acknowledged.
  bool operator==(const FreshStore&) const = default;
};

struct FreshLog {
  std::string origin;
  uint64_t size = 0;
  std::string root;  // 32 bytes.
  bool operator==(const FreshLog&) const = default;
};

struct FreshnessStatement {
  DatabaseId appliance;
  uint64_t number = 0;   // Grows by one with each statement.
  uint64_t keyring = 0;  // Generation.
  int64_t made_ns = 0;   // Unix time; a claim, not evidence.
  // The counter of a device, and what it says once this statement is in force. Empty: there is none.
  std::string counter;
  uint64_t count = 0;
  std::map<StoreName, FreshStore> stores;
  std::optional<FreshLog> log;
  bool operator==(const FreshnessStatement&) const = default;
};

// The text to be signed.
std::string StatementText(const FreshnessStatement& statement);
// Errors: kDataLoss (anything but the exact form), kFailedPrecondition (a format this version does not know).
StatusOr<FreshnessStatement> ParseStatementText(std::string_view text);

// The name of the key that signs the statements of `appliance`.
std::string FreshnessKeyName(const DatabaseId& appliance);

}  // namespace cloister::services
