// SPDX-License-Identifier: Apache-2.0
#include "services/server/maintenance.h"

#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <thread>

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
    parts.examine = examine_;
    auto service = MaintenanceService::New(std::move(parts));
    EXPECT_TRUE(service.ok()) << service.status();
    return *std::move(service);
  }
  static std::string IdOf(char c) { return std::string(kIdBytes, c); }
  fs::path FolderOf(char c) const { return directory_.path() / kCheckpointsFolder / HexEncode(IdOf(c)); }

  TestDirectory directory_;
  std::string order_;
  Status fail_;
  std::function<Status(const storage::ExaminationOptions&, storage::Examination&)> examine_;
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

TEST_F(MaintenanceTest, AnExaminationIsPassedOnWhole) {
  bool repaired = false;
  examine_ = [&](const storage::ExaminationOptions& options, storage::Examination& out) {
    repaired = options.repair;
    out.Checked("rows", 3, 30);
    out.Checked("rows", 4, 40);
    for (size_t i = 0; i < storage::kFindingsMax + 5; ++i) out.Add({"rows", "where", "problem", "remedy", "done"});
    return absl::OkStatus();
  };
  const auto service = New();
  const auto found = service->ExamineNow(true, {});
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_TRUE(repaired);
  ASSERT_EQ(found->parts_size(), 1);
  EXPECT_EQ(found->parts(0).checked(), 7u);
  EXPECT_EQ(found->parts(0).bytes(), 70u);
  EXPECT_EQ(found->findings_size(), static_cast<int>(storage::kFindingsMax));
  EXPECT_EQ(found->findings_total(), storage::kFindingsMax + 5);
  const v1::Finding& first = found->findings(0);
  EXPECT_EQ(first.part() + first.where() + first.problem() + first.remedy() + first.done(),
            "rowswhereproblemremedydone");
}

TEST_F(MaintenanceTest, OneExaminationAtATimeAndAStopEndsIt) {
  std::atomic<bool> begun{false};
  examine_ = [&](const storage::ExaminationOptions& options, storage::Examination&) {
    begun = true;
    while (options.CheckCancelled().ok()) std::this_thread::yield();
    return options.CheckCancelled();
  };
  const auto service = New();
  Status ended;
  std::thread examining([&] { ended = service->ExamineNow(false, {}).status(); });
  while (!begun) std::this_thread::yield();
  EXPECT_EQ(service->ExamineNow(false, {}).status().code(), StatusCode::kResourceExhausted);
  service->Stop();
  examining.join();
  EXPECT_EQ(ended.code(), StatusCode::kCancelled);
  EXPECT_EQ(service->ExamineNow(false, {}).status().code(), StatusCode::kCancelled) << "none begins after a stop";
}

TEST_F(MaintenanceTest, ACallerWhoLeavesEndsItAndAServiceThatStoresNothingSaysSo) {
  EXPECT_EQ(New()->ExamineNow(false, {}).status().code(), StatusCode::kUnimplemented);
  examine_ = [](const storage::ExaminationOptions& options, storage::Examination&) { return options.CheckCancelled(); };
  const auto service = New();
  EXPECT_EQ(service->ExamineNow(false, [] { return true; }).status().code(), StatusCode::kCancelled);
  EXPECT_TRUE(service->ExamineNow(false, [] { return false; }).ok());
}

}  // namespace
}  // namespace cloister::services
