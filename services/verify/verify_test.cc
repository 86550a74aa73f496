// SPDX-License-Identifier: Apache-2.0
// Runs the real binary: exit status, text and JSON.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "audit/cosignature.h"
#include "audit/receipt.h"
#include "audit/test_support.h"

namespace cloister::services {
namespace {

using ::testing::HasSubstr;

struct Output {
  int status = -1;
  std::string text;  // stdout and stderr.
};

Output RunVerify(const std::string& arguments) {
  Output output;
  FILE* pipe = ::popen((std::string(CLOISTER_VERIFY_BINARY) + " " + arguments + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return output;
  std::array<char, 4096> buffer;
  size_t got = 0;
  while ((got = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0)
    output.text.append(buffer.data(), got);
  output.status = WEXITSTATUS(::pclose(pipe));
  return output;
}

class VerifyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto log = audit::LogWriter::Open(audit::TestOptions(log_.path()), signer_, clock_);
    ASSERT_TRUE(log.ok());
    for (uint64_t i = 0; i < 300; ++i) ASSERT_TRUE((*log)->Append(audit::NumberedEvent(i)).ok());
    ASSERT_TRUE((*log)->WaitForCheckpoint(300, std::chrono::seconds(60)).ok());
    ASSERT_TRUE(audit::ExportTo(**log, folder_).ok());
    const auto receipt = (*log)->Prove(123);
    ASSERT_TRUE(receipt.ok());
    entry_ = *receipt->extra;
    Write("receipt", audit::FormatReceipt(*receipt));
    audit::Receipt bare = *receipt;
    bare.extra.reset();
    Write("bare", audit::FormatReceipt(bare));
    Write("entry", entry_ + "\n");
    key_ = " --key " + (folder_ / "log.vkey").string();
  }
  void Write(const std::string& name, std::string_view bytes) {
    ASSERT_TRUE(WriteFileAtomic(Path(name), bytes, 0600).ok());
  }
  std::string Path(const std::string& name) const { return (files_.path() / name).string(); }

  audit::TemporaryDirectory log_, files_;
  const std::filesystem::path folder_ = files_.path() / "export";
  SystemClock clock_;
  audit::NoteSigner signer_ = audit::TestSigner();
  std::string entry_, key_;
};

TEST_F(VerifyTest, AnExportVerifies) {
  const Output output = RunVerify(folder_.string() + key_);
  EXPECT_EQ(output.status, 0) << output.text;
  EXPECT_THAT(output.text, HasSubstr("VERIFIED: every entry"));
  EXPECT_THAT(output.text, HasSubstr("300 entries"));
  EXPECT_THAT(output.text, HasSubstr("cut back to an older checkpoint"));
  const Output as_json = RunVerify(folder_.string() + key_ + " --json");
  EXPECT_EQ(as_json.status, 0);
  const auto json = nlohmann::json::parse(as_json.text);
  EXPECT_EQ(json["verified"], true);
  EXPECT_EQ(json["size"], 300);
  EXPECT_EQ(json["origin"], "test/main/1");
}

TEST_F(VerifyTest, AnAlteredEntryIsNamed) {
  const auto bundle = folder_ / "tile/entries/000";
  std::string bytes = *ReadFile(bundle, 1 << 24);
  const size_t at = bytes.find("{\"number\":77}");
  ASSERT_NE(at, std::string::npos);
  bytes[at + 10] = '8';
  ASSERT_TRUE(WriteFileAtomic(bundle, bytes, 0600).ok());
  const Output output = RunVerify(folder_.string() + key_);
  EXPECT_EQ(output.status, 1);
  EXPECT_THAT(output.text, HasSubstr("NOT VERIFIED"));
  EXPECT_THAT(output.text, HasSubstr("at entry 77"));
  const auto json = nlohmann::json::parse(RunVerify(folder_.string() + key_ + " --json").text);
  EXPECT_EQ(json["verified"], false);
  EXPECT_GT(json["problem_count"], 0);
}

TEST_F(VerifyTest, AReceiptVerifiesWithTheEntryItCarriesOrTheOneGiven) {
  const Output carried = RunVerify("--receipt " + Path("receipt") + key_);
  EXPECT_EQ(carried.status, 0) << carried.text;
  EXPECT_THAT(carried.text, HasSubstr(std::to_string(entry_.size()) + " bytes; --show-entry prints them"));
  EXPECT_THAT(RunVerify("--show-entry --receipt " + Path("receipt") + key_).text, HasSubstr(entry_));
  EXPECT_EQ(RunVerify("--receipt " + Path("bare") + " --entry " + Path("entry") + key_).status, 0);
  const auto json = nlohmann::json::parse(RunVerify("--json --receipt " + Path("receipt") + key_).text);
  EXPECT_EQ(json["index"], 123);
  EXPECT_EQ(json["entry"], entry_);
}

TEST_F(VerifyTest, AReceiptForAnotherEntryDoesNotVerify) {
  std::string other = entry_;
  other[other.size() / 2] ^= 1;
  Write("other", other);
  for (const std::string receipt : {"bare", "receipt"}) {
    const Output output = RunVerify("--receipt " + Path(receipt) + " --entry " + Path("other") + key_);
    EXPECT_EQ(output.status, 1);
    EXPECT_THAT(output.text, HasSubstr("NOT VERIFIED"));
  }
}

TEST_F(VerifyTest, AnotherKeyDoesNotVerify) {
  Write("key", audit::TestSigner("other/main/1").verifier_key() + "\n");
  EXPECT_EQ(RunVerify(folder_.string() + " --key " + Path("key")).status, 1);
  EXPECT_EQ(RunVerify("--receipt " + Path("receipt") + " --key " + Path("key")).status, 1);
}

TEST_F(VerifyTest, WrongUsageHasItsOwnStatus) {
  EXPECT_EQ(RunVerify("").status, 2);
  EXPECT_EQ(RunVerify(folder_.string()).status, 2);
  EXPECT_EQ(RunVerify(folder_.string() + " --key " + Path("nowhere")).status, 2);
  EXPECT_EQ(RunVerify(folder_.string() + " --key " + Path("entry")).status, 2);
  EXPECT_EQ(RunVerify(Path("nowhere") + key_).status, 2);
  EXPECT_EQ(RunVerify(folder_.string() + " --receipt " + Path("receipt") + key_).status, 2);
  EXPECT_EQ(RunVerify(folder_.string() + " --entry " + Path("entry") + key_).status, 2);
  EXPECT_EQ(RunVerify("--receipt " + Path("nowhere") + key_).status, 2);
  EXPECT_EQ(RunVerify("--receipt " + Path("bare") + key_).status, 2);  // No entry at all.
  EXPECT_EQ(RunVerify("--frobnicate").status, 2);
}

TEST_F(VerifyTest, KeptCheckpointsTellWhatTheFolderCannot) {
  const auto cosigner = *audit::Cosigner::New("witness.example/w1", std::string(32, 'w'));
  const auto sign = [&](uint64_t size, const audit::Hash& root) {
    const std::string text = audit::CheckpointText({"test/main/1", size, root});
    return signer_.Sign(text) + cosigner.Sign(text, 1'795'000'000);
  };
  const std::string own = *ReadFile(folder_ / "checkpoint", 1 << 20);
  const auto checkpoint = *audit::OpenCheckpoint(own, audit::TestVerifier());
  Write("same", sign(300, checkpoint.root));
  Write("longer", sign(301, checkpoint.root));
  Write("forked", sign(300, audit::LeafHash("other")));
  Write("witness.vkey", cosigner.verifier_key());
  Write("other.vkey", audit::Cosigner::New("w2", std::string(32, '2'))->verifier_key());
  const auto kept = [&](const std::string& name) { return " --kept " + Path(name); };
  Output output = RunVerify(folder_.string() + key_ + kept("same") + " --witness-key " + Path("witness.vkey"));
  EXPECT_EQ(output.status, 0) << output.text;
  EXPECT_THAT(output.text, HasSubstr("cosigned by witness.example/w1 at 2026-11-1"));
  EXPECT_THAT(output.text, HasSubstr("begins with every checkpoint"));
  output = RunVerify(folder_.string() + key_ + kept("longer"));
  EXPECT_EQ(output.status, 1);
  EXPECT_THAT(output.text, HasSubstr("it was cut back"));
  output = RunVerify(folder_.string() + key_ + kept("forked") + " --json");
  EXPECT_EQ(output.status, 1);
  EXPECT_THAT(output.text, HasSubstr("forked"));
  output = RunVerify(key_ + kept("same") + kept("forked"));
  EXPECT_EQ(output.status, 1);
  EXPECT_THAT(output.text, HasSubstr("FORKED: "));
  output = RunVerify(key_ + kept("same") + kept("longer"));
  EXPECT_EQ(output.status, 0);
  EXPECT_THAT(output.text, HasSubstr("NO FORK SHOWN"));
  output = RunVerify(key_ + kept("same") + " --witness-key " + Path("other.vkey"));
  EXPECT_EQ(output.status, 1);
  EXPECT_THAT(output.text, HasSubstr("none of the kept checkpoints is cosigned by w2"));
  EXPECT_EQ(RunVerify(key_ + kept("entry")).status, 1);
  EXPECT_EQ(RunVerify(key_ + kept("nothing")).status, 2);
  EXPECT_EQ(RunVerify(folder_.string() + key_ + " --witness-key " + Path("witness.vkey")).status, 2);
  EXPECT_EQ(RunVerify("--receipt " + Path("receipt") + key_ + kept("same")).status, 2);
}

TEST_F(VerifyTest, HelpSaysWhatIsNotProven) {
  const Output output = RunVerify("--help");
  EXPECT_EQ(output.status, 0);
  EXPECT_THAT(output.text, HasSubstr("Not proven"));
  EXPECT_THAT(output.text, HasSubstr("witness"));
}

}  // namespace
}  // namespace cloister::services
