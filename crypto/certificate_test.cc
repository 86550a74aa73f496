// SPDX-License-Identifier: Apache-2.0
#include "crypto/certificate.h"

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>

#include "crypto/openssl.h"

namespace cloister::crypto {
namespace {

using StorePtr = std::unique_ptr<X509_STORE, OpenSslDeleter<X509_STORE_free>>;
using StoreContextPtr = std::unique_ptr<X509_STORE_CTX, OpenSslDeleter<X509_STORE_CTX_free>>;

constexpr std::chrono::hours kDay{24};

X509Ptr Parse(const std::string& pem) {
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return X509Ptr(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
}

// Verifies as a TLS library would, strictly by RFC 5280.
bool Verifies(const std::string& leaf_pem, const std::string& root_pem, int purpose, std::string_view host,
              bool host_is_address = false) {
  const X509Ptr leaf = Parse(leaf_pem), root = Parse(root_pem);
  const StorePtr store(X509_STORE_new());
  const StoreContextPtr context(X509_STORE_CTX_new());
  if (leaf == nullptr || root == nullptr || X509_STORE_add_cert(store.get(), root.get()) != 1) return false;
  if (X509_STORE_CTX_init(context.get(), store.get(), leaf.get(), nullptr) != 1) return false;
  X509_VERIFY_PARAM* parameters = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_X509_STRICT);
  X509_VERIFY_PARAM_set_purpose(parameters, purpose);
  const std::string name(host);
  if (host_is_address) {
    X509_VERIFY_PARAM_set1_ip_asc(parameters, name.c_str());
  } else {
    X509_VERIFY_PARAM_set1_host(parameters, name.data(), name.size());
  }
  const bool ok = X509_verify_cert(context.get()) == 1;
  if (!ok) {
    std::printf("  (refused: %s)\n", X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get())));
  }
  return ok;
}

bool KeyFits(const CertificateAndKey& pair) {
  const X509Ptr certificate = Parse(pair.certificate_pem);
  const std::string_view pem = pair.private_key_pem.view();
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const PkeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  return certificate != nullptr && key != nullptr &&
         X509_check_private_key(certificate.get(), key.get()) == 1;
}

class CertificateAuthorityTest : public testing::Test {
 protected:
  StatusOr<CertificateAuthority> authority_ = CertificateAuthority::New("Cloister run", kDay);
};

TEST_F(CertificateAuthorityTest, IssuesLeavesThatVerifyForClientAndServer) {
  ASSERT_TRUE(authority_.ok());
  const auto leaf = authority_->Issue("retrieval.cloister.internal", kDay);
  ASSERT_TRUE(leaf.ok());
  EXPECT_TRUE(KeyFits(*leaf));
  for (const int purpose : {X509_PURPOSE_SSL_SERVER, X509_PURPOSE_SSL_CLIENT}) {
    EXPECT_TRUE(Verifies(leaf->certificate_pem, authority_->certificate_pem(), purpose,
                         "retrieval.cloister.internal"));
  }
  EXPECT_FALSE(Verifies(leaf->certificate_pem, authority_->certificate_pem(), X509_PURPOSE_SSL_SERVER,
                        "keys.cloister.internal"));
}

TEST_F(CertificateAuthorityTest, LeavesOfAnotherAuthorityDoNotVerify) {
  const auto other = CertificateAuthority::New("Cloister run", kDay);
  ASSERT_TRUE(authority_.ok() && other.ok());
  const auto leaf = other->Issue("keys.cloister.internal", kDay);
  ASSERT_TRUE(leaf.ok());
  EXPECT_FALSE(Verifies(leaf->certificate_pem, authority_->certificate_pem(), X509_PURPOSE_SSL_SERVER,
                        "keys.cloister.internal"));
}

TEST_F(CertificateAuthorityTest, LeavesAreNoAuthorities) {
  ASSERT_TRUE(authority_.ok());
  const auto leaf = authority_->Issue("keys.cloister.internal", kDay);
  ASSERT_TRUE(leaf.ok());
  EXPECT_EQ(X509_check_ca(Parse(leaf->certificate_pem).get()), 0);
  EXPECT_EQ(X509_check_ca(Parse(authority_->certificate_pem()).get()), 1);
}

TEST_F(CertificateAuthorityTest, EveryLeafHasItsOwnSerialAndKey) {
  ASSERT_TRUE(authority_.ok());
  const auto a = authority_->Issue("keys.cloister.internal", kDay);
  const auto b = authority_->Issue("keys.cloister.internal", kDay);
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_NE(a->private_key_pem.view(), b->private_key_pem.view());
  EXPECT_NE(ASN1_INTEGER_cmp(X509_get0_serialNumber(Parse(a->certificate_pem).get()),
                             X509_get0_serialNumber(Parse(b->certificate_pem).get())),
            0);
}

TEST_F(CertificateAuthorityTest, EndsWhenItsLifetimeDoes) {
  ASSERT_TRUE(authority_.ok());
  const auto leaf = authority_->Issue("keys.cloister.internal", std::chrono::hours(2));
  ASSERT_TRUE(leaf.ok());
  const X509Ptr certificate = Parse(leaf->certificate_pem);
  int days = 0, seconds = 0;
  ASSERT_EQ(ASN1_TIME_diff(&days, &seconds, X509_get0_notBefore(certificate.get()),
                           X509_get0_notAfter(certificate.get())),
            1);
  EXPECT_EQ(days * 86400 + seconds, 2 * 3600 + 300);  // Back-dated by five minutes.
}

TEST_F(CertificateAuthorityTest, RefusesNamesThatAreNotDnsNames) {
  ASSERT_TRUE(authority_.ok());
  for (const std::string& name : {std::string(), std::string("a b"), std::string("a,DNS:b"),
                                  std::string("a\0b", 3), std::string("ü"), std::string(254, 'a')}) {
    EXPECT_EQ(authority_->Issue(name, kDay).status().code(), StatusCode::kInvalidArgument) << name;
  }
}

TEST_F(CertificateAuthorityTest, RefusesNamesAndLifetimesOutOfBounds) {
  EXPECT_EQ(CertificateAuthority::New("", kDay).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(CertificateAuthority::New(std::string(65, 'a'), kDay).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(CertificateAuthority::New("a", std::chrono::hours(0)).status().code(),
            StatusCode::kInvalidArgument);
  ASSERT_TRUE(authority_.ok());
  EXPECT_EQ(authority_->Issue("a", std::chrono::hours(24 * 365 * 20 + 1)).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(authority_->Issue("a", std::chrono::hours(-1)).status().code(), StatusCode::kInvalidArgument);
}

TEST_F(CertificateAuthorityTest, LongDnsNamesStandInTheAlternativeName) {
  ASSERT_TRUE(authority_.ok());
  const std::string name = std::string(60, 'a') + "." + std::string(60, 'b');
  const auto leaf = authority_->Issue(name, kDay);
  ASSERT_TRUE(leaf.ok());
  EXPECT_EQ(X509_check_host(Parse(leaf->certificate_pem).get(), name.data(), name.size(), 0, nullptr), 1);
}

TEST(SelfSignedCertificateTest, VerifiesForEachNameAndAddressWhenTrusted) {
  const auto pair = SelfSignedCertificate({"localhost", "clinic.example"}, {"127.0.0.1", "::1"}, kDay);
  ASSERT_TRUE(pair.ok());
  EXPECT_TRUE(KeyFits(*pair));
  for (const char* host : {"localhost", "clinic.example"}) {
    EXPECT_TRUE(Verifies(pair->certificate_pem, pair->certificate_pem, X509_PURPOSE_SSL_SERVER, host))
        << host;
  }
  for (const char* address : {"127.0.0.1", "::1"}) {
    EXPECT_TRUE(
        Verifies(pair->certificate_pem, pair->certificate_pem, X509_PURPOSE_SSL_SERVER, address, true))
        << address;
  }
  EXPECT_FALSE(
      Verifies(pair->certificate_pem, pair->certificate_pem, X509_PURPOSE_SSL_SERVER, "other.example"));
  EXPECT_FALSE(
      Verifies(pair->certificate_pem, pair->certificate_pem, X509_PURPOSE_SSL_SERVER, "127.0.0.2", true));
}

TEST(SelfSignedCertificateTest, RefusesMalformedNamesAndNoNames) {
  EXPECT_EQ(SelfSignedCertificate({}, {}, kDay).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(SelfSignedCertificate({"a b"}, {}, kDay).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(SelfSignedCertificate({}, {"127.0.0"}, kDay).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(SelfSignedCertificate({}, {"localhost"}, kDay).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(SelfSignedCertificate(std::vector<std::string>(65, "a"), {}, kDay).status().code(),
            StatusCode::kInvalidArgument);
}

TEST(CertificateFingerprintTest, IsTheDigestOfTheDerForm) {
  const auto pair = SelfSignedCertificate({"localhost"}, {}, kDay);
  ASSERT_TRUE(pair.ok());
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  ASSERT_EQ(X509_digest(Parse(pair->certificate_pem).get(), EVP_sha256(), digest, &size), 1);
  std::string hex;
  for (unsigned i = 0; i < size; ++i) {
    char two[3];
    std::snprintf(two, sizeof two, "%02x", digest[i]);
    hex += two;
  }
  EXPECT_EQ(*CertificateFingerprint(pair->certificate_pem), hex);
  for (const std::string& bad :
       {std::string(), std::string("not PEM"), pair->certificate_pem.substr(0, 100)}) {
    EXPECT_EQ(CertificateFingerprint(bad).status().code(), StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace cloister::crypto
