// SPDX-License-Identifier: Apache-2.0
#include "crypto/aead.h"

#include <climits>

#include "crypto/openssl.h"
#include "crypto/secret.h"

namespace cloister::crypto {
namespace {

EVP_CIPHER* Aes256Gcm() {
  static EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  CLOISTER_CHECK(cipher != nullptr);
  return cipher;
}

// A context with key, nonce and additional data set.
CipherContextPtr Begin(bool seal, std::string_view key, std::string_view nonce, std::string_view aad) {
  CLOISTER_CHECK(key.size() == kAeadKeyBytes && nonce.size() == kAeadNonceBytes && aad.size() <= INT_MAX);
  CipherContextPtr context(EVP_CIPHER_CTX_new());
  CLOISTER_CHECK(context != nullptr);
  CLOISTER_CHECK(EVP_CipherInit_ex2(context.get(), Aes256Gcm(), Unsigned(key), Unsigned(nonce), seal ? 1 : 0,
                                    nullptr) == 1);
  int done = 0;
  if (!aad.empty()) {
    CLOISTER_CHECK(
        EVP_CipherUpdate(context.get(), nullptr, &done, Unsigned(aad), static_cast<int>(aad.size())) == 1);
  }
  return context;
}

void Transform(EVP_CIPHER_CTX* context, std::string_view in, char* out) {
  if (in.empty()) return;
  int done = 0;
  CLOISTER_CHECK(EVP_CipherUpdate(context, Unsigned(out), &done, Unsigned(in), static_cast<int>(in.size())) ==
                 1);
  CLOISTER_CHECK(done == static_cast<int>(in.size()));
}

}  // namespace

void AeadSealInto(std::string_view key, std::string_view nonce, std::string_view aad,
                  std::string_view plaintext, char* out) {
  CLOISTER_CHECK(plaintext.size() <= INT_MAX - kAeadTagBytes);
  const CipherContextPtr context = Begin(true, key, nonce, aad);
  Transform(context.get(), plaintext, out);
  int done = 0;
  unsigned char rest[1];
  CLOISTER_CHECK(EVP_CipherFinal_ex(context.get(), rest, &done) == 1 && done == 0);
  CLOISTER_CHECK(
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, kAeadTagBytes, out + plaintext.size()) == 1);
}

Status AeadOpenInto(std::string_view key, std::string_view nonce, std::string_view aad,
                    std::string_view ciphertext, char* out) {
  if (ciphertext.size() < kAeadTagBytes || ciphertext.size() > INT_MAX) {
    return DataLoss("sealed data has an impossible length");
  }
  const CipherContextPtr context = Begin(false, key, nonce, aad);
  const std::string_view body = ciphertext.substr(0, ciphertext.size() - kAeadTagBytes);
  std::string tag(ciphertext.substr(body.size()));
  CLOISTER_CHECK(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, kAeadTagBytes, tag.data()) == 1);
  Transform(context.get(), body, out);
  int done = 0;
  unsigned char rest[1];
  if (EVP_CipherFinal_ex(context.get(), rest, &done) != 1) {
    Wipe(out, body.size());
    return DataLoss("sealed data does not authenticate");
  }
  return absl::OkStatus();
}

std::string AeadSeal(std::string_view key, std::string_view nonce, std::string_view aad,
                     std::string_view plaintext) {
  std::string out(plaintext.size() + kAeadTagBytes, '\0');
  AeadSealInto(key, nonce, aad, plaintext, out.data());
  return out;
}

StatusOr<std::string> AeadOpen(std::string_view key, std::string_view nonce, std::string_view aad,
                               std::string_view ciphertext) {
  std::string out(ciphertext.size() < kAeadTagBytes ? 0 : ciphertext.size() - kAeadTagBytes, '\0');
  CLOISTER_RETURN_IF_ERROR(AeadOpenInto(key, nonce, aad, ciphertext, out.data()));
  return out;
}

}  // namespace cloister::crypto
