// SPDX-License-Identifier: Apache-2.0
// storage::KeySource over the keys service. Caches keys it fetched in locked memory, least recently used
// first out. Thread-safe; blocks on the RPC.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>

#include "storage/key_source.h"

namespace cloister::services {

constexpr size_t kCachedKeysMax = 16384;

std::unique_ptr<storage::KeySource> NewGrpcKeySource(std::shared_ptr<grpc::Channel> keys_channel);

}  // namespace cloister::services
