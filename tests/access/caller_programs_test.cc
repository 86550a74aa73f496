// SPDX-License-Identifier: Apache-2.0
// The programs themselves, started as the supervisor starts them but under an authority of the test's own, so
// that it can hold any certificate it likes. What the rules are compiled to is thereby what the programs do.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <map>

#include "services/server/rpc_client.h"
#include "services/server/test_authority.h"
#include "services/supervisor/child.h"
#include "tests/access/caller_table.h"
#include "tests/access/interface.h"

namespace cloister::services {
namespace {

constexpr const char* kPassphrase = "correct horse battery";
constexpr std::chrono::seconds kStartTimeout{180};
constexpr std::chrono::milliseconds kProbeTimeout{250};

class CallerProgramsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { SetUpGrpc(); }

  void SetUp() override {
    const auto passphrase = directory_.path() / "passphrase";
    std::ofstream(passphrase) << kPassphrase << "\n";
    ASSERT_EQ(::chmod(passphrase.c_str(), 0600), 0);
    RunInit(passphrase);
    // No listener on the network: only the inner sockets matter here.
    std::ofstream(data_ / "cloister.toml") << "[gateway]\nlisten = \"\"\n";
    for (const std::string& process : ListeningProcesses()) ASSERT_NO_FATAL_FAILURE(StartAndAwait(process));
  }

  void TearDown() override {
    // In the reverse order, so that nobody waits for one who is gone.
    for (auto child = children_.rbegin(); child != children_.rend(); ++child) child->Kill();
  }

  FileDescriptor OpenLog(const std::string& name) {
    return FileDescriptor(::open((directory_.path() / (name + ".log")).c_str(),
                                 O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  }

  void RunInit(const std::filesystem::path& passphrase) {
    ChildOptions options;
    options.program = std::filesystem::path(CLOISTER_BINARY_DIRECTORY) / "cloister";
    options.arguments = {"--data", data_.string(), "init", "--passphrase-file", passphrase.string()};
    options.environment = ChildEnvironment();
    options.output = OpenLog("init");
    auto child = Child::Start(std::move(options));
    ASSERT_TRUE(child.ok()) << child.status();
    std::optional<int> ended;
    while (!(ended = child->Poll())) ::usleep(10'000);
    ASSERT_EQ(*ended, 0) << "cloister init";
  }

  void StartAndAwait(const std::string& process) {
    ChildOptions options;
    options.program = std::filesystem::path(CLOISTER_BINARY_DIRECTORY) / ("cloister-" + process);
    options.arguments = {
        "--data", data_.string(), "--config", (data_ / "cloister.toml").string(), "--credentials-fd", "3"};
    options.environment = ChildEnvironment();
    options.output = OpenLog(process);
    auto credentials = PipeHolding(SerialiseCredentials(authority_.For(process)));
    ASSERT_TRUE(credentials.ok());
    options.inherited.push_back(*std::move(credentials));
    if (process == "keys") {
      auto passphrase = PipeHolding(kPassphrase);
      ASSERT_TRUE(passphrase.ok());
      options.inherited.push_back(*std::move(passphrase));
      options.arguments.insert(options.arguments.end(), {"--passphrase-fd", "4"});
    }
    auto child = Child::Start(std::move(options));
    ASSERT_TRUE(child.ok()) << child.status();
    children_.push_back(*std::move(child));
    AwaitServing(process);
  }

  // Between listening and being healthy there is a moment in which the answer is no.
  void AwaitServing(const std::string& process) {
    const auto channel = As("supervisor", process);
    const auto deadline = std::chrono::steady_clock::now() + kStartTimeout;
    while (!IsServing(channel, kProbeTimeout)) {
      ASSERT_FALSE(children_.back().Poll().has_value()) << process << " ended";
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << process << " does not become healthy";
    }
  }

  std::filesystem::path SocketOf(const std::string& process) { return data_ / "run" / (process + ".sock"); }
  std::shared_ptr<grpc::Channel> As(const std::string& caller, const std::string& process) {
    return Connect(authority_.For(caller), process, SocketOf(process));
  }

  TestDirectory directory_;
  std::filesystem::path data_ = directory_.path() / "d";
  TestAuthority authority_;
  std::vector<Child> children_;
};

TEST_F(CallerProgramsTest, TheProgramsKeepToTheTable) {
  const std::vector<std::string> methods = DeclaredMethods(CLOISTER_INTERFACE);
  const TestAuthority foreign;
  int allowed = 0, refused = 0;
  for (const std::string& process : ListeningProcesses()) {
    for (const std::string& caller : CallersToTry()) {
      const auto channel = As(caller, process);
      ASSERT_TRUE(channel->WaitForConnected(std::chrono::system_clock::now() + kCallTimeout)) << process;
      for (const std::string& method : methods) {
        const grpc::Status status = CallRaw(channel, method);
        const bool may = MayCall(process, method, caller);
        (may ? allowed : refused) += 1;
        EXPECT_EQ(WasRefused(status), !may) << caller << " calls " << method << " of " << process << ": "
                                            << status.error_code() << " " << status.error_message();
        EXPECT_FALSE(may && status.error_code() == grpc::UNIMPLEMENTED)
            << process << " does not serve " << method;
      }
    }
    for (const Unproven& caller :
         UnprovenCallers(authority_.For("gateway"), foreign.For("gateway"), process, SocketOf(process))) {
      for (const std::string& method : methods) {
        EXPECT_EQ(CallRaw(caller.channel, method).error_code(), grpc::UNAVAILABLE)
            << caller.what << " " << method;
        ++refused;
      }
    }
  }
  std::printf("%d calls let through, %d refused\n", allowed, refused);
  // All are alive still: no refusal, and no empty message, ended one.
  for (const std::string& process : ListeningProcesses())
    EXPECT_TRUE(IsServing(As("supervisor", process), kCallTimeout)) << process;
}

}  // namespace
}  // namespace cloister::services
