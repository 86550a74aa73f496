// SPDX-License-Identifier: Apache-2.0
// Signed notes with Ed25519, and their verifier keys. Does not know what a note says; see audit/checkpoint.h.
// Other signature types are carried and ignored. Thread-safe: values are immutable. SPEC:
// c2sp.org/signed-note v1.0.0
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/status.h"
#include "crypto/signer.h"

namespace cloister::audit {

constexpr size_t kNoteBytesMax = 64 * 1024;
constexpr size_t kNoteSignaturesMax = 64;
constexpr size_t kKeyNameBytesMax = 256;

// Printable ASCII without space and plus, 1 to kKeyNameBytesMax bytes: stricter than the specification, which
// allows any letter. Errors: kInvalidArgument.
Status CheckKeyName(std::string_view name);

// Which signature a key makes: of a note as it is, or of a checkpoint with a time before it (audit/cosignature.h).
enum class NoteKeyType : char { kEd25519 = 1, kCosignature = 4 };

// SHA256(name || 0A || type || public key)[:4], four bytes.
std::string NoteKeyId(std::string_view name, NoteKeyType type, std::string_view public_key);

// Of an Ed25519 key.
struct VerifierKey {
  std::string name, key_id, public_key;
};
// name+hex(key id)+base64(type || public key)
std::string FormatVerifierKey(std::string_view name, NoteKeyType type, std::string_view public_key);
// `text` may end in one newline, as in a file.
// Errors: kInvalidArgument (malformed, key id and key do not match, another type).
StatusOr<VerifierKey> ParseVerifierKey(std::string_view text, NoteKeyType type);

// A note's text, with its final newline, and its signatures, none of them checked.
struct NoteSignature {
  std::string name, key_id, signature;
};
struct NoteParts {
  std::string text;
  std::vector<NoteSignature> signatures;
};
// Errors: kDataLoss (longer than kNoteBytesMax, not a note, more than kNoteSignaturesMax signatures).
StatusOr<NoteParts> SplitNote(std::string_view note);
// With its newline.
std::string SignatureLine(const NoteSignature& signature);
// The lines of that name alone: a note may carry others, of keys that nobody here knows.
std::string SignatureLinesOf(const NoteParts& note, std::string_view name);

class NoteSigner {
 public:
  // `name` is the key's name; for a log, its origin. Errors: kInvalidArgument (CheckKeyName; seed not 32
  // bytes).
  static StatusOr<NoteSigner> New(std::string_view name, std::string_view seed);
  // `text` ends in a newline and is UTF-8 without other control characters (CHECKed). Returns the whole note.
  std::string Sign(std::string_view text) const;
  const std::string& name() const { return name_; }
  // name+hex(key id)+base64(01 || public key)
  std::string verifier_key() const;

 private:
  NoteSigner(std::string name, crypto::Ed25519Signer signer)
      : name_(std::move(name)), signer_(std::move(signer)) {}
  std::string name_;
  crypto::Ed25519Signer signer_;
};

class NoteVerifier {
 public:
  // Errors: as ParseVerifierKey, of kEd25519.
  static StatusOr<NoteVerifier> Parse(std::string_view verifier_key);
  // The text of `note`, with its final newline, once the signature of this key holds.
  // Errors: kDataLoss (malformed, not signed by this key, or a signature of this key that does not verify).
  StatusOr<std::string> Open(std::string_view note) const;
  const std::string& name() const { return key_.name; }

 private:
  explicit NoteVerifier(VerifierKey key) : key_(std::move(key)) {}
  VerifierKey key_;
};

}  // namespace cloister::audit
