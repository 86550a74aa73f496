// SPDX-License-Identifier: Apache-2.0
// An answer in JSON that may take hours to make: a client hears something meanwhile, so that it does not take gateway for
// dead. Does not know what is made.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>

#include "common/status.h"
#include "services/gateway/gateway.h"

namespace cloister::services {

// Calls `make` on another thread, waits for it and sends what it returns. After a minute the answer begins with status 200
// and a blank line each minute, and an error that comes later is told in the body. Errors: those of `make` until then.
Status SendWhenMade(const RouteCall& call, const std::function<StatusOr<nlohmann::json>()>& make);

}  // namespace cloister::services
