// SPDX-License-Identifier: Apache-2.0
// Against the real cloister-keys, and against small scripts where a service must misbehave.
#include "services/supervisor/supervisor.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <set>
#include <thread>

#include "common/clock.h"
#include "common/file.h"
#include "keyring/keyring.h"
#include "keyring/passphrase_anchor.h"
#include "services/keys/keys_service.h"
#include "services/server/rpc_client.h"
#include "services/server/test_authority.h"
#include "services/supervisor/control_socket.h"
#include "services/supervisor/status_file.h"

namespace cloister::services {
namespace {

constexpr const char* kPassphrase = "correct horse battery";
constexpr crypto::Argon2Cost kCheap{8, 1, 1};
constexpr size_t kAll = 1 << 26;

class SupervisorTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { SetUpGrpc(); }
  void SetUp() override {
    ASSERT_TRUE(MakePrivateDirectory(data_ / "keys").ok());
    const SystemClock clock;
    ASSERT_TRUE(keyring::Keyring::Create({.path = KeyringPath(data_)},
                                         keyring::NewPassphraseAnchor(kPassphrase, kCheap), clock)
                    .ok());
  }

  SupervisorOptions KeysOnly() {
    SupervisorOptions options;
    options.data_directory = data_;
    options.binary_directory = CLOISTER_BINARY_DIRECTORY;
    options.services = {{"keys", 0, true}};
    options.say = [this](std::string_view line) { said_ += std::string(line) + "\n"; };
    return options;
  }

  // A service that is a shell script.
  SupervisorOptions Script(const std::string& name, const std::string& script) {
    const auto path = data_.parent_path() / ("cloister-" + name);
    std::ofstream(path) << "#!/bin/sh\n" << script << "\n";
    EXPECT_EQ(::chmod(path.c_str(), 0700), 0);
    SupervisorOptions options = KeysOnly();
    options.binary_directory = data_.parent_path();
    options.services = {{name, 0}};
    return options;
  }

  // Every file of the keyring's folder with its bytes and time of change.
  std::map<std::string, std::string> KeyFiles() {
    std::map<std::string, std::string> out;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(data_ / "keys")) {
      struct stat info;
      EXPECT_EQ(::stat(entry.path().c_str(), &info), 0);
      out[entry.path().string()] = *ReadFile(entry.path(), kAll) + "@" + std::to_string(info.st_mtim.tv_sec) +
                                   "." + std::to_string(info.st_mtim.tv_nsec);
    }
    return out;
  }

  ServiceStatus StatusOf(size_t index = 0) {
    const auto status = ReadStatus(data_);
    EXPECT_TRUE(status.ok()) << status.status();
    return status.ok() ? status->services[index] : ServiceStatus();
  }

  TestDirectory directory_;
  std::filesystem::path data_ = directory_.path() / "data";
  std::string said_;
};

TEST_F(SupervisorTest, RunsTheRealKeysServiceAndStopsItInOrder) {
  const StopSignal stop;
  auto supervisor = Supervisor::New(KeysOnly(), crypto::Secret(kPassphrase));
  ASSERT_TRUE(supervisor.ok()) << supervisor.status();
  const Status started = (*supervisor)->Start(stop);
  ASSERT_TRUE(started.ok()) << started;
  const ServiceStatus running = StatusOf();
  EXPECT_EQ(running.state, ServiceState::kHealthy);
  EXPECT_EQ(::kill(running.pid, 0), 0);
  EXPECT_EQ(*RunningSupervisor(data_), ::getpid());
  EXPECT_NE(said_.find("keys"), std::string::npos);
  (*supervisor)->Stop();
  EXPECT_EQ(StatusOf().state, ServiceState::kStopped);
  EXPECT_EQ(StatusOf().last_exit, "exit status 0");
  EXPECT_NE(::kill(running.pid, 0), 0);
  supervisor->reset();
  EXPECT_EQ(RunningSupervisor(data_).status().code(), StatusCode::kNotFound);
}

TEST_F(SupervisorTest, AWrongPassphraseIsSaidAndTouchesNothing) {
  const auto before = KeyFiles();
  ASSERT_FALSE(before.empty());
  const StopSignal stop;
  auto supervisor = Supervisor::New(KeysOnly(), crypto::Secret("wrong horse battery"));
  ASSERT_TRUE(supervisor.ok());
  EXPECT_EQ((*supervisor)->Start(stop).code(), StatusCode::kUnauthenticated);
  // Said at once, not after restarts.
  EXPECT_EQ(StatusOf().restarts, 1u);
  EXPECT_EQ(StatusOf().last_exit, "exit status 3");
  supervisor->reset();
  EXPECT_EQ(KeyFiles(), before);
}

TEST_F(SupervisorTest, AKilledServiceIsBackWithANewProcess) {
  StopSignal stop;
  Status started;
  Status watched;
  std::thread owner([&] {
    auto supervisor = Supervisor::New(KeysOnly(), crypto::Secret(kPassphrase));
    ASSERT_TRUE(supervisor.ok());
    started = (*supervisor)->Start(stop);
    watched = (*supervisor)->Watch(stop);
  });
  const auto await_healthy = [&](uint64_t restarts) {
    for (;;) {
      const auto status = ReadStatus(data_);
      if (status.ok() && status->services[0].state == ServiceState::kHealthy &&
          status->services[0].restarts == restarts) {
        return status->services[0];
      }
      ::usleep(5000);
    }
  };
  ServiceStatus service = await_healthy(0);
  for (uint64_t round = 1; round <= 3; ++round) {
    const pid_t killed = service.pid;
    ASSERT_EQ(::kill(killed, SIGKILL), 0);
    service = await_healthy(round);
    EXPECT_NE(service.pid, killed);
    EXPECT_EQ(service.last_exit, "signal 9");
  }
  stop.Request();
  owner.join();
  EXPECT_TRUE(started.ok()) << started;
  EXPECT_TRUE(watched.ok()) << watched;
}

TEST_F(SupervisorTest, OneApplianceRunsOnce) {
  const auto first = Supervisor::New(KeysOnly(), crypto::Secret(kPassphrase));
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(Supervisor::New(KeysOnly(), crypto::Secret(kPassphrase)).status().code(),
            StatusCode::kFailedPrecondition);
}

TEST_F(SupervisorTest, RefusesADirectoryWithoutKeyring) {
  SupervisorOptions options = KeysOnly();
  options.data_directory = directory_.path() / "nothing";
  const Status status = Supervisor::New(std::move(options), crypto::Secret(kPassphrase)).status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(MessageOf(status).find("cloister init"), std::string::npos);
}

TEST_F(SupervisorTest, RefusesAPathTooLongForSockets) {
  SupervisorOptions options = KeysOnly();
  options.data_directory = directory_.path() / std::string(90, 'd');
  const Status status = Supervisor::New(std::move(options), crypto::Secret(kPassphrase)).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(MessageOf(status).find("bytes too long"), std::string::npos);
}

TEST_F(SupervisorTest, AWrongConfigurationIsNamedBeforeAnythingStarts) {
  std::ofstream(data_ / "cloister.toml") << "[gateway]\nlisen = \"x\"\n";
  const Status status = Supervisor::New(KeysOnly(), crypto::Secret(kPassphrase)).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(MessageOf(status).find("gateway.listen"), std::string::npos);
}

TEST_F(SupervisorTest, AMissingProgramIsNamedBeforeAnythingStarts) {
  const StopSignal stop;
  SupervisorOptions options = KeysOnly();
  options.services = {{"keys", 0, true}, {"nothing", 1}};
  auto supervisor = Supervisor::New(std::move(options), crypto::Secret(kPassphrase));
  ASSERT_TRUE(supervisor.ok());
  const Status status = (*supervisor)->Start(stop);
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_NE(MessageOf(status).find("cloister-nothing"), std::string::npos);
  // Nothing else was started for it.
  EXPECT_EQ(StatusOf(0).state, ServiceState::kWaiting);
  EXPECT_EQ(StatusOf(0).pid, 0);
}

TEST_F(SupervisorTest, GivesUpOnAServiceThatNeverStartsAndSaysWhy) {
  const StopSignal stop;
  auto supervisor = Supervisor::New(
      Script("broken", "echo '{\"level\":\"error\",\"message\":\"the disk is on fire\"}' >&2; exit 7"),
      crypto::Secret(kPassphrase));
  ASSERT_TRUE(supervisor.ok());
  const Status status = (*supervisor)->Start(stop);
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_NE(MessageOf(status).find("broken does not start (exit status 7): the disk is on fire"),
            std::string::npos)
      << status;
  EXPECT_EQ(StatusOf().restarts, static_cast<uint64_t>(kStartAttemptsMax));
}

TEST_F(SupervisorTest, EveryStartGetsNewCredentials) {
  const auto seen = directory_.path() / "seen";
  ASSERT_TRUE(MakePrivateDirectory(seen).ok());
  const StopSignal stop;
  auto supervisor = Supervisor::New(Script("broken", "cat <&3 >'" + seen.string() + "'/$$; exit 1"),
                                    crypto::Secret(kPassphrase));
  ASSERT_TRUE(supervisor.ok());
  EXPECT_EQ((*supervisor)->Start(stop).code(), StatusCode::kUnavailable);
  std::set<std::string> certificates;
  for (const auto& entry : std::filesystem::directory_iterator(seen)) {
    const FileDescriptor fd(::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC));
    const auto credentials = ReadCredentials(fd.get());
    ASSERT_TRUE(credentials.ok()) << credentials.status();
    EXPECT_EQ(credentials->identity, "broken");
    certificates.insert(credentials->certificate_pem);
  }
  EXPECT_EQ(certificates.size(), static_cast<size_t>(kStartAttemptsMax));
}

TEST_F(SupervisorTest, OnlyTheKeysServiceIsGivenThePassphrase) {
  const auto seen = directory_.path() / "seen";
  const StopSignal stop;
  auto supervisor = Supervisor::New(Script("curious", "{ echo \"$@\"; ls /proc/self/fd; env; cat <&3; } >'" +
                                                          seen.string() + "' 2>&1; exit 1"),
                                    crypto::Secret(kPassphrase));
  ASSERT_TRUE(supervisor.ok());
  EXPECT_EQ((*supervisor)->Start(stop).code(), StatusCode::kUnavailable);
  const std::string everything = *ReadFile(seen, kAll);
  EXPECT_NE(everything.find("curious"), std::string::npos);
  EXPECT_EQ(everything.find("passphrase"), std::string::npos);
  EXPECT_EQ(everything.find(kPassphrase), std::string::npos);
}

TEST_F(SupervisorTest, AServiceThatIgnoresTheRequestIsKilled) {
  StopSignal stop;
  SupervisorOptions options = Script(
      "stubborn", "trap '' TERM; touch '" + (data_ / "trapped").string() + "'; while :; do sleep 1; done");
  options.stop_grace = std::chrono::milliseconds(50);
  auto supervisor = Supervisor::New(std::move(options), crypto::Secret(kPassphrase));
  ASSERT_TRUE(supervisor.ok());
  std::thread requester([&] {
    while (!std::filesystem::exists(data_ / "trapped")) ::usleep(1000);
    stop.Request();
  });
  EXPECT_TRUE((*supervisor)->Start(stop).ok());  // Asked to stop while starting.
  requester.join();
  const pid_t pid = StatusOf().pid;
  (*supervisor)->Stop();
  EXPECT_EQ(StatusOf().last_exit, "signal 9");
  EXPECT_NE(::kill(pid, 0), 0);
}

TEST_F(SupervisorTest, NothingOfThePassphraseIsInTheDataDirectory) {
  const StopSignal stop;
  auto supervisor = Supervisor::New(KeysOnly(), crypto::Secret(kPassphrase));
  ASSERT_TRUE(supervisor.ok());
  ASSERT_TRUE((*supervisor)->Start(stop).ok());
  supervisor->reset();
  size_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(data_)) {
    if (!entry.is_regular_file()) continue;
    ++files;
    EXPECT_EQ(ReadFile(entry.path(), kAll)->find(kPassphrase), std::string::npos) << entry.path();
  }
  EXPECT_GE(files, 3u);
}

TEST(ApplianceServicesTest, StartInTheOrderOfTheirDependencies) {
  std::map<std::string, int> wave;
  EXPECT_EQ(ApplianceServices(false).size(), 7u);
  for (const ServiceSpec& spec : ApplianceServices(true)) {
    wave[spec.name] = spec.wave;
    EXPECT_EQ(spec.opens_keyring, spec.name == "keys") << spec.name;
  }
  EXPECT_EQ(wave.size(), 8u);
  EXPECT_LT(wave["keys"], wave["relay"]);
  EXPECT_LT(wave["relay"], wave["audit"]);
  EXPECT_LT(wave["audit"], wave["embedding"]);
  EXPECT_EQ(wave["embedding"], wave["generation"]);
  EXPECT_LT(wave["embedding"], wave["retrieval"]);
  EXPECT_LT(wave["retrieval"], wave["ingest"]);
  EXPECT_LT(wave["ingest"], wave["gateway"]);
}

// A supervisor of the real keys service, watched by a thread of its own.
class RunningKeys {
 public:
  RunningKeys(SupervisorOptions options, const std::string& passphrase) : data_(options.data_directory) {
    owner_ = std::thread([this, options = std::move(options), passphrase] {
      auto supervisor = Supervisor::New(options, crypto::Secret(passphrase));
      ASSERT_TRUE(supervisor.ok()) << supervisor.status();
      started = (*supervisor)->Start(stop_);
      if (started.ok()) watched = (*supervisor)->Watch(stop_);
    });
    AwaitHealthy();
  }
  ~RunningKeys() {
    stop_.Request();
    owner_.join();
  }
  pid_t AwaitHealthy() {
    for (;;) {
      const auto status = ReadStatus(data_);
      if (status.ok() && status->services[0].state == ServiceState::kHealthy &&
          ::kill(status->services[0].pid, 0) == 0) {
        return status->services[0].pid;
      }
      ::usleep(5000);
    }
  }
  StatusOr<std::string> Change(std::string_view from, std::string_view to) {
    return SendAnchorRequest(ControlSocketPath(data_),
                             {crypto::Secret(from), crypto::Secret(to), "", "file"});
  }
  Status started, watched;

 private:
  const std::filesystem::path data_;
  StopSignal stop_;
  std::thread owner_;
};

bool Opens(const std::filesystem::path& data, std::string_view passphrase) {
  const SystemClock clock;
  return keyring::Keyring::Open({.path = KeyringPath(data)}, keyring::NewPassphraseAnchor(passphrase), clock)
      .ok();
}

TEST_F(SupervisorTest, AChangedPassphraseStartsKeysAgainAndOnlyTheHolderOfTheFormerOneChangesIt) {
  {
    RunningKeys running(KeysOnly(), kPassphrase);
    EXPECT_EQ(running.Change("wrong horse battery", "five random words").status().code(),
              StatusCode::kUnauthenticated);
    EXPECT_EQ(running.Change(kPassphrase, "short").status().code(), StatusCode::kInvalidArgument);
    const auto changed = running.Change(kPassphrase, "five random words");
    ASSERT_TRUE(changed.ok()) << changed.status();
    EXPECT_NE(changed->find("epoch 2"), std::string::npos);
    const pid_t before = running.AwaitHealthy();
    ::kill(before, SIGKILL);
    while (running.AwaitHealthy() == before) ::usleep(5000);
    EXPECT_EQ(running.Change(kPassphrase, "six random words").status().code(), StatusCode::kUnauthenticated);
  }
  EXPECT_TRUE(Opens(data_, "five random words"));
  EXPECT_FALSE(Opens(data_, kPassphrase));
}

TEST_F(SupervisorTest, KeysKilledInAChangeComesBackAndTheAnswerSaysWhichPassphraseHolds) {
  std::string holds = kPassphrase;
  for (int round = 0; round < 8; ++round) {
    const std::string next = "random words, number " + std::to_string(round);
    StatusOr<std::string> answer = Internal("");
    {
      RunningKeys running(KeysOnly(), holds);
      const pid_t keys = running.AwaitHealthy();
      std::thread killer([&] {
        ::usleep(static_cast<useconds_t>(round) * 60'000);
        ::kill(keys, SIGKILL);
      });
      answer = running.Change(holds, next);
      killer.join();
      running.AwaitHealthy();
    }
    if (answer.ok()) {
      holds = next;
    } else {
      EXPECT_EQ(answer.status().code(), StatusCode::kAborted) << answer.status();
      EXPECT_NE(MessageOf(answer.status()).find("FORMER"), std::string::npos) << answer.status();
    }
    ASSERT_TRUE(Opens(data_, holds)) << round << answer.status();
  }
}

}  // namespace
}  // namespace cloister::services
