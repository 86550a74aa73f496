// SPDX-License-Identifier: Apache-2.0
// Channels from one service to another. Reconnects by itself. Thread-safe.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <filesystem>
#include <memory>

#include "common/status.h"
#include "services/server/credentials.h"

namespace cloister::services {

// Settings of gRPC for the whole process: its free text stays out of the log, and channels notice within a
// moment that the other side went away. Call before any thread exists and before anything else of gRPC.
void SetUpGrpc();

// Does not block; calls on the channel fail with UNAVAILABLE while the other side is down. The server must
// prove the identity `target`.
std::shared_ptr<grpc::Channel> Connect(const RpcCredentials& own, std::string_view target,
                                       const std::filesystem::path& socket);

// Sets a deadline and wait-for-ready on a call's context. Every call has a deadline.
void SetDeadline(grpc::ClientContext& context, std::chrono::milliseconds timeout);

// grpc.health.v1 Check: true when the service answers SERVING within `timeout`.
bool IsServing(const std::shared_ptr<grpc::Channel>& channel, std::chrono::milliseconds timeout);

}  // namespace cloister::services
