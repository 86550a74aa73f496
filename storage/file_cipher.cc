// SPDX-License-Identifier: Apache-2.0
// Nothing else lives in this file: a test links its own definitions in place of these to show that its search
// for plaintext finds it when files are not encrypted.
#include "storage/file_cipher.h"

#include <algorithm>
#include <utility>

#include "common/bytes.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "crypto/secret.h"
#include "crypto/stream_cipher.h"
#include "storage/file_cipher_internal.h"

namespace cloister::storage {
namespace {

constexpr std::string_view kMagic = "CLFE";
constexpr uint8_t kFormat = 1;
constexpr uint8_t kSuite = 1;  // HKDF-SHA-512 and AES-256-CTR.
constexpr size_t kVolumeKeyBytes = 32;
constexpr size_t kCommitmentBytes = 32;

struct Prefix {
  KeyId key_id;
  std::string_view salt;
  std::string_view commitment;
};

Status Unknown(std::string_view field, unsigned value) {
  return FailedPrecondition("an encrypted file has " + std::string(field) + " " + std::to_string(value) +
                            ", which this version does not know; use a newer one");
}

StatusOr<Prefix> ParsePrefix(std::string_view bytes) {
  ByteReader in(bytes);
  if (in.Raw(kMagic.size()) != kMagic) return DataLoss("not an encrypted file");
  const uint8_t format = in.U8();
  const uint8_t suite = in.U8();
  const uint16_t flags = in.U16();
  Prefix prefix;
  const std::string_view key_id = in.Raw(kIdBytes);
  prefix.salt = in.Raw(internal::kFileSaltBytes);
  prefix.commitment = in.Raw(kCommitmentBytes);
  if (in.failed() || bytes.size() != kFilePrefixBytes) return DataLoss("an encrypted file is truncated");
  if (format != kFormat) return Unknown("format", format);
  if (suite != kSuite) return Unknown("cipher suite", suite);
  if (flags != 0) return Unknown("flags", flags);
  // The rest has no meaning, and is looked at all the same: no bit of a prefix can be changed unnoticed.
  const std::string_view rest = in.Raw(in.remaining());
  if (std::any_of(rest.begin(), rest.end(), [](char byte) { return byte != '\0'; })) {
    return DataLoss("an encrypted file is damaged in its prefix");
  }
  CLOISTER_ASSIGN_OR_RETURN(prefix.key_id, KeyId::FromBytes(key_id));
  return prefix;
}

// The file's own key and the commitment to it. SPEC: docs/formats/encrypted-file.md
class FileKeys {
 public:
  FileKeys(std::string_view volume_key, std::string_view salt, std::string_view name)
      : bytes_(crypto::HkdfSha512(volume_key, salt, Info(name),
                                  crypto::kStreamCipherKeyBytes + kCommitmentBytes)) {}
  std::string_view key() const { return bytes_.view().substr(0, crypto::kStreamCipherKeyBytes); }
  std::string_view commitment() const { return bytes_.view().substr(crypto::kStreamCipherKeyBytes); }

 private:
  static std::string Info(std::string_view name) {
    return "cloister/v1/file" + std::string(1, static_cast<char>(kSuite)) + std::string(name);
  }
  crypto::Secret bytes_;
};

}  // namespace

std::string internal::MakeFilePrefixWithSalt(const KeyId& key_id, std::string_view volume_key,
                                             std::string_view name, std::string_view salt) {
  CLOISTER_CHECK(volume_key.size() == kVolumeKeyBytes && salt.size() == kFileSaltBytes);
  const FileKeys keys(volume_key, salt, name);
  ByteWriter out;
  out.Raw(kMagic);
  out.U8(kFormat);
  out.U8(kSuite);
  out.U16(0);
  out.Raw(key_id.bytes());
  out.Raw(salt);
  out.Raw(keys.commitment());
  std::string prefix = out.Take();
  prefix.resize(kFilePrefixBytes, '\0');
  return prefix;
}

std::string MakeFilePrefix(const KeyId& key_id, std::string_view volume_key, std::string_view name) {
  return internal::MakeFilePrefixWithSalt(key_id, volume_key, name,
                                          crypto::RandomBytes(internal::kFileSaltBytes));
}

StatusOr<KeyId> FilePrefixKeyId(std::string_view prefix) {
  CLOISTER_ASSIGN_OR_RETURN(const Prefix parsed, ParsePrefix(prefix));
  return parsed.key_id;
}

struct FileCipher::Stream {
  explicit Stream(std::string_view key) : cipher(key, std::string(crypto::kStreamCipherBlockBytes, '\0')) {}
  const crypto::StreamCipher cipher;
};

FileCipher::FileCipher(std::unique_ptr<Stream> stream) : stream_(std::move(stream)) {}
FileCipher::~FileCipher() = default;

StatusOr<std::unique_ptr<FileCipher>> FileCipher::Open(std::string_view volume_key, std::string_view name,
                                                       std::string_view prefix) {
  CLOISTER_CHECK(volume_key.size() == kVolumeKeyBytes);
  CLOISTER_ASSIGN_OR_RETURN(const Prefix parsed, ParsePrefix(prefix));
  const FileKeys keys(volume_key, parsed.salt, name);
  if (!crypto::ConstantTimeEqual(keys.commitment(), parsed.commitment)) {
    return DataLoss("an encrypted file does not belong to this key or under this name, or is damaged");
  }
  return std::unique_ptr<FileCipher>(new FileCipher(std::make_unique<Stream>(keys.key())));
}

void FileCipher::Apply(uint64_t offset, char* data, size_t size) const {
  stream_->cipher.Apply(offset, data, size);
}

}  // namespace cloister::storage
