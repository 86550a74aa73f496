// SPDX-License-Identifier: Apache-2.0
// The log across a backup and a restore: a copy that verifies, and a generation that says where it comes
// from.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "audit/receipt.h"
#include "audit/verifier.h"
#include "services/audit/audit_generation_fixture.h"

namespace cloister::services {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

TEST_F(AuditGenerationTest, ACopyIsAnExportThatVerifiesAndDoesNotChangeWithTheLog) {
  for (int i = 0; i < 260; ++i) ASSERT_TRUE(Append("gateway", Ask("n.okafor")).ok());
  const fs::path copy = directory_.path() / "copy";
  const auto made = service_->CopyLog(copy);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->origin(), "clinic/main/1");
  EXPECT_EQ(made->size(), 261u);  // service.started is the first.
  EXPECT_EQ(made->root().size(), 32u);
  EXPECT_EQ(fs::hard_link_count(copy / "log" / "tile" / "0" / "000"), 2u);
  for (int i = 0; i < 260; ++i) ASSERT_TRUE(Append("gateway", Ask("n.okafor")).ok());
  const audit::FolderReport report = audit::VerifyFolder(copy / "log", VerifierIn(copy / "log"));
  EXPECT_TRUE(report.verified()) << (report.problems.empty() ? "" : report.problems[0]);
  EXPECT_EQ(report.checkpoint.size, 261u);
  EXPECT_FALSE(service_->CopyLog(copy).ok()) << "a copy over another";
}

TEST_F(AuditGenerationTest, ARestoredLogBeginsANextGenerationThatCitesTheFormer) {
  ASSERT_TRUE(Append("gateway", Ask("n.okafor")).ok());
  const std::string receipt = ReceiptOf(1);
  const fs::path copy = directory_.path() / "copy";
  const auto made = service_->CopyLog(copy);
  ASSERT_TRUE(made.ok()) << made.status();
  ASSERT_TRUE(Append("gateway", Ask("lost.after.the.backup")).ok());
  Restore(copy, *made);
  Start();
  EXPECT_EQ(LogStatusOf("gateway").origin(), "clinic/main/2");
  const auto entries = Entries(0, 2);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].event, "backup.restored");
  const json body = json::parse(entries[0].body_json);
  EXPECT_EQ(body["backup"], "42424242424242424242424242424242");
  EXPECT_EQ(body["generation"], 2);
  EXPECT_EQ(body["former"]["origin"], "clinic/main/1");
  EXPECT_EQ(body["former"]["size"], "2");
  EXPECT_EQ(body["former"]["root"], Base64Encode(made->root()));
  EXPECT_EQ(body["former"]["verified"], 1);
  EXPECT_EQ(entries[1].event, "service.started");
  // The former log is whole, and what it proved it proves still.
  const auto verifier = VerifierIn(Former() / "1");
  EXPECT_TRUE(audit::VerifyFolder(Former() / "1", verifier).verified());
  EXPECT_TRUE(audit::VerifyReceipt(*audit::ParseReceipt(receipt), std::nullopt, verifier).ok());
  // A second start says it no second time, and a copy holds both generations.
  Stop();
  Start();
  EXPECT_EQ(Entries(4, 1).at(0).event, "service.started");
  const fs::path second = directory_.path() / "second";
  const auto again = service_->CopyLog(second);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->origin(), "clinic/main/2");
  EXPECT_TRUE(audit::VerifyFolder(second / kFormerLogsFolder / "1", verifier).verified());
  EXPECT_EQ(*ReadFile(second / kGenerationFile, 4096), *ReadFile(GenerationPath(), 4096));
}

TEST_F(AuditGenerationTest, ARestoreThatWasForgottenIsNotTakenForANewLog) {
  ASSERT_TRUE(Append("gateway", Ask("n.okafor")).ok());
  const fs::path copy = directory_.path() / "copy";
  const auto made = service_->CopyLog(copy);
  ASSERT_TRUE(made.ok());
  Restore(copy, *made);
  Start();
  Stop();
  fs::remove(GenerationPath());  // The log is of generation 2, and nothing says why.
  EXPECT_EQ(Open(Options()).status().code(), StatusCode::kFailedPrecondition);
}

TEST_F(AuditGenerationTest, ACheckpointOfAnotherKeyIsCitedAsUnverified) {
  const fs::path copy = directory_.path() / "copy";
  auto made = service_->CopyLog(copy);
  ASSERT_TRUE(made.ok());
  made->mutable_checkpoint()->replace(made->checkpoint().find("\n") + 1, 1, "9");  // Another size.
  Restore(copy, *made);
  Start();
  const json body = json::parse(Entries(0, 1).at(0).body_json);
  EXPECT_EQ(body["former"]["verified"], 0);
  EXPECT_FALSE(body["former"].contains("size"));
}

TEST(LogGenerationTest, TheFileIsReadBackAndEveryDamageIsFound) {
  const TestDirectory directory;
  const auto file = directory.path() / kGenerationFile;
  EXPECT_EQ(ReadGeneration(file)->number, kFirstGeneration);
  const LogGeneration generation{7, std::string(kIdBytes, 'b'), 5, "clinic/main/6\n1\nroot\n"};
  const std::string bytes = SerialiseGeneration(generation);
  const auto read = [&](const std::string& content) {
    std::ofstream(file, std::ios::binary) << content;
    return ReadGeneration(file);
  };
  ASSERT_TRUE(read(bytes).ok());
  EXPECT_EQ(read(bytes)->number, 7u);
  EXPECT_EQ(read(bytes)->former_checkpoint, generation.former_checkpoint);
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string altered = bytes;
    altered[i] = static_cast<char>(altered[i] ^ 1);
    EXPECT_FALSE(read(altered).ok()) << i;
    EXPECT_EQ(read(bytes.substr(0, i)).status().code(), StatusCode::kDataLoss) << i;
  }
  std::string newer = bytes;
  newer[4] = 2;
  EXPECT_EQ(read(newer).status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(*GenerationOf("clinic/main/12"), 12u);
  for (const char* bad : {"clinic", "clinic/main/x", "clinic/main/0", "clinic/main/99999999"}) {
    EXPECT_FALSE(GenerationOf(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace cloister::services
