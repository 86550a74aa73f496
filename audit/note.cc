// SPDX-License-Identifier: Apache-2.0
#include "audit/note.h"

#include <utility>

#include "common/bytes.h"
#include "crypto/hash.h"

namespace cloister::audit {
namespace {

constexpr size_t kKeyIdBytes = 4;
constexpr std::string_view kDash = "\xe2\x80\x94 ";  // U+2014 and a space.

bool IsNoteText(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 && c != '\n') return false;
  }
  return !text.empty() && text.back() == '\n' && IsUtf8(text);
}

StatusOr<NoteSignature> ParseSignatureLine(std::string_view line) {
  if (line.substr(0, kDash.size()) != kDash) return DataLoss("a signature line does not begin with a dash");
  line.remove_prefix(kDash.size());
  const size_t space = line.find(' ');
  if (space == std::string_view::npos || space == 0) return DataLoss("a signature line has no key name");
  const auto raw = Base64Decode(line.substr(space + 1));
  if (!raw.ok() || raw->size() <= kKeyIdBytes) return DataLoss("a signature line is not valid base64");
  return NoteSignature{std::string(line.substr(0, space)), raw->substr(0, kKeyIdBytes), raw->substr(kKeyIdBytes)};
}

}  // namespace

Status CheckKeyName(std::string_view name) {
  if (name.empty() || name.size() > kKeyNameBytesMax) return InvalidArgument("a key name has 1 to 256 bytes");
  for (const char c : name) {
    if (c <= 0x20 || c > 0x7e || c == '+') {
      return InvalidArgument("a key name is printable ASCII without spaces and plus signs");
    }
  }
  return absl::OkStatus();
}

std::string NoteKeyId(std::string_view name, NoteKeyType type, std::string_view public_key) {
  std::string input(name);
  input += '\n';
  input += static_cast<char>(type);
  input += public_key;
  return crypto::Sha256(input).substr(0, kKeyIdBytes);
}

std::string FormatVerifierKey(std::string_view name, NoteKeyType type, std::string_view public_key) {
  std::string typed(1, static_cast<char>(type));
  typed += public_key;
  return std::string(name) + '+' + HexEncode(NoteKeyId(name, type, public_key)) + '+' + Base64Encode(typed);
}

StatusOr<VerifierKey> ParseVerifierKey(std::string_view text, NoteKeyType type) {
  const Status malformed = InvalidArgument("a verifier key has the form NAME+KEYID+BASE64");
  if (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  const size_t first = text.find('+');
  if (first == std::string_view::npos) return malformed;
  const size_t second = text.find('+', first + 1);
  if (second == std::string_view::npos) return malformed;
  VerifierKey out;
  out.name = std::string(text.substr(0, first));
  CLOISTER_RETURN_IF_ERROR(CheckKeyName(out.name));
  const auto key_id = HexDecode(text.substr(first + 1, second - first - 1));
  const auto key = Base64Decode(text.substr(second + 1));
  if (!key_id.ok() || !key.ok()) return malformed;
  if (key->size() != 1 + crypto::kEd25519PublicBytes || key->front() != static_cast<char>(type)) {
    return InvalidArgument(type == NoteKeyType::kEd25519
                               ? "the verifier key is not an Ed25519 key; this version knows no other type"
                               : "the verifier key is not a witness's: those begin with type 4");
  }
  out.public_key = key->substr(1);
  out.key_id = *key_id;
  if (NoteKeyId(out.name, type, out.public_key) != out.key_id) {
    return InvalidArgument("the verifier key's id does not belong to its name and key; it was altered or mistyped");
  }
  return out;
}

StatusOr<NoteParts> SplitNote(std::string_view note) {
  if (note.size() > kNoteBytesMax) return DataLoss("the signed note is longer than 64 KiB");
  if (!IsNoteText(note)) return DataLoss("the signed note is not UTF-8 text that ends in a newline");
  const size_t blank = note.rfind("\n\n");
  if (blank == std::string_view::npos) return DataLoss("the signed note has no signature");
  NoteParts parts{std::string(note.substr(0, blank + 1)), {}};
  std::string_view rest = note.substr(blank + 2);
  while (!rest.empty()) {
    if (parts.signatures.size() == kNoteSignaturesMax) return DataLoss("the signed note has more than 64 signatures");
    const size_t end = rest.find('\n');  // There is one: the note ends in a newline.
    CLOISTER_ASSIGN_OR_RETURN(NoteSignature signature, ParseSignatureLine(rest.substr(0, end)));
    rest.remove_prefix(end + 1);
    parts.signatures.push_back(std::move(signature));
  }
  return parts;
}

std::string SignatureLine(const NoteSignature& signature) {
  return std::string(kDash) + signature.name + ' ' + Base64Encode(signature.key_id + signature.signature) + '\n';
}

std::string SignatureLinesOf(const NoteParts& note, std::string_view name) {
  std::string out;
  for (const NoteSignature& signature : note.signatures) {
    if (signature.name == name) out += SignatureLine(signature);
  }
  return out;
}

StatusOr<NoteSigner> NoteSigner::New(std::string_view name, std::string_view seed) {
  CLOISTER_RETURN_IF_ERROR(CheckKeyName(name));
  CLOISTER_ASSIGN_OR_RETURN(auto signer, crypto::Ed25519Signer::FromSeed(seed));
  return NoteSigner(std::string(name), std::move(signer));
}

std::string NoteSigner::Sign(std::string_view text) const {
  CLOISTER_CHECK(IsNoteText(text));
  const std::string key_id = NoteKeyId(name_, NoteKeyType::kEd25519, signer_.public_key());
  return std::string(text) + '\n' + SignatureLine({name_, key_id, signer_.Sign(text)});
}

std::string NoteSigner::verifier_key() const {
  return FormatVerifierKey(name_, NoteKeyType::kEd25519, signer_.public_key());
}

StatusOr<NoteVerifier> NoteVerifier::Parse(std::string_view verifier_key) {
  CLOISTER_ASSIGN_OR_RETURN(VerifierKey key, ParseVerifierKey(verifier_key, NoteKeyType::kEd25519));
  return NoteVerifier(std::move(key));
}

StatusOr<std::string> NoteVerifier::Open(std::string_view note) const {
  CLOISTER_ASSIGN_OR_RETURN(NoteParts parts, SplitNote(note));
  bool verified = false;
  for (const NoteSignature& signature : parts.signatures) {
    if (signature.name != key_.name || signature.key_id != key_.key_id) continue;
    if (!crypto::Ed25519Verify(key_.public_key, parts.text, signature.signature)) {
      return DataLoss("the signature of the log's key does not match the signed text");
    }
    verified = true;
  }
  if (!verified) return DataLoss("the note is not signed by the given key");
  return std::move(parts.text);
}

}  // namespace cloister::audit
