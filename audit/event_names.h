// SPDX-License-Identifier: Apache-2.0
// The classes of events that a log may hold. The list is append-only: a name never changes its meaning and
// never goes away. What each body holds is in audit/FORMAT.md. Pure.
#pragma once

#include <string_view>
#include <vector>

namespace cloister::audit {

const std::vector<std::string_view>& EventNames();
bool IsEventName(std::string_view name);
// Events that must still be recorded on a full disk, out of preallocated space.
bool IsEmergency(std::string_view name);

}  // namespace cloister::audit
