// SPDX-License-Identifier: Apache-2.0
#include "services/server/credentials.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "common/file.h"

namespace cloister::services {
namespace {

RpcCredentials Sample() { return {"retrieval", "ca", "certificate", crypto::Secret("key")}; }

StatusOr<RpcCredentials> ReadFrom(const std::string& bytes) {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  FileDescriptor reader(ends[0]);
  std::thread writer([fd = ends[1], &bytes] {
    // A reader that gives up early makes this fail, as it should.
    (void)WriteAll(fd, bytes);
    ::close(fd);
  });
  auto out = ReadCredentials(reader.get());
  reader.Reset();
  writer.join();
  return out;
}

TEST(CredentialsTest, SurvivesThePipe) {
  const auto read = ReadFrom(SerialiseCredentials(Sample()));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->identity, "retrieval");
  EXPECT_EQ(read->ca_pem, "ca");
  EXPECT_EQ(read->certificate_pem, "certificate");
  EXPECT_EQ(read->private_key_pem.view(), "key");
}

TEST(CredentialsTest, RefusesEveryTruncationAndAnExtension) {
  const std::string whole = SerialiseCredentials(Sample());
  for (size_t length = 0; length < whole.size(); ++length) {
    EXPECT_EQ(ReadFrom(whole.substr(0, length)).status().code(), StatusCode::kFailedPrecondition) << length;
  }
  EXPECT_EQ(ReadFrom(whole + "x").status().code(), StatusCode::kFailedPrecondition);
}

TEST(CredentialsTest, RefusesAnEmptyIdentity) {
  RpcCredentials nobody = Sample();
  nobody.identity.clear();
  EXPECT_EQ(ReadFrom(SerialiseCredentials(nobody)).status().code(), StatusCode::kFailedPrecondition);
}

TEST(CredentialsTest, RefusesMoreThanAnyCredentialsHave) {
  EXPECT_EQ(ReadFrom(std::string(64 * 1024 + 1, 'x')).status().code(), StatusCode::kResourceExhausted);
}

TEST(CredentialsTest, ReportsAnUnreadableDescriptor) {
  EXPECT_EQ(ReadCredentials(-1).status().code(), StatusCode::kUnavailable);
}

TEST(CredentialsTest, CloneIsIndependent) {
  RpcCredentials original = Sample();
  const RpcCredentials copy = original.Clone();
  original.private_key_pem = crypto::Secret("other");
  EXPECT_EQ(copy.private_key_pem.view(), "key");
  EXPECT_EQ(copy.identity, "retrieval");
}

TEST(CredentialsTest, DnsNameCarriesTheIdentity) { EXPECT_EQ(DnsNameOf("audit"), "audit.cloister.internal"); }

}  // namespace
}  // namespace cloister::services
