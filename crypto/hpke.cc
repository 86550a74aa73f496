// SPDX-License-Identifier: Apache-2.0
#include "crypto/hpke.h"

#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/hpke_internal.h"
#include "crypto/openssl.h"
#include "crypto/random.h"

namespace cloister::crypto {
namespace {

using std::string_view_literals::operator""sv;

constexpr std::string_view kVersion = "HPKE-v1";
constexpr std::string_view kKemSuite = "KEM\x00\x20"sv;
constexpr std::string_view kSuite = "HPKE\x00\x20\x00\x01\x00\x02"sv;
constexpr std::string_view kModeBase = "\x00"sv;

using PkeyContextPtr = std::unique_ptr<EVP_PKEY_CTX, OpenSslDeleter<EVP_PKEY_CTX_free>>;

PkeyPtr PrivateKey(std::string_view bytes) {
  PkeyPtr key(EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, Unsigned(bytes), bytes.size()));
  CLOISTER_CHECK(key != nullptr);
  return key;
}

std::string PublicOf(std::string_view private_key) {
  std::string out(kHpkeKeyBytes, '\0');
  size_t size = out.size();
  CLOISTER_CHECK(EVP_PKEY_get_raw_public_key(PrivateKey(private_key).get(), Unsigned(out.data()), &size) ==
                 1);
  CLOISTER_CHECK(size == kHpkeKeyBytes);
  return out;
}

// Empty when the result is all zero, that is, when `public_key` is a point of low order (RFC 9180
// section 7.1.4).
Secret X25519(std::string_view private_key, std::string_view public_key) {
  const PkeyPtr own = PrivateKey(private_key);
  const PkeyPtr peer(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, Unsigned(public_key), public_key.size()));
  const PkeyContextPtr context(EVP_PKEY_CTX_new(own.get(), nullptr));
  CLOISTER_CHECK(peer != nullptr && context != nullptr);
  CLOISTER_CHECK(EVP_PKEY_derive_init(context.get()) == 1);
  Secret out(kHpkeKeyBytes);
  size_t size = out.size();
  if (EVP_PKEY_derive_set_peer(context.get(), peer.get()) != 1 ||
      EVP_PKEY_derive(context.get(), Unsigned(out.data()), &size) != 1 || size != kHpkeKeyBytes ||
      ConstantTimeEqual(out.view(), std::string(kHpkeKeyBytes, '\0'))) {
    return Secret();
  }
  return out;
}

Secret Hmac(std::string_view key, const Secret& message) {
  std::string digest = HmacSha256(key, message.view());
  Secret out(digest);
  Wipe(digest.data(), digest.size());
  return out;
}

Secret Join(std::initializer_list<std::string_view> parts) {
  size_t size = 0;
  for (const std::string_view part : parts) size += part.size();
  Secret out(size);
  char* at = out.data();
  for (const std::string_view part : parts) at = std::copy(part.begin(), part.end(), at);
  return out;
}

Secret LabeledExtract(std::string_view suite, std::string_view salt, std::string_view label,
                      std::string_view input) {
  return Hmac(salt, Join({kVersion, suite, label, input}));
}

// HKDF-Expand's first block, which is all that up to 32 bytes need.
Secret LabeledExpand(std::string_view suite, std::string_view key, std::string_view label,
                     std::string_view info, size_t size) {
  CLOISTER_CHECK(size <= kSha256Bytes);
  const char length[] = {static_cast<char>(size >> 8), static_cast<char>(size)};
  const Secret block = Hmac(key, Join({{length, 2}, kVersion, suite, label, info, "\x01"sv}));
  return Secret(block.view().substr(0, size));
}

struct MessageKey {
  Secret key;
  Secret nonce;
};

// ExtractAndExpand of the KEM, then KeySchedule with neither PSK nor exporter.
MessageKey KeyFor(std::string_view dh, std::string_view encapsulated, std::string_view public_key,
                  std::string_view info) {
  const Secret extracted = LabeledExtract(kKemSuite, "", "eae_prk", dh);
  const Secret shared = LabeledExpand(kKemSuite, extracted.view(), "shared_secret",
                                      Join({encapsulated, public_key}).view(), kSha256Bytes);
  const Secret psk_id_hash = LabeledExtract(kSuite, "", "psk_id_hash", "");
  const Secret info_hash = LabeledExtract(kSuite, "", "info_hash", info);
  const Secret context = Join({kModeBase, psk_id_hash.view(), info_hash.view()});
  const Secret secret = LabeledExtract(kSuite, shared.view(), "secret", "");
  return {LabeledExpand(kSuite, secret.view(), "key", context.view(), kAeadKeyBytes),
          LabeledExpand(kSuite, secret.view(), "base_nonce", context.view(), kAeadNonceBytes)};
}

}  // namespace

HpkeKeyPair HpkeGenerate() {
  Secret private_key = RandomSecret(kHpkeKeyBytes);
  std::string public_key = PublicOf(private_key.view());
  return {std::move(private_key), std::move(public_key)};
}

StatusOr<std::string> HpkePublicKey(std::string_view private_key) {
  if (private_key.size() != kHpkeKeyBytes) return InvalidArgument("an X25519 private key has 32 bytes");
  return PublicOf(private_key);
}

StatusOr<std::string> internal::HpkeSealWithEphemeralKey(std::string_view ephemeral_private_key,
                                                         std::string_view public_key, std::string_view info,
                                                         std::string_view aad, std::string_view plaintext) {
  if (ephemeral_private_key.size() != kHpkeKeyBytes || public_key.size() != kHpkeKeyBytes) {
    return InvalidArgument("an X25519 key has 32 bytes");
  }
  const Secret dh = X25519(ephemeral_private_key, public_key);
  if (dh.empty())
    return InvalidArgument("the X25519 public key is of low order: nothing sealed to it is secret");
  std::string out = PublicOf(ephemeral_private_key);
  const MessageKey message = KeyFor(dh.view(), out, public_key, info);
  return out + AeadSeal(message.key.view(), message.nonce.view(), aad, plaintext);
}

StatusOr<std::string> HpkeSeal(std::string_view public_key, std::string_view info, std::string_view aad,
                               std::string_view plaintext) {
  const Secret ephemeral = RandomSecret(kHpkeKeyBytes);
  return internal::HpkeSealWithEphemeralKey(ephemeral.view(), public_key, info, aad, plaintext);
}

StatusOr<Secret> HpkeOpen(std::string_view private_key, std::string_view info, std::string_view aad,
                          std::string_view sealed) {
  CLOISTER_ASSIGN_OR_RETURN(const std::string public_key, HpkePublicKey(private_key));
  if (sealed.size() < kHpkeOverheadBytes) return DataLoss("sealed data has an impossible length");
  const std::string_view encapsulated = sealed.substr(0, kHpkeKeyBytes);
  const Secret dh = X25519(private_key, encapsulated);
  if (dh.empty()) return DataLoss("sealed data does not authenticate");
  const MessageKey message = KeyFor(dh.view(), encapsulated, public_key, info);
  CLOISTER_ASSIGN_OR_RETURN(std::string plaintext, AeadOpen(message.key.view(), message.nonce.view(), aad,
                                                            sealed.substr(kHpkeKeyBytes)));
  Secret out(plaintext);
  Wipe(plaintext.data(), plaintext.size());
  return out;
}

}  // namespace cloister::crypto
