// SPDX-License-Identifier: Apache-2.0
#include "crypto/secret.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <thread>
#include <vector>

#include "crypto/random.h"

namespace cloister::crypto {
namespace {

TEST(SecretTest, HoldsWhatItWasGiven) {
  for (const size_t size : {1, 31, 32, 33, 64, 100, 4096, 4097, 100000}) {
    const std::string bytes = RandomBytes(size);
    const Secret secret{std::string_view(bytes)};
    EXPECT_EQ(secret.view(), bytes);
    EXPECT_EQ(secret.Clone().view(), bytes);
    EXPECT_EQ(Secret(size).view(), std::string(size, '\0'));
  }
  EXPECT_TRUE(Secret().empty());
  EXPECT_TRUE(Secret(std::string_view()).empty());
}

// The slot of a secret stays mapped for reuse, so its bytes can be looked at after the end of their owner.
TEST(SecretTest, IsWipedWhenItEnds) {
  for (const size_t size : {32, 64, 1000, 4096}) {
    const char* where = nullptr;
    {
      Secret secret{std::string_view(std::string(size, 'S'))};
      where = secret.data();
      ASSERT_EQ(std::string_view(where, size), std::string(size, 'S'));
    }
    EXPECT_EQ(std::string(where, size), std::string(size, '\0')) << size;
  }
}

TEST(SecretTest, WipesWhatAnAssignmentReplaces) {
  Secret secret{std::string_view("replaced secret of 32 bytes 1234")};
  const char* where = secret.data();
  secret = Secret(std::string_view("another secret of 32 bytes 12345"));
  EXPECT_EQ(secret.view(), "another secret of 32 bytes 12345");
  EXPECT_EQ(std::string(where, 32), std::string(32, '\0'));
}

TEST(SecretTest, MovesWithoutLeavingACopy) {
  Secret from{std::string_view("a secret that moves")};
  const char* where = from.data();
  Secret to(std::move(from));
  EXPECT_EQ(to.data(), where);
  EXPECT_TRUE(from.empty());  // NOLINT(bugprone-use-after-move): the header promises it.
  Secret assigned;
  assigned = std::move(to);
  EXPECT_EQ(assigned.view(), "a secret that moves");
  Secret& self = assigned;
  assigned = std::move(self);
  EXPECT_EQ(assigned.view(), "a secret that moves");
}

TEST(SecretTest, SecretsAliveAtOnceDoNotShareBytes) {
  std::vector<Secret> secrets;
  for (int i = 0; i < 5000; ++i) secrets.push_back(Secret(std::string_view(std::to_string(i))));
  for (int i = 0; i < 5000; ++i) EXPECT_EQ(secrets[static_cast<size_t>(i)].view(), std::to_string(i));
}

TEST(SecretTest, ManyThreadsTakeAndReturnAtOnce) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 2000; ++i) {
        const std::string bytes(static_cast<size_t>(1 + i % 200), static_cast<char>('a' + t));
        const Secret secret{std::string_view(bytes)};
        EXPECT_EQ(secret.view(), bytes);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(WipeTest, OverwritesAndTakesNothing) {
  std::string bytes = "secret";
  Wipe(bytes.data(), bytes.size());
  EXPECT_EQ(bytes, std::string(6, '\0'));
  Wipe(nullptr, 0);
}

TEST(ConstantTimeEqualTest, ComparesBytesAndLengths) {
  EXPECT_TRUE(ConstantTimeEqual("", std::string_view()));
  EXPECT_TRUE(ConstantTimeEqual("same", "same"));
  EXPECT_FALSE(ConstantTimeEqual("same", "samf"));
  EXPECT_FALSE(ConstantTimeEqual("same", "tame"));
  EXPECT_FALSE(ConstantTimeEqual("same", "sam"));
  EXPECT_FALSE(ConstantTimeEqual("", "x"));
}

// In a child, because nothing undoes a hard limit.
TEST(ForbidCoreDumpsTest, SetsBothControls) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    rlimit limit{1, 1};
    const bool ok = ::prctl(PR_GET_DUMPABLE) == 1 && ForbidCoreDumps() && ::prctl(PR_GET_DUMPABLE) == 0 &&
                    ::getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_cur == 0 && limit.rlim_max == 0;
    ::_exit(ok ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(RandomTest, DoesNotRepeat) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    seen.insert(RandomBytes(16));
    seen.insert(std::string(RandomSecret(16).view()));
    seen.insert(std::string(RandomId<KeyId>().bytes()));
  }
  EXPECT_EQ(seen.size(), 3000u);
  EXPECT_EQ(RandomBytes(0), "");
}

}  // namespace
}  // namespace cloister::crypto
