// SPDX-License-Identifier: Apache-2.0
#include "audit/cosignature.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "common/bytes.h"

namespace cloister::audit {
namespace {

constexpr size_t kTimeBytes = 8;
constexpr uint64_t kTimeMax = std::numeric_limits<int64_t>::max();

std::string SignedMessage(std::string_view text, uint64_t time) {
  return "cosignature/v1\ntime " + std::to_string(time) + '\n' + std::string(text);
}

}  // namespace

StatusOr<Cosigner> Cosigner::New(std::string_view name, std::string_view seed) {
  CLOISTER_RETURN_IF_ERROR(CheckKeyName(name));
  CLOISTER_ASSIGN_OR_RETURN(auto signer, crypto::Ed25519Signer::FromSeed(seed));
  return Cosigner(std::string(name), std::move(signer));
}

std::string Cosigner::Sign(std::string_view text, uint64_t time) const {
  CLOISTER_CHECK(time <= kTimeMax);
  ByteWriter timed;
  timed.U64(time);
  timed.Raw(signer_.Sign(SignedMessage(text, time)));
  return SignatureLine({name_, NoteKeyId(name_, NoteKeyType::kCosignature, signer_.public_key()), timed.Take()});
}

std::string Cosigner::verifier_key() const {
  return FormatVerifierKey(name_, NoteKeyType::kCosignature, signer_.public_key());
}

StatusOr<CosignatureVerifier> CosignatureVerifier::Parse(std::string_view verifier_key) {
  CLOISTER_ASSIGN_OR_RETURN(VerifierKey key, ParseVerifierKey(verifier_key, NoteKeyType::kCosignature));
  return CosignatureVerifier(std::move(key));
}

StatusOr<uint64_t> CosignatureVerifier::Verify(std::string_view note) const {
  CLOISTER_ASSIGN_OR_RETURN(const NoteParts parts, SplitNote(note));
  std::optional<uint64_t> latest;
  for (const NoteSignature& signature : parts.signatures) {
    if (signature.name != key_.name || signature.key_id != key_.key_id) continue;
    if (signature.signature.size() != kTimeBytes + crypto::kEd25519SignatureBytes) {
      return DataLoss("a cosignature of the witness has a wrong length");
    }
    ByteReader reader(signature.signature);
    const uint64_t time = reader.U64();
    const std::string_view made = reader.Raw(crypto::kEd25519SignatureBytes);
    if (time > kTimeMax || !crypto::Ed25519Verify(key_.public_key, SignedMessage(parts.text, time), made)) {
      return DataLoss("a cosignature of the witness does not match the checkpoint");
    }
    latest = std::max(latest.value_or(0), time);
  }
  if (!latest) return NotFound("the witness did not cosign this checkpoint");
  return *latest;
}

}  // namespace cloister::audit
