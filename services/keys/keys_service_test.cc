// SPDX-License-Identifier: Apache-2.0
#include "services/keys/keys_service.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <tuple>

#include "crypto/signer.h"
#include "keyring/passphrase_anchor.h"
#include "keyring/recovery.h"
#include "services/server/grpc_key_source.h"
#include "services/server/rpc_client.h"
#include "services/server/rpc_status.h"
#include "services/server/test_authority.h"
#include "storage/key_source_contract.h"

namespace cloister::services {
namespace {

constexpr std::chrono::milliseconds kTimeout{20'000};
constexpr crypto::Argon2Cost kCheap{8, 1, 1};
constexpr const char* kPassphrase = "correct horse battery";

// The real service over a real keyring behind real mTLS.
class Appliance {
 public:
  explicit Appliance(PassphraseSource source = PassphraseSource::kTyped, bool with_escrow = false) {
    std::filesystem::create_directory(folder_);
    keyring_ = *keyring::Keyring::Create({.path = directory_.path() / "keyring"},
                                         keyring::NewPassphraseAnchor(kPassphrase, kCheap), clock_);
    escrow_ =
        std::make_unique<EscrowKeeper>(*keyring_, with_escrow ? folder_ : "", directory_.path(), clock_);
    FreshnessOptions fresh;
    fresh.file = directory_.path() / "freshness";
    freshness_ = *FreshnessKeeper::Open(std::move(fresh), *keyring_, clock_);
    KeyRecordsOptions records;
    records.file = directory_.path() / "unrecorded";
    records_ =
        *KeyRecords::Open(std::move(records), *keyring_, clock_, [this](const v1::AppendRequest& record) {
          std::lock_guard lock(mutex_);
          recorded_.push_back(record);
          return absl::OkStatus();
        });
    service_ = std::make_unique<KeysService>(KeysServiceParts{
        *keyring_, *escrow_, *records_, *freshness_, source,
        [](keyring::AnchorKind kind, std::string_view secret) {
          return kind == keyring::AnchorKind::kPassphrase ? StatusOr<std::unique_ptr<keyring::EpochAnchor>>(
                                                                keyring::NewPassphraseAnchor(secret, kCheap))
                                                          : FailedPrecondition("no such device here");
        },
        [](keyring::AnchorKind) { return nullptr; }});
    RpcServerOptions options;
    options.socket = socket_;
    options.rules = KeysRules();
    options.services = {service_.get()};
    server_ = *RpcServer::Start(authority_.For("keys"), std::move(options));
  }
  const std::filesystem::path& folder() const { return folder_; }
  // Waits until so many records were appended.
  std::vector<v1::AppendRequest> Recorded(size_t count) {
    for (;;) {
      {
        std::lock_guard lock(mutex_);
        if (recorded_.size() >= count) return recorded_;
      }
      ::usleep(1000);
    }
  }
  std::shared_ptr<grpc::Channel> As(std::string_view identity) {
    return Connect(authority_.For(identity), "keys", socket_);
  }
  void StopServer() { server_.reset(); }
  keyring::Keyring& keyring() { return *keyring_; }

 private:
  TestDirectory directory_;
  std::filesystem::path socket_ = directory_.path() / "run" / "keys.sock";
  std::filesystem::path folder_ = directory_.path() / "escrow";
  std::mutex mutex_;
  std::vector<v1::AppendRequest> recorded_;
  TestAuthority authority_;
  SystemClock clock_;
  std::unique_ptr<keyring::Keyring> keyring_;
  std::unique_ptr<EscrowKeeper> escrow_;
  std::unique_ptr<FreshnessKeeper> freshness_;
  std::unique_ptr<KeyRecords> records_;
  std::unique_ptr<KeysService> service_;
  std::unique_ptr<RpcServer> server_;
};

class GrpcHarness final : public storage::KeySourceHarness {
 public:
  storage::KeySource& Own() override { return *own_; }
  storage::KeySource& Other() override { return *other_; }

 private:
  Appliance appliance_;
  std::unique_ptr<storage::KeySource> own_ = NewGrpcKeySource(appliance_.As("retrieval"));
  std::unique_ptr<storage::KeySource> other_ = NewGrpcKeySource(appliance_.As("audit"));
};

template <class Request, class Response, class Method>
grpc::Status Call(const std::shared_ptr<grpc::Channel>& channel, Method method, const Request& request,
                  Response& response) {
  const auto stub = v1::Keys::NewStub(channel);
  grpc::ClientContext context;
  SetDeadline(context, kTimeout);
  return ((*stub).*method)(&context, request, &response);
}

grpc::Status CreateKeys(const std::shared_ptr<grpc::Channel>& channel, v1::KeyKind kind, uint32_t count,
                        v1::KeysResponse& response) {
  v1::CreateKeysRequest request;
  request.set_kind(kind);
  request.set_count(count);
  return Call(channel, &v1::Keys::Stub::CreateKeys, request, response);
}

grpc::Status GetPublicKey(const std::shared_ptr<grpc::Channel>& channel, const std::string& owner,
                          const std::string& name, v1::PublicKeyResponse& response) {
  v1::GetPublicKeyRequest request;
  request.set_owner(owner);
  request.set_name(name);
  return Call(channel, &v1::Keys::Stub::GetPublicKey, request, response);
}

TEST(KeysServiceTest, EveryMethodRefusesEveryWrongCaller) {
  Appliance appliance;
  const std::set<std::string> owners = {"audit", "retrieval", "ingest", "gateway", "supervisor"};
  // Written out here a second time on purpose: a change of the rules must be made twice.
  const std::map<std::string, std::set<std::string>> allowed = {
      {"CreateKeys", owners},
      {"GetKeys", owners},
      {"GetNamedKey", owners},
      {"GetPublicKey", {"retrieval", "ingest", "audit", "embedding", "generation", "gateway"}},
      {"DestroyKeys", {"audit", "retrieval"}},
      {"RotateEpoch", {"gateway"}},
      {"GetKeyringStatus", {"gateway", "supervisor"}},
      {"SetRecovery", {"gateway"}},
      {"EscrowKeyring", {"gateway"}},
      {"ChangeAnchor", {"supervisor"}},
      {"CheckSecret", {"supervisor"}},
      {"ReplaceKeys", {"audit", "gateway", "ingest", "retrieval"}},
      {"CurrentKeys", {"audit", "gateway", "ingest", "retrieval"}},
      {"NoteRenewed", {"audit", "gateway", "ingest", "retrieval"}},
      {"DestroyFormerKeys", {"audit", "gateway", "ingest", "retrieval"}},
      {"GetFreshness", {"audit", "gateway", "ingest", "retrieval"}},
      {"NoteFreshness", {"audit", "gateway", "ingest", "retrieval"}},
      {"ChangeMarks", {"retrieval"}},
      {"ListMarks", {"retrieval"}},
  };
  for (const char* identity : {"gateway", "keys", "audit", "embedding", "retrieval", "generation", "ingest",
                               "parse", "supervisor", "stranger"}) {
    const auto channel = appliance.As(identity);
    const auto expect = [&](const char* method, const grpc::Status& status) {
      // What is let through fails on its empty request, or succeeds; it is never PERMISSION_DENIED.
      EXPECT_EQ(status.error_code() != grpc::PERMISSION_DENIED, allowed.at(method).contains(identity))
          << identity << " " << method;
    };
    v1::KeysResponse keys;
    v1::PublicKeyResponse public_key;
    v1::KeyringStatus status;
    expect("CreateKeys", Call(channel, &v1::Keys::Stub::CreateKeys, v1::CreateKeysRequest(), keys));
    expect("GetKeys", Call(channel, &v1::Keys::Stub::GetKeys, v1::GetKeysRequest(), keys));
    expect("GetNamedKey", Call(channel, &v1::Keys::Stub::GetNamedKey, v1::GetNamedKeyRequest(), keys));
    expect("GetPublicKey",
           Call(channel, &v1::Keys::Stub::GetPublicKey, v1::GetPublicKeyRequest(), public_key));
    v1::KeyDestruction destruction;
    expect("DestroyKeys", Call(channel, &v1::Keys::Stub::DestroyKeys, v1::DestroyKeysRequest(), destruction));
    expect("RotateEpoch", Call(channel, &v1::Keys::Stub::RotateEpoch, v1::RotateEpochRequest(), destruction));
    expect("GetKeyringStatus",
           Call(channel, &v1::Keys::Stub::GetKeyringStatus, v1::GetKeyringStatusRequest(), status));
    v1::SetRecoveryResponse recovery;
    expect("SetRecovery", Call(channel, &v1::Keys::Stub::SetRecovery, v1::SetRecoveryRequest(), recovery));
    v1::EscrowKeyringResponse escrow;
    expect("EscrowKeyring",
           Call(channel, &v1::Keys::Stub::EscrowKeyring, v1::EscrowKeyringRequest(), escrow));
    v1::ChangeAnchorResponse anchor;
    expect("ChangeAnchor", Call(channel, &v1::Keys::Stub::ChangeAnchor, v1::ChangeAnchorRequest(), anchor));
    v1::KeyIds replaced;
    expect("ReplaceKeys", Call(channel, &v1::Keys::Stub::ReplaceKeys, v1::ReplaceKeysRequest(), replaced));
    expect("CurrentKeys", Call(channel, &v1::Keys::Stub::CurrentKeys, v1::CurrentKeysRequest(), replaced));
    expect("NoteRenewed", Call(channel, &v1::Keys::Stub::NoteRenewed, v1::NoteRenewedRequest(), destruction));
    expect("DestroyFormerKeys",
           Call(channel, &v1::Keys::Stub::DestroyFormerKeys, v1::DestroyFormerKeysRequest(), destruction));
    v1::ChangeMarksResponse marked;
    expect("ChangeMarks", Call(channel, &v1::Keys::Stub::ChangeMarks, v1::ChangeMarksRequest(), marked));
    v1::ListMarksResponse marks;
    expect("ListMarks", Call(channel, &v1::Keys::Stub::ListMarks, v1::ListMarksRequest(), marks));
    v1::Freshness fresh;
    expect("GetFreshness", Call(channel, &v1::Keys::Stub::GetFreshness, v1::GetFreshnessRequest(), fresh));
    v1::NoteFreshnessResponse noted;
    expect("NoteFreshness", Call(channel, &v1::Keys::Stub::NoteFreshness, v1::NoteFreshnessRequest(), noted));
    v1::CheckSecretResponse check;
    expect("CheckSecret", Call(channel, &v1::Keys::Stub::CheckSecret, v1::CheckSecretRequest(), check));
  }
  EXPECT_EQ(v1::Keys::service_full_name(), std::string("cloister.v1.Keys"));
  EXPECT_EQ(appliance.keyring().size(), 1u);  // That of freshness statements.
}

TEST(KeysServiceTest, RefusesCountsAndKindsOutOfBounds) {
  Appliance appliance;
  const auto channel = appliance.As("retrieval");
  for (const uint32_t count : {0u, storage::kKeysPerCallMax + 1, 4'000'000'000u}) {
    v1::KeysResponse response;
    const grpc::Status status = CreateKeys(channel, v1::KEY_KIND_DOCUMENT, count, response);
    EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
    EXPECT_EQ(DetailOf(status).reason, "KEYS_PER_CALL");
    EXPECT_EQ(DetailOf(status).limit, storage::kKeysPerCallMax);
  }
  for (const int kind : {0, 6, 255, 256 + 2}) {
    v1::KeysResponse response;
    const grpc::Status status = CreateKeys(channel, static_cast<v1::KeyKind>(kind), 1, response);
    EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT) << kind;
    EXPECT_EQ(DetailOf(status).reason, "KEY_KIND_UNKNOWN");
  }
  EXPECT_EQ(appliance.keyring().size(), 1u);
}

TEST(KeysServiceTest, GetKeysGivesAllInOrderOrNone) {
  Appliance appliance;
  const auto channel = appliance.As("retrieval");
  v1::KeysResponse made;
  ASSERT_TRUE(CreateKeys(channel, v1::KEY_KIND_DOCUMENT, 3, made).ok());
  v1::GetKeysRequest request;
  for (const int i : {2, 0, 1}) request.add_ids(made.keys(i).id());
  v1::KeysResponse got;
  ASSERT_TRUE(Call(channel, &v1::Keys::Stub::GetKeys, request, got).ok());
  ASSERT_EQ(got.keys_size(), 3);
  EXPECT_EQ(got.keys(0).key(), made.keys(2).key());
  EXPECT_EQ(got.keys(1).key(), made.keys(0).key());

  request.add_ids(std::string(16, 'x'));
  got.Clear();
  EXPECT_EQ(Call(channel, &v1::Keys::Stub::GetKeys, request, got).error_code(), grpc::NOT_FOUND);
  EXPECT_EQ(got.keys_size(), 0);
}

TEST(KeysServiceTest, GetKeysRefusesMalformedAndTooManyIds) {
  Appliance appliance;
  const auto channel = appliance.As("audit");
  v1::KeysResponse response;
  v1::GetKeysRequest request;
  request.add_ids("short");
  grpc::Status status = Call(channel, &v1::Keys::Stub::GetKeys, request, response);
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(DetailOf(status).reason, "KEY_ID_MALFORMED");
  request.clear_ids();
  EXPECT_EQ(DetailOf(Call(channel, &v1::Keys::Stub::GetKeys, request, response)).reason, "KEYS_PER_CALL");
  for (uint32_t i = 0; i <= storage::kKeysPerCallMax; ++i) request.add_ids(std::string(16, 'x'));
  EXPECT_EQ(DetailOf(Call(channel, &v1::Keys::Stub::GetKeys, request, response)).reason, "KEYS_PER_CALL");
}

TEST(KeysServiceTest, PublicKeyAppearsOnceItsOwnerAskedForTheSigningKey) {
  Appliance appliance;
  v1::PublicKeyResponse response;
  const auto verifier = appliance.As("retrieval");
  EXPECT_EQ(GetPublicKey(verifier, "gateway", "assertion", response).error_code(), grpc::NOT_FOUND);
  const auto signing =
      NewGrpcKeySource(appliance.As("gateway"))->GetNamedKey(storage::KeyKind::kSigning, "assertion");
  ASSERT_TRUE(signing.ok()) << signing.status();
  ASSERT_TRUE(GetPublicKey(verifier, "gateway", "assertion", response).ok());
  EXPECT_EQ(response.public_key(), crypto::Ed25519Signer::FromSeed(signing->key->view())->public_key());
  EXPECT_EQ(GetPublicKey(verifier, "audit", "assertion", response).error_code(), grpc::NOT_FOUND);
}

TEST(KeysServiceTest, StatusSaysWhatIsNotProtected) {
  for (const auto source :
       {PassphraseSource::kTyped, PassphraseSource::kFile, PassphraseSource::kFileOnSameDisk}) {
    Appliance appliance(source);
    v1::KeysResponse keys;
    ASSERT_TRUE(CreateKeys(appliance.As("ingest"), v1::KEY_KIND_STORE, 2, keys).ok());
    v1::KeyringStatus status;
    ASSERT_TRUE(Call(appliance.As("gateway"), &v1::Keys::Stub::GetKeyringStatus,
                     v1::GetKeyringStatusRequest(), status)
                    .ok());
    EXPECT_EQ(status.keys(), 3u);
    EXPECT_EQ(status.generation(), 3u);
    EXPECT_EQ(status.format_version(), 3u);
    EXPECT_EQ(status.epoch(), 1u);
    EXPECT_EQ(status.keys_by_kind().at("store"), 2u);
    EXPECT_FALSE(status.destroys_for_good());
    EXPECT_EQ(status.root_kind(), "passphrase");
    EXPECT_EQ(status.passphrase_file_on_same_disk(), source == PassphraseSource::kFileOnSameDisk);
    std::string sentences;
    for (const std::string& sentence : status.not_protected()) sentences += sentence + "\n";
    EXPECT_EQ(sentences.find("Theft of this machine") != std::string::npos,
              source == PassphraseSource::kFileOnSameDisk);
    EXPECT_NE(sentences.find("opens what was erased since"), std::string::npos);
    EXPECT_NE(sentences.find("set keys.escrow_directory"), std::string::npos);
    EXPECT_NE(sentences.find("Nobody holds recovery shares"), std::string::npos);
  }
}

v1::SetRecoveryRequest RequestOf(const keyring::RecoveryKey& key) {
  v1::SetRecoveryRequest request;
  request.mutable_recovery()->set_set_id(key.set_id);
  request.mutable_recovery()->set_threshold(key.threshold);
  request.mutable_recovery()->set_shares(key.shares);
  request.mutable_recovery()->set_created_ns(key.created_ns);
  request.set_public_key(key.public_key);
  request.set_requested_by("n.okafor");
  return request;
}

v1::KeyringStatus StatusOf(Appliance& appliance) {
  v1::KeyringStatus status;
  EXPECT_TRUE(
      Call(appliance.As("gateway"), &v1::Keys::Stub::GetKeyringStatus, v1::GetKeyringStatusRequest(), status)
          .ok());
  return status;
}

TEST(KeysServiceTest, EveryChangeOfEpochReplacesTheEscrowedCopyAndIsRecorded) {
  Appliance appliance(PassphraseSource::kTyped, true);
  const auto retrieval = appliance.As("retrieval");
  v1::KeysResponse made;
  ASSERT_TRUE(CreateKeys(retrieval, v1::KEY_KIND_DOCUMENT, 2, made).ok());
  v1::DestroyKeysRequest destroy;
  destroy.add_ids(made.keys(0).id());
  v1::KeyDestruction destruction;
  ASSERT_TRUE(Call(retrieval, &v1::Keys::Stub::DestroyKeys, destroy, destruction).ok());
  EXPECT_EQ(destruction.escrow(), "replaced in " + appliance.folder().string());
  v1::KeyringStatus status = StatusOf(appliance);
  EXPECT_EQ(status.escrow().epoch(), 2u);
  EXPECT_EQ(status.escrow().behind(), 0u);
  v1::RotateEpochRequest rotate;
  rotate.set_requested_by("n.okafor");
  ASSERT_TRUE(Call(appliance.As("gateway"), &v1::Keys::Stub::RotateEpoch, rotate, destruction).ok());
  EXPECT_EQ(StatusOf(appliance).escrow().epoch(), 3u);
  ASSERT_TRUE(CreateKeys(retrieval, v1::KEY_KIND_DOCUMENT, 1, made).ok());
  EXPECT_EQ(StatusOf(appliance).escrow().behind(), 1u);

  const auto recorded = appliance.Recorded(2);
  EXPECT_EQ(recorded[0].event(), "key.destroyed");
  EXPECT_EQ(recorded[0].actor(), "retrieval");
  EXPECT_NE(recorded[0].body_json().find("\"count\":1"), std::string::npos) << recorded[0].body_json();
  EXPECT_EQ(recorded[1].event(), "key.rotated");
  EXPECT_EQ(recorded[1].actor_kind(), "user");
  EXPECT_EQ(recorded[1].actor(), "n.okafor");
}

TEST(KeysServiceTest, DestructionFailsUntilTheEscrowedCopyCouldBeReplaced) {
  Appliance appliance(PassphraseSource::kTyped, true);
  const auto retrieval = appliance.As("retrieval");
  v1::KeysResponse made;
  ASSERT_TRUE(CreateKeys(retrieval, v1::KEY_KIND_DOCUMENT, 2, made).ok());
  v1::DestroyKeysRequest destroy;
  destroy.add_ids(made.keys(0).id());
  std::filesystem::remove_all(appliance.folder());
  v1::KeyDestruction destruction;
  grpc::Status status = Call(retrieval, &v1::Keys::Stub::DestroyKeys, destroy, destruction);
  EXPECT_EQ(status.error_code(), grpc::UNAVAILABLE);
  EXPECT_NE(status.error_message().find("mount the folder"), std::string::npos) << status.error_message();
  // Nothing is left to destroy; the copy still is not there.
  EXPECT_EQ(Call(retrieval, &v1::Keys::Stub::DestroyKeys, destroy, destruction).error_code(),
            grpc::UNAVAILABLE);
  EXPECT_FALSE(StatusOf(appliance).escrow().problem().empty());
  std::filesystem::create_directory(appliance.folder());
  status = Call(retrieval, &v1::Keys::Stub::DestroyKeys, destroy, destruction);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(destruction.destroyed(), 0u);
  EXPECT_EQ(StatusOf(appliance).escrow().epoch(), 2u);
  EXPECT_TRUE(StatusOf(appliance).escrow().problem().empty());
}

TEST(KeysServiceTest, ARecoveryKeyIsSetOnceAndReplacedOnlyWhenAsked) {
  Appliance appliance(PassphraseSource::kTyped, true);
  const auto gateway = appliance.As("gateway");
  const SystemClock clock;
  const auto first = *keyring::MakeRecovery(2, 3, clock);
  const auto second = *keyring::MakeRecovery(3, 5, clock);
  v1::SetRecoveryResponse response;
  ASSERT_TRUE(Call(gateway, &v1::Keys::Stub::SetRecovery, RequestOf(first.key), response).ok());
  v1::SetRecoveryRequest request = RequestOf(second.key);
  EXPECT_EQ(Call(gateway, &v1::Keys::Stub::SetRecovery, request, response).error_code(),
            grpc::ALREADY_EXISTS);
  EXPECT_EQ(StatusOf(appliance).recovery().set_id(), first.key.set_id);
  request.set_replace(true);
  ASSERT_TRUE(Call(gateway, &v1::Keys::Stub::SetRecovery, request, response).ok());
  EXPECT_EQ(StatusOf(appliance).recovery().shares(), 5u);
  // The copy is sealed to the new set already.
  EXPECT_EQ(keyring::ReadEscrowHeader(appliance.folder(), appliance.keyring().appliance_id())->recovery,
            second.key);
  for (const auto& [threshold, shares, bytes] :
       std::vector<std::tuple<uint32_t, uint32_t, std::string>>{{1, 3, second.key.public_key},
                                                                {4, 3, second.key.public_key},
                                                                {258, 259, second.key.public_key},
                                                                {2, 3, std::string(32, '\0')},
                                                                {2, 3, "short"}}) {
    request.mutable_recovery()->set_threshold(threshold);
    request.mutable_recovery()->set_shares(shares);
    request.set_public_key(bytes);
    EXPECT_EQ(Call(gateway, &v1::Keys::Stub::SetRecovery, request, response).error_code(),
              grpc::INVALID_ARGUMENT);
  }
  EXPECT_EQ(StatusOf(appliance).recovery().set_id(), second.key.set_id);
}

TEST(KeysServiceTest, HandsOverACopyThatOpensAndSaysWhenNoFolderIsConfigured) {
  Appliance appliance;
  v1::EscrowKeyringRequest request;
  v1::EscrowKeyringResponse response;
  const auto gateway = appliance.As("gateway");
  EXPECT_EQ(Call(gateway, &v1::Keys::Stub::EscrowKeyring, request, response).error_code(),
            grpc::FAILED_PRECONDITION);
  request.set_copy(true);
  ASSERT_TRUE(Call(gateway, &v1::Keys::Stub::EscrowKeyring, request, response).ok());
  const auto escrow = keyring::ParseEscrow(response.file());
  ASSERT_TRUE(escrow.ok()) << escrow.status();
  EXPECT_EQ(escrow->header.generation, response.generation());
  EXPECT_EQ(response.file_name(), appliance.keyring().appliance_id().hex() + ".escrow");
}

TEST(KeysServiceTest, ThePassphraseChangesOnlyForWhoKnowsTheFormerOne) {
  Appliance appliance;
  const auto supervisor = appliance.As("supervisor");
  const auto opens = [&](const std::string& secret) {
    v1::CheckSecretRequest request;
    request.set_secret(secret);
    v1::CheckSecretResponse response;
    return Call(supervisor, &v1::Keys::Stub::CheckSecret, request, response).error_code();
  };
  v1::ChangeAnchorRequest request;
  request.set_former_secret("wrong horse battery");
  request.set_secret("five random words are better");
  request.set_source("file");
  v1::ChangeAnchorResponse response;
  EXPECT_EQ(Call(supervisor, &v1::Keys::Stub::ChangeAnchor, request, response).error_code(),
            grpc::UNAUTHENTICATED);
  EXPECT_EQ(opens(kPassphrase), grpc::OK);
  request.set_former_secret(kPassphrase);
  request.set_to("tpm");
  EXPECT_EQ(Call(supervisor, &v1::Keys::Stub::ChangeAnchor, request, response).error_code(),
            grpc::FAILED_PRECONDITION);
  request.set_to("abacus");
  EXPECT_EQ(Call(supervisor, &v1::Keys::Stub::ChangeAnchor, request, response).error_code(),
            grpc::INVALID_ARGUMENT);
  request.clear_to();
  request.set_secret("short");
  EXPECT_EQ(Call(supervisor, &v1::Keys::Stub::ChangeAnchor, request, response).error_code(),
            grpc::INVALID_ARGUMENT);
  EXPECT_EQ(opens(kPassphrase), grpc::OK);
  request.set_secret("five random words are better");
  const grpc::Status status = Call(supervisor, &v1::Keys::Stub::ChangeAnchor, request, response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.change().epoch(), 2u);
  EXPECT_TRUE(response.unfinished().empty());
  EXPECT_EQ(opens(kPassphrase), grpc::UNAUTHENTICATED);
  EXPECT_EQ(opens("five random words are better"), grpc::OK);
}

TEST(KeysServiceTest, EachServiceStatesItsOwnAndAuditAloneTheLog) {
  Appliance appliance;
  const auto note = [&](std::string_view who, uint64_t sequence, bool with_log) {
    v1::NoteFreshnessRequest request;
    v1::StoreFreshness& store = *request.add_stores();
    store.set_name("db");
    store.set_database_id(std::string(16, who[0]));
    store.set_commit_sequence(sequence);
    if (with_log) {
      request.mutable_log()->set_origin("clinic/main/1");
      request.mutable_log()->set_size(sequence);
      request.mutable_log()->set_root(std::string(32, 'r'));
    }
    v1::NoteFreshnessResponse response;
    return Call(appliance.As(who), &v1::Keys::Stub::NoteFreshness, request, response);
  };
  const auto stated = [&](std::string_view who) {
    v1::Freshness response;
    EXPECT_TRUE(Call(appliance.As(who), &v1::Keys::Stub::GetFreshness, v1::GetFreshnessRequest(), response).ok());
    return response;
  };
  EXPECT_TRUE(note("audit", 5, true).ok());
  EXPECT_TRUE(note("retrieval", 7, false).ok());
  EXPECT_EQ(note("retrieval", 8, true).error_code(), grpc::PERMISSION_DENIED);
  EXPECT_EQ(note("retrieval", 6, false).error_code(), grpc::FAILED_PRECONDITION);
  EXPECT_EQ(stated("audit").log().size(), 5u);
  EXPECT_EQ(stated("audit").stores(0).commit_sequence(), 5u);
  EXPECT_FALSE(stated("retrieval").has_log());
  ASSERT_EQ(stated("retrieval").stores_size(), 1);
  EXPECT_EQ(stated("retrieval").stores(0).commit_sequence(), 7u);
  EXPECT_EQ(stated("ingest").stores_size(), 0);
}

TEST(KeysServiceTest, SaysWhatAnEscrowedCopyDoesNotCover) {
  keyring::KeyringStatus status;
  EscrowState escrow;
  FreshnessState freshness;
  const auto says = [&](std::string_view words) {
    for (const std::string& sentence : NotProtectedBy(status, escrow, freshness)) {
      if (sentence.find(words) != std::string::npos) return true;
    }
    return false;
  };
  escrow.folder = "/mnt/escrow";
  escrow.present = true;
  EXPECT_FALSE(says("set keys.escrow_directory"));
  EXPECT_FALSE(says("same device"));
  escrow.same_device = true;
  EXPECT_TRUE(says("same device"));
  EXPECT_FALSE(says("worth nothing elsewhere"));
  status.anchor = keyring::AnchorKind::kTpm;
  status.destroys_for_good = true;
  EXPECT_TRUE(says("worth nothing elsewhere"));
  EXPECT_FALSE(says("opens what was erased since"));
  status.recovery = keyring::RecoveryKey{};
  EXPECT_FALSE(says("worth nothing elsewhere"));
  EXPECT_FALSE(says("recovery shares"));
  status.doomed = 1;
  EXPECT_TRUE(says("still in its device"));
  escrow.problem = "no room";
  EXPECT_TRUE(says("no room"));
  EXPECT_TRUE(says("puts the whole data directory back"));
  freshness.escrowed = true;
  EXPECT_FALSE(says("puts the whole data directory back"));
  freshness = FreshnessState();
  freshness.statement.counter = "01810022";
  EXPECT_FALSE(says("puts the whole data directory back"));
}

TEST(GrpcKeySourceTest, KnownKeysNeedNoFurtherCall) {
  Appliance appliance;
  const auto source = NewGrpcKeySource(appliance.As("retrieval"));
  const auto made = source->CreateKeys(storage::KeyKind::kDocument, 2);
  const auto named = source->GetNamedKey(storage::KeyKind::kStore, "rows");
  ASSERT_TRUE(made.ok() && named.ok());
  appliance.StopServer();
  const auto again = source->GetKey((*made)[1].id);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->key->view(), (*made)[1].key->view());
  EXPECT_EQ(source->GetNamedKey(storage::KeyKind::kStore, "rows")->id, named->id);
}

TEST(PassphraseSourceTest, NamesSurviveTheRoundTrip) {
  for (const auto source :
       {PassphraseSource::kTyped, PassphraseSource::kFile, PassphraseSource::kFileOnSameDisk}) {
    EXPECT_EQ(*ParsePassphraseSource(NameOf(source)), source);
  }
  EXPECT_EQ(ParsePassphraseSource("stick").status().code(), StatusCode::kInvalidArgument);
}

TEST(PassphraseSourceTest, ComparesDevices) {
  TestDirectory directory;
  EXPECT_EQ(*SourceOfFile("/proc/self/status", directory.path()), PassphraseSource::kFile);
  EXPECT_EQ(*SourceOfFile(directory.path(), directory.path()), PassphraseSource::kFileOnSameDisk);
  EXPECT_EQ(SourceOfFile(directory.path() / "none", directory.path()).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(SourceOfFile(directory.path(), directory.path() / "none").status().code(), StatusCode::kNotFound);
}

std::unique_ptr<storage::KeySourceHarness> MakeGrpcHarness() { return std::make_unique<GrpcHarness>(); }

}  // namespace
}  // namespace cloister::services

namespace cloister::storage {
INSTANTIATE_TEST_SUITE_P(GrpcKeySource, KeySourceContract, testing::Values(services::MakeGrpcHarness));
}  // namespace cloister::storage
