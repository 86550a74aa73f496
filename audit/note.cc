// SPDX-License-Identifier: Apache-2.0
#include "audit/note.h"

#include <utility>

#include "common/bytes.h"
#include "crypto/hash.h"

namespace cloister::audit {
namespace {

constexpr char kEd25519Type = '\x01';
constexpr size_t kKeyIdBytes = 4;
constexpr std::string_view kDash = "\xe2\x80\x94 ";  // U+2014 and a space.

bool IsNoteText(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 && c != '\n') return false;
  }
  return !text.empty() && text.back() == '\n' && IsUtf8(text);
}

struct Signature {
  std::string_view name;
  std::string key_id, signature;
};

StatusOr<Signature> ParseSignatureLine(std::string_view line) {
  if (line.substr(0, kDash.size()) != kDash) return DataLoss("a signature line does not begin with a dash");
  line.remove_prefix(kDash.size());
  const size_t space = line.find(' ');
  if (space == std::string_view::npos || space == 0) return DataLoss("a signature line has no key name");
  const auto raw = Base64Decode(line.substr(space + 1));
  if (!raw.ok() || raw->size() <= kKeyIdBytes) return DataLoss("a signature line is not valid base64");
  return Signature{line.substr(0, space), raw->substr(0, kKeyIdBytes), raw->substr(kKeyIdBytes)};
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

std::string Ed25519KeyId(std::string_view name, std::string_view public_key) {
  std::string input(name);
  input += '\n';
  input += kEd25519Type;
  input += public_key;
  return crypto::Sha256(input).substr(0, kKeyIdBytes);
}

StatusOr<NoteSigner> NoteSigner::New(std::string_view name, std::string_view seed) {
  CLOISTER_RETURN_IF_ERROR(CheckKeyName(name));
  CLOISTER_ASSIGN_OR_RETURN(auto signer, crypto::Ed25519Signer::FromSeed(seed));
  return NoteSigner(std::string(name), std::move(signer));
}

std::string NoteSigner::Sign(std::string_view text) const {
  CLOISTER_CHECK(IsNoteText(text));
  std::string note(text);
  note += '\n';
  note += kDash;
  note += name_ + ' ' + Base64Encode(Ed25519KeyId(name_, signer_.public_key()) + signer_.Sign(text)) + '\n';
  return note;
}

std::string NoteSigner::verifier_key() const {
  return name_ + '+' + HexEncode(Ed25519KeyId(name_, signer_.public_key())) + '+' +
         Base64Encode(kEd25519Type + signer_.public_key());
}

StatusOr<NoteVerifier> NoteVerifier::Parse(std::string_view verifier_key) {
  const Status malformed = InvalidArgument("a verifier key has the form NAME+KEYID+BASE64");
  if (!verifier_key.empty() && verifier_key.back() == '\n') verifier_key.remove_suffix(1);
  const size_t first = verifier_key.find('+');
  if (first == std::string_view::npos) return malformed;
  const size_t second = verifier_key.find('+', first + 1);
  if (second == std::string_view::npos) return malformed;
  NoteVerifier verifier;
  verifier.name_ = std::string(verifier_key.substr(0, first));
  CLOISTER_RETURN_IF_ERROR(CheckKeyName(verifier.name_));
  const auto key_id = HexDecode(verifier_key.substr(first + 1, second - first - 1));
  const auto key = Base64Decode(verifier_key.substr(second + 1));
  if (!key_id.ok() || !key.ok()) return malformed;
  if (key->size() != 1 + crypto::kEd25519PublicBytes || key->front() != kEd25519Type) {
    return InvalidArgument("the verifier key is not an Ed25519 key; this version knows no other type");
  }
  verifier.public_key_ = key->substr(1);
  verifier.key_id_ = *key_id;
  if (Ed25519KeyId(verifier.name_, verifier.public_key_) != verifier.key_id_) {
    return InvalidArgument(
        "the verifier key's id does not belong to its name and key; it was altered or mistyped");
  }
  return verifier;
}

StatusOr<std::string> NoteVerifier::Open(std::string_view note) const {
  if (note.size() > kNoteBytesMax) return DataLoss("the signed note is longer than 64 KiB");
  if (!IsNoteText(note)) return DataLoss("the signed note is not UTF-8 text that ends in a newline");
  const size_t blank = note.rfind("\n\n");
  if (blank == std::string_view::npos) return DataLoss("the signed note has no signature");
  const std::string_view text = note.substr(0, blank + 1);
  std::string_view rest = note.substr(blank + 2);
  bool verified = false;
  for (size_t count = 0; !rest.empty(); ++count) {
    if (count == kNoteSignaturesMax) return DataLoss("the signed note has more than 64 signatures");
    const size_t end = rest.find('\n');  // There is one: the note ends in a newline.
    CLOISTER_ASSIGN_OR_RETURN(const Signature signature, ParseSignatureLine(rest.substr(0, end)));
    rest.remove_prefix(end + 1);
    if (signature.name != name_ || signature.key_id != key_id_) continue;
    if (!crypto::Ed25519Verify(public_key_, text, signature.signature)) {
      return DataLoss("the signature of the log's key does not match the signed text");
    }
    verified = true;
  }
  if (!verified) return DataLoss("the note is not signed by the given key");
  return std::string(text);
}

}  // namespace cloister::audit
