// SPDX-License-Identifier: Apache-2.0
#include "services/server/store_stop.h"

#include <gtest/gtest.h>

#include <future>

#include "services/server/test_authority.h"

namespace cloister::services {
namespace {

constexpr std::chrono::milliseconds kSoon{1};

class StoreStopTest : public testing::Test {
 protected:
  std::function<void(const Status&)> Watch(const std::filesystem::path& directory) {
    StoreStopOptions options;
    options.directory = directory;
    options.room_interval = options.farewell = kSoon;
    // The thread may outlive the test by a moment.
    options.end = [ended = ended_] { ended->set_value(); };
    return EndWhenStopped(options);
  }
  TestDirectory directory_;
  std::shared_ptr<std::promise<void>> ended_ = std::make_shared<std::promise<void>>();
  std::future<void> end_ = ended_->get_future();
};

TEST_F(StoreStopTest, AFailedDiskEndsTheProcess) {
  Watch(directory_.path() / "not there")(Unavailable("input or output error"));
  end_.wait();
}

// A folder that is not there stands for a disk without room.
TEST_F(StoreStopTest, AFullDiskEndsItOnceThereIsRoom) {
  const auto folder = directory_.path() / "db";
  Watch(folder)(ResourceExhausted("the disk is full"));
  EXPECT_EQ(end_.wait_for(50 * kSoon), std::future_status::timeout);
  std::filesystem::create_directory(folder);
  end_.wait();
  EXPECT_TRUE(std::filesystem::is_empty(folder)) << "the probe is left";
}

}  // namespace
}  // namespace cloister::services
