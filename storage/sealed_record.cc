// SPDX-License-Identifier: Apache-2.0
// Nothing else lives in this file: a test links its own SealRecord, OpenRecord and RecordKeyId in place of
// these to show that its search for plaintext finds it when nothing is sealed.
#include "storage/sealed_record.h"

#include <algorithm>

#include "common/bytes.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "storage/sealed_record_internal.h"

namespace cloister::storage {
namespace {

constexpr std::string_view kMagic = "CLSR";
constexpr uint8_t kFormat = 1;
constexpr uint8_t kSuite = 1;  // HKDF-SHA-512 and AES-256-GCM.
constexpr size_t kCommitmentBytes = 32;
constexpr size_t kFrameSuffixBytes = 5;  // frame_no4 | last1, at the end of nonce and additional data alike.

struct Header {
  KeyId key_id;
  std::string_view salt;
  std::string_view commitment;
  uint64_t plaintext_bytes = 0;
};

StatusOr<Header> ParseHeader(std::string_view record) {
  ByteReader in(record);
  if (in.Raw(kMagic.size()) != kMagic) return DataLoss("not a sealed record");
  const uint8_t format = in.U8();
  const uint8_t suite = in.U8();
  const uint16_t flags = in.U16();
  Header header;
  const std::string_view key_id = in.Raw(kIdBytes);
  header.salt = in.Raw(internal::kRecordSaltBytes);
  header.commitment = in.Raw(kCommitmentBytes);
  header.plaintext_bytes = in.U64();
  if (in.failed()) return DataLoss("a sealed record is truncated");
  if (format != kFormat) {
    return FailedPrecondition("a sealed record has format " + std::to_string(format) +
                              ", which this version does not know; use a newer one");
  }
  if (suite != kSuite) {
    return FailedPrecondition("a sealed record has cipher suite " + std::to_string(suite) +
                              ", which this version does not know; use a newer one");
  }
  if (flags != 0) {
    return FailedPrecondition("a sealed record has flags " + std::to_string(flags) +
                              ", which this version does not know; use a newer one");
  }
  CLOISTER_ASSIGN_OR_RETURN(header.key_id, KeyId::FromBytes(key_id));
  return header;
}

// The record's own key and the commitment to it. SPEC: docs/formats/sealed-record.md
class RecordKeys {
 public:
  RecordKeys(std::string_view key, std::string_view salt)
      : bytes_(crypto::HkdfSha512(key, salt, Info(), crypto::kAeadKeyBytes + kCommitmentBytes)) {}
  std::string_view key() const { return bytes_.view().substr(0, crypto::kAeadKeyBytes); }
  std::string_view commitment() const { return bytes_.view().substr(crypto::kAeadKeyBytes); }

 private:
  static std::string Info() { return "cloister/v1" + std::string(1, static_cast<char>(kSuite)); }
  crypto::Secret bytes_;
};

// Nonce and additional data of each frame in turn; they differ in their last five bytes only.
class FrameBinding {
 public:
  FrameBinding(std::string_view header, const RecordContext& context)
      : nonce_(crypto::kAeadNonceBytes, '\0') {
    ByteWriter out;
    out.Raw(header);
    out.Raw(context.database.bytes());
    out.String(context.column_family);
    out.String(context.row_key);
    out.Raw(std::string(kFrameSuffixBytes, '\0'));
    aad_ = out.Take();
  }
  void Select(uint32_t frame, bool last) {
    ByteWriter out;
    out.U32(frame);
    out.U8(last ? 1 : 0);
    nonce_.replace(nonce_.size() - kFrameSuffixBytes, kFrameSuffixBytes, out.bytes());
    aad_.replace(aad_.size() - kFrameSuffixBytes, kFrameSuffixBytes, out.bytes());
  }
  const std::string& nonce() const { return nonce_; }
  const std::string& aad() const { return aad_; }

 private:
  std::string nonce_;
  std::string aad_;
};

// An empty plaintext has one empty frame: a record without frames would authenticate nothing.
uint32_t FrameCount(uint64_t plaintext_bytes) {
  return static_cast<uint32_t>(std::max<uint64_t>(1, (plaintext_bytes + kFrameBytes - 1) / kFrameBytes));
}

}  // namespace

StatusOr<std::string> internal::SealRecordWithSalt(const KeyId& key_id, std::string_view key,
                                                   const RecordContext& context, std::string_view plaintext,
                                                   std::string_view salt) {
  CLOISTER_CHECK(key.size() == crypto::kAeadKeyBytes && salt.size() == kRecordSaltBytes);
  if (plaintext.size() > kPlaintextBytesMax) return InvalidArgument("a record holds at most 256 MiB");
  const RecordKeys keys(key, salt);
  ByteWriter header;
  header.Raw(kMagic);
  header.U8(kFormat);
  header.U8(kSuite);
  header.U16(0);
  header.Raw(key_id.bytes());
  header.Raw(salt);
  header.Raw(keys.commitment());
  header.U64(plaintext.size());
  FrameBinding binding(header.bytes(), context);
  const uint32_t frames = FrameCount(plaintext.size());
  std::string record = header.Take();
  size_t end = record.size();
  record.resize(end + plaintext.size() + frames * crypto::kAeadTagBytes);
  for (uint32_t frame = 0; frame < frames; ++frame) {
    binding.Select(frame, frame + 1 == frames);
    const std::string_view part = plaintext.substr(size_t{frame} * kFrameBytes, kFrameBytes);
    crypto::AeadSealInto(keys.key(), binding.nonce(), binding.aad(), part, record.data() + end);
    end += part.size() + crypto::kAeadTagBytes;
  }
  return record;
}

StatusOr<std::string> SealRecord(const KeyId& key_id, std::string_view key, const RecordContext& context,
                                 std::string_view plaintext) {
  return internal::SealRecordWithSalt(key_id, key, context, plaintext,
                                      crypto::RandomBytes(internal::kRecordSaltBytes));
}

StatusOr<KeyId> RecordKeyId(std::string_view record) {
  CLOISTER_ASSIGN_OR_RETURN(const Header header, ParseHeader(record));
  return header.key_id;
}

StatusOr<std::string> OpenRecord(std::string_view key, const RecordContext& context,
                                 std::string_view record) {
  CLOISTER_CHECK(key.size() == crypto::kAeadKeyBytes);
  CLOISTER_ASSIGN_OR_RETURN(const Header header, ParseHeader(record));
  if (header.plaintext_bytes > kPlaintextBytesMax)
    return DataLoss("a sealed record has an impossible length");
  const uint32_t frames = FrameCount(header.plaintext_bytes);
  if (record.size() != kRecordHeaderBytes + header.plaintext_bytes + frames * crypto::kAeadTagBytes) {
    return DataLoss("a sealed record is truncated or extended");
  }
  const RecordKeys keys(key, header.salt);
  // Before anything is decrypted: a ciphertext made to open under two keys is refused under both but one.
  if (!crypto::ConstantTimeEqual(keys.commitment(), header.commitment)) {
    return DataLoss("a sealed record does not belong to this key or is damaged");
  }
  FrameBinding binding(record.substr(0, kRecordHeaderBytes), context);
  std::string_view rest = record.substr(kRecordHeaderBytes);
  std::string plaintext(header.plaintext_bytes, '\0');
  char* out = plaintext.data();
  for (uint32_t frame = 0; frame < frames; ++frame) {
    binding.Select(frame, frame + 1 == frames);
    const std::string_view sealed = rest.substr(0, kFrameBytes + crypto::kAeadTagBytes);
    rest.remove_prefix(sealed.size());
    if (!crypto::AeadOpenInto(keys.key(), binding.nonce(), binding.aad(), sealed, out).ok()) {
      crypto::Wipe(plaintext.data(), plaintext.size());
      return DataLoss("a sealed record is damaged or was moved from another place");
    }
    out += sealed.size() - crypto::kAeadTagBytes;
  }
  return plaintext;
}

}  // namespace cloister::storage
