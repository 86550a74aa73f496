// SPDX-License-Identifier: Apache-2.0
#include "common/log.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "common/bytes.h"

namespace cloister {
namespace {

class LogTest : public testing::Test {
 protected:
  void SetUp() override { StartLog("retrieval", LogLevel::kInfo); }

  template <class Act>
  static std::string Captured(Act act) {
    testing::internal::CaptureStderr();
    act();
    return testing::internal::GetCapturedStderr();
  }
};

TEST_F(LogTest, WritesOneJsonObjectALine) {
  const std::string line = Captured([] {
    Log(LogLevel::kWarning, "audit.append_failed",
        {{"sequence", int64_t{-7}}, {"code", std::string("DATA_LOSS")}});
  });
  const size_t time = line.find("2");
  EXPECT_EQ(line.substr(0, time), R"({"time":")");
  std::string shape = line.substr(time, 30);
  for (char& c : shape) c = c >= '0' && c <= '9' ? 'd' : c;
  EXPECT_EQ(shape, "dddd-dd-ddTdd:dd:dd.dddddddddZ");
  EXPECT_EQ(line.substr(time + 30),
            R"(","level":"warning","service":"retrieval","event":"audit.append_failed","sequence":-7,)"
            R"("code":"DATA_LOSS"})"
            "\n");
}

TEST_F(LogTest, WithholdsFieldsThatAreNotOnTheList) {
  const std::string line = Captured([] {
    Log(LogLevel::kError, "event",
        {{"question", std::string("who was ill")}, {"count", int64_t{3}}, {"passphrase", int64_t{1234567}}});
  });
  EXPECT_EQ(line.find("who was ill"), std::string::npos);
  EXPECT_EQ(line.find("1234567"), std::string::npos);
  EXPECT_NE(line.find(R"j("question":"(withheld)","count":3,"passphrase":"(withheld)"})j"), std::string::npos)
      << line;
}

TEST_F(LogTest, StripsControlCharactersAndEscapesQuotes) {
  const std::string line = Captured([] {
    Log(LogLevel::kInfo, "ev\nent",
        {{"message", std::string("a\nb\r\t\x1b[31m\x7f\0c\"d\\e", 17) + "\xc2\x9b" + "f\xc2\xa0ü"}});
  });
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1) << line;
  for (const char c : line.substr(0, line.size() - 1)) EXPECT_FALSE((c >= 0 && c < 0x20) || c == 0x7f);
  EXPECT_EQ(line.find("\xc2\x9b"), std::string::npos);
  EXPECT_NE(line.find(R"(c\"d\\e f)"
                      "\xc2\xa0ü\""),
            std::string::npos)
      << line;
}

TEST_F(LogTest, CutsLongValuesBetweenCharacters) {
  for (size_t lead = 0; lead < 4; ++lead) {
    std::string value(lead, 'x');
    while (value.size() < 600) value += "語";
    const std::string line = Captured([&] { Log(LogLevel::kInfo, "event", {{"message", value}}); });
    EXPECT_TRUE(IsUtf8(line));
    const size_t start = line.find("\"message\":\"") + 11;
    const size_t bytes = line.rfind('"') - start;
    EXPECT_LE(bytes, 400u);
    EXPECT_GT(bytes, 400u - 3);
  }
}

TEST_F(LogTest, ReplacesBytesThatAreNotUtf8) {
  const std::string line = Captured([] {
    Log(LogLevel::kInfo, "event", {{"message", std::string("a\xff\xc2")}});
  });
  EXPECT_TRUE(IsUtf8(line));
  EXPECT_NE(line.find(R"("message":"a??")"), std::string::npos) << line;
}

TEST_F(LogTest, LeavesOutWhatIsBelowTheLeastLevel) {
  EXPECT_EQ(Captured([] { Log(LogLevel::kDebug, "event"); }), "");
  EXPECT_NE(Captured([] { Log(LogLevel::kInfo, "event"); }), "");
  StartLog("retrieval", LogLevel::kError);
  EXPECT_EQ(Captured([] { Log(LogLevel::kWarning, "event"); }), "");
}

TEST_F(LogTest, LogsCodeAndMessageOfAStatus) {
  const std::string line =
      Captured([] { LogStatus(LogLevel::kError, "storage.failed", Unavailable("the disk is gone")); });
  EXPECT_NE(line.find(R"("event":"storage.failed","code":"UNAVAILABLE","message":"the disk is gone"})"),
            std::string::npos)
      << line;
}

TEST_F(LogTest, LinesOfManyThreadsDoNotMix) {
  const std::string lines = Captured([] {
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([] {
        for (int i = 0; i < 50; ++i) Log(LogLevel::kInfo, "event", {{"message", std::string(150, 'm')}});
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
  size_t count = 0;
  for (size_t start = 0, end; (end = lines.find('\n', start)) != std::string::npos;
       start = end + 1, ++count) {
    const std::string line = lines.substr(start, end - start);
    EXPECT_TRUE(line.starts_with("{\"time\"") && line.ends_with("m\"}")) << line;
  }
  EXPECT_EQ(count, 200u);
}

}  // namespace
}  // namespace cloister
