// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/file.h"
#include "crypto/hash.h"
#include "inference/model_registry.h"
#include "services/cli/commands.h"
#include "services/keys/keys_service.h"
#include "services/server/test_authority.h"
#include "keyring/keyring.h"
#include "keyring/passphrase_anchor.h"

namespace cloister::services {
namespace {

constexpr size_t kAll = 1 << 20;

struct Result {
  int exit = -1;
  std::string out;
  std::string error;
};

class InitTest : public ::testing::Test {
 protected:
  void SetUp() override {
    WriteModels("pretend weights");
    ASSERT_EQ(::setenv("CLOISTER_MODELS_DIRECTORY", models_.c_str(), 1), 0);
    WritePassphrase("correct horse battery\n");
  }
  void TearDown() override { ::unsetenv("CLOISTER_MODELS_DIRECTORY"); }

  void WritePassphrase(const std::string& text) {
    std::ofstream(passphrase_) << text;
    ASSERT_EQ(::chmod(passphrase_.c_str(), 0600), 0);
  }

  // Models are opaque here: only their digests matter.
  void WriteModels(const std::string& weights) {
    std::filesystem::create_directories(models_);
    std::ofstream(models_ / "e.gguf") << weights;
    const nlohmann::json embedder = {
        {"name", "e"},       {"role", "embedder"},
        {"file", "e.gguf"},  {"sha256", HexEncode(crypto::Sha256("pretend weights"))},
        {"licence", "MIT"},  {"source", "test"},
        {"tokens_max", 512}, {"dimension", 4},
        {"pooling", "cls"},  {"question_prefix", ""}};
    std::ofstream(models_ / "manifest.json") << nlohmann::json{{"format", 1}, {"models", {embedder}}}.dump();
  }

  Result Run(std::vector<std::string> arguments) {
    std::ostringstream out;
    std::ostringstream error;
    CLI::App app;
    app.fallthrough();
    CliContext context(out, error);
    app.add_option("--data", context.data_flag);
    AddInitCommand(app, context);
    AddStatusCommand(app, context);
    AddUpCommand(app, context);
    AddDownCommand(app, context);
    arguments.insert(arguments.end(), {"--data", data_.string()});
    std::reverse(arguments.begin(), arguments.end());
    app.parse(arguments);
    const int exit = context.command();
    return {exit, out.str(), error.str()};
  }
  Result Init() { return Run({"init", "--passphrase-file", passphrase_.string()}); }

  TestDirectory directory_;
  std::filesystem::path data_ = directory_.path() / "data";
  std::filesystem::path models_ = directory_.path() / "models";
  std::filesystem::path passphrase_ = directory_.path() / "pass";
};

TEST_F(InitTest, MakesAPrivateApplianceAndSaysWhatToDoNext) {
  const Result result = Init();
  ASSERT_EQ(result.exit, kExitOk) << result.error;
  EXPECT_NE(result.out.find("cloister up"), std::string::npos);
  EXPECT_NE(result.out.find("Theft of this machine is not covered"), std::string::npos);
  EXPECT_EQ((result.out + result.error).find("correct horse"), std::string::npos);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(data_)) {
    struct stat info;
    ASSERT_EQ(::stat(entry.path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 077u, 0u) << entry.path();
    if (entry.is_regular_file()) {
      EXPECT_EQ(ReadFile(entry.path(), kAll)->find("correct horse"), std::string::npos) << entry.path();
    }
  }
}

TEST_F(InitTest, ThePassphraseOpensTheKeyringAndItsKeySignedTheModels) {
  ASSERT_EQ(Init().exit, kExitOk);
  const SystemClock clock;
  const auto keyring = keyring::Keyring::Open({.path = KeyringPath(data_)},
                                               keyring::NewPassphraseAnchor("correct horse battery"), clock);
  ASSERT_TRUE(keyring.ok()) << keyring.status();
  const auto public_key = (*keyring)->PublicKeyOf("supervisor", "models");
  ASSERT_TRUE(public_key.ok()) << public_key.status();
  const auto manifest =
      inference::OpenSignedManifest(*ReadFile(data_ / "models" / "manifest", kAll), *public_key);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->models[0].name, "e");
}

TEST_F(InitTest, RefusesAnExistingApplianceAndChangesNothing) {
  ASSERT_EQ(Init().exit, kExitOk);
  const std::string before = *ReadFile(KeyringPath(data_), kAll);
  WritePassphrase("another horse battery\n");
  const Result result = Init();
  EXPECT_EQ(result.exit, kExitFailed);
  EXPECT_NE(result.error.find("already"), std::string::npos);
  EXPECT_EQ(*ReadFile(KeyringPath(data_), kAll), before);
}

TEST_F(InitTest, RefusesAShortPassphraseAndLeavesNothingBehind) {
  WritePassphrase("short\n");
  const Result result = Init();
  EXPECT_EQ(result.exit, kExitFailed);
  EXPECT_NE(result.error.find("at least 12"), std::string::npos);
  EXPECT_EQ(result.error.find("short"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(data_));
}

TEST_F(InitTest, RefusesAnAlteredModelAndLeavesNothingBehind) {
  WriteModels("pretend Weights");
  const Result result = Init();
  EXPECT_EQ(result.exit, kExitFailed);
  EXPECT_NE(result.error.find("model e"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(data_));
}

TEST_F(InitTest, SaysHowToGetModelsThatAreNotThere) {
  std::filesystem::remove(models_ / "manifest.json");
  const Result result = Init();
  EXPECT_EQ(result.exit, kExitFailed);
  EXPECT_NE(result.error.find("./deploy/setup"), std::string::npos);
}

TEST_F(InitTest, RefusesADirectoryOthersMayLookInto) {
  std::filesystem::create_directory(data_);
  ASSERT_EQ(::chmod(data_.c_str(), 0755), 0);
  const Result result = Init();
  EXPECT_EQ(result.exit, kExitFailed);
  EXPECT_NE(result.error.find("chmod 700"), std::string::npos);
}

TEST_F(InitTest, KeepsAConfigurationThatIsThereAndRefusesAWrongOne) {
  ASSERT_TRUE(MakePrivateDirectory(data_).ok());
  std::ofstream(data_ / "cloister.toml") << "[appliance]\nname = \"ward\"\n";
  ASSERT_EQ(Init().exit, kExitOk);
  EXPECT_EQ(*ReadFile(data_ / "cloister.toml", kAll), "[appliance]\nname = \"ward\"\n");

  std::filesystem::remove_all(data_);
  ASSERT_TRUE(MakePrivateDirectory(data_).ok());
  std::ofstream(data_ / "cloister.toml") << "[appliance]\nnam = \"ward\"\n";
  const Result result = Init();
  EXPECT_EQ(result.exit, kExitFailed);
  EXPECT_NE(result.error.find("did you mean 'appliance.name'"), std::string::npos);
}

TEST_F(InitTest, StatusUpAndDownSpeakPlainlyOfAStoppedAppliance) {
  Result result = Run({"status"});
  EXPECT_EQ(result.exit, kExitFailed);
  EXPECT_NE(result.out.find("cloister init"), std::string::npos);
  result = Run({"up", "--passphrase-file", passphrase_.string()});
  EXPECT_EQ(result.exit, kExitFailed);
  EXPECT_NE(result.error.find("cloister init"), std::string::npos);

  ASSERT_EQ(Init().exit, kExitOk);
  result = Run({"status"});
  EXPECT_EQ(result.exit, kExitFailed);
  EXPECT_NE(result.out.find("stopped; start it with `cloister up`"), std::string::npos);
  result = Run({"down"});
  EXPECT_EQ(result.exit, kExitOk);
  EXPECT_NE(result.out.find("not running"), std::string::npos);

  result = Run({"status", "--json"});
  const auto json = nlohmann::json::parse(result.out);
  EXPECT_EQ(json["initialised"], true);
  EXPECT_EQ(json["running"], false);
  EXPECT_TRUE(json["index"].is_null());
}

}  // namespace
}  // namespace cloister::services
