// SPDX-License-Identifier: Apache-2.0
// RocksDB without file encryption: the peer that the benchmark measures against. Linked into that one
// program, in place of storage/encrypted_env.cc; the product has no switch for it.
#include <utility>

#include "storage/encrypted_env.h"

namespace cloister::storage {

class EncryptedEnv::Provider {};

EncryptedEnv::EncryptedEnv(std::filesystem::path database, std::shared_ptr<Provider> provider,
                           std::unique_ptr<rocksdb::Env> env)
    : database_(std::move(database)), provider_(std::move(provider)), env_(std::move(env)) {}
EncryptedEnv::~EncryptedEnv() = default;
rocksdb::Env* EncryptedEnv::env() const { return env_.get(); }
Status EncryptedEnv::Refusal() const { return absl::OkStatus(); }
// The peer seals nothing, and the benchmark copies no database.
StatusOr<ManifestSeal> EncryptedEnv::ReadSeal() const { return ManifestSeal(); }
Status EncryptedEnv::SealCopy(const std::filesystem::path&, const ManifestSeal&,
                              const std::filesystem::path&) const {
  return absl::OkStatus();
}
// Nor is there a key to replace.
Status EncryptedEnv::UseCurrentKey() { return absl::OkStatus(); }
KeyId EncryptedEnv::CurrentKey() const { return KeyId(); }
StatusOr<uint64_t> EncryptedEnv::CountUnderFormerKeys() const { return uint64_t{0}; }
Status EncryptedEnv::RewriteIdentity() const { return absl::OkStatus(); }
void EncryptedEnv::ForgetFormerKeys() {}

StatusOr<std::unique_ptr<EncryptedEnv>> EncryptedEnv::Open(const EncryptedEnvOptions& options, KeySource&) {
  return std::unique_ptr<EncryptedEnv>(
      new EncryptedEnv(options.database, nullptr, rocksdb::NewCompositeEnv(rocksdb::FileSystem::Default())));
}

}  // namespace cloister::storage
