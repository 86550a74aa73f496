// SPDX-License-Identifier: Apache-2.0
// What the two tests of this folder share: the methods that the .proto files declare, and raw calls of them
// as whoever holds given credentials. Does not know who may call what; see caller_table.h.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "services/server/credentials.h"

namespace cloister::services {

constexpr std::chrono::seconds kCallTimeout{60};
// What a caller is told whom a rule keeps out. Handlers that refuse say something else.
constexpr std::string_view kDenied = "this service may not call this method";

// "/cloister.v1.Keys/CreateKeys" of each method of cloister.v1, from the descriptors at `path`. Ends the test
// program when they cannot be read.
std::vector<std::string> DeclaredMethods(const std::filesystem::path& path);

// Sends an empty message and takes the first one that comes back, whether or not the method streams. A
// connection that cannot be made fails at once.
grpc::Status CallRaw(const std::shared_ptr<grpc::Channel>& channel, const std::string& method);

// Whether the rules refused the call. What a handler answers to an empty message does not matter here.
bool WasRefused(const grpc::Status& status);

// Callers who cannot prove to be anybody, each with the name a test prints.
struct Unproven {
  std::string what;
  std::shared_ptr<grpc::Channel> channel;
};
// Without a certificate, with one of another authority for the same name, and without TLS.
std::vector<Unproven> UnprovenCallers(const RpcCredentials& member, const RpcCredentials& foreigner,
                                      std::string_view process, const std::filesystem::path& socket);

}  // namespace cloister::services
