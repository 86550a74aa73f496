// SPDX-License-Identifier: Apache-2.0
// How the log reaches its witnesses: the relay service hands its requests on.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <string>

#include "services/audit/witness_watch.h"

namespace cloister::services {

// For WitnessWatchParts::ask. Errors: kUnavailable (relay or witness away), kNotFound (relay was started with another
// configuration).
std::function<StatusOr<WitnessAnswer>(const std::string& witness, const std::string& body)> AskThroughRelay(
    const std::shared_ptr<grpc::Channel>& relay);

}  // namespace cloister::services
