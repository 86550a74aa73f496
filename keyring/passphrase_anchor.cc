// SPDX-License-Identifier: Apache-2.0
#include "keyring/passphrase_anchor.h"

#include "common/bytes.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/random.h"

namespace cloister::keyring {
namespace {

constexpr size_t kSaltBytes = 32;
constexpr size_t kWrappedBytes = kEpochKeyBytes + crypto::kAeadTagBytes;

// Each derived key seals one message in its life, so the nonce may be constant.
std::string ZeroNonce() { return std::string(crypto::kAeadNonceBytes, '\0'); }

crypto::Secret Derive(const crypto::Secret& root_key, std::string_view salt, std::string_view purpose) {
  return crypto::HkdfSha512(root_key.view(), salt, "cloister/v1/keyring/" + std::string(purpose), kEpochKeyBytes);
}

Status WrongPassphrase() { return Unauthenticated("wrong passphrase"); }

}  // namespace

std::string Serialise(const PassphraseBlob& blob) {
  ByteWriter out;
  out.U32(blob.cost.memory_kib);
  out.U32(blob.cost.passes);
  out.U32(blob.cost.lanes);
  out.Raw(blob.root_salt);
  out.Raw(blob.root_check);
  out.Raw(blob.epoch_salt);
  out.Raw(blob.wrapped_epoch_key);
  return out.Take();
}

StatusOr<PassphraseBlob> ParsePassphraseBlob(std::string_view bytes) {
  ByteReader in(bytes);
  PassphraseBlob blob;
  blob.cost.memory_kib = in.U32();
  blob.cost.passes = in.U32();
  blob.cost.lanes = in.U32();
  blob.root_salt = in.Raw(kSaltBytes);
  blob.root_check = in.Raw(kEpochKeyBytes);
  blob.epoch_salt = in.Raw(kSaltBytes);
  blob.wrapped_epoch_key = in.Raw(kWrappedBytes);
  CLOISTER_RETURN_IF_ERROR(in.Finish("the keyring's passphrase part"));
  return blob;
}

std::string RootCheck(const crypto::Secret& root_key, std::string_view root_salt) {
  return std::string(Derive(root_key, root_salt, "root-check").view());
}

std::string WrapEpochKey(const crypto::Secret& root_key, std::string_view epoch_salt, std::string_view context,
                         const crypto::Secret& epoch_key) {
  return crypto::AeadSeal(Derive(root_key, epoch_salt, "epoch").view(), ZeroNonce(), context, epoch_key.view());
}

StatusOr<NewEpoch> PassphraseAnchor::Create(std::string_view name, std::string_view context) {
  CLOISTER_CHECK(name.empty());
  if (!root_) {
    if (passphrase_.size() < crypto::kPassphraseBytesMin) {
      return InvalidArgument("the passphrase must have at least 12 bytes");
    }
    Root root{cost_, crypto::RandomBytes(kSaltBytes), {}};
    CLOISTER_ASSIGN_OR_RETURN(root.key, crypto::KeyFromPassphrase(passphrase_.view(), root.salt, cost_));
    root_ = std::move(root);
  }
  PassphraseBlob blob;
  blob.cost = root_->cost;
  blob.root_salt = root_->salt;
  blob.root_check = RootCheck(root_->key, root_->salt);
  blob.epoch_salt = crypto::RandomBytes(kSaltBytes);
  NewEpoch epoch{crypto::RandomSecret(kEpochKeyBytes), {}};
  blob.wrapped_epoch_key = WrapEpochKey(root_->key, blob.epoch_salt, context, epoch.key);
  epoch.location.blob = Serialise(blob);
  return epoch;
}

StatusOr<crypto::Secret> PassphraseAnchor::Open(const EpochLocation& location, std::string_view context) {
  CLOISTER_ASSIGN_OR_RETURN(const PassphraseBlob blob, ParsePassphraseBlob(location.blob));
  if (passphrase_.size() > crypto::kPassphraseBytesMax) return WrongPassphrase();
  Root root{blob.cost, blob.root_salt, {}};
  auto key = crypto::KeyFromPassphrase(passphrase_.view(), root.salt, root.cost);
  if (key.status().code() == StatusCode::kInvalidArgument) {
    return DataLoss("the keyring's Argon2id cost is out of bounds; restore it from the escrowed copy");
  }
  if (!key.ok()) return key.status();
  root.key = *std::move(key);
  if (!crypto::ConstantTimeEqual(RootCheck(root.key, root.salt), blob.root_check)) return WrongPassphrase();
  CLOISTER_ASSIGN_OR_RETURN(std::string opened,
                            crypto::AeadOpen(Derive(root.key, blob.epoch_salt, "epoch").view(), ZeroNonce(), context,
                                             blob.wrapped_epoch_key));
  crypto::Secret out{std::string_view(opened)};
  crypto::Wipe(opened.data(), opened.size());
  root_ = std::move(root);
  return out;
}

Status PassphraseAnchor::Destroy(std::string_view name) {
  if (name.empty()) return absl::OkStatus();
  return Unavailable("it is in a device that the keyring has left: move the keyring back there once");
}

}  // namespace cloister::keyring
