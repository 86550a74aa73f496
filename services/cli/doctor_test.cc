// SPDX-License-Identifier: Apache-2.0
#include "services/cli/doctor.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <map>
#include <sstream>

#include "common/bytes.h"
#include "common/file.h"
#include "services/server/test_authority.h"

namespace cloister::services {
namespace {

namespace fs = std::filesystem;
using storage::Finding;

class DoctorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* folder : {"", "keys", "audit", "retrieval", "ingest", "gateway"}) {
      ASSERT_TRUE(MakePrivateDirectory(*folder == '\0' ? data_ : data_ / folder).ok());
    }
    Put("keys/keyring");
  }
  void Put(const std::string& path, mode_t mode = 0600, const std::string& content = "x") {
    std::ofstream(data_ / path) << content;
    ASSERT_EQ(::chmod((data_ / path).c_str(), mode), 0);
  }
  std::map<std::string, Finding> Examine(bool stopped, bool repair) {
    storage::Examination out;
    const Status status = ExamineFiles(data_, stopped, repair, out);
    EXPECT_TRUE(status.ok()) << status;
    std::map<std::string, Finding> findings;
    for (const Finding& finding : out.findings()) findings[finding.where] = finding;
    return findings;
  }

  TestDirectory directory_;
  const fs::path data_ = directory_.path() / "data";
};

TEST_F(DoctorTest, PrivateFilesAreRightAndTheCertificateIsPublic) {
  Put("gateway.crt", 0644);
  storage::Examination out;
  ASSERT_TRUE(ExamineFiles(data_, true, false, out).ok());
  EXPECT_EQ(out.findings_total(), 0u);
  ASSERT_EQ(out.parts().size(), 1u);
  EXPECT_EQ(out.parts()[0].checked, 8u);
}

TEST_F(DoctorTest, WhatOthersMayReadIsToldAndClosed) {
  Put("cloister.toml", 0640);
  Put("gateway.crt", 0664);
  ASSERT_EQ(::chmod((data_ / "audit").c_str(), 0701), 0);
  const auto found = Examine(false, false);
  EXPECT_EQ(found.size(), 3u);
  EXPECT_TRUE(found.contains("cloister.toml") && found.contains("gateway.crt") && found.contains("audit"));
  EXPECT_EQ(Examine(false, true).at("cloister.toml").done, "closed to others");
  EXPECT_TRUE(Examine(false, false).empty());
}

TEST_F(DoctorTest, ManyFilesOfOneKindAreCounted) {
  for (int i = 0; i < 50; ++i) Put("audit/f" + std::to_string(i), 0644);
  const auto found = Examine(false, false);
  EXPECT_EQ(found.size(), 21u);
  EXPECT_TRUE(found.contains("30 more"));
}

TEST_F(DoctorTest, LeftOversCountOnlyWhileNobodyMayBeWritingThem) {
  Put("audit/checkpoint.tmp.aBc123");
  EXPECT_TRUE(Examine(false, true).empty());
  EXPECT_EQ(Examine(true, false).at("audit/checkpoint.tmp.aBc123").done, "");
  EXPECT_EQ(Examine(true, true).at("audit/checkpoint.tmp.aBc123").done, "removed");
  EXPECT_TRUE(Examine(true, false).empty());
}

TEST_F(DoctorTest, TheCopyOfATornLogIsToldAndLeftWhereItIs) {
  ASSERT_TRUE(MakePrivateDirectory(data_ / "retrieval" / "db" / "rocksdb").ok());
  Put("retrieval/db/rocksdb/000123.log.torn");
  for (const bool stopped : {false, true}) {
    for (const bool repair : {false, true}) {
      const Finding found = Examine(stopped, repair).at("retrieval/db/rocksdb/000123.log.torn");
      EXPECT_NE(found.problem.find("power loss"), std::string::npos);
      EXPECT_NE(found.done.find("after 7 days"), std::string::npos);
      EXPECT_EQ(found.remedy, "");
    }
  }
}

TEST_F(DoctorTest, ARestoreThatHadNotAllItsFilesIsRemoved) {
  ASSERT_TRUE(MakePrivateDirectory(data_ / "restoring" / "audit" / "log").ok());
  Finding found = Examine(true, false).at("restoring/");
  EXPECT_NE(found.problem.find("before it had all its files"), std::string::npos);
  EXPECT_EQ(found.done, "");
  EXPECT_TRUE(fs::exists(data_ / "restoring"));
  found = Examine(true, true).at("restoring/");
  EXPECT_EQ(found.done, "removed");
  EXPECT_NE(found.remedy.find("cloister backup restore"), std::string::npos);
  EXPECT_FALSE(fs::exists(data_ / "restoring"));
}

TEST_F(DoctorTest, ARestoreThatWasPuttingFoldersInPlaceIsFinished) {
  for (const char* service : {"retrieval", "ingest", "gateway"}) {
    ASSERT_TRUE(MakePrivateDirectory(data_ / "restoring" / service).ok());
    Put(std::string("restoring/") + service + "/file", 0600, service);
  }
  Put("restoring/complete", 0600, std::string(32, 'a') + "\n");
  EXPECT_NE(Examine(true, false).at("restoring/").remedy.find("--offline --repair"), std::string::npos);
  EXPECT_EQ(Examine(true, true).at("restoring/").done, "put in place");
  EXPECT_FALSE(fs::exists(data_ / "restoring"));
  for (const char* service : {"retrieval", "ingest", "gateway"})
    EXPECT_EQ(*ReadFile(data_ / service / "file", 100), service);
  EXPECT_TRUE(Examine(true, false).empty());
}

TEST_F(DoctorTest, WhatWasUsedSinceAnInterruptedRestoreIsNeverReplaced) {
  ASSERT_TRUE(MakePrivateDirectory(data_ / "restoring" / "retrieval").ok());
  Put("retrieval/file");
  EXPECT_EQ(Examine(true, true).at("restoring/").done, "");
  EXPECT_NE(Examine(true, true).at("restoring/").problem.find("used since"), std::string::npos);
  // Even when what waits is whole: one of its folders has been replaced.
  Put("restoring/complete", 0600, std::string(32, 'a') + "\n");
  EXPECT_EQ(Examine(true, true).at("restoring/").done, "");
  EXPECT_EQ(*ReadFile(data_ / "retrieval" / "file", 100), "x");
  EXPECT_TRUE(fs::exists(data_ / "restoring" / "retrieval"));
}

TEST_F(DoctorTest, HealthyMeansThatNothingIsLeftToBeDone) {
  DoctorReport report;
  EXPECT_TRUE(IsHealthy(report));
  report.found.Add({"segments", "segments/a", "does not authenticate", "", "made anew"});
  EXPECT_TRUE(IsHealthy(report));
  DoctorReport unlisted = report;
  unlisted.beyond = 1;
  EXPECT_FALSE(IsHealthy(unlisted));
  DoctorReport set_aside = report;
  set_aside.found.Add({"documents", "ward / a.md", "does not authenticate", "bring it again", "set aside"});
  EXPECT_FALSE(IsHealthy(set_aside)) << "somebody must bring it again";
  report.found.Add({"log", "log", "an entry was altered", "", ""});
  EXPECT_FALSE(IsHealthy(report));
}

TEST_F(DoctorTest, FindingsAreToldForPeople) {
  DoctorReport report;
  report.name = "retrieval";
  report.seconds = 1.26;
  report.beyond = 7;
  report.found.Checked("rows", 41);
  report.found.Checked("tables", 3);
  report.found.Add(
      {"documents", "ward / \x1b[2Ja.md", "does not authenticate", "bring it again", "set aside"});
  std::ostringstream line, told;
  PrintLine(report, line);
  PrintFindings(report, told);
  EXPECT_EQ(line.str(), "retrieval  8 found  (rows 41, tables 3; 1.3 s)\n");
  EXPECT_EQ(told.str().find('\x1b'), std::string::npos) << "a name cannot repaint the terminal";
  for (const char* part : {"retrieval, documents: ward / ", "does not authenticate", "Done: set aside",
                           "To do: bring it again", "retrieval: 7 more"}) {
    EXPECT_NE(told.str().find(part), std::string::npos) << part << " in " << told.str();
  }
  EXPECT_EQ(ReportJson(report)["findings_total"], 8);
  EXPECT_EQ(ReportJson(report)["healthy"], false);
}

}  // namespace
}  // namespace cloister::services
