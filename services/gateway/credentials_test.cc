// SPDX-License-Identifier: Apache-2.0
#include "services/gateway/credentials.h"

#include "common/bytes.h"
#include "services/gateway/test_fixture.h"

namespace cloister::services {
namespace {

class CredentialStoreTest : public ::testing::Test {
 protected:
  CredentialStoreTest() { Reopen(); }
  void Reopen() {
    auto opened = CredentialStore::Open(store_, sealed_, *keys_.GetNamedKey(storage::KeyKind::kStore, "rows"), clock_);
    ASSERT_TRUE(opened.ok()) << opened.status();
    credentials_ = *std::move(opened);
  }
  std::string NewToken() {
    EXPECT_TRUE(credentials_->PutUser("a.weber", {}, std::nullopt).ok());
    return std::string((*credentials_->CreateKey("a.weber", "api")).token.view());
  }
  FakeClock clock_{WallTime(std::chrono::seconds(1'800'000'000))};
  storage::MemoryKeySource keys_;
  storage::MemoryStore store_{{"users", "api_keys", "tls"}};
  storage::SealedStore sealed_{store_.database_id(), keys_};
  std::unique_ptr<CredentialStore> credentials_;
};

TEST_F(CredentialStoreTest, AKeyIsItsUsers) {
  const std::string token = NewToken();
  EXPECT_EQ(token.size(), 85u);
  EXPECT_TRUE(token.starts_with("clk_"));
  const auto key = credentials_->CheckToken(token);
  ASSERT_TRUE(key.ok());
  EXPECT_EQ(key->user, "a.weber");
  EXPECT_EQ(key->application, "api");
}

TEST_F(CredentialStoreTest, NoMutatedTokenIsAccepted) {
  const std::string token = NewToken();
  NewToken();  // A neighbour to hit by accident.
  int tried = 0;
  const auto refused = [&](const std::string& mutated) {
    ++tried;
    EXPECT_EQ(credentials_->CheckToken(mutated).status().code(), StatusCode::kUnauthenticated) << mutated;
  };
  for (size_t i = 0; i < token.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string mutated = token;
      mutated[i] = static_cast<char>(mutated[i] ^ (1 << bit));
      refused(mutated);
    }
    refused(token.substr(0, i));
    refused(token.substr(i + 1));
    refused(token.substr(0, i) + "0" + token.substr(i));
    if (i > 0 && token[i] != token[i - 1]) {
      std::string swapped = token;
      std::swap(swapped[i], swapped[i - 1]);
      refused(swapped);
    }
  }
  for (const std::string& other : {token + "\n", " " + token, token + std::string(1, '\0'), std::string("clk_"), std::string()}) {
    refused(other);
  }
  EXPECT_GT(tried, 900);
  EXPECT_TRUE(credentials_->CheckToken(token).ok());
}

TEST_F(CredentialStoreTest, SecretsOfTwoKeysDoNotMix) {
  const std::string one = NewToken();
  const std::string two = NewToken();
  EXPECT_FALSE(credentials_->CheckToken(one.substr(0, 21) + two.substr(21)).ok());
}

TEST_F(CredentialStoreTest, EverythingIsThereAfterReopening) {
  const std::string token = NewToken();
  ASSERT_TRUE(credentials_->PutUser("a.weber", {"auditor"}, "phc").ok());
  ASSERT_TRUE(credentials_->PutUser("a.weber", {"auditor", "compliance"}, std::nullopt).ok());
  Reopen();
  EXPECT_TRUE(credentials_->CheckToken(token).ok());
  const auto user = credentials_->FindUser("a.weber");
  ASSERT_TRUE(user.has_value());
  EXPECT_EQ(user->password_phc, "phc");  // Kept when none was given.
  EXPECT_EQ(user->roles, (std::set<std::string>{"auditor", "compliance"}));
}

TEST_F(CredentialStoreTest, RowsShowNeitherNamesNorSecrets) {
  const std::string token = NewToken();
  const auto snapshot = store_.GetSnapshot();
  for (const char* family : {"users", "api_keys"}) {
    ASSERT_TRUE(snapshot
                    ->Scan(family, "",
                           [&](std::string_view key, std::string_view value) {
                             const std::string row = std::string(key) + std::string(value);
                             EXPECT_EQ(row.find("weber"), std::string::npos);
                             EXPECT_EQ(row.find(token.substr(21)), std::string::npos);
                             EXPECT_EQ(row.find(*HexDecode(token.substr(21))), std::string::npos);
                             return true;
                           })
                    .ok());
  }
}

TEST_F(CredentialStoreTest, RemovingAUserRevokesTheKeys) {
  const std::string token = NewToken();
  EXPECT_TRUE(*credentials_->DeleteUser("a.weber"));
  EXPECT_FALSE(*credentials_->DeleteUser("a.weber"));
  EXPECT_FALSE(credentials_->CheckToken(token).ok());
  Reopen();
  EXPECT_FALSE(credentials_->CheckToken(token).ok());
  EXPECT_FALSE(credentials_->FindUser("a.weber").has_value());
  EXPECT_TRUE(credentials_->ListKeys().empty());
}

TEST_F(CredentialStoreTest, ARevokedKeyIsRefusedAtOnce) {
  const std::string token = NewToken();
  const std::string id = token.substr(4, 16);
  EXPECT_TRUE(*credentials_->RevokeKey(id));
  EXPECT_FALSE(credentials_->CheckToken(token).ok());
  EXPECT_FALSE(*credentials_->RevokeKey(id));
}

TEST_F(CredentialStoreTest, AFailedWriteChangesNothing) {
  const std::string token = NewToken();
  store_.FailWrites(ResourceExhausted("disk full"));
  EXPECT_EQ(credentials_->RevokeKey(token.substr(4, 16)).status().code(), StatusCode::kResourceExhausted);
  EXPECT_TRUE(credentials_->CheckToken(token).ok());
  EXPECT_FALSE(credentials_->PutUser("b", {}, std::nullopt).ok());
  EXPECT_FALSE(credentials_->FindUser("b").has_value());
}

TEST_F(CredentialStoreTest, KeysAreLimitedAndNeedAUser) {
  EXPECT_EQ(credentials_->CreateKey("nobody", "api").status().code(), StatusCode::kNotFound);
  ASSERT_TRUE(credentials_->PutUser("a.weber", {}, std::nullopt).ok());
  for (size_t i = 0; i < kApiKeysPerUserMax; ++i) ASSERT_TRUE(credentials_->CreateKey("a.weber", "api").ok());
  EXPECT_EQ(credentials_->CreateKey("a.weber", "api").status().code(), StatusCode::kResourceExhausted);
}

TEST_F(CredentialStoreTest, AnUnknownRowFormatIsRefused) {
  storage::WriteBatch batch;
  ASSERT_TRUE(sealed_
                  .Put(batch, "users", crypto::RandomId<PrincipalId>().bytes(),
                       *keys_.GetNamedKey(storage::KeyKind::kStore, "rows"), std::string("\x02...", 4))
                  .ok());
  ASSERT_TRUE(store_.Write(batch).ok());
  const auto opened =
      CredentialStore::Open(store_, sealed_, *keys_.GetNamedKey(storage::KeyKind::kStore, "rows"), clock_);
  EXPECT_EQ(opened.status().code(), StatusCode::kFailedPrecondition);
}

TEST_F(CredentialStoreTest, WithoutItsKeyNothingOpens) {
  NewToken();
  const auto row_key = *keys_.GetNamedKey(storage::KeyKind::kStore, "rows");
  keys_.LoseAll();
  EXPECT_EQ(CredentialStore::Open(store_, sealed_, row_key, clock_).status().code(), StatusCode::kDataLoss);
}

TEST(CredentialsTest, NamesPasswordsAndRolesAreChecked) {
  EXPECT_TRUE(CheckName("user", "a.weber_1@x-y").ok());
  for (const std::string& name : {std::string(), std::string("A"), std::string("a b"), std::string("a/b"),
                                  std::string("\xC3\xA9"), std::string(257, 'a'), std::string(kLocalAdministrator)}) {
    EXPECT_EQ(CheckName("user", name).code(), StatusCode::kInvalidArgument) << name;
  }
  EXPECT_FALSE(HashUserPassword("short", kTestCost).ok());
  EXPECT_FALSE(HashUserPassword(std::string(2000, 'a'), kTestCost).ok());
  EXPECT_FALSE(HashUserPassword("with a\nline break", kTestCost).ok());
  EXPECT_TRUE(HashUserPassword("correct horse battery", kTestCost).ok());
  EXPECT_FALSE(CheckRoles({"root"}).ok());
  EXPECT_TRUE(CheckRoles({"auditor", "auditor"}).ok());
}

TEST(LoginThrottleTest, LocksAfterFiveFailuresForLongerAndLonger) {
  FakeClock clock{WallTime()};
  LoginThrottle throttle(clock);
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(throttle.Failed("a"));
  EXPECT_EQ(throttle.LockedFor("a").count(), 0);
  EXPECT_TRUE(throttle.Failed("a"));
  EXPECT_EQ(throttle.LockedFor("a"), kFirstLock);
  EXPECT_EQ(throttle.LockedFor("b").count(), 0);
  clock.Advance(kFirstLock);
  EXPECT_EQ(throttle.LockedFor("a").count(), 0);
  EXPECT_TRUE(throttle.Failed("a"));
  EXPECT_EQ(throttle.LockedFor("a"), 2 * kFirstLock);
  for (int i = 0; i < 30; ++i) throttle.Failed("a");
  EXPECT_EQ(throttle.LockedFor("a"), kLongestLock);
  throttle.Succeeded("a");
  EXPECT_EQ(throttle.LockedFor("a").count(), 0);
}

TEST(LoginThrottleTest, ForgetsQuietNamesAndBoundsItsMemory) {
  FakeClock clock{WallTime()};
  LoginThrottle throttle(clock);
  for (int i = 0; i < 4; ++i) throttle.Failed("a");
  clock.Advance(kFailureMemory + std::chrono::seconds(1));
  EXPECT_FALSE(throttle.Failed("a"));  // The first again.
  for (int i = 0; i < 4; ++i) throttle.Failed("a");
  EXPECT_GT(throttle.LockedFor("a").count(), 0);
  clock.Advance(std::chrono::seconds(1));
  for (size_t i = 0; i < kThrottledNamesMax; ++i) throttle.Failed("n" + std::to_string(i));
  EXPECT_EQ(throttle.LockedFor("a").count(), 0);  // The longest quiet one made room.
}

}  // namespace
}  // namespace cloister::services
