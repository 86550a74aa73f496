// SPDX-License-Identifier: Apache-2.0
#include "services/gateway/tls_identity.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>

#include "common/bytes.h"
#include "common/file.h"

namespace cloister::services {
namespace {

constexpr uint8_t kTlsRowVersion = 1;
constexpr std::string_view kTlsFamily = "tls";
constexpr std::string_view kTlsRow = "https";
constexpr unsigned kPublicFileMode = 0644;

std::string JoinNames(const TlsNames& names) {
  std::string joined;
  for (const std::string& name : names.dns_names) joined += "dns:" + name + "\n";
  for (const std::string& address : names.ip_addresses) joined += "ip:" + address + "\n";
  return joined;
}

bool IsDnsName(std::string_view name) {
  return !name.empty() && name.size() <= 253 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  });
}

// Nothing when there is none, or when it must be renewed.
StatusOr<std::optional<crypto::CertificateAndKey>> Stored(const storage::KvStore& store,
                                                          const storage::SealedStore& sealed, const TlsNames& names,
                                                          int64_t now_ns) {
  const auto snapshot = store.GetSnapshot();
  StatusOr<std::string> row = sealed.Get(*snapshot, kTlsFamily, kTlsRow);
  if (row.status().code() == StatusCode::kNotFound) return std::optional<crypto::CertificateAndKey>();
  CLOISTER_RETURN_IF_ERROR(row.status());
  ByteReader in(*row);
  if (in.U8() != kTlsRowVersion) return FailedPrecondition("the TLS row has a format this version does not know");
  const auto made_at_ns = static_cast<int64_t>(in.U64());
  const std::string_view for_names = in.String();
  crypto::CertificateAndKey identity;
  identity.certificate_pem = in.String();
  identity.private_key_pem = crypto::Secret(in.String());
  CLOISTER_RETURN_IF_ERROR(in.Finish("TLS row"));
  const bool usable = for_names == JoinNames(names) && made_at_ns <= now_ns &&
                      std::chrono::nanoseconds(now_ns - made_at_ns) < kTlsRenewAfter;
  crypto::Wipe(row->data(), row->size());
  if (!usable) return std::optional<crypto::CertificateAndKey>();
  return std::optional<crypto::CertificateAndKey>(std::move(identity));
}

StatusOr<crypto::CertificateAndKey> Make(storage::KvStore& store, const storage::SealedStore& sealed,
                                         const storage::DataKey& row_key, const TlsNames& names, int64_t now_ns) {
  CLOISTER_ASSIGN_OR_RETURN(crypto::CertificateAndKey identity,
                            crypto::SelfSignedCertificate(names.dns_names, names.ip_addresses, kTlsLifetime));
  ByteWriter out;
  out.U8(kTlsRowVersion);
  out.U64(static_cast<uint64_t>(now_ns));
  out.String(JoinNames(names));
  out.String(identity.certificate_pem);
  out.String(identity.private_key_pem.view());
  std::string row = out.Take();
  storage::WriteBatch batch;
  const Status sealed_row = sealed.Put(batch, kTlsFamily, kTlsRow, row_key, row);
  crypto::Wipe(row.data(), row.size());
  CLOISTER_RETURN_IF_ERROR(sealed_row);
  CLOISTER_RETURN_IF_ERROR(store.Write(batch));
  return identity;
}

}  // namespace

TlsNames NamesForListener(const std::string& listen) {
  TlsNames names{{"localhost"}, {"127.0.0.1", "::1"}};
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) == 0 && IsDnsName(host.data()) &&
      std::string_view(host.data()) != "localhost") {
    names.dns_names.emplace_back(host.data());
  }
  std::string address = listen.substr(0, listen.rfind(':'));
  if (address.size() > 2 && address.front() == '[') address = address.substr(1, address.size() - 2);
  const bool any = address == "0.0.0.0" || address == "::" || address.empty();
  if (!any && std::find(names.ip_addresses.begin(), names.ip_addresses.end(), address) == names.ip_addresses.end()) {
    names.ip_addresses.push_back(address);
  }
  return names;
}

StatusOr<crypto::CertificateAndKey> LoadTlsIdentity(storage::KvStore& store, const storage::SealedStore& sealed,
                                                    const storage::DataKey& row_key, const TlsNames& names,
                                                    const Clock& clock,
                                                    const std::filesystem::path& certificate_file) {
  const int64_t now_ns = clock.Now().time_since_epoch().count();
  CLOISTER_ASSIGN_OR_RETURN(auto identity, Stored(store, sealed, names, now_ns));
  if (!identity.has_value()) {
    CLOISTER_ASSIGN_OR_RETURN(identity, Make(store, sealed, row_key, names, now_ns));
  }
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomic(certificate_file, identity->certificate_pem, kPublicFileMode));
  return *std::move(identity);
}

}  // namespace cloister::services
