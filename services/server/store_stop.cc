// SPDX-License-Identifier: Apache-2.0
#include "services/server/store_stop.h"

#include <cstdlib>
#include <string>
#include <thread>
#include <utility>

#include "common/file.h"
#include "common/log.h"

namespace cloister::services {
namespace {

constexpr const char* kProbeFile = "room";

bool HasRoom(const std::filesystem::path& directory) {
  const std::filesystem::path probe = directory / kProbeFile;
  const Status written = WriteFileAtomic(probe, std::string(kRoomBytes, '\0'), 0600);
  std::error_code ignored;
  std::filesystem::remove(probe, ignored);
  return written.ok();
}

void End(const StoreStopOptions& options) {
  Log(LogLevel::kError, "service.failed", {{"reason", std::string("disk")}});
  std::this_thread::sleep_for(options.farewell);
  if (options.end) return options.end();
  std::_Exit(EXIT_FAILURE);
}

}  // namespace

std::function<void(const Status&)> EndWhenStopped(StoreStopOptions options) {
  return [options = std::move(options)](const Status& reason) {
    const bool full = reason.code() == StatusCode::kResourceExhausted;
    std::thread([options, full] {
      while (full && !HasRoom(options.directory)) std::this_thread::sleep_for(options.room_interval);
      End(options);
    }).detach();
  };
}

}  // namespace cloister::services
