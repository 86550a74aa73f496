// SPDX-License-Identifier: Apache-2.0
#include "crypto/signer.h"

#include "crypto/openssl.h"
#include "crypto/random.h"

namespace cloister::crypto {
namespace {

PkeyPtr PrivateKey(std::string_view seed) {
  PkeyPtr key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, Unsigned(seed), seed.size()));
  CLOISTER_CHECK(key != nullptr);
  return key;
}

}  // namespace

Ed25519Signer Ed25519Signer::Generate() {
  const Secret seed = RandomSecret(kEd25519SeedBytes);
  return *FromSeed(seed.view());
}

StatusOr<Ed25519Signer> Ed25519Signer::FromSeed(std::string_view seed) {
  if (seed.size() != kEd25519SeedBytes) return InvalidArgument("an Ed25519 seed has 32 bytes");
  Ed25519Signer signer;
  signer.seed_ = Secret(seed);
  signer.public_key_.resize(kEd25519PublicBytes);
  size_t size = kEd25519PublicBytes;
  CLOISTER_CHECK(
      EVP_PKEY_get_raw_public_key(PrivateKey(seed).get(), Unsigned(signer.public_key_.data()), &size) == 1);
  return signer;
}

std::string Ed25519Signer::Sign(std::string_view message) const {
  const PkeyPtr key = PrivateKey(seed_.view());
  const DigestContextPtr context(EVP_MD_CTX_new());
  CLOISTER_CHECK(context != nullptr);
  CLOISTER_CHECK(EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1);
  std::string out(kEd25519SignatureBytes, '\0');
  size_t size = out.size();
  CLOISTER_CHECK(
      EVP_DigestSign(context.get(), Unsigned(out.data()), &size, Unsigned(message), message.size()) == 1);
  CLOISTER_CHECK(size == kEd25519SignatureBytes);
  return out;
}

bool Ed25519Verify(std::string_view public_key, std::string_view message, std::string_view signature) {
  if (public_key.size() != kEd25519PublicBytes || signature.size() != kEd25519SignatureBytes) return false;
  const PkeyPtr key(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, Unsigned(public_key), public_key.size()));
  const DigestContextPtr context(EVP_MD_CTX_new());
  if (key == nullptr || context == nullptr) return false;
  if (EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) != 1) return false;
  return EVP_DigestVerify(context.get(), Unsigned(signature), signature.size(), Unsigned(message),
                          message.size()) == 1;
}

}  // namespace cloister::crypto
