// SPDX-License-Identifier: Apache-2.0
#include "services/gateway/tls_identity.h"

#include <sys/stat.h>

#include "common/file.h"
#include "services/http/http_server.h"
#include "services/gateway/test_fixture.h"

namespace cloister::services {
namespace {

class TlsIdentityTest : public ::testing::Test {
 protected:
  TlsIdentityTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "cloister-tls-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
  }
  ~TlsIdentityTest() override { std::filesystem::remove_all(directory_); }
  StatusOr<crypto::CertificateAndKey> Load() {
    return LoadTlsIdentity(store_, sealed_, *keys_.GetNamedKey(storage::KeyKind::kStore, "rows"), names_, clock_,
                           directory_ / "gateway.crt");
  }
  std::string LoadCertificate() {
    auto identity = Load();
    EXPECT_TRUE(identity.ok()) << identity.status();
    return identity.ok() ? identity->certificate_pem : std::string();
  }
  std::filesystem::path directory_;
  FakeClock clock_{WallTime(std::chrono::seconds(1'800'000'000))};
  storage::MemoryKeySource keys_;
  storage::MemoryStore store_{{"users", "api_keys", "tls"}};
  storage::SealedStore sealed_{store_.database_id(), keys_};
  TlsNames names_ = NamesForListener("127.0.0.1:8443");
};

TEST_F(TlsIdentityTest, IsMadeOnceAndShownToClients) {
  const std::string first = LoadCertificate();
  EXPECT_EQ(LoadCertificate(), first);
  EXPECT_EQ(*ReadFile(directory_ / "gateway.crt", 65536), first);
  struct stat info {};
  ASSERT_EQ(::stat((directory_ / "gateway.crt").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0644u);
  EXPECT_EQ(first.find("PRIVATE"), std::string::npos);
}

TEST_F(TlsIdentityTest, IsRenewedBeforeItExpires) {
  const std::string first = LoadCertificate();
  clock_.Advance(kTlsRenewAfter - std::chrono::hours(1));
  EXPECT_EQ(LoadCertificate(), first);
  clock_.Advance(std::chrono::hours(2));
  EXPECT_NE(LoadCertificate(), first);
}

TEST_F(TlsIdentityTest, IsMadeAnewForOtherNames) {
  const std::string first = LoadCertificate();
  names_ = NamesForListener("192.0.2.4:443");
  EXPECT_EQ(names_.ip_addresses.back(), "192.0.2.4");
  EXPECT_NE(LoadCertificate(), first);
}

TEST_F(TlsIdentityTest, NamesCoverLoopbackAndTheListenerButNoWildcardAddress) {
  for (const char* listen : {"127.0.0.1:8443", "0.0.0.0:8443", "[::]:8443", "[::1]:8443"}) {
    EXPECT_EQ(NamesForListener(listen).ip_addresses, (std::vector<std::string>{"127.0.0.1", "::1"})) << listen;
  }
  EXPECT_EQ(NamesForListener("[2001:db8::1]:1").ip_addresses.back(), "2001:db8::1");
  EXPECT_EQ(NamesForListener("127.0.0.1:1").dns_names.front(), "localhost");
}

TEST_F(TlsIdentityTest, TheKeyIsSealedAndADamagedRowIsNotUsed) {
  LoadCertificate();
  std::string row = *store_.Get("tls", "https");
  EXPECT_EQ(row.find("PRIVATE"), std::string::npos);
  row[row.size() / 2] = static_cast<char>(row[row.size() / 2] ^ 1);
  storage::WriteBatch batch;
  batch.Put("tls", "https", row);
  ASSERT_TRUE(store_.Write(batch).ok());
  EXPECT_EQ(Load().status().code(), StatusCode::kDataLoss);
}

TEST_F(TlsIdentityTest, AListenerTakesIt) {
  const auto identity = Load();
  ASSERT_TRUE(identity.ok());
  HttpServerOptions options;
  options.listen = "127.0.0.1:0";
  options.certificate_pem = identity->certificate_pem;
  options.private_key_pem = identity->private_key_pem.view();
  const auto server = HttpServer::Start(options, [](const HttpRequest&, HttpWriter& writer) { writer.Send({}); });
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_NE((*server)->port(), 0);
}

}  // namespace
}  // namespace cloister::services
