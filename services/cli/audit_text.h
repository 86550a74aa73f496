// SPDX-License-Identifier: Apache-2.0
// Records of the audit log as text for people. The whole record is what --json prints; here long lists are
// counted. Pure.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace cloister::services {

// A line for each thing the record says, the names in one column. `envelope` as audit/FORMAT.md describes it;
// what is missing or of another type is left out.
std::string EntryText(uint64_t index, const nlohmann::json& envelope);

// The same in brief, without ids: index, time, event and who in one line; below it what differs from record
// to record, wrapped at `width` characters.
std::string EntryBrief(uint64_t index, const nlohmann::json& envelope, size_t width);

}  // namespace cloister::services
