// SPDX-License-Identifier: Apache-2.0
#include "services/cli/passphrase.h"

#include <gtest/gtest.h>
#include <pty.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <vector>

#include "crypto/password.h"
#include "services/server/test_authority.h"

namespace cloister::services {
namespace {

class PassphraseFileTest : public ::testing::Test {
 protected:
  StatusOr<crypto::Secret> Read(const std::string& content, mode_t mode = 0600) {
    std::ofstream(path_, std::ios::binary) << content;
    EXPECT_EQ(::chmod(path_.c_str(), mode), 0);
    return ReadSecretFile(path_, kPassphrase);
  }
  TestDirectory directory_;
  std::filesystem::path path_ = directory_.path() / "pass";
};

TEST_F(PassphraseFileTest, TakesTheOnlyLineWithoutItsEnd) {
  for (const char* content : {"correct horse", "correct horse\n", "correct horse\r\n"}) {
    const auto secret = Read(content);
    ASSERT_TRUE(secret.ok()) << secret.status();
    EXPECT_EQ(secret->view(), "correct horse");
  }
  EXPECT_EQ(Read(" a b \n")->view(), " a b ");
}

TEST_F(PassphraseFileTest, RefusesAFileOthersMayReadWithTheCommandToRun) {
  for (const mode_t mode : {0644, 0640, 0604, 0660, 0620}) {
    const Status status = Read("correct horse", mode).status();
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
    EXPECT_NE(MessageOf(status).find("chmod 600 '" + path_.string() + "'"), std::string::npos);
    EXPECT_EQ(MessageOf(status).find("horse"), std::string::npos);
  }
}

TEST_F(PassphraseFileTest, RefusesEmptyLongAndSeveralLines) {
  EXPECT_EQ(Read("").status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Read("\n").status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Read("one\ntwo\n").status().code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(Read(std::string(crypto::kPassphraseBytesMax, 'x') + "\r\n").ok());
  EXPECT_EQ(Read(std::string(crypto::kPassphraseBytesMax + 1, 'x')).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(Read(std::string(100'000, 'x')).status().code(), StatusCode::kInvalidArgument);
}

TEST_F(PassphraseFileTest, SaysWhatKindOfFileItWas) {
  EXPECT_FALSE(Read("key", 0644).ok());
  EXPECT_NE(MessageOf(ReadSecretFile(path_, kApiKey).status()).find("others may read the API key file"), std::string::npos);
  EXPECT_FALSE(Read("").ok());
  EXPECT_EQ(MessageOf(ReadSecretFile(path_, kPassword).status()), "the password is empty");
}

TEST_F(PassphraseFileTest, ReportsAMissingFile) {
  EXPECT_EQ(ReadSecretFile(path_, kPassphrase).status().code(), StatusCode::kNotFound);
}

// Runs AskPassphrase in a process with a terminal of its own and types `lines` at its prompts.
struct Typed {
  int exit_status = -1;  // 0: got "correct horse"; else the status code.
  std::string screen;
};

Typed Type(bool confirm, const std::vector<std::string>& lines) {
  int master = -1;
  const pid_t child = ::forkpty(&master, nullptr, nullptr, nullptr);
  if (child == 0) {
    const auto secret = AskPassphrase("Passphrase", confirm);
    if (secret.ok()) ::_exit(secret->view() == "correct horse" ? 0 : 99);
    ::_exit(static_cast<int>(secret.status().code()));
  }
  Typed out;
  char c;
  size_t next = 0;
  while (::read(master, &c, 1) == 1) {
    out.screen.push_back(c);
    // Typed only at the prompt: what comes earlier is thrown away with the echo.
    if (out.screen.ends_with(": ") && next < lines.size()) {
      const std::string line = lines[next++] + "\n";
      EXPECT_EQ(::write(master, line.data(), line.size()), static_cast<ssize_t>(line.size()));
    }
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  out.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  ::close(master);
  return out;
}

TEST(AskPassphraseTest, ReadsWithoutEcho) {
  const Typed typed = Type(false, {"correct horse"});
  EXPECT_EQ(typed.exit_status, 0);
  EXPECT_NE(typed.screen.find("Passphrase: "), std::string::npos);
  EXPECT_EQ(typed.screen.find("horse"), std::string::npos);
}

TEST(AskPassphraseTest, AsksTwiceAndComparesWhenANewOneIsMade) {
  EXPECT_EQ(Type(true, {"correct horse", "correct horse"}).exit_status, 0);
  EXPECT_EQ(Type(true, {"correct horse", "wrong horse"}).exit_status,
            static_cast<int>(StatusCode::kFailedPrecondition));
  EXPECT_EQ(Type(true, {""}).exit_status, static_cast<int>(StatusCode::kInvalidArgument));
}

TEST(AskPassphraseTest, SaysWhatToDoWithoutATerminal) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::setsid();  // Leaves the terminal of the test behind.
    ::_exit(static_cast<int>(AskPassphrase("Passphrase", false).status().code()));
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), static_cast<int>(StatusCode::kFailedPrecondition));
}

}  // namespace
}  // namespace cloister::services
