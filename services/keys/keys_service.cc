// SPDX-License-Identifier: Apache-2.0
#include "services/keys/keys_service.h"

#include <utility>

#include "services/server/rpc_status.h"

namespace cloister::services {
namespace {

constexpr uint32_t kKeyringFormatVersion = 2;

// Which of its numbers means something is the keyring's to say; the two enumerations share them.
storage::KeyKind KindOf(v1::KeyKind kind) { return static_cast<storage::KeyKind>(kind); }

bool IsKnown(v1::KeyKind kind) { return kind >= v1::KEY_KIND_STORE && kind <= v1::KEY_KIND_SIGNING; }

grpc::Status UnknownKind() {
  return ToGrpc(InvalidArgument("the kind of key is missing or unknown"), "KEY_KIND_UNKNOWN", "kind");
}

grpc::Status TooMany(std::string_view field) {
  return ToGrpc(InvalidArgument("a call takes 1 to " + std::to_string(storage::kKeysPerCallMax) + " keys"),
                "KEYS_PER_CALL", field, storage::kKeysPerCallMax, "Split the call.");
}

void Add(const storage::DataKey& key, v1::KeysResponse& response) {
  v1::DataKey& wire = *response.add_keys();
  wire.set_id(std::string(key.id.bytes()));
  wire.set_key(std::string(key.key->view()));
}

}  // namespace

grpc::Status KeysService::CreateKeys(grpc::ServerContext* context, const v1::CreateKeysRequest* request,
                                     v1::KeysResponse* response) {
  if (!IsKnown(request->kind())) return UnknownKind();
  if (request->count() < 1 || request->count() > storage::kKeysPerCallMax) return TooMany("count");
  const auto keys = keyring_.CreateKeys(CallerIdentity(*context), KindOf(request->kind()), request->count());
  if (!keys.ok()) return ToGrpc(keys.status());
  for (const storage::DataKey& key : *keys) Add(key, *response);
  return grpc::Status::OK;
}

grpc::Status KeysService::GetKeys(grpc::ServerContext* context, const v1::GetKeysRequest* request,
                                  v1::KeysResponse* response) {
  if (request->ids_size() < 1 || request->ids_size() > static_cast<int>(storage::kKeysPerCallMax)) {
    return TooMany("ids");
  }
  const std::string caller = CallerIdentity(*context);
  for (const std::string& bytes : request->ids()) {
    const auto id = KeyId::FromBytes(bytes);
    if (!id.ok()) return ToGrpc(id.status(), "KEY_ID_MALFORMED", "ids", kIdBytes);
    const auto key = keyring_.GetKey(caller, *id);
    if (!key.ok()) {
      response->Clear();
      return ToGrpc(key.status());
    }
    Add(*key, *response);
  }
  return grpc::Status::OK;
}

grpc::Status KeysService::GetNamedKey(grpc::ServerContext* context, const v1::GetNamedKeyRequest* request,
                                      v1::KeysResponse* response) {
  if (!IsKnown(request->kind())) return UnknownKind();
  const auto key = keyring_.GetNamedKey(CallerIdentity(*context), KindOf(request->kind()), request->name());
  if (!key.ok()) return ToGrpc(key.status());
  Add(*key, *response);
  return grpc::Status::OK;
}

grpc::Status KeysService::GetPublicKey(grpc::ServerContext*, const v1::GetPublicKeyRequest* request,
                                       v1::PublicKeyResponse* response) {
  auto public_key = keyring_.PublicKeyOf(request->owner(), request->name());
  if (!public_key.ok()) return ToGrpc(public_key.status());
  response->set_public_key(*std::move(public_key));
  return grpc::Status::OK;
}

void KeysService::Describe(const keyring::EpochChange& change, v1::KeyDestruction& response) const {
  const keyring::KeyringStatus status = keyring_.GetStatus();
  response.set_destroyed(change.destroyed);
  response.set_epoch(change.epoch);
  response.set_generation(change.generation);
  response.set_anchor(status.anchor_description);
  response.set_for_good(status.destroys_for_good);
  response.set_escrow("none is configured");
}

grpc::Status KeysService::DestroyKeys(grpc::ServerContext* context, const v1::DestroyKeysRequest* request,
                                      v1::KeyDestruction* response) {
  if (request->ids_size() > static_cast<int>(storage::kKeysPerDestructionMax)) {
    return ToGrpc(InvalidArgument("too many keys to destroy at once"), "KEYS_PER_DESTRUCTION", "ids",
                  storage::kKeysPerDestructionMax, "Split the call.");
  }
  std::vector<KeyId> ids;
  for (const std::string& bytes : request->ids()) {
    const auto id = KeyId::FromBytes(bytes);
    if (!id.ok()) return ToGrpc(id.status(), "KEY_ID_MALFORMED", "ids", kIdBytes);
    ids.push_back(*id);
  }
  const auto change = keyring_.DestroyKeys(CallerIdentity(*context), ids);
  if (!change.ok()) return ToGrpc(change.status());
  Describe(*change, *response);
  return grpc::Status::OK;
}

grpc::Status KeysService::RotateNamedKey(grpc::ServerContext* context, const v1::GetNamedKeyRequest* request,
                                         v1::KeysResponse* response) {
  if (!IsKnown(request->kind())) return UnknownKind();
  const auto key =
      keyring_.RotateNamedKey(CallerIdentity(*context), KindOf(request->kind()), request->name());
  if (!key.ok()) return ToGrpc(key.status());
  Add(*key, *response);
  return grpc::Status::OK;
}

grpc::Status KeysService::RotateEpoch(grpc::ServerContext*, const v1::RotateEpochRequest*,
                                      v1::KeyDestruction* response) {
  const auto change = keyring_.RotateEpoch();
  if (!change.ok()) return ToGrpc(change.status());
  Describe(*change, *response);
  return grpc::Status::OK;
}

grpc::Status KeysService::GetKeyringStatus(grpc::ServerContext*, const v1::GetKeyringStatusRequest*,
                                           v1::KeyringStatus* response) {
  const keyring::KeyringStatus status = keyring_.GetStatus();
  response->set_generation(status.generation);
  response->set_keys(keyring_.size());
  response->set_format_version(kKeyringFormatVersion);
  response->set_root_kind(std::string(NameOf(status.anchor)));
  response->set_epoch(status.epoch);
  response->set_anchor(status.anchor_description);
  response->set_destroys_for_good(status.destroys_for_good);
  response->set_doomed(static_cast<uint32_t>(status.doomed));
  for (const auto& [kind, count] : status.keys) (*response->mutable_keys_by_kind())[std::string(NameOf(kind))] = count;
  response->set_passphrase_file_on_same_disk(source_ == PassphraseSource::kFileOnSameDisk);
  for (std::string& sentence : NotProtectedBy(source_)) response->add_not_protected(std::move(sentence));
  return grpc::Status::OK;
}

std::vector<MethodRule> KeysRules() {
  const std::vector<std::string> owners = {"audit", "retrieval", "ingest", "gateway", "supervisor"};
  return {
      {"/cloister.v1.Keys/CreateKeys", owners},
      {"/cloister.v1.Keys/GetKeys", owners},
      {"/cloister.v1.Keys/GetNamedKey", owners},
      {"/cloister.v1.Keys/GetPublicKey",
       {"retrieval", "ingest", "audit", "embedding", "generation", "gateway"}},
      {"/cloister.v1.Keys/DestroyKeys", {"audit", "retrieval"}},
      {"/cloister.v1.Keys/RotateNamedKey", owners},
      {"/cloister.v1.Keys/RotateEpoch", {"gateway"}},
      {"/cloister.v1.Keys/GetKeyringStatus", {"gateway", "supervisor"}},
  };
}

std::filesystem::path KeyringPath(const std::filesystem::path& data_directory) {
  return data_directory / "keys" / "keyring";
}

}  // namespace cloister::services
