// SPDX-License-Identifier: Apache-2.0
#include "services/keys/keys_service.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "crypto/signer.h"
#include "keyring/passphrase_anchor.h"
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
  explicit Appliance(PassphraseSource source = PassphraseSource::kTyped) {
    keyring_ = *keyring::Keyring::Create({.path = directory_.path() / "keyring"},
                                          keyring::NewPassphraseAnchor(kPassphrase, kCheap), clock_);
    service_ = std::make_unique<KeysService>(*keyring_, source);
    RpcServerOptions options;
    options.socket = socket_;
    options.rules = KeysRules();
    options.services = {service_.get()};
    server_ = *RpcServer::Start(authority_.For("keys"), std::move(options));
  }
  std::shared_ptr<grpc::Channel> As(std::string_view identity) {
    return Connect(authority_.For(identity), "keys", socket_);
  }
  void StopServer() { server_.reset(); }
  keyring::Keyring& keyring() { return *keyring_; }

 private:
  TestDirectory directory_;
  std::filesystem::path socket_ = directory_.path() / "run" / "keys.sock";
  TestAuthority authority_;
  SystemClock clock_;
  std::unique_ptr<keyring::Keyring> keyring_;
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
      {"RotateNamedKey", owners},
      {"RotateEpoch", {"gateway"}},
      {"GetKeyringStatus", {"gateway", "supervisor"}},
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
    expect("RotateNamedKey", Call(channel, &v1::Keys::Stub::RotateNamedKey, v1::GetNamedKeyRequest(), keys));
    expect("RotateEpoch", Call(channel, &v1::Keys::Stub::RotateEpoch, v1::RotateEpochRequest(), destruction));
    expect("GetKeyringStatus",
           Call(channel, &v1::Keys::Stub::GetKeyringStatus, v1::GetKeyringStatusRequest(), status));
  }
  EXPECT_EQ(v1::Keys::service_full_name(), std::string("cloister.v1.Keys"));
  EXPECT_EQ(appliance.keyring().size(), 0u);
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
  EXPECT_EQ(appliance.keyring().size(), 0u);
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
    EXPECT_EQ(status.keys(), 2u);
    EXPECT_EQ(status.generation(), 2u);
    EXPECT_EQ(status.format_version(), 2u);
    EXPECT_EQ(status.epoch(), 1u);
    EXPECT_EQ(status.keys_by_kind().at("store"), 2u);
    EXPECT_FALSE(status.destroys_for_good());
    EXPECT_EQ(status.root_kind(), "passphrase");
    EXPECT_EQ(status.passphrase_file_on_same_disk(), source == PassphraseSource::kFileOnSameDisk);
    EXPECT_EQ(status.not_protected_size(), source == PassphraseSource::kFileOnSameDisk ? 1 : 0);
  }
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
