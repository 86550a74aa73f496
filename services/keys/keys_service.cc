// SPDX-License-Identifier: Apache-2.0
#include "services/keys/keys_service.h"

#include <utility>

#include "common/clock.h"
#include "common/log.h"
#include "crypto/hpke.h"
#include "crypto/shamir.h"
#include "services/keys/anchors.h"
#include "services/server/rpc_status.h"

namespace cloister::services {
namespace {

constexpr uint32_t kKeyringFormatVersion = 3;
constexpr const char* kEscrowReason = "ESCROW_NOT_REPLACED";

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

StatusOr<std::vector<KeyId>> IdsOf(const google::protobuf::RepeatedPtrField<std::string>& wire, uint32_t ids_max) {
  if (wire.size() > static_cast<int>(ids_max))
    return InvalidArgument("a call takes at most " + std::to_string(ids_max) + " ids of keys; make several");
  std::vector<KeyId> ids;
  for (const std::string& bytes : wire) {
    CLOISTER_ASSIGN_OR_RETURN(const KeyId id, KeyId::FromBytes(bytes));
    ids.push_back(id);
  }
  return ids;
}

// Without a name it is the service itself that asks.
KeyChange By(const char* level, const std::string& user, const grpc::ServerContext& context) {
  if (user.empty()) return {level, 0, "", "service", CallerIdentity(context)};
  return {level, 0, "", "user", user};
}

// A token's PIN is changed in the token; the keyring has nothing to do with it.
Status CheckMayMove(keyring::AnchorKind from, keyring::AnchorKind to) {
  if (from != to || to != keyring::AnchorKind::kPkcs11) return absl::OkStatus();
  return FailedPrecondition(
      "the PIN is the token's own: change it with its maker's tool, then start the appliance with the new "
      "one");
}

void Describe(const EscrowState& state, v1::EscrowStatus& wire) {
  wire.set_folder(state.folder.string());
  wire.set_present(state.present);
  wire.set_generation(state.copy.generation);
  wire.set_epoch(state.copy.epoch);
  wire.set_created_ns(state.copy.created_ns);
  wire.set_behind(state.behind);
  wire.set_problem(state.problem);
}

void Describe(const keyring::RecoveryKey& recovery, v1::RecoveryStatus& wire) {
  wire.set_threshold(recovery.threshold);
  wire.set_shares(recovery.shares);
  wire.set_created_ns(recovery.created_ns);
  wire.set_set_id(recovery.set_id);
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
  const auto keys =
      parts_.keyring.CreateKeys(CallerIdentity(*context), KindOf(request->kind()), request->count());
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
    const auto key = parts_.keyring.GetKey(caller, *id);
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
  const auto key =
      parts_.keyring.GetNamedKey(CallerIdentity(*context), KindOf(request->kind()), request->name());
  if (!key.ok()) return ToGrpc(key.status());
  Add(*key, *response);
  return grpc::Status::OK;
}

grpc::Status KeysService::ReplaceKeys(grpc::ServerContext* context, const v1::ReplaceKeysRequest* request,
                                      v1::KeyIds* response) {
  const auto ids = IdsOf(request->ids(), storage::kKeysPerReplacementMax);
  if (!ids.ok()) return ToGrpc(ids.status());
  const auto replaced = parts_.keyring.ReplaceKeys(CallerIdentity(*context), *ids);
  if (!replaced.ok()) return ToGrpc(replaced.status());
  for (const KeyId& id : *replaced) response->add_ids(std::string(id.bytes()));
  return grpc::Status::OK;
}

grpc::Status KeysService::CurrentKeys(grpc::ServerContext* context, const v1::CurrentKeysRequest* request,
                                      v1::KeyIds* response) {
  const auto ids = IdsOf(request->ids(), storage::kKeysPerReplacementMax);
  if (!ids.ok()) return ToGrpc(ids.status());
  const auto current = parts_.keyring.CurrentKeys(CallerIdentity(*context), *ids);
  if (!current.ok()) return ToGrpc(current.status());
  for (const KeyId& id : *current) response->add_ids(std::string(id.bytes()));
  return grpc::Status::OK;
}

grpc::Status KeysService::GetPublicKey(grpc::ServerContext*, const v1::GetPublicKeyRequest* request,
                                       v1::PublicKeyResponse* response) {
  auto public_key = parts_.keyring.PublicKeyOf(request->owner(), request->name());
  if (!public_key.ok()) return ToGrpc(public_key.status());
  response->set_public_key(*std::move(public_key));
  return grpc::Status::OK;
}

void KeysService::Describe(const keyring::EpochChange& change, const std::string& escrow,
                           v1::KeyDestruction& response) const {
  const keyring::KeyringStatus status = parts_.keyring.GetStatus();
  response.set_destroyed(change.destroyed.size());
  response.set_epoch(change.epoch);
  response.set_generation(change.generation);
  response.set_anchor(status.anchor_description);
  response.set_for_good(status.destroys_for_good);
  response.set_escrow(escrow);
}

// The record is made even when the copy is not: the change has happened.
StatusOr<std::string> KeysService::Finish(KeyChange change) {
  StatusOr<std::string> escrow = parts_.escrow.AfterChangeOfEpoch();
  change.escrow = escrow.ok() ? *escrow : "not replaced";
  parts_.records.Add(change);
  parts_.freshness.AfterChangeOfEpoch();
  return escrow;
}

grpc::Status KeysService::DestroyKeys(grpc::ServerContext* context, const v1::DestroyKeysRequest* request,
                                      v1::KeyDestruction* response) {
  const auto ids = IdsOf(request->ids(), storage::kKeysPerDestructionMax);
  if (!ids.ok()) return ToGrpc(ids.status(), "", "ids");
  const std::string caller = CallerIdentity(*context);
  const auto change = parts_.keyring.DestroyKeys(
      caller, *ids, request->erasure() ? storage::DestroyFor::kErasure : storage::DestroyFor::kUpkeep);
  const std::set<KeyId> named(ids->begin(), ids->end());
  return Destroyed(caller, change, named, *response);
}

grpc::Status KeysService::NoteRenewed(grpc::ServerContext* context, const v1::NoteRenewedRequest*,
                                      v1::KeyDestruction* response) {
  const std::string caller = CallerIdentity(*context);
  const auto change = parts_.keyring.NoteRenewed(caller);
  if (!change.ok()) return ToGrpc(change.status());
  const StatusOr<std::string> escrow = Finish({"renewed", 0, "", "service", caller});
  if (!escrow.ok()) return ToGrpc(escrow.status(), kEscrowReason);
  Describe(*change, *escrow, *response);
  return grpc::Status::OK;
}

grpc::Status KeysService::DestroyFormerKeys(grpc::ServerContext* context, const v1::DestroyFormerKeysRequest*,
                                            v1::KeyDestruction* response) {
  const std::string caller = CallerIdentity(*context);
  return Destroyed(caller, parts_.keyring.DestroyFormerKeys(caller), {}, *response);
}

grpc::Status KeysService::Destroyed(const std::string& caller, const StatusOr<keyring::EpochChange>& change,
                                    const std::set<KeyId>& named, v1::KeyDestruction& response) {
  if (!change.ok()) return ToGrpc(change.status());
  // With nothing left to destroy a copy that could not be replaced is tried again; there is nothing to
  // record.
  const StatusOr<std::string> escrow = change->destroyed.empty()
                                           ? parts_.escrow.AfterChangeOfEpoch()
                                           : Finish({"keys", change->destroyed.size(), "", "service", caller});
  if (!escrow.ok()) return ToGrpc(escrow.status(), kEscrowReason);
  Describe(*change, *escrow, response);
  for (const KeyId& id : change->destroyed) {
    if (!named.contains(id)) response.add_along(std::string(id.bytes()));
  }
  return grpc::Status::OK;
}

grpc::Status KeysService::RotateEpoch(grpc::ServerContext* context, const v1::RotateEpochRequest* request,
                                      v1::KeyDestruction* response) {
  const auto change = parts_.keyring.RotateEpoch();
  if (!change.ok()) return ToGrpc(change.status());
  const StatusOr<std::string> escrow = Finish(By("epoch", request->requested_by(), *context));
  if (!escrow.ok()) return ToGrpc(escrow.status(), kEscrowReason);
  Describe(*change, *escrow, *response);
  return grpc::Status::OK;
}

grpc::Status KeysService::GetKeyringStatus(grpc::ServerContext*, const v1::GetKeyringStatusRequest*,
                                           v1::KeyringStatus* response) {
  const keyring::KeyringStatus status = parts_.keyring.GetStatus();
  response->set_generation(status.generation);
  response->set_appliance_id(std::string(parts_.keyring.appliance_id().bytes()));
  response->set_keys(parts_.keyring.size());
  response->set_format_version(kKeyringFormatVersion);
  response->set_root_kind(std::string(NameOf(status.anchor)));
  response->set_epoch(status.epoch);
  response->set_anchor(status.anchor_description);
  response->set_destroys_for_good(status.destroys_for_good);
  response->set_doomed(static_cast<uint32_t>(status.doomed));
  response->set_former_keys(status.former);
  response->set_former_since_ns(status.former_since_ns);
  for (const auto& [kind, count] : status.keys)
    (*response->mutable_keys_by_kind())[std::string(NameOf(kind))] = count;
  const EscrowState escrow = parts_.escrow.state();
  services::Describe(escrow, *response->mutable_escrow());
  if (status.recovery) services::Describe(*status.recovery, *response->mutable_recovery());
  const PassphraseSource source = source_;
  response->set_passphrase_file_on_same_disk(source == PassphraseSource::kFileOnSameDisk);
  for (std::string& sentence : NotProtectedBy(source)) response->add_not_protected(std::move(sentence));
  const FreshnessState freshness = parts_.freshness.state();
  response->set_erasure_epoch(status.erasure_epoch);
  v1::FreshnessStatus& fresh = *response->mutable_freshness();
  fresh.set_number(freshness.statement.number);
  fresh.set_made_ns(freshness.statement.made_ns);
  fresh.set_counter(freshness.statement.counter);
  fresh.set_escrowed(freshness.escrowed);
  for (std::string& sentence : NotProtectedBy(status, escrow, freshness))
    response->add_not_protected(std::move(sentence));
  return grpc::Status::OK;
}

grpc::Status KeysService::SetRecovery(grpc::ServerContext* context, const v1::SetRecoveryRequest* request,
                                      v1::SetRecoveryResponse* response) {
  keyring::RecoveryKey recovery;
  recovery.set_id = request->recovery().set_id();
  recovery.public_key = request->public_key();
  const uint32_t threshold = request->recovery().threshold();
  const uint32_t shares = request->recovery().shares();
  recovery.threshold = static_cast<uint8_t>(threshold);
  recovery.shares = static_cast<uint8_t>(shares);
  recovery.created_ns = request->recovery().created_ns();
  const bool seals = crypto::HpkeSeal(recovery.public_key, "check", "", "").ok();
  if (recovery.set_id.size() != kIdBytes || !seals || threshold < crypto::kShamirThresholdMin ||
      threshold > shares || shares > crypto::kShamirSharesMax) {
    return ToGrpc(InvalidArgument(
                      "a recovery key needs an id, a public key, and from 2 to 255 shares of which at least "
                      "2 are needed"),
                  "RECOVERY_KEY", "recovery");
  }
  if (parts_.keyring.GetStatus().recovery && !request->replace()) {
    return ToGrpc(AlreadyExists("there are recovery shares already; a new set makes them worthless"),
                  "RECOVERY_KEY_SET", "replace");
  }
  if (const Status set = parts_.keyring.SetRecovery(recovery); !set.ok()) return ToGrpc(set);
  const StatusOr<std::string> escrow = Finish(By("recovery", request->requested_by(), *context));
  response->set_escrow(escrow.ok() ? *escrow : MessageOf(escrow.status()));
  return grpc::Status::OK;
}

grpc::Status KeysService::EscrowKeyring(grpc::ServerContext*, const v1::EscrowKeyringRequest* request,
                                        v1::EscrowKeyringResponse* response) {
  if (!request->copy()) {
    const StatusOr<std::string> escrow = parts_.escrow.Replace();
    if (!escrow.ok()) return ToGrpc(escrow.status(), kEscrowReason);
    response->set_escrow(*escrow);
    response->set_generation(parts_.escrow.state().copy.generation);
    return grpc::Status::OK;
  }
  const auto snapshot = parts_.keyring.TakeSnapshot();
  if (!snapshot.ok()) return ToGrpc(snapshot.status());
  if (snapshot->file.size() > kEscrowCopyBytesMax) {
    return ToGrpc(ResourceExhausted("the keyring is too large to be handed over; set keys.escrow_directory"),
                  "ESCROW_COPY_BYTES", "", kEscrowCopyBytesMax);
  }
  response->set_file(keyring::SealEscrow(*snapshot, SystemClock()));
  response->set_file_name(keyring::EscrowPath("", snapshot->header.appliance).string());
  response->set_generation(snapshot->header.generation);
  return grpc::Status::OK;
}

Status KeysService::CheckOpens(std::string_view secret) const {
  const keyring::AnchorKind kind = parts_.keyring.GetStatus().anchor;
  CLOISTER_ASSIGN_OR_RETURN(const auto anchor, parts_.anchor_of(kind, secret));
  const Status status = parts_.keyring.CheckOpens(*anchor);
  return status.code() == StatusCode::kUnauthenticated ? WrongSecret(kind) : status;
}

grpc::Status KeysService::CheckSecret(grpc::ServerContext*, const v1::CheckSecretRequest* request,
                                      v1::CheckSecretResponse*) {
  return ToGrpc(CheckOpens(request->secret()));
}

grpc::Status KeysService::ChangeAnchor(grpc::ServerContext*, const v1::ChangeAnchorRequest* request,
                                       v1::ChangeAnchorResponse* response) {
  const auto source = ParsePassphraseSource(request->source());
  if (!source.ok()) return ToGrpc(source.status(), kNothingChanged);
  if (const Status opens = CheckOpens(request->former_secret()); !opens.ok())
    return ToGrpc(opens, kNothingChanged);
  const keyring::KeyringStatus before = parts_.keyring.GetStatus();
  const auto kind =
      request->to().empty() ? StatusOr<keyring::AnchorKind>(before.anchor) : ParseAnchorKind(request->to());
  if (!kind.ok()) return ToGrpc(kind.status(), kNothingChanged);
  if (const Status may = CheckMayMove(before.anchor, *kind); !may.ok()) return ToGrpc(may, kNothingChanged);
  auto anchor = parts_.anchor_of(*kind, request->secret());
  if (!anchor.ok()) return ToGrpc(anchor.status(), kNothingChanged);
  auto change = parts_.keyring.ChangeAnchor(*std::move(anchor));
  std::string unfinished;
  if (!change.ok()) {
    const keyring::KeyringStatus now = parts_.keyring.GetStatus();
    if (now.epoch == before.epoch) return ToGrpc(change.status(), now.sound ? kNothingChanged : "");
    unfinished = MessageOf(change.status());
    change = keyring::EpochChange{{}, now.epoch, now.generation};
  }
  source_ = *source;
  auto counter = parts_.counter_of(*kind);
  if ((counter == nullptr) != parts_.freshness.state().statement.counter.empty()) {
    const Status counts = parts_.freshness.UseCounter(std::move(counter));
    if (!counts.ok()) LogStatus(LogLevel::kWarning, "keys.freshness_not_counted", counts);
  }
  const StatusOr<std::string> escrow = Finish({"anchor", 0, "", "service", "supervisor"});
  if (!escrow.ok()) unfinished += (unfinished.empty() ? "" : "; ") + MessageOf(escrow.status());
  Describe(*change, escrow.ok() ? *escrow : "not replaced", *response->mutable_change());
  response->set_unfinished(unfinished);
  return grpc::Status::OK;
}

std::vector<std::string> NotProtectedBy(const keyring::KeyringStatus& status, const EscrowState& escrow,
                                        const FreshnessState& freshness) {
  std::vector<std::string> out;
  if (freshness.statement.counter.empty() && !freshness.escrowed) {
    out.push_back(
        "Whoever puts the whole data directory back as it was some time ago, keyring included, leaves nothing in it that "
        "tells. A TPM (keys.rollback_counter), an escrowed keyring (keys.escrow_directory) or a witness of the audit log "
        "(audit.witnesses) does.");
  }
  if (!status.destroys_for_good) {
    out.push_back(
        "Erasure holds against the present keyring only: an older copy of the keyring with the passphrase of "
        "that time opens what was erased since. A TPM or an HSM would not let it.");
  }
  if (status.doomed > 0) {
    out.push_back(
        "A former epoch key is still in its device, so an older copy of the keyring opens with it; it is "
        "tried "
        "again.");
  }
  if (!status.recovery) {
    out.push_back(
        "Nobody holds recovery shares: without the passphrase or the device the keys are lost. Run `cloister "
        "keys split`.");
  }
  if (escrow.folder.empty()) {
    out.push_back("A lost disk loses the keys, and with them every backup: set keys.escrow_directory.");
    return out;
  }
  if (!escrow.problem.empty() || !escrow.present) {
    out.push_back("The escrowed keyring could not be replaced" +
                  (escrow.problem.empty() ? std::string() : " (" + escrow.problem + ")") + ".");
  }
  if (escrow.same_device) {
    out.push_back("The escrowed keyring lies on the same device as the data: one lost disk loses both.");
  }
  if (!status.recovery && status.anchor != keyring::AnchorKind::kPassphrase) {
    out.push_back(
        "The escrowed keyring has no recovery key, so it opens with this very device alone and is worth "
        "nothing "
        "elsewhere. Run `cloister keys split`.");
  }
  return out;
}

std::vector<MethodRule> KeysRules() {
  const std::vector<std::string> owners = {"audit", "retrieval", "ingest", "gateway", "supervisor"};
  const std::vector<std::string> databases = {"audit", "retrieval", "ingest", "gateway"};
  return {
      {"/cloister.v1.Keys/CreateKeys", owners},
      {"/cloister.v1.Keys/GetKeys", owners},
      {"/cloister.v1.Keys/GetNamedKey", owners},
      {"/cloister.v1.Keys/GetPublicKey",
       {"retrieval", "ingest", "audit", "embedding", "generation", "gateway"}},
      {"/cloister.v1.Keys/DestroyKeys", {"audit", "retrieval"}},
      {"/cloister.v1.Keys/NoteRenewed", databases},
      {"/cloister.v1.Keys/DestroyFormerKeys", databases},
      {"/cloister.v1.Keys/RotateEpoch", {"gateway"}},
      {"/cloister.v1.Keys/ReplaceKeys", databases},
      {"/cloister.v1.Keys/CurrentKeys", databases},
      {"/cloister.v1.Keys/GetFreshness", databases},
      {"/cloister.v1.Keys/NoteFreshness", databases},
      {"/cloister.v1.Keys/ChangeMarks", {"retrieval"}},
      {"/cloister.v1.Keys/ListMarks", {"retrieval"}},
      {"/cloister.v1.Keys/GetKeyringStatus", {"gateway", "supervisor"}},
      {"/cloister.v1.Keys/SetRecovery", {"gateway"}},
      {"/cloister.v1.Keys/EscrowKeyring", {"gateway"}},
      {"/cloister.v1.Keys/ChangeAnchor", {"supervisor"}},
      {"/cloister.v1.Keys/CheckSecret", {"supervisor"}},
      {"/cloister.v1.Maintenance/Examine", {"gateway"}},
  };
}

std::filesystem::path KeyringPath(const std::filesystem::path& data_directory) {
  return data_directory / "keys" / "keyring";
}

}  // namespace cloister::services
