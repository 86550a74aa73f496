// SPDX-License-Identifier: Apache-2.0
// Calls another service and outlasts its restart: what is unavailable is tried again for a while, because the
// supervisor brings it back. For calls that may be repeated only.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>

#include "common/status.h"
#include "services/ingest/halt.h"

namespace cloister::services {

struct PeerPatience {
  std::chrono::milliseconds total{60'000};  // From the first failure on.
  std::chrono::milliseconds first_wait{50};
  std::chrono::milliseconds wait_max{2'000};
};

// `call` is given a fresh context each time. With `busy_too`, RESOURCE_EXHAUSTED is tried again as well: a full
// queue empties, a full disk does not. Errors: those of the last attempt; kCancelled as soon as `halt` is set, also in the middle of a call.
Status CallPeer(const PeerPatience& patience, Halt& halt, std::chrono::milliseconds timeout,
                bool busy_too, const std::function<grpc::Status(grpc::ClientContext&)>& call);

}  // namespace cloister::services
