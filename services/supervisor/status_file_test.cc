// SPDX-License-Identifier: Apache-2.0
#include "services/supervisor/status_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "common/file.h"
#include "services/server/test_authority.h"

namespace cloister::services {
namespace {

ApplianceStatus Sample() {
  return {42,
          1'700'000'000'000'000'000,
          PassphraseSource::kFile,
          {{"keys", ServiceState::kHealthy, 43, 0, 1, ""},
           {"audit", ServiceState::kWaiting, 0, 3, 2, "signal 9"},
           {"embedding", ServiceState::kStarting, 44, 0, 3, ""},
           {"retrieval", ServiceState::kUnresponsive, 45, 0, 4, ""},
           {"gateway", ServiceState::kStopped, 0, 1, 5, "exit status 0"}}};
}

TEST(StatusFileTest, SurvivesTheRoundTrip) {
  const auto read = ParseStatus(SerialiseStatus(Sample()));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->supervisor_pid, 42);
  EXPECT_EQ(read->since_ns, 1'700'000'000'000'000'000);
  EXPECT_EQ(read->passphrase_source, PassphraseSource::kFile);
  ASSERT_EQ(read->services.size(), Sample().services.size());
  for (size_t i = 0; i < read->services.size(); ++i) {
    EXPECT_EQ(read->services[i].name, Sample().services[i].name);
    EXPECT_EQ(read->services[i].state, Sample().services[i].state);
    EXPECT_EQ(read->services[i].pid, Sample().services[i].pid);
    EXPECT_EQ(read->services[i].restarts, Sample().services[i].restarts);
    EXPECT_EQ(read->services[i].since_ns, Sample().services[i].since_ns);
    EXPECT_EQ(read->services[i].last_exit, Sample().services[i].last_exit);
  }
}

TEST(StatusFileTest, EveryTruncationIsDataLoss) {
  const std::string whole = SerialiseStatus(Sample());
  // The last two characters are the closing brace and the line end.
  for (size_t length = 0; length < whole.size() - 1; ++length) {
    EXPECT_EQ(ParseStatus(whole.substr(0, length)).status().code(), StatusCode::kDataLoss) << length;
  }
}

TEST(StatusFileTest, WrongTypesAndUnknownStatesAreDataLoss) {
  for (const auto& [from, to] :
       std::vector<std::pair<std::string, std::string>>{{"\"pid\": 42", "\"pid\": \"42\""},
                                                        {"\"healthy\"", "\"jolly\""},
                                                        {"\"file\"", "\"cloud\""},
                                                        {"\"restarts\": 3", "\"restarts\": null"}}) {
    std::string text = SerialiseStatus(Sample());
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    EXPECT_EQ(ParseStatus(text).status().code(), StatusCode::kDataLoss) << to;
  }
  EXPECT_EQ(ParseStatus("[]").status().code(), StatusCode::kDataLoss);
}

TEST(StatusFileTest, AnUnknownVersionIsRefusedByNumber) {
  std::string text = SerialiseStatus(Sample());
  const size_t at = text.find("\"version\": 1");
  ASSERT_NE(at, std::string::npos);
  text.replace(at, 12, "\"version\": 7");
  const Status status = ParseStatus(text).status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(MessageOf(status).find('7'), std::string::npos);
}

TEST(StatusFileTest, FileIsPrivateAndMissingIsNotFound) {
  TestDirectory directory;
  EXPECT_EQ(ReadStatus(directory.path()).status().code(), StatusCode::kNotFound);
  ASSERT_TRUE(MakePrivateDirectory(directory.path() / "run").ok());
  ASSERT_TRUE(WriteStatus(directory.path(), Sample()).ok());
  struct stat info;
  ASSERT_EQ(::stat(StatusPath(directory.path()).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0600u);
  EXPECT_EQ(ReadStatus(directory.path())->supervisor_pid, 42);
}

}  // namespace
}  // namespace cloister::services
