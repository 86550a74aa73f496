// SPDX-License-Identifier: Apache-2.0
// Records of the audit log as text for people. The whole record is what --json prints; here long lists are
// counted. Pure.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace cloister::services {

// A line for each thing the record says, the names in one column. `envelope` as audit/FORMAT.md describes it;
// what is missing or of another type is left out. `name`: the entry's index, or generation and index.
std::string EntryText(const std::string& name, const nlohmann::json& envelope);

// The same in brief, without ids: index, time, event and who in one line; below it what differs from record
// to record, wrapped at `width` characters.
std::string EntryBrief(uint64_t index, const nlohmann::json& envelope, size_t width);

// The opened sections of a record, `sections` as the reply to an unsealing has them. The words of an answer
// are put together in its order from the sections of the documents it quotes; a quote whose section stays
// closed says where it stood and why it is closed.
std::string UnsealedText(const nlohmann::json& sections, size_t width);

}  // namespace cloister::services
