// SPDX-License-Identifier: Apache-2.0
// X.509 for this appliance's own TLS: a small certificate authority and self-signed server certificates.
// Does not validate chains (TLS libraries do). Keys are ECDSA P-256. Thread-safe. SPEC: RFC 5280.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "crypto/secret.h"

namespace cloister::crypto {

struct CertificateAndKey {
  std::string certificate_pem;
  Secret private_key_pem;  // PKCS #8, unencrypted: keep it in memory or seal it.
};

// Issues the certificates of one run of the appliance. Its private key lives in memory only.
class CertificateAuthority {
 public:
  // `common_name` has 1 to 64 bytes, `lifetime` at most 20 years.
  // Errors: kInvalidArgument, kInternal (OpenSSL).
  static StatusOr<CertificateAuthority> New(std::string_view common_name, std::chrono::hours lifetime);
  const std::string& certificate_pem() const { return own_.certificate_pem; }
  // A leaf for client and server use with one DNS name as its identity.
  // Errors: kInvalidArgument (not a DNS name, lifetime), kInternal (OpenSSL).
  StatusOr<CertificateAndKey> Issue(std::string_view dns_name, std::chrono::hours lifetime) const;

 private:
  CertificateAuthority() = default;
  CertificateAndKey own_;
};

// For the HTTPS listener: DNS names and IP addresses as subject alternative names, at least one in all.
// Errors: kInvalidArgument (a malformed name or address, lifetime), kInternal (OpenSSL).
StatusOr<CertificateAndKey> SelfSignedCertificate(const std::vector<std::string>& dns_names,
                                                  const std::vector<std::string>& ip_addresses,
                                                  std::chrono::hours lifetime);

// SHA-256 of the DER form in hexadecimal. Errors: kInvalidArgument.
StatusOr<std::string> CertificateFingerprint(std::string_view certificate_pem);

}  // namespace cloister::crypto
