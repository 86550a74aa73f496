// SPDX-License-Identifier: Apache-2.0
// The folder of cloister-witness: `key`, its Ed25519 seed in hexadecimal (0600), `name`, `certificate.pem` and
// `certificate.key` for HTTPS, `keys/*.vkey` of the logs that it serves, and what witness/witness.h keeps. The key lies in a
// file: whoever reads this folder can cosign in its name, so the host's own protection is what guards it.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "audit/cosignature.h"
#include "audit/note.h"
#include "common/clock.h"
#include "common/status.h"
#include "crypto/certificate.h"
#include "witness/witness.h"

namespace cloister::services {

constexpr size_t kWitnessedLogsMax = 1000;

// Makes the folder, a key of this name and a certificate for these hosts (DNS names or addresses). Errors: kAlreadyExists
// (there is a key; nothing was changed), kInvalidArgument (the name, a host), kUnavailable, kResourceExhausted.
Status MakeWitnessFolder(const std::filesystem::path& folder, const std::string& name, const std::vector<std::string>& hosts);
// Errors: kNotFound (no such folder; make it first), kDataLoss (the key is damaged), kUnavailable.
StatusOr<audit::Cosigner> ReadCosigner(const std::filesystem::path& folder);
StatusOr<crypto::CertificateAndKey> ReadCertificate(const std::filesystem::path& folder);
// Adds the verifier key of a log to those it serves; the same key again changes nothing. Returns the origin. Errors:
// kInvalidArgument (no verifier key), kAlreadyExists (another key of this origin is there: a log's new generation has a
// new origin, so this is another log or a mistake), kResourceExhausted (kWitnessedLogsMax), kUnavailable.
StatusOr<std::string> AddLog(const std::filesystem::path& folder, std::string_view verifier_key);
// Opens what is in the folder. Errors: those above and of Witness::Open.
StatusOr<std::unique_ptr<witness::Witness>> OpenWitness(const std::filesystem::path& folder, const Clock& clock);

}  // namespace cloister::services
