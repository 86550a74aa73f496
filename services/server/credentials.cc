// SPDX-License-Identifier: Apache-2.0
#include "services/server/credentials.h"

#include <utility>

#include "common/bytes.h"
#include "common/file.h"

namespace cloister::services {
namespace {

constexpr size_t kCredentialsBytesMax = 64 * 1024;

}  // namespace

RpcCredentials RpcCredentials::Clone() const {
  return {identity, ca_pem, certificate_pem, private_key_pem.Clone()};
}

std::string DnsNameOf(std::string_view identity) { return std::string(identity) + std::string(kDnsSuffix); }

std::string SerialiseCredentials(const RpcCredentials& credentials) {
  ByteWriter out;
  out.String(credentials.identity);
  out.String(credentials.ca_pem);
  out.String(credentials.certificate_pem);
  out.String(credentials.private_key_pem.view());
  return out.Take();
}

StatusOr<RpcCredentials> ReadCredentials(int fd) {
  CLOISTER_ASSIGN_OR_RETURN(std::string bytes, ReadAll(fd, kCredentialsBytesMax));
  ByteReader in(bytes);
  RpcCredentials out;
  out.identity = std::string(in.String());
  out.ca_pem = std::string(in.String());
  out.certificate_pem = std::string(in.String());
  out.private_key_pem = crypto::Secret(in.String());
  const bool complete = in.Finish("credentials").ok() && !out.identity.empty() && !out.ca_pem.empty() &&
                        !out.certificate_pem.empty() && !out.private_key_pem.empty();
  crypto::Wipe(bytes.data(), bytes.size());
  if (!complete) return FailedPrecondition("the credentials on the inherited descriptor are malformed");
  return out;
}

}  // namespace cloister::services
