// SPDX-License-Identifier: Apache-2.0
#include "services/server/maintenance.h"

#include <gtest/gtest.h>

#include <fstream>

#include "services/server/test_authority.h"

namespace cloister::services {
namespace {

namespace fs = std::filesystem;

class MaintenanceTest : public ::testing::Test {
 protected:
  std::unique_ptr<MaintenanceService> New() {
    MaintenanceParts parts;
    parts.directory = directory_.path();
    parts.stores["db"] = {*DatabaseId::FromBytes(std::string(kIdBytes, 'd')),
                          [this](const fs::path& folder) -> StatusOr<uint64_t> {
                            order_ += "s";
                            fs::create_directory(folder);
                            if (!fail_.ok()) return fail_;
                            return 17;
                          }};
    parts.log = [this](const fs::path& folder) {
      order_ += "l";
      std::ofstream(folder / "log") << "log";
      v1::LogCheckpoint log;
      log.set_size(5);
      return StatusOr<v1::LogCheckpoint>(log);
    };
    auto service = MaintenanceService::New(std::move(parts));
    EXPECT_TRUE(service.ok()) << service.status();
    return *std::move(service);
  }
  static std::string IdOf(char c) { return std::string(kIdBytes, c); }
  fs::path FolderOf(char c) const { return directory_.path() / kCheckpointsFolder / HexEncode(IdOf(c)); }

  TestDirectory directory_;
  std::string order_;
  Status fail_;
};

TEST_F(MaintenanceTest, MakesOneCopyAtATimeTheLogFirst) {
  const auto service = New();
  const auto made = service->Make(IdOf('a'));
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(order_, "ls");
  ASSERT_EQ(made->stores_size(), 1);
  EXPECT_EQ(made->stores(0).name(), "db");
  EXPECT_EQ(made->stores(0).commit_sequence(), 17u);
  EXPECT_EQ(made->stores(0).database_id(), IdOf('d'));
  EXPECT_EQ(made->log().size(), 5u);
  EXPECT_TRUE(fs::exists(FolderOf('a') / "db"));
  ASSERT_TRUE(service->Make(IdOf('b')).ok());
  EXPECT_FALSE(fs::exists(FolderOf('a'))) << "the copy of before keeps its tables on the disk";
  EXPECT_TRUE(fs::exists(FolderOf('b') / "log"));
  EXPECT_TRUE(service->Drop(IdOf('b')).ok());
  EXPECT_FALSE(fs::exists(FolderOf('b')));
  EXPECT_TRUE(service->Drop(IdOf('b')).ok());
}

TEST_F(MaintenanceTest, AStartAndAFailureLeaveNothing) {
  ASSERT_TRUE(New()->Make(IdOf('a')).ok());
  const auto service = New();
  EXPECT_FALSE(fs::exists(FolderOf('a')));
  fail_ = ResourceExhausted("the disk is full");
  EXPECT_EQ(service->Make(IdOf('c')).status().code(), StatusCode::kResourceExhausted);
  EXPECT_FALSE(fs::exists(FolderOf('c')));
}

TEST_F(MaintenanceTest, AnIdThatIsNoneNamesNoFolder) {
  const auto service = New();
  for (const std::string& bad : {std::string(), std::string("../../../.."), std::string(17, 'x')}) {
    EXPECT_EQ(service->Make(bad).status().code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(service->Drop(bad).code(), StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(order_, "");
}

}  // namespace
}  // namespace cloister::services
