// SPDX-License-Identifier: Apache-2.0
// Cosignatures: what a witness says about a checkpoint, with the time it says so. One states that, as of that time, this
// was the largest tree it had seen of the log, consistent with all that it saw before. Does not judge consistency; see
// witness/witness.h. Thread-safe: values are immutable. SPEC: c2sp.org/tlog-cosignature v1.0.1, Ed25519
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "audit/note.h"
#include "common/status.h"
#include "crypto/signer.h"

namespace cloister::audit {

class Cosigner {
 public:
  // Errors: kInvalidArgument (CheckKeyName; seed not 32 bytes).
  static StatusOr<Cosigner> New(std::string_view name, std::string_view seed);
  // The signature line, with its newline. `text` is a checkpoint's, with its final newline; `time` is Unix time in seconds.
  std::string Sign(std::string_view text, uint64_t time) const;
  const std::string& name() const { return name_; }
  std::string verifier_key() const;

 private:
  Cosigner(std::string name, crypto::Ed25519Signer signer) : name_(std::move(name)), signer_(std::move(signer)) {}
  std::string name_;
  crypto::Ed25519Signer signer_;
};

class CosignatureVerifier {
 public:
  // Errors: as ParseVerifierKey, of kCosignature.
  static StatusOr<CosignatureVerifier> Parse(std::string_view verifier_key);
  // When this witness cosigned the note, Unix time in seconds: the latest, where it did more than once. Errors: kNotFound (no
  // cosignature of its); kDataLoss (not a note, or a cosignature of its that does not verify).
  StatusOr<uint64_t> Verify(std::string_view note) const;
  const std::string& name() const { return key_.name; }

 private:
  explicit CosignatureVerifier(VerifierKey key) : key_(std::move(key)) {}
  VerifierKey key_;
};

}  // namespace cloister::audit
