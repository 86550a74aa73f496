// SPDX-License-Identifier: Apache-2.0
// cloister.v1.Keys over a keyring: hands each service its own data keys and nobody else's, keeps the escrowed
// copy up with every change of epoch, and has each change recorded. Does not store keys (see
// keyring/keyring.h), and does not decide who may call it (see KeysRules).
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cloister/v1/keys.grpc.pb.h"
#include "keyring/keyring.h"
#include "services/keys/escrow_keeper.h"
#include "services/keys/freshness_keeper.h"
#include "services/keys/key_records.h"
#include "services/keys/passphrase_source.h"
#include "services/server/rpc_server.h"

namespace cloister::services {

// A copy of the escrowed keyring that goes out in one answer; a larger one is written to
// keys.escrow_directory only.
constexpr size_t kEscrowCopyBytesMax = 32 * 1024 * 1024;

// Whose log the freshness statement speaks of.
constexpr std::string_view kLogOwner = "audit";

// The reason in every error of ChangeAnchor that keys itself gives: the former secret still holds.
constexpr std::string_view kNothingChanged = "NOTHING_CHANGED";

struct KeysServiceParts {
  keyring::Keyring& keyring;
  EscrowKeeper& escrow;
  KeyRecords& records;
  FreshnessKeeper& freshness;
  PassphraseSource source = PassphraseSource::kTyped;
  // An anchor of this kind, as the configuration has it.
  std::function<StatusOr<std::unique_ptr<keyring::EpochAnchor>>(keyring::AnchorKind, std::string_view secret)>
      anchor_of;
  // What counts while the epoch key is in an anchor of this kind; null: nothing.
  std::function<std::unique_ptr<keyring::RollbackCounter>(keyring::AnchorKind)> counter_of;
};

// The owner of a key is the mTLS identity of the caller. Thread-safe. Blocks on fsync where keys are made.
class KeysService final : public v1::Keys::Service {
 public:
  // What `parts` names must outlive the service.
  explicit KeysService(KeysServiceParts parts) : parts_(std::move(parts)), source_(parts_.source) {}

  grpc::Status CreateKeys(grpc::ServerContext* context, const v1::CreateKeysRequest* request,
                          v1::KeysResponse* response) override;
  grpc::Status GetKeys(grpc::ServerContext* context, const v1::GetKeysRequest* request,
                       v1::KeysResponse* response) override;
  grpc::Status GetNamedKey(grpc::ServerContext* context, const v1::GetNamedKeyRequest* request,
                           v1::KeysResponse* response) override;
  grpc::Status ReplaceKeys(grpc::ServerContext* context, const v1::ReplaceKeysRequest* request,
                           v1::KeyIds* response) override;
  grpc::Status CurrentKeys(grpc::ServerContext* context, const v1::CurrentKeysRequest* request,
                           v1::KeyIds* response) override;
  grpc::Status NoteRenewed(grpc::ServerContext* context, const v1::NoteRenewedRequest* request,
                           v1::KeyDestruction* response) override;
  grpc::Status DestroyFormerKeys(grpc::ServerContext* context, const v1::DestroyFormerKeysRequest* request,
                                 v1::KeyDestruction* response) override;
  grpc::Status ChangeMarks(grpc::ServerContext* context, const v1::ChangeMarksRequest* request,
                           v1::ChangeMarksResponse* response) override;
  grpc::Status ListMarks(grpc::ServerContext* context, const v1::ListMarksRequest* request,
                         v1::ListMarksResponse* response) override;
  grpc::Status GetFreshness(grpc::ServerContext* context, const v1::GetFreshnessRequest* request,
                            v1::Freshness* response) override;
  grpc::Status NoteFreshness(grpc::ServerContext* context, const v1::NoteFreshnessRequest* request,
                             v1::NoteFreshnessResponse* response) override;
  grpc::Status GetPublicKey(grpc::ServerContext* context, const v1::GetPublicKeyRequest* request,
                            v1::PublicKeyResponse* response) override;
  grpc::Status DestroyKeys(grpc::ServerContext* context, const v1::DestroyKeysRequest* request,
                           v1::KeyDestruction* response) override;
  grpc::Status RotateEpoch(grpc::ServerContext* context, const v1::RotateEpochRequest* request,
                           v1::KeyDestruction* response) override;
  grpc::Status GetKeyringStatus(grpc::ServerContext* context, const v1::GetKeyringStatusRequest* request,
                                v1::KeyringStatus* response) override;
  grpc::Status SetRecovery(grpc::ServerContext* context, const v1::SetRecoveryRequest* request,
                           v1::SetRecoveryResponse* response) override;
  grpc::Status EscrowKeyring(grpc::ServerContext* context, const v1::EscrowKeyringRequest* request,
                             v1::EscrowKeyringResponse* response) override;
  grpc::Status ChangeAnchor(grpc::ServerContext* context, const v1::ChangeAnchorRequest* request,
                            v1::ChangeAnchorResponse* response) override;
  grpc::Status CheckSecret(grpc::ServerContext* context, const v1::CheckSecretRequest* request,
                           v1::CheckSecretResponse* response) override;

 private:
  void Describe(const keyring::EpochChange& change, const std::string& escrow,
                v1::KeyDestruction& response) const;
  // Whether `secret` opens the keyring as it is now. Errors: as Keyring::CheckOpens.
  Status CheckOpens(std::string_view secret) const;
  // After a change of epoch: the escrowed copy, then the record. In words, or kUnavailable.
  // The answer to a destruction on behalf of `caller`, who named some of the keys itself.
  grpc::Status Destroyed(const std::string& caller, const StatusOr<keyring::EpochChange>& change,
                         const std::set<KeyId>& named, v1::KeyDestruction& response);
  StatusOr<std::string> Finish(KeyChange change);

  const KeysServiceParts parts_;
  std::atomic<PassphraseSource> source_;
};

// Who may call which method.
std::vector<MethodRule> KeysRules();

// Plain sentences about what this keyring leaves unprotected; empty when there is nothing to say.
std::vector<std::string> NotProtectedBy(const keyring::KeyringStatus& status, const EscrowState& escrow,
                                        const FreshnessState& freshness);

// DATA/keys/keyring
std::filesystem::path KeyringPath(const std::filesystem::path& data_directory);

}  // namespace cloister::services
