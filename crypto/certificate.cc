// SPDX-License-Identifier: Apache-2.0
#include "crypto/certificate.h"

#include <openssl/pem.h>
#include <openssl/x509.h>

#include <utility>

#include "common/bytes.h"
#include "crypto/hash.h"
#include "crypto/openssl.h"
#include "crypto/random.h"

namespace cloister::crypto {
namespace {

constexpr size_t kCommonNameBytesMax = 64;  // SPEC: RFC 5280 appendix A.1, ub-common-name.
constexpr size_t kDnsNameBytesMax = 253;
constexpr size_t kAlternativeNamesMax = 64;
constexpr std::chrono::hours kLifetimeMax{24 * 365 * 20};
constexpr size_t kSerialBytes = 16;
// A client whose clock is a little behind must not find the certificate "not yet valid".
constexpr long kBackdateSeconds = 300;

Status OpenSslFailed() { return Error(StatusCode::kInternal, "OpenSSL could not make the certificate"); }

bool IsDnsName(std::string_view name) {
  if (name.empty() || name.size() > kDnsNameBytesMax) return false;
  for (const char c : name) {
    const bool letter_or_digit = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!letter_or_digit && c != '-' && c != '.' && c != '*' && c != '_') return false;
  }
  return true;
}

bool AddDnsName(GENERAL_NAMES* names, const std::string& dns_name) {
  ASN1_IA5STRING* text = ASN1_IA5STRING_new();
  GENERAL_NAME* name = GENERAL_NAME_new();
  if (text == nullptr || name == nullptr ||
      ASN1_STRING_set(text, dns_name.data(), static_cast<int>(dns_name.size())) != 1) {
    ASN1_IA5STRING_free(text);
    GENERAL_NAME_free(name);
    return false;
  }
  GENERAL_NAME_set0_value(name, GEN_DNS, text);
  if (sk_GENERAL_NAME_push(names, name) > 0) return true;
  GENERAL_NAME_free(name);
  return false;
}

// False when `address` is not an IPv4 or IPv6 address.
bool AddIpAddress(GENERAL_NAMES* names, const std::string& address) {
  ASN1_OCTET_STRING* octets = a2i_IPADDRESS(address.c_str());
  if (octets == nullptr) return false;
  GENERAL_NAME* name = GENERAL_NAME_new();
  if (name == nullptr) {
    ASN1_OCTET_STRING_free(octets);
    return false;
  }
  GENERAL_NAME_set0_value(name, GEN_IPADD, octets);
  if (sk_GENERAL_NAME_push(names, name) > 0) return true;
  GENERAL_NAME_free(name);
  return false;
}

bool SetSerial(X509* certificate) {
  std::string bytes = RandomBytes(kSerialBytes);
  // Positive and of a fixed length. SPEC: RFC 5280 section 4.1.2.2.
  bytes[0] = static_cast<char>((bytes[0] & 0x3f) | 0x40);
  BIGNUM* number = BN_bin2bn(Unsigned(bytes), static_cast<int>(bytes.size()), nullptr);
  const bool ok =
      number != nullptr && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nullptr;
  BN_free(number);
  return ok;
}

bool SetSubject(X509* certificate, std::string_view common_name) {
  // A longer name stands in the subject alternative name alone.
  if (common_name.size() > kCommonNameBytesMax) return true;
  return X509_NAME_add_entry_by_NID(X509_get_subject_name(certificate), NID_commonName, MBSTRING_UTF8,
                                    Unsigned(common_name), static_cast<int>(common_name.size()), -1, 0) == 1;
}

// `value` is always a constant of this file: OpenSSL's little language for it would let names inject more.
bool AddExtension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  const bool ok = extension != nullptr && X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return ok;
}

StatusOr<std::string> ReadBio(BIO* bio) {
  BUF_MEM* memory = nullptr;
  if (BIO_get_mem_ptr(bio, &memory) != 1 || memory == nullptr) return OpenSslFailed();
  return std::string(memory->data, memory->length);
}

StatusOr<CertificateAndKey> ToPem(X509* certificate, EVP_PKEY* key) {
  const BioPtr certificate_bio(BIO_new(BIO_s_mem()));
  const BioPtr key_bio(BIO_new(BIO_s_mem()));  // Its buffer is wiped when it grows and when it is freed.
  if (certificate_bio == nullptr || key_bio == nullptr) return OpenSslFailed();
  if (PEM_write_bio_X509(certificate_bio.get(), certificate) != 1) return OpenSslFailed();
  if (PEM_write_bio_PKCS8PrivateKey(key_bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return OpenSslFailed();
  }
  CertificateAndKey out;
  CLOISTER_ASSIGN_OR_RETURN(out.certificate_pem, ReadBio(certificate_bio.get()));
  BUF_MEM* memory = nullptr;
  if (BIO_get_mem_ptr(key_bio.get(), &memory) != 1 || memory == nullptr) return OpenSslFailed();
  out.private_key_pem = Secret(std::string_view(memory->data, memory->length));
  return out;
}

struct Request {
  std::string_view common_name;
  std::chrono::hours lifetime{0};
  bool authority = false;
  const char* extended_use = nullptr;
  GENERAL_NAMES* names = nullptr;
  X509* issuer = nullptr;  // Null: self-signed.
  EVP_PKEY* issuer_key = nullptr;
};

bool AddExtensions(X509* certificate, const Request& request) {
  X509* issuer = request.issuer == nullptr ? certificate : request.issuer;
  if (!AddExtension(certificate, issuer, NID_basic_constraints,
                    request.authority ? "critical,CA:TRUE,pathlen:0" : "critical,CA:FALSE") ||
      !AddExtension(certificate, issuer, NID_key_usage,
                    request.authority ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature") ||
      !AddExtension(certificate, issuer, NID_subject_key_identifier, "hash") ||
      !AddExtension(certificate, issuer, NID_authority_key_identifier, "keyid:always")) {
    return false;
  }
  if (request.extended_use != nullptr &&
      !AddExtension(certificate, issuer, NID_ext_key_usage, request.extended_use)) {
    return false;
  }
  return request.names == nullptr ||
         X509_add1_ext_i2d(certificate, NID_subject_alt_name, request.names, 0, X509V3_ADD_DEFAULT) == 1;
}

StatusOr<CertificateAndKey> Make(const Request& request) {
  if (request.lifetime <= std::chrono::hours(0) || request.lifetime > kLifetimeMax) {
    return InvalidArgument("a certificate's lifetime must be between 1 hour and 20 years");
  }
  const PkeyPtr key(EVP_EC_gen("P-256"));
  const X509Ptr certificate(X509_new());
  if (key == nullptr || certificate == nullptr) return OpenSslFailed();
  const long seconds = static_cast<long>(std::chrono::seconds(request.lifetime).count());
  X509* issuer = request.issuer == nullptr ? certificate.get() : request.issuer;
  EVP_PKEY* issuer_key = request.issuer_key == nullptr ? key.get() : request.issuer_key;
  if (X509_set_version(certificate.get(), X509_VERSION_3) != 1 || !SetSerial(certificate.get()) ||
      !SetSubject(certificate.get(), request.common_name) ||
      X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -kBackdateSeconds) == nullptr ||
      X509_gmtime_adj(X509_getm_notAfter(certificate.get()), seconds) == nullptr ||
      X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer)) != 1 ||
      X509_set_pubkey(certificate.get(), key.get()) != 1 || !AddExtensions(certificate.get(), request) ||
      X509_sign(certificate.get(), issuer_key, EVP_sha256()) == 0) {
    return OpenSslFailed();
  }
  return ToPem(certificate.get(), key.get());
}

X509Ptr ParseCertificate(std::string_view pem) {
  const BioPtr bio(BIO_new_mem_buf(Unsigned(pem), static_cast<int>(pem.size())));
  return X509Ptr(bio == nullptr ? nullptr : PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
}

}  // namespace

StatusOr<CertificateAuthority> CertificateAuthority::New(std::string_view common_name,
                                                         std::chrono::hours lifetime) {
  if (common_name.empty() || common_name.size() > kCommonNameBytesMax) {
    return InvalidArgument("an authority's name must have 1 to 64 bytes");
  }
  CertificateAuthority authority;
  CLOISTER_ASSIGN_OR_RETURN(authority.own_,
                            Make({.common_name = common_name, .lifetime = lifetime, .authority = true}));
  return authority;
}

StatusOr<CertificateAndKey> CertificateAuthority::Issue(std::string_view dns_name,
                                                        std::chrono::hours lifetime) const {
  if (!IsDnsName(dns_name)) return InvalidArgument("not a DNS name");
  const X509Ptr issuer = ParseCertificate(own_.certificate_pem);
  const std::string_view pem = own_.private_key_pem.view();
  const BioPtr bio(BIO_new_mem_buf(Unsigned(pem), static_cast<int>(pem.size())));
  const PkeyPtr issuer_key(bio == nullptr ? nullptr
                                          : PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  const GeneralNamesPtr names(GENERAL_NAMES_new());
  if (issuer == nullptr || issuer_key == nullptr || names == nullptr) return OpenSslFailed();
  if (!AddDnsName(names.get(), std::string(dns_name))) return OpenSslFailed();
  return Make({.common_name = dns_name,
               .lifetime = lifetime,
               .extended_use = "serverAuth,clientAuth",
               .names = names.get(),
               .issuer = issuer.get(),
               .issuer_key = issuer_key.get()});
}

StatusOr<CertificateAndKey> SelfSignedCertificate(const std::vector<std::string>& dns_names,
                                                  const std::vector<std::string>& ip_addresses,
                                                  std::chrono::hours lifetime) {
  const size_t count = dns_names.size() + ip_addresses.size();
  if (count == 0 || count > kAlternativeNamesMax) {
    return InvalidArgument("a server certificate needs 1 to 64 DNS names and IP addresses");
  }
  const GeneralNamesPtr names(GENERAL_NAMES_new());
  if (names == nullptr) return OpenSslFailed();
  for (const std::string& name : dns_names) {
    if (!IsDnsName(name)) return InvalidArgument("not a DNS name");
    if (!AddDnsName(names.get(), name)) return OpenSslFailed();
  }
  for (const std::string& address : ip_addresses) {
    if (!AddIpAddress(names.get(), address)) return InvalidArgument("not an IP address");
  }
  return Make({.common_name = dns_names.empty() ? ip_addresses.front() : dns_names.front(),
               .lifetime = lifetime,
               .extended_use = "serverAuth",
               .names = names.get()});
}

StatusOr<std::string> CertificateFingerprint(std::string_view certificate_pem) {
  const X509Ptr certificate = ParseCertificate(certificate_pem);
  if (certificate == nullptr) return InvalidArgument("not a certificate in PEM form");
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate.get(), &der);
  if (size <= 0) return InvalidArgument("not a certificate in PEM form");
  std::string digest = Sha256({reinterpret_cast<const char*>(der), static_cast<size_t>(size)});
  OPENSSL_free(der);
  return HexEncode(digest);
}

}  // namespace cloister::crypto
