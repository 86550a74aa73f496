// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>

#include "audit/test_support.h"
#include "common/clock.h"
#include "services/witness/witness_folder.h"
#include "services/witness/witness_server.h"

namespace cloister::services {
namespace {

struct Result {
  int exit = -1;
  std::string out;
};
// Both streams.
Result Program(const std::string& arguments) {
  Result result;
  FILE* pipe = ::popen((std::string(CLOISTER_WITNESS_BINARY) + " " + arguments + " 2>&1").c_str(), "r");
  char bytes[4096];
  for (size_t got; (got = ::fread(bytes, 1, sizeof bytes, pipe)) > 0;) result.out.append(bytes, got);
  const int status = ::pclose(pipe);
  result.exit = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

class WitnessProgramTest : public ::testing::Test {
 protected:
  WitnessProgramTest() { std::ofstream(directory_.path() / "log.vkey") << audit::TestSigner().verifier_key() << '\n'; }
  std::string Folder() const { return (directory_.path() / "w").string(); }
  std::string Key() const { return (directory_.path() / "log.vkey").string(); }
  static std::string FirstCheckpoint() {
    const std::string text = audit::CheckpointText({"test/main/1", 1, audit::LeafHash("one")});
    return audit::TestSigner().Sign(text);
  }

  audit::TemporaryDirectory directory_;
  SystemClock clock_;
};

TEST_F(WitnessProgramTest, IsMadeOnceAndKeptPrivate) {
  const Result made = Program("init " + Folder() + " --name witness.example/w1 --host 127.0.0.1 --host w.example");
  ASSERT_EQ(made.exit, 0) << made.out;
  const Result key = Program("key " + Folder());
  EXPECT_NE(made.out.find(key.out.substr(0, key.out.size() - 1)), std::string::npos);
  EXPECT_TRUE(audit::CosignatureVerifier::Parse(key.out).ok());
  for (const char* name : {"key", "certificate.key"}) {
    struct stat info{};
    ASSERT_EQ(::stat((Folder() + "/" + name).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u) << name;
  }
  const Result again = Program("init " + Folder() + " --name witness.example/w1");
  EXPECT_EQ(again.exit, 1);
  EXPECT_NE(again.out.find("already"), std::string::npos);
  EXPECT_EQ(Program("key " + Folder()).out, key.out);
}

TEST_F(WitnessProgramTest, SaysWhatIsMissingOrWrong) {
  EXPECT_NE(Program("key " + Folder()).out.find("cloister-witness init"), std::string::npos);
  EXPECT_EQ(Program("add-log " + Folder() + " --key " + Key()).exit, 1);
  EXPECT_EQ(Program("init " + Folder() + " --name 'two words'").exit, 1);
  EXPECT_EQ(Program("serve").exit, 2);
  EXPECT_EQ(Program("").exit, 2);
  EXPECT_EQ(Program("--help").exit, 0);
  ASSERT_EQ(Program("init " + Folder() + " --name w").exit, 0);
  EXPECT_EQ(Program("add-log " + Folder() + " --key /nowhere").exit, 1);
  std::ofstream(Folder() + "/name", std::ios::trunc) << "\n";
  EXPECT_NE(Program("key " + Folder()).out.find("damaged"), std::string::npos);
}

TEST_F(WitnessProgramTest, ServesTheLogsItWasGiven) {
  ASSERT_EQ(Program("init " + Folder() + " --name w").exit, 0);
  EXPECT_NE(Program("logs " + Folder()).out.find("No log yet"), std::string::npos);
  ASSERT_EQ(Program("add-log " + Folder() + " --key " + Key()).exit, 0);
  ASSERT_EQ(Program("add-log " + Folder() + " --key " + Key()).exit, 0);  // The same again.
  const auto other = *audit::NoteSigner::New("test/main/1", std::string(32, 'o'));
  std::ofstream(directory_.path() / "other.vkey") << other.verifier_key();
  EXPECT_NE(Program("add-log " + Folder() + " --key " + (directory_.path() / "other.vkey").string()).out.find("another key"),
            std::string::npos);
  EXPECT_NE(Program("logs " + Folder()).out.find("test/main/1: nothing cosigned yet"), std::string::npos);
  {
    auto witness = OpenWitness(Folder(), clock_);
    ASSERT_TRUE(witness.ok()) << witness.status();
    ASSERT_EQ((*witness)->Add(witness::Serialise({0, {}, FirstCheckpoint()})).status, 200);
    EXPECT_NE(Program("logs " + Folder()).exit, 0);  // It runs.
  }
  EXPECT_NE(Program("logs " + Folder()).out.find("up to size 1"), std::string::npos);
  EXPECT_NE(Program("logs " + Folder() + " --json").out.find("\"size\": 1"), std::string::npos);
}

// What a client of the Unix socket is answered.
std::string Exchange(const std::filesystem::path& socket, const std::string& request) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, socket.c_str(), sizeof address.sun_path - 1);
  std::string answer;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      ::send(fd, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size())) {
    char bytes[4096];
    for (ssize_t got; (got = ::recv(fd, bytes, sizeof bytes, 0)) > 0;) answer.append(bytes, static_cast<size_t>(got));
  }
  ::close(fd);
  return answer;
}

std::string Post(const std::string& body) {
  return "POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}
std::string Get(const std::string& target) { return "GET " + target + " HTTP/1.1\r\nHost: w\r\nConnection: close\r\n\r\n"; }

TEST_F(WitnessProgramTest, AnswersOverHttp) {
  ASSERT_TRUE(MakeWitnessFolder(Folder(), "w", {}).ok());
  ASSERT_TRUE(AddLog(Folder(), audit::TestSigner().verifier_key()).ok());
  const auto witness = OpenWitness(Folder(), clock_);
  ASSERT_TRUE(witness.ok()) << witness.status();
  HttpServerOptions options;
  options.socket = directory_.path() / "s";
  options.limits = WitnessLimits();
  const std::filesystem::path socket = options.socket;
  const auto server = HttpServer::Start(std::move(options), WitnessHandler(**witness));
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_NE(Exchange(socket, Get("/checkpoint?origin=test/main/1")).find(" 404 "), std::string::npos);
  const std::string added = Exchange(socket, Post(witness::Serialise({0, {}, FirstCheckpoint()})));
  EXPECT_NE(added.find(" 200 "), std::string::npos) << added;
  EXPECT_NE(added.find("\xe2\x80\x94 w "), std::string::npos) << added;
  const std::string conflict = Exchange(socket, Post(witness::Serialise({0, {}, FirstCheckpoint()})));
  EXPECT_NE(conflict.find(" 409 "), std::string::npos);
  EXPECT_NE(conflict.find("text/x.tlog.size"), std::string::npos);
  EXPECT_EQ(conflict.substr(conflict.find("\r\n\r\n") + 4), "1\n");
  EXPECT_NE(Exchange(socket, Get("/checkpoint?origin=test/main/1")).find("test/main/1\n1\n"), std::string::npos);
  EXPECT_NE(Exchange(socket, Get("/checkpoint")).find(" 400 "), std::string::npos);
  EXPECT_NE(Exchange(socket, Get("/checkpoint?origin=other")).find(" 404 "), std::string::npos);
  EXPECT_NE(Exchange(socket, Get("/add-checkpoint")).find(" 405 "), std::string::npos);
  EXPECT_NE(Exchange(socket, Get("/")).find(" 404 "), std::string::npos);
  EXPECT_NE(Exchange(socket, Get("/healthz")).find(" 200 "), std::string::npos);
  EXPECT_NE(Exchange(socket, Post(std::string(witness::kAddCheckpointBytesMax + 1, 'x'))).find(" 413 "), std::string::npos);
}

}  // namespace
}  // namespace cloister::services
