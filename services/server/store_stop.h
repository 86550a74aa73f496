// SPDX-License-Identifier: Apache-2.0
// Ends a process whose database takes no further write, so that the supervisor starts one that reads what is
// on the disk. On a full disk it waits until there is room again: until then what is there can be read. Knows
// no database.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>

#include "common/status.h"

namespace cloister::services {

// Room that must be there before a start is worth it.
constexpr size_t kRoomBytes = 4 * 1024 * 1024;

struct StoreStopOptions {
  std::filesystem::path directory;  // Of the database; where room is looked for.
  std::chrono::milliseconds room_interval{1'000};
  // How long answers to those who wait may take to leave.
  std::chrono::milliseconds farewell{200};
  std::function<void()> end = {};  // Instead of ending the process; for tests.
};

// For RocksDbStoreOptions::on_stopped. Returns at once; what follows happens on a thread of its own, which
// nobody joins.
std::function<void(const Status& reason)> EndWhenStopped(StoreStopOptions options);

}  // namespace cloister::services
