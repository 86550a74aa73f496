// SPDX-License-Identifier: Apache-2.0
// The mTLS identity of one service in one run of the appliance, handed over by the supervisor on an inherited
// descriptor and kept in memory only. Does not issue certificates; see crypto/certificate.h and
// services/supervisor.
#pragma once

#include <string>
#include <string_view>

#include "common/status.h"
#include "crypto/secret.h"

namespace cloister::services {

struct RpcCredentials {
  std::string identity;  // "retrieval": the DNS name in the certificate without its suffix.
  std::string ca_pem;
  std::string certificate_pem;
  crypto::Secret private_key_pem;
  RpcCredentials Clone() const;
};

// The DNS name that carries an identity: "<identity>.cloister.internal".
constexpr std::string_view kDnsSuffix = ".cloister.internal";
std::string DnsNameOf(std::string_view identity);

// Wire form for the inherited pipe: both ends are the same build, so it has no version. Holds the private
// key: the caller wipes it.
std::string SerialiseCredentials(const RpcCredentials& credentials);
// Reads until end of file and closes nothing. Errors: kFailedPrecondition (malformed), kResourceExhausted
// (more than any credentials have), kUnavailable.
StatusOr<RpcCredentials> ReadCredentials(int fd);

}  // namespace cloister::services
