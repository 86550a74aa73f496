// SPDX-License-Identifier: Apache-2.0
#include "keyring/hardware/pkcs11_anchor.h"

#include "common/bytes.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "keyring/hardware/pkcs11_token.h"

namespace cloister::keyring {
namespace {

constexpr std::string_view kNamePrefix = "p11:";
constexpr uint8_t kBlobVersion = 1;
constexpr size_t kIdBytesInToken = 16;
constexpr size_t kWorkingKeyBytes = 32;
constexpr size_t kIvBytes = 12;

StatusOr<std::string> TokenIdOf(std::string_view name) {
  if (name.starts_with(kNamePrefix)) {
    auto id = HexDecode(name.substr(kNamePrefix.size()));
    if (id.ok() && id->size() == kIdBytesInToken) return id;
  }
  return DataLoss("the keyring names a key that is not one of a PKCS#11 token");
}

std::string UncheckedPart(const WrappedKey& wrapped) {
  ByteWriter out;
  out.U8(kBlobVersion);
  out.U8(static_cast<uint8_t>(wrapped.method));
  out.Raw(wrapped.iv);
  out.String(wrapped.bytes);
  return out.Take();
}

struct Blob {
  WrappedKey wrapped;
  std::string
      check;  // Binds name, context and the rest of the blob to the working key, whatever the method binds.
};

StatusOr<Blob> Parse(std::string_view bytes) {
  ByteReader in(bytes);
  const uint8_t version = in.U8(), method = in.U8();
  Blob blob;
  blob.wrapped.method = static_cast<WrapMethod>(method);
  if (blob.wrapped.method == WrapMethod::kAesGcm) blob.wrapped.iv = in.Raw(kIvBytes);
  blob.wrapped.bytes = in.String();
  blob.check = in.Raw(crypto::kSha256Bytes);
  CLOISTER_RETURN_IF_ERROR(in.Finish("the keyring's PKCS#11 part"));
  if (version != kBlobVersion ||
      (blob.wrapped.method != WrapMethod::kAesGcm && blob.wrapped.method != WrapMethod::kAesKeyWrapPad)) {
    return DataLoss("the keyring's PKCS#11 part is malformed");
  }
  return blob;
}

crypto::Secret Derive(const crypto::Secret& working_key, std::string_view context, std::string_view purpose) {
  return crypto::HkdfSha512(working_key.view(), context, purpose, kEpochKeyBytes);
}

std::string Check(const crypto::Secret& working_key, std::string_view context, std::string_view name,
                  const WrappedKey& wrapped) {
  const crypto::Secret key = Derive(working_key, context, "cloister/v1/keyring/pkcs11-check");
  return crypto::HmacSha256(key.view(), std::string(name) + UncheckedPart(wrapped));
}

// Names have one length, so that no two pairs give the same bytes.
std::string AdditionalData(std::string_view name, std::string_view context) {
  return "cloister/v1/keyring/pkcs11:" + std::string(name) + std::string(context);
}

}  // namespace

Pkcs11Anchor::Pkcs11Anchor(Pkcs11Options options, crypto::Secret pin)
    : options_(std::move(options)), pin_(std::move(pin)) {}

std::string Pkcs11Anchor::Describe() const {
  const auto identity = Pkcs11Token(options_.module, options_.token).Identity();
  return "HSM by PKCS#11 (" + (identity.ok() ? *identity : std::string("not reachable")) + ", token '" +
         options_.token + "')";
}

StatusOr<std::string> Pkcs11Anchor::NewName() {
  return std::string(kNamePrefix) + HexEncode(crypto::RandomBytes(kIdBytesInToken));
}

StatusOr<NewEpoch> Pkcs11Anchor::Create(std::string_view name, std::string_view context) {
  CLOISTER_ASSIGN_OR_RETURN(const std::string id, TokenIdOf(name));
  const crypto::Secret working_key = crypto::RandomSecret(kWorkingKeyBytes);
  CLOISTER_ASSIGN_OR_RETURN(const WrappedKey wrapped,
                            Pkcs11Token(options_.module, options_.token)
                                .GenerateAndWrap(pin_, id, AdditionalData(name, context), working_key));
  return NewEpoch{Derive(working_key, context, "cloister/v1/keyring/pkcs11"),
                  {std::string(name), UncheckedPart(wrapped) + Check(working_key, context, name, wrapped)}};
}

StatusOr<crypto::Secret> Pkcs11Anchor::Open(const EpochLocation& location, std::string_view context) {
  CLOISTER_ASSIGN_OR_RETURN(const std::string id, TokenIdOf(location.name));
  CLOISTER_ASSIGN_OR_RETURN(const Blob blob, Parse(location.blob));
  CLOISTER_ASSIGN_OR_RETURN(const crypto::Secret working_key,
                            Pkcs11Token(options_.module, options_.token)
                                .Unwrap(pin_, id, AdditionalData(location.name, context), blob.wrapped));
  if (working_key.size() != kWorkingKeyBytes ||
      !crypto::ConstantTimeEqual(Check(working_key, context, location.name, blob.wrapped), blob.check)) {
    return DataLoss("the keyring's PKCS#11 part was altered or belongs to another keyring or epoch");
  }
  return Derive(working_key, context, "cloister/v1/keyring/pkcs11");
}

Status Pkcs11Anchor::Destroy(std::string_view name) {
  CLOISTER_ASSIGN_OR_RETURN(const std::string id, TokenIdOf(name));
  return Pkcs11Token(options_.module, options_.token).Destroy(pin_, id);
}

}  // namespace cloister::keyring
