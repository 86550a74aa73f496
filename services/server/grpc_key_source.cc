// SPDX-License-Identifier: Apache-2.0
#include "services/server/grpc_key_source.h"

#include <list>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cloister/v1/keys.grpc.pb.h"
#include "services/server/rpc_client.h"
#include "services/server/rpc_status.h"

namespace cloister::services {
namespace {

using storage::DataKey;
using storage::KeyKind;

constexpr std::chrono::milliseconds kKeysTimeout{10'000};
constexpr std::chrono::milliseconds kDestroyTimeout{60'000};  // Every key is wrapped anew.

// The least recently used key goes first. Not thread-safe.
class KeyCache {
 public:
  const DataKey* Find(const KeyId& id) {
    const auto found = places_.find(id);
    if (found == places_.end()) return nullptr;
    order_.splice(order_.begin(), order_, found->second);
    return &*found->second;
  }
  void Insert(const DataKey& key) {
    if (Find(key.id) != nullptr) return;
    order_.push_front(key);
    places_[key.id] = order_.begin();
    if (order_.size() <= kCachedKeysMax) return;
    places_.erase(order_.back().id);
    order_.pop_back();
  }

  void Erase(const KeyId& id) {
    const auto found = places_.find(id);
    if (found == places_.end()) return;
    order_.erase(found->second);
    places_.erase(found);
  }

 private:
  std::list<DataKey> order_;
  std::unordered_map<KeyId, std::list<DataKey>::iterator> places_;
};

// Moves the keys out of `response` and wipes what protobuf held.
StatusOr<std::vector<DataKey>> TakeKeys(v1::KeysResponse& response, size_t expected) {
  std::vector<DataKey> out;
  bool well_formed = static_cast<size_t>(response.keys_size()) == expected;
  for (v1::DataKey& wire : *response.mutable_keys()) {
    StatusOr<KeyId> id = KeyId::FromBytes(wire.id());
    well_formed = well_formed && id.ok() && wire.key().size() == 32;
    if (well_formed) out.push_back({*id, std::make_shared<const crypto::Secret>(wire.key())});
    crypto::Wipe(wire.mutable_key()->data(), wire.key().size());
  }
  if (!well_formed) return Internal("the keys service gave a malformed answer");
  return out;
}

StatusOr<std::vector<KeyId>> TakeIds(const v1::KeyIds& response, size_t expected) {
  std::vector<KeyId> ids;
  for (const std::string& bytes : response.ids()) {
    if (const auto id = KeyId::FromBytes(bytes); id.ok()) ids.push_back(*id);
  }
  if (ids.size() != expected) return Internal("the keys service gave a malformed answer");
  return ids;
}

class GrpcKeySource final : public storage::KeySource {
 public:
  explicit GrpcKeySource(const std::shared_ptr<grpc::Channel>& channel) : stub_(v1::Keys::NewStub(channel)) {}

  StatusOr<std::vector<DataKey>> CreateKeys(KeyKind kind, uint32_t count) override {
    grpc::ClientContext context;
    SetDeadline(context, kKeysTimeout);
    v1::CreateKeysRequest request;
    request.set_kind(static_cast<v1::KeyKind>(kind));
    request.set_count(count);
    v1::KeysResponse response;
    CLOISTER_RETURN_IF_ERROR(FromGrpc(stub_->CreateKeys(&context, request, &response)));
    CLOISTER_ASSIGN_OR_RETURN(std::vector<DataKey> keys, TakeKeys(response, count));
    std::lock_guard lock(mutex_);
    for (const DataKey& key : keys) cache_.Insert(key);
    return keys;
  }

  StatusOr<DataKey> GetKey(const KeyId& id) override {
    {
      std::lock_guard lock(mutex_);
      if (const DataKey* cached = cache_.Find(id)) return *cached;
    }
    grpc::ClientContext context;
    SetDeadline(context, kKeysTimeout);
    v1::GetKeysRequest request;
    request.add_ids(std::string(id.bytes()));
    v1::KeysResponse response;
    CLOISTER_RETURN_IF_ERROR(FromGrpc(stub_->GetKeys(&context, request, &response)));
    CLOISTER_ASSIGN_OR_RETURN(std::vector<DataKey> keys, TakeKeys(response, 1));
    if (keys[0].id != id) return Internal("the keys service gave a malformed answer");
    std::lock_guard lock(mutex_);
    cache_.Insert(keys[0]);
    return keys[0];
  }

  StatusOr<DataKey> GetNamedKey(KeyKind kind, std::string_view name) override {
    const std::pair<KeyKind, std::string> place(kind, name);
    {
      std::lock_guard lock(mutex_);
      const auto found = named_.find(place);
      if (found != named_.end()) return found->second;
    }
    grpc::ClientContext context;
    SetDeadline(context, kKeysTimeout);
    v1::GetNamedKeyRequest request;
    request.set_kind(static_cast<v1::KeyKind>(kind));
    request.set_name(place.second);
    v1::KeysResponse response;
    CLOISTER_RETURN_IF_ERROR(FromGrpc(stub_->GetNamedKey(&context, request, &response)));
    CLOISTER_ASSIGN_OR_RETURN(std::vector<DataKey> keys, TakeKeys(response, 1));
    std::lock_guard lock(mutex_);
    // Names are constants of the code, so this map stays small.
    named_.emplace(place, keys[0]);
    return keys[0];
  }

  StatusOr<std::vector<KeyId>> ReplaceKeys(const std::vector<KeyId>& ids) override {
    grpc::ClientContext context;
    SetDeadline(context, kDestroyTimeout);
    v1::ReplaceKeysRequest request;
    for (const KeyId& id : ids) request.add_ids(std::string(id.bytes()));
    v1::KeyIds response;
    const grpc::Status called = stub_->ReplaceKeys(&context, request, &response);
    {
      // Also when the call failed: it may have happened.
      std::lock_guard lock(mutex_);
      named_.clear();
    }
    CLOISTER_RETURN_IF_ERROR(FromGrpc(called));
    return TakeIds(response, ids.size());
  }

  StatusOr<std::vector<KeyId>> CurrentKeys(const std::vector<KeyId>& ids) override {
    grpc::ClientContext context;
    SetDeadline(context, kKeysTimeout);
    v1::CurrentKeysRequest request;
    for (const KeyId& id : ids) request.add_ids(std::string(id.bytes()));
    v1::KeyIds response;
    CLOISTER_RETURN_IF_ERROR(FromGrpc(stub_->CurrentKeys(&context, request, &response)));
    return TakeIds(response, ids.size());
  }

  StatusOr<storage::Destruction> DestroyKeys(const std::vector<KeyId>& ids, storage::DestroyFor why) override {
    grpc::ClientContext context;
    SetDeadline(context, kDestroyTimeout);
    v1::DestroyKeysRequest request;
    for (const KeyId& id : ids) request.add_ids(std::string(id.bytes()));
    request.set_erasure(why == storage::DestroyFor::kErasure);
    // Even when the call fails: nobody may go on with a key that was given up.
    Forget(ids);
    v1::KeyDestruction response;
    CLOISTER_RETURN_IF_ERROR(FromGrpc(stub_->DestroyKeys(&context, request, &response)));
    return Take(response);
  }

  Status NoteRenewed() override {
    grpc::ClientContext context;
    SetDeadline(context, kDestroyTimeout);
    v1::KeyDestruction response;
    return FromGrpc(stub_->NoteRenewed(&context, {}, &response));
  }

  StatusOr<storage::Destruction> DestroyFormerKeys() override {
    grpc::ClientContext context;
    SetDeadline(context, kDestroyTimeout);
    v1::KeyDestruction response;
    CLOISTER_RETURN_IF_ERROR(FromGrpc(stub_->DestroyFormerKeys(&context, {}, &response)));
    return Take(response);
  }

  Status ChangeMarks(const std::vector<std::string>& add, const std::vector<std::string>& remove) override {
    grpc::ClientContext context;
    SetDeadline(context, kKeysTimeout);
    v1::ChangeMarksRequest request;
    for (const std::string& mark : add) request.add_add(mark);
    for (const std::string& mark : remove) request.add_remove(mark);
    v1::ChangeMarksResponse response;
    return FromGrpc(stub_->ChangeMarks(&context, request, &response));
  }

  StatusOr<std::vector<std::string>> Marks() override {
    grpc::ClientContext context;
    SetDeadline(context, kKeysTimeout);
    v1::ListMarksResponse response;
    CLOISTER_RETURN_IF_ERROR(FromGrpc(stub_->ListMarks(&context, {}, &response)));
    return std::vector<std::string>(response.marks().begin(), response.marks().end());
  }

 private:
  void Forget(const std::vector<KeyId>& ids) {
    std::lock_guard lock(mutex_);
    for (const KeyId& id : ids) cache_.Erase(id);
  }
  StatusOr<storage::Destruction> Take(const v1::KeyDestruction& response) {
    std::vector<KeyId> along;
    for (const std::string& bytes : response.along()) {
      if (const auto id = KeyId::FromBytes(bytes); id.ok()) along.push_back(*id);
    }
    Forget(along);
    return storage::Destruction{response.destroyed(), response.epoch(),    response.generation(),
                                response.anchor(),    response.for_good(), response.escrow(),
                                std::move(along)};
  }

  const std::unique_ptr<v1::Keys::Stub> stub_;
  std::mutex mutex_;
  KeyCache cache_;
  std::map<std::pair<KeyKind, std::string>, DataKey> named_;
};

}  // namespace

std::unique_ptr<storage::KeySource> NewGrpcKeySource(std::shared_ptr<grpc::Channel> keys_channel) {
  return std::make_unique<GrpcKeySource>(keys_channel);
}

}  // namespace cloister::services
