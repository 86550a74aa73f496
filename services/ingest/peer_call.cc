// SPDX-License-Identifier: Apache-2.0
#include "services/ingest/peer_call.h"

#include <algorithm>
#include <thread>

#include "services/server/rpc_client.h"
#include "services/server/rpc_status.h"

namespace cloister::services {
namespace {

using Time = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kLook{50};

// False when halted.
bool Wait(std::chrono::milliseconds time, const std::atomic<bool>& halted) {
  const auto until = Time::now() + time;
  while (Time::now() < until && !halted) {
    std::this_thread::sleep_for(std::min<Time::duration>(kLook, until - Time::now()));
  }
  return !halted;
}

}  // namespace

Status CallPeer(const PeerPatience& patience, Halt& halt, std::chrono::milliseconds timeout,
                bool busy_too, const std::function<grpc::Status(grpc::ClientContext&)>& call) {
  std::chrono::milliseconds wait = patience.first_wait;
  const auto started = Time::now();
  while (true) {
    grpc::ClientContext context;
    SetDeadline(context, timeout);
    const Halt::Guard guard(halt, context);
    const grpc::Status status = halt.is_set() ? grpc::Status::CANCELLED : call(context);
    if (status.ok()) return Status();
    if (halt.is_set()) return Error(StatusCode::kCancelled, "the job was stopped");
    const bool again = status.error_code() == grpc::StatusCode::UNAVAILABLE ||
                       (busy_too && status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED);
    if (!again || Time::now() - started >= patience.total) return FromGrpc(status);
    if (!Wait(wait, halt.is_set())) return Error(StatusCode::kCancelled, "the job was stopped");
    wait = std::min(wait * 2, patience.wait_max);
  }
}

}  // namespace cloister::services
