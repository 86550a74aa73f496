// SPDX-License-Identifier: Apache-2.0
// cloister.v1.Keys over a keyring: hands each service its own data keys and nobody else's. Does not store
// keys (see keyring/keyring.h), and does not decide who may call it (see KeysRules).
#pragma once

#include <vector>

#include "cloister/v1/keys.grpc.pb.h"
#include "keyring/keyring.h"
#include "services/keys/passphrase_source.h"
#include "services/server/rpc_server.h"

namespace cloister::services {

// The owner of a key is the mTLS identity of the caller. Thread-safe. Blocks on fsync where keys are made.
class KeysService final : public v1::Keys::Service {
 public:
  // `keyring` must outlive the service.
  KeysService(keyring::Keyring& keyring, PassphraseSource source) : keyring_(keyring), source_(source) {}

  grpc::Status CreateKeys(grpc::ServerContext* context, const v1::CreateKeysRequest* request,
                          v1::KeysResponse* response) override;
  grpc::Status GetKeys(grpc::ServerContext* context, const v1::GetKeysRequest* request,
                       v1::KeysResponse* response) override;
  grpc::Status GetNamedKey(grpc::ServerContext* context, const v1::GetNamedKeyRequest* request,
                           v1::KeysResponse* response) override;
  grpc::Status GetPublicKey(grpc::ServerContext* context, const v1::GetPublicKeyRequest* request,
                            v1::PublicKeyResponse* response) override;
  grpc::Status DestroyKeys(grpc::ServerContext* context, const v1::DestroyKeysRequest* request,
                           v1::KeyDestruction* response) override;
  grpc::Status RotateNamedKey(grpc::ServerContext* context, const v1::GetNamedKeyRequest* request,
                              v1::KeysResponse* response) override;
  grpc::Status RotateEpoch(grpc::ServerContext* context, const v1::RotateEpochRequest* request,
                           v1::KeyDestruction* response) override;
  grpc::Status GetKeyringStatus(grpc::ServerContext* context, const v1::GetKeyringStatusRequest* request,
                                v1::KeyringStatus* response) override;

 private:
  void Describe(const keyring::EpochChange& change, v1::KeyDestruction& response) const;

  keyring::Keyring& keyring_;
  const PassphraseSource source_;
};

// Who may call which method.
std::vector<MethodRule> KeysRules();

// DATA/keys/keyring
std::filesystem::path KeyringPath(const std::filesystem::path& data_directory);

}  // namespace cloister::services
