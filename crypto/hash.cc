// SPDX-License-Identifier: Apache-2.0
#include "crypto/hash.h"

#include <openssl/core_names.h>
#include <openssl/hmac.h>

#include "common/status.h"
#include "crypto/openssl.h"

namespace cloister::crypto {
namespace {

constexpr size_t kHkdfBlocksMax = 255;  // SPEC: RFC 5869 section 2.3.

// Looking up an algorithm by name costs more than using it, so each is fetched once and kept.
EVP_KDF* Hkdf() {
  static EVP_KDF* const kdf = EVP_KDF_fetch(nullptr, "HKDF", nullptr);
  CLOISTER_CHECK(kdf != nullptr);
  return kdf;
}

OSSL_PARAM BytesParameter(const char* name, std::string_view bytes) {
  // OSSL_PARAM is not const-correct; inputs are only read.
  return OSSL_PARAM_construct_octet_string(name, const_cast<unsigned char*>(Unsigned(bytes)), bytes.size());
}

Secret HkdfWith(const char* digest, size_t digest_bytes, std::string_view key, std::string_view salt,
                std::string_view info, size_t size) {
  CLOISTER_CHECK(size <= kHkdfBlocksMax * digest_bytes);
  Secret out(size);
  if (size == 0) return out;
  KdfContextPtr context(EVP_KDF_CTX_new(Hkdf()));
  CLOISTER_CHECK(context != nullptr);
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, const_cast<char*>(digest), 0),
      BytesParameter(OSSL_KDF_PARAM_KEY, key), BytesParameter(OSSL_KDF_PARAM_SALT, salt),
      BytesParameter(OSSL_KDF_PARAM_INFO, info), OSSL_PARAM_construct_end()};
  CLOISTER_CHECK(EVP_KDF_derive(context.get(), Unsigned(out.data()), size, parameters) == 1);
  return out;
}

}  // namespace

struct Sha256Stream::State {
  DigestContextPtr context{EVP_MD_CTX_new()};
};

Sha256Stream::Sha256Stream() : state_(std::make_unique<State>()) {
  CLOISTER_CHECK(state_->context != nullptr);
  CLOISTER_CHECK(EVP_DigestInit_ex(state_->context.get(), EVP_sha256(), nullptr) == 1);
}

Sha256Stream::~Sha256Stream() = default;

void Sha256Stream::Update(std::string_view bytes) {
  CLOISTER_CHECK(EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) == 1);
}

std::string Sha256Stream::DigestSoFar() const {
  const DigestContextPtr copy(EVP_MD_CTX_new());
  CLOISTER_CHECK(copy != nullptr && EVP_MD_CTX_copy_ex(copy.get(), state_->context.get()) == 1);
  std::string out(kSha256Bytes, '\0');
  CLOISTER_CHECK(EVP_DigestFinal_ex(copy.get(), Unsigned(out.data()), nullptr) == 1);
  return out;
}

std::string Sha256Stream::Finish() {
  std::string out(kSha256Bytes, '\0');
  CLOISTER_CHECK(EVP_DigestFinal_ex(state_->context.get(), Unsigned(out.data()), nullptr) == 1);
  return out;
}

std::string Sha256(std::string_view bytes) {
  Sha256Stream stream;
  stream.Update(bytes);
  return stream.Finish();
}

std::string HmacSha256(std::string_view key, std::string_view message) {
  std::string out(kSha256Bytes, '\0');
  unsigned size = 0;
  CLOISTER_CHECK(HMAC(EVP_sha256(), Unsigned(key), static_cast<int>(key.size()), Unsigned(message),
                      message.size(), Unsigned(out.data()), &size) != nullptr);
  CLOISTER_CHECK(size == kSha256Bytes);
  return out;
}

Secret HkdfSha512(std::string_view key, std::string_view salt, std::string_view info, size_t size) {
  return HkdfWith("SHA512", 64, key, salt, info, size);
}

Secret HkdfSha256(std::string_view key, std::string_view salt, std::string_view info, size_t size) {
  return HkdfWith("SHA256", 32, key, salt, info, size);
}

}  // namespace cloister::crypto
