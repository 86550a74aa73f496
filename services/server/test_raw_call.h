// SPDX-License-Identifier: Apache-2.0
// For tests: a call by the name of its method and with bytes for messages, so that a test need not know the
// message's type and can call methods that are not there.
#pragma once

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <string>

#include "common/status.h"
#include "services/server/rpc_client.h"

namespace cloister::services {

// Sends one message and takes the first that comes back, whether or not the method streams. Blocks up to
// `timeout`; unless `wait_for_ready`, a connection that cannot be made fails at once.
inline grpc::Status RawCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                            const std::string& request, bool wait_for_ready,
                            std::chrono::milliseconds timeout) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  SetDeadline(context, timeout);
  context.set_wait_for_ready(wait_for_ready);
  grpc::CompletionQueue queue;
  const grpc::Slice slice(request);
  const grpc::ByteBuffer in(&slice, 1);
  grpc::ByteBuffer out;
  grpc::Status status;
  auto call = stub.PrepareUnaryCall(&context, method, in, &queue);
  call->StartCall();
  call->Finish(&out, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  CLOISTER_CHECK(queue.Next(&tag, &ok));
  return status;
}

}  // namespace cloister::services
