// SPDX-License-Identifier: Apache-2.0
#include "backup/manifest.h"

#include <gtest/gtest.h>

#include "crypto/random.h"
#include "storage/memory_key_source.h"

namespace cloister::backup {
namespace {

class ManifestTest : public testing::Test {
 protected:
  Manifest Example() const {
    Manifest manifest;
    manifest.id = crypto::RandomId<BackupId>();
    manifest.former = crypto::RandomId<BackupId>();
    manifest.created_ns = 1'800'000'000'000'000'000;
    manifest.appliance = appliance_;
    manifest.keyring_generation = 17;
    manifest.epoch = 3;
    manifest.stores = {{"audit", "sections", crypto::RandomId<DatabaseId>(), 12}};
    manifest.log = {"clinic/main/1", 99, std::string(32, 'r'), "clinic/main/1\n99\nxyz\n"};
    manifest.files = {{"audit/sections/rocksdb/000012.sst", std::string(32, 'a'), 4096},
                      {"retrieval/db/acknowledged", std::string(32, 'b'), 40}};
    manifest.settings = {{"cloister.toml", "[gateway]\nlisten = \"canary.example\"\n"}};
    return manifest;
  }
  StatusOr<Manifest> Open(std::string_view bytes) { return OpenManifest(bytes, appliance_, keys_); }

  const DatabaseId appliance_ = crypto::RandomId<DatabaseId>();
  storage::MemoryKeySource keys_;
};

TEST_F(ManifestTest, ComesBackAsItWasAndShowsNothing) {
  const Manifest manifest = Example();
  const auto bytes = SealManifest(manifest, keys_);
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  for (const char* shown : {"canary", "sections", "clinic", ".sst", "toml"}) {
    EXPECT_EQ(bytes->find(shown), std::string::npos) << shown;
  }
  const auto opened = Open(*bytes);
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(*opened, manifest);
  EXPECT_EQ(*ManifestAppliance(*bytes), appliance_);
}

TEST_F(ManifestTest, RefusesEveryFlippedBitAndEveryTruncation) {
  const auto bytes = SealManifest(Example(), keys_);
  ASSERT_TRUE(bytes.ok());
  for (size_t i = 0; i < bytes->size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string altered = *bytes;
      altered[i] = static_cast<char>(altered[i] ^ (1 << bit));
      EXPECT_FALSE(Open(altered).ok()) << i;
    }
    EXPECT_FALSE(Open(std::string_view(*bytes).substr(0, i)).ok()) << i;
  }
  EXPECT_EQ(Open(*bytes + "x").status().code(), StatusCode::kDataLoss);
}

TEST_F(ManifestTest, SaysWhoseAndHowNewItIs) {
  auto bytes = SealManifest(Example(), keys_);
  ASSERT_TRUE(bytes.ok());
  const auto foreign = OpenManifest(*bytes, crypto::RandomId<DatabaseId>(), keys_);
  EXPECT_EQ(foreign.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(MessageOf(foreign.status()).find("another appliance"), std::string::npos);
  (*bytes)[4] = 9;
  const auto newer = Open(*bytes);
  EXPECT_EQ(newer.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(MessageOf(newer.status()).find("format 9"), std::string::npos);
}

// Another keyring of the same appliance id, and a key source that must not be made to create keys.
TEST_F(ManifestTest, NeedsTheKeysItWasMadeWithAndMakesNone) {
  const auto bytes = SealManifest(Example(), keys_);
  ASSERT_TRUE(bytes.ok());
  storage::MemoryKeySource others;
  const auto opened = OpenManifest(*bytes, appliance_, others);
  EXPECT_EQ(opened.status().code(), StatusCode::kDataLoss);
  EXPECT_NE(MessageOf(opened.status()).find("not in this keyring"), std::string::npos);
  storage::MemoryKeySource another_service(keys_, "retrieval");
  EXPECT_EQ(OpenManifest(*bytes, appliance_, another_service).status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(others.created(), 0u);
  keys_.failure = Unavailable("no answer");
  EXPECT_EQ(Open(*bytes).status().code(), StatusCode::kUnavailable);
}

TEST_F(ManifestTest, RefusesPathsThatLeaveTheirFolder) {
  for (const char* bad : {"", "audit", "/audit/x", "audit/../../x", "audit/./x", "audit//x", "keys/keyring",
                          "audit/x/", "audit/a b", "audit/\xc3\xa9", "cloister.toml"}) {
    EXPECT_FALSE(CheckPath(bad).ok()) << bad;
    Manifest manifest = Example();
    manifest.files[0].path = bad;
    EXPECT_EQ(SealManifest(manifest, keys_).status().code(), StatusCode::kInvalidArgument) << bad;
  }
  EXPECT_TRUE(CheckPath("audit/log/tile/0/x001/234.p/5").ok());
  EXPECT_FALSE(CheckPath("audit/" + std::string(kPathBytesMax, 'x')).ok());
  Manifest twice = Example();
  twice.files[1].path = twice.files[0].path;
  EXPECT_FALSE(SealManifest(twice, keys_).ok());
  Manifest setting = Example();
  setting.settings[0].path = "keys/keyring";
  EXPECT_FALSE(SealManifest(setting, keys_).ok());
}

}  // namespace
}  // namespace cloister::backup
