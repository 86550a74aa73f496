// SPDX-License-Identifier: Apache-2.0
// Which service may append which class of event: a compromised gateway must not be able to write that a
// passage was released, nor anybody that the log was read. Pure.
#pragma once

#include <string_view>

#include "common/status.h"

namespace cloister::services {

// `identity` comes from the caller's certificate. Errors: kInvalidArgument (not an event class),
// kPermissionDenied.
Status CheckMayAppend(std::string_view identity, std::string_view event);
// Whether `name` is the identity of one of the appliance's services.
bool IsServiceIdentity(std::string_view name);

}  // namespace cloister::services
