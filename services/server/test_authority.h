// SPDX-License-Identifier: Apache-2.0
// For tests: a certificate authority of its own and a private temporary directory for sockets.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include "crypto/certificate.h"
#include "services/server/credentials.h"

namespace cloister::services {

class TestAuthority {
 public:
  TestAuthority() : authority_(crypto::CertificateAuthority::New("test", std::chrono::hours(1))) {
    EXPECT_TRUE(authority_.ok());
  }
  RpcCredentials For(std::string_view identity) const { return ForDnsName(identity, DnsNameOf(identity)); }
  // A certificate whose name need not be that of the identity.
  RpcCredentials ForDnsName(std::string_view identity, std::string_view dns_name) const {
    auto leaf = authority_->Issue(dns_name, std::chrono::hours(1));
    EXPECT_TRUE(leaf.ok());
    return {std::string(identity), authority_->certificate_pem(), leaf->certificate_pem,
            std::move(leaf->private_key_pem)};
  }

 private:
  StatusOr<crypto::CertificateAuthority> authority_;
};

// Removed with all it holds. Its path is short enough for sockets.
class TestDirectory {
 public:
  TestDirectory() {
    char path[] = "/tmp/cloister-XXXXXX";
    EXPECT_NE(::mkdtemp(path), nullptr);
    path_ = path;
  }
  ~TestDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace cloister::services
