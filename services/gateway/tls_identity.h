// SPDX-License-Identifier: Apache-2.0
// The certificate and key of the HTTPS listener: made once, kept sealed in gateway's own store, renewed before they
// expire or when the names change. Does not listen.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/status.h"
#include "crypto/certificate.h"
#include "storage/kv_store.h"
#include "storage/sealed_store.h"

namespace cloister::services {

constexpr std::chrono::hours kTlsLifetime{397 * 24};
constexpr std::chrono::hours kTlsRenewAfter{300 * 24};

struct TlsNames {
  std::vector<std::string> dns_names;     // "localhost" and this machine's name.
  std::vector<std::string> ip_addresses;  // Loopback and, when it is another one, the address of gateway.listen.
};
// `listen` as in the configuration.
TlsNames NamesForListener(const std::string& listen);

// Writes the certificate, which is public, to `certificate_file` (0644) for clients to trust.
// Errors: kDataLoss (the stored key does not authenticate), kUnavailable, kInternal (making one failed).
StatusOr<crypto::CertificateAndKey> LoadTlsIdentity(storage::KvStore& store, const storage::SealedStore& sealed,
                                                    const storage::DataKey& row_key, const TlsNames& names,
                                                    const Clock& clock,
                                                    const std::filesystem::path& certificate_file);

}  // namespace cloister::services
