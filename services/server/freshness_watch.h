// SPDX-License-Identifier: Apache-2.0
// Compares a service's databases, and audit's log, with what the appliance had stated of them, and states
// from time to time how far they have come. Does not keep the statement; keys does
// (services/keys/freshness_keeper.h). What cannot be stated is logged and tried again: an older statement
// notices less and refuses nothing that is right. SPEC: docs/formats/freshness.md
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "cloister/v1/keys.grpc.pb.h"
#include "common/id.h"
#include "common/status.h"

namespace cloister::services {

// How much of the past may be put back unnoticed together with the statement's own silence about it.
constexpr std::chrono::seconds kFreshnessInterval{10};

// What to do about an older state, for the end of a message.
inline constexpr std::string_view kOlderStateRemedy =
    ". Put the newer files back, or restore a backup (`cloister backup restore`). If this older state is "
    "meant, "
    "`cloister keys accept-older` takes it and has it recorded";

struct FreshnessParts {
  struct Store {
    DatabaseId database;
    std::function<uint64_t()> commit_sequence;  // Acknowledged.
  };
  // By the name of the database's folder in the service's own.
  std::map<std::string, Store> stores;
  // Of audit alone: the log's last checkpoint, and whether the log goes on from an earlier one (an error: it
  // does not).
  std::function<StatusOr<v1::LogFreshness>()> log = {};
  std::function<Status(const v1::LogFreshness& stated)> check_log =
      {};  // kFailedPrecondition gets kOlderStateRemedy.
  std::chrono::milliseconds interval = kFreshnessInterval;
};

// What `parts` names must outlive it.
class FreshnessWatch {
 public:
  // Compares, then states. Errors: kFailedPrecondition (a database or the log is older than it was, another
  // one, or gone; the message says what to do), kUnavailable (keys).
  static StatusOr<std::unique_ptr<FreshnessWatch>> Compare(const std::shared_ptr<grpc::Channel>& keys,
                                                           FreshnessParts parts);
  // From here on states on a thread of its own, and once more when it is destroyed.
  void Start();
  ~FreshnessWatch();

 private:
  FreshnessWatch(const std::shared_ptr<grpc::Channel>& keys, FreshnessParts parts);
  Status CheckStated() const;
  Status Note();
  void Run();

  const FreshnessParts parts_;
  const std::unique_ptr<v1::Keys::Stub> keys_;
  std::string noted_;  // What was stated last, serialised; nothing is sent twice.
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace cloister::services
