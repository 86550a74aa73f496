// SPDX-License-Identifier: Apache-2.0
// An anchor whose device is a folder with one file for each epoch key. Protects nothing: it stands for a TPM or an HSM
// in tests that need to stop at a certain step. For tests only; passes keyring/epoch_anchor_contract.h.
#pragma once

#include <filesystem>
#include <string>
#include <system_error>

#include "common/file.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "keyring/epoch_anchor.h"

namespace cloister::keyring {

class FolderAnchor final : public EpochAnchor {
 public:
  // `pin` must be the one that the device got first.
  explicit FolderAnchor(std::filesystem::path folder, std::string pin = "") : folder_(std::move(folder)), pin_(pin) {}
  AnchorKind kind() const override { return AnchorKind::kPkcs11; }
  std::string Describe() const override { return "a folder"; }
  bool DestroysForGood() const override { return true; }
  StatusOr<std::string> NewName() override { return "f-" + crypto::RandomId<KeyId>().hex(); }

  StatusOr<NewEpoch> Create(std::string_view name, std::string_view context) override {
    CLOISTER_RETURN_IF_ERROR(CheckThere());
    if (std::filesystem::exists(PathOf(name))) return AlreadyExists("the name is taken");
    const std::string secret = crypto::RandomBytes(kEpochKeyBytes);
    CLOISTER_RETURN_IF_ERROR(WriteFileAtomic(PathOf(name), pin_ + "\n" + secret, 0600));
    return NewEpoch{KeyOf(secret, context), {std::string(name), crypto::HmacSha256(secret, context)}};
  }
  StatusOr<crypto::Secret> Open(const EpochLocation& location, std::string_view context) override {
    CLOISTER_RETURN_IF_ERROR(CheckThere());
    CLOISTER_ASSIGN_OR_RETURN(const std::string file, ReadFile(PathOf(location.name), 4096));
    if (!file.starts_with(pin_ + "\n")) return Unauthenticated("wrong PIN");
    const std::string_view secret = std::string_view(file).substr(pin_.size() + 1);
    if (crypto::HmacSha256(secret, context) != location.blob) return DataLoss("another epoch's, or altered");
    return KeyOf(secret, context);
  }
  Status Destroy(std::string_view name) override {
    CLOISTER_RETURN_IF_ERROR(CheckThere());
    std::error_code error;
    std::filesystem::remove(PathOf(name), error);
    return error ? Unavailable("the device keeps it") : absl::OkStatus();
  }

 private:
  std::filesystem::path PathOf(std::string_view name) const { return folder_ / name; }
  Status CheckThere() const {
    if (std::filesystem::is_directory(folder_)) return absl::OkStatus();
    return Unavailable("the device is not there");
  }
  static crypto::Secret KeyOf(std::string_view secret, std::string_view context) {
    return crypto::HkdfSha512(secret, context, "folder", kEpochKeyBytes);
  }
  const std::filesystem::path folder_;
  const std::string pin_;
};

}  // namespace cloister::keyring
