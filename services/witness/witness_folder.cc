// SPDX-License-Identifier: Apache-2.0
#include "services/witness/witness_folder.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <utility>

#include "common/bytes.h"
#include "common/file.h"
#include "crypto/hash.h"
#include "crypto/signer.h"

namespace cloister::services {
namespace {

constexpr unsigned kPrivate = 0600;
constexpr size_t kFileBytesMax = 64 * 1024;
constexpr std::chrono::hours kCertificateLifetime{10 * 365 * 24};

// Files end in a newline, so that people can look at them.
StatusOr<std::string> ReadLine(const std::filesystem::path& path) {
  auto text = ReadFile(path, kFileBytesMax);
  if (text.status().code() == StatusCode::kNotFound) {
    return NotFound("there is no witness in this folder; make one with `cloister-witness init`");
  }
  if (text.ok() && !text->empty() && text->back() == '\n') text->pop_back();
  return text;
}

bool IsAddress(const std::string& host) {
  return host.find(':') != std::string::npos ||
         std::all_of(host.begin(), host.end(), [](unsigned char c) { return std::isdigit(c) != 0 || c == '.'; });
}

StatusOr<std::vector<audit::NoteVerifier>> ReadLogs(const std::filesystem::path& folder) {
  std::vector<audit::NoteVerifier> logs;
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(folder / "keys", error)) {
    if (file.path().extension() != ".vkey") continue;
    CLOISTER_ASSIGN_OR_RETURN(const std::string key, ReadFile(file.path(), kFileBytesMax));
    auto verifier = audit::NoteVerifier::Parse(key);
    if (!verifier.ok()) return Annotate(verifier.status(), "keys/" + file.path().filename().string());
    logs.push_back(*std::move(verifier));
  }
  if (error) return NotFound("there is no witness in this folder; make one with `cloister-witness init`");
  return logs;
}

}  // namespace

Status MakeWitnessFolder(const std::filesystem::path& folder, const std::string& name, const std::vector<std::string>& hosts) {
  std::error_code error;
  if (std::filesystem::exists(folder / "key", error)) {
    return AlreadyExists("there is a witness in this folder already; it was left as it is");
  }
  CLOISTER_RETURN_IF_ERROR(audit::CheckKeyName(name));
  std::vector<std::string> names, addresses;
  for (const std::string& host : hosts) (IsAddress(host) ? addresses : names).push_back(host);
  if (hosts.empty()) names.push_back("localhost");
  CLOISTER_ASSIGN_OR_RETURN(const crypto::CertificateAndKey certificate,
                            crypto::SelfSignedCertificate(names, addresses, kCertificateLifetime));
  CLOISTER_RETURN_IF_ERROR(MakePrivateDirectory(folder));
  CLOISTER_RETURN_IF_ERROR(MakePrivateDirectory(folder / "keys"));
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomic(folder / "certificate.pem", certificate.certificate_pem, 0644));
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomic(folder / "certificate.key", certificate.private_key_pem.view(), kPrivate));
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomic(folder / "name", name + '\n', kPrivate));
  // Last: a folder with a key is whole.
  const auto signer = crypto::Ed25519Signer::Generate();
  return WriteFileAtomic(folder / "key", HexEncode(signer.seed().view()) + '\n', kPrivate);
}

StatusOr<audit::Cosigner> ReadCosigner(const std::filesystem::path& folder) {
  CLOISTER_ASSIGN_OR_RETURN(const std::string hex, ReadLine(folder / "key"));
  CLOISTER_ASSIGN_OR_RETURN(const std::string name, ReadLine(folder / "name"));
  const auto seed = HexDecode(hex);
  auto cosigner = seed.ok() ? audit::Cosigner::New(name, *seed) : StatusOr<audit::Cosigner>(seed.status());
  if (!cosigner.ok()) return DataLoss("the witness's key or name is damaged; put it back from a copy");
  return cosigner;
}

StatusOr<crypto::CertificateAndKey> ReadCertificate(const std::filesystem::path& folder) {
  crypto::CertificateAndKey out;
  CLOISTER_ASSIGN_OR_RETURN(out.certificate_pem, ReadFile(folder / "certificate.pem", kFileBytesMax));
  CLOISTER_ASSIGN_OR_RETURN(std::string key, ReadFile(folder / "certificate.key", kFileBytesMax));
  out.private_key_pem = crypto::Secret(std::move(key));
  return out;
}

StatusOr<std::string> AddLog(const std::filesystem::path& folder, std::string_view verifier_key) {
  CLOISTER_ASSIGN_OR_RETURN(const audit::NoteVerifier verifier, audit::NoteVerifier::Parse(verifier_key));
  CLOISTER_ASSIGN_OR_RETURN(const auto logs, ReadLogs(folder));
  const std::filesystem::path file = folder / "keys" / (HexEncode(crypto::Sha256(verifier.name())) + ".vkey");
  std::string line(verifier_key);
  if (line.empty() || line.back() != '\n') line += '\n';
  const auto present = ReadFile(file, kFileBytesMax);
  if (present.ok() && *present == line) return verifier.name();
  if (present.ok()) {
    return AlreadyExists("another key of " + verifier.name() + " is there; a log's new generation has an origin of its own");
  }
  if (logs.size() >= kWitnessedLogsMax) return ResourceExhausted("a witness serves at most 1000 logs");
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomic(file, line, kPrivate));
  return verifier.name();
}

StatusOr<std::unique_ptr<witness::Witness>> OpenWitness(const std::filesystem::path& folder, const Clock& clock) {
  CLOISTER_ASSIGN_OR_RETURN(audit::Cosigner cosigner, ReadCosigner(folder));
  CLOISTER_ASSIGN_OR_RETURN(std::vector<audit::NoteVerifier> logs, ReadLogs(folder));
  return witness::Witness::Open(folder, std::move(logs), std::move(cosigner), clock);
}

}  // namespace cloister::services
