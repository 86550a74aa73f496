// SPDX-License-Identifier: Apache-2.0
#include "storage/keyring.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <tuple>
#include <utility>

#include "common/file.h"
#include "crypto/random.h"
#include "crypto/signer.h"
#include "storage/keyring_format.h"

namespace cloister::storage {
namespace {

constexpr unsigned kFileMode = 0600;
constexpr size_t kKeyBytes = 32;
constexpr uint32_t kFirstEpoch = 1;

bool IsName(std::string_view name, size_t bytes_max) {
  return !name.empty() && name.size() <= bytes_max && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

Status CheckOwnerAndKind(std::string_view owner, KeyKind kind) {
  if (!IsName(owner, kOwnerBytesMax))
    return InvalidArgument("the owner of a key must be 1 to 64 of [a-z0-9-]");
  if (kind < KeyKind::kStore || kind > KeyKind::kSigning) return InvalidArgument("unknown kind of key");
  return absl::OkStatus();
}

// The file is replaced on each change, so the lock is on a neighbour that stays.
StatusOr<FileDescriptor> LockBeside(const std::filesystem::path& path) {
  auto lock = LockFile(path.string() + ".lock");
  if (lock.status().code() == StatusCode::kFailedPrecondition) {
    return FailedPrecondition("another process has the keyring open; stop it first");
  }
  return lock;
}

StatusOr<bool> Exists(const std::filesystem::path& path) {
  if (::access(path.c_str(), F_OK) == 0) return true;
  if (errno == ENOENT) return false;
  return ErrnoStatus(errno, "keyring");
}

}  // namespace

class Keyring::Impl {
 public:
  Impl(std::filesystem::path path, FileDescriptor lock, const Clock& clock, KeyringHeader header,
       crypto::Secret epoch_key, KeyringTable table, size_t keys_max)
      : path_(std::move(path)),
        lock_(std::move(lock)),
        clock_(clock),
        epoch_key_(std::move(epoch_key)),
        keys_max_(keys_max),
        header_(std::move(header)),
        table_(std::move(table)) {
    for (const auto& [id, entry] : table_) Index(id, entry);
  }

  Status WriteFirst() {
    std::lock_guard writer(writer_);
    return Commit({});
  }

  StatusOr<std::vector<DataKey>> CreateKeys(std::string_view owner, KeyKind kind, uint32_t count) {
    CLOISTER_RETURN_IF_ERROR(CheckOwnerAndKind(owner, kind));
    if (count == 0 || count > kKeysPerCallMax) return InvalidArgument("1 to 1024 keys at a time");
    std::lock_guard writer(writer_);
    return Add(owner, kind, "", count);
  }

  StatusOr<DataKey> GetKey(std::string_view owner, const KeyId& id) const {
    std::shared_lock reader(state_);
    const auto it = table_.find(id);
    if (it == table_.end()) return NotFound("no such key");
    if (it->second.owner != owner) return PermissionDenied("the key belongs to another service");
    return Unwrap(it->first, it->second);
  }

  StatusOr<DataKey> GetNamedKey(std::string_view owner, KeyKind kind, std::string_view name) {
    CLOISTER_RETURN_IF_ERROR(CheckOwnerAndKind(owner, kind));
    if (!IsName(name, kKeyNameBytesMax)) return InvalidArgument("a key's name must be 1 to 64 of [a-z0-9-]");
    auto found = FindNamed(owner, kind, name);
    if (found.status().code() != StatusCode::kNotFound) return found;
    std::lock_guard writer(writer_);
    found = FindNamed(owner, kind, name);  // Another caller may have made it meanwhile.
    if (found.status().code() != StatusCode::kNotFound) return found;
    CLOISTER_ASSIGN_OR_RETURN(std::vector<DataKey> made, Add(owner, kind, name, 1));
    return std::move(made.front());
  }

  StatusOr<DataKey> FindNamed(std::string_view owner, KeyKind kind, std::string_view name) const {
    std::shared_lock reader(state_);
    const auto it = named_.find(std::tuple(owner, kind, name));
    if (it == named_.end()) return NotFound("no key of this name");
    return Unwrap(it->second, table_.at(it->second));
  }

  uint64_t generation() const {
    std::shared_lock reader(state_);
    return header_.generation;
  }
  size_t size() const {
    std::shared_lock reader(state_);
    return table_.size();
  }
  const DatabaseId& appliance_id() const { return header_.appliance; }

 private:
  void Index(const KeyId& id, const KeyringEntry& entry) {
    if (!entry.name.empty()) named_.emplace(std::tuple(entry.owner, entry.kind, entry.name), id);
  }

  StatusOr<DataKey> Unwrap(const KeyId& id, const KeyringEntry& entry) const {
    auto key = UnwrapKey(epoch_key_, header_, id, entry);
    if (!key.ok()) return Annotate(key.status(), "keyring entry");
    return DataKey{id, std::make_shared<const crypto::Secret>(*std::move(key))};
  }

  // Needs writer_, so nobody else changes header_ or table_.
  StatusOr<std::vector<DataKey>> Add(std::string_view owner, KeyKind kind, std::string_view name,
                                     uint32_t count) {
    if (table_.size() + count > keys_max_) {
      return ResourceExhausted("the keyring is full; erase documents or start another appliance");
    }
    KeyringEntry entry;
    entry.kind = kind;
    entry.created_ns = clock_.Now().time_since_epoch().count();
    entry.owner = owner;
    entry.name = name;
    KeyringTable added;
    std::vector<DataKey> keys;
    while (keys.size() < count) {
      DataKey key{crypto::RandomId<KeyId>(),
                  std::make_shared<const crypto::Secret>(crypto::RandomSecret(kKeyBytes))};
      entry.wrapped_key = WrapKey(epoch_key_, header_, key.id, entry, key.key->view());
      added.emplace(key.id, entry);
      keys.push_back(std::move(key));
    }
    CLOISTER_RETURN_IF_ERROR(Commit(std::move(added)));
    return keys;
  }

  // Needs writer_. Memory changes only after the file did; readers go on during the write.
  Status Commit(KeyringTable added) {
    KeyringHeader next = header_;
    next.generation += 1;
    next.table_salt = crypto::RandomBytes(kKeyringSaltBytes);
    CLOISTER_RETURN_IF_ERROR(
        Annotate(WriteFileAtomic(path_, SealKeyring(epoch_key_, next, table_, added), kFileMode), "keyring"));
    std::unique_lock state(state_);
    header_.generation = next.generation;
    header_.table_salt = next.table_salt;
    for (const auto& [id, entry] : added) Index(id, entry);
    table_.merge(added);
    return absl::OkStatus();
  }

  const std::filesystem::path path_;
  const FileDescriptor lock_;
  const Clock& clock_;
  const crypto::Secret epoch_key_;
  const size_t keys_max_;
  std::mutex writer_;                // One change at a time; taken before state_.
  mutable std::shared_mutex state_;  // Guards what follows against the moment of change.
  KeyringHeader header_;
  KeyringTable table_;
  std::map<std::tuple<std::string, KeyKind, std::string>, KeyId, std::less<>> named_;
};

Keyring::Keyring(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Keyring::~Keyring() = default;

StatusOr<std::unique_ptr<Keyring>> Keyring::Create(const std::filesystem::path& path,
                                                   std::string_view passphrase,
                                                   const crypto::Argon2Cost& cost, const Clock& clock) {
  if (passphrase.size() < crypto::kPassphraseBytesMin) {
    return InvalidArgument("the passphrase must have at least 12 bytes");
  }
  CLOISTER_ASSIGN_OR_RETURN(FileDescriptor lock, LockBeside(path));
  CLOISTER_ASSIGN_OR_RETURN(const bool exists, Exists(path));
  if (exists) return AlreadyExists("there is a keyring already; it was left as it is");
  KeyringHeader header;
  header.appliance = crypto::RandomId<DatabaseId>();
  header.cost = cost;
  header.root_salt = crypto::RandomBytes(kKeyringSaltBytes);
  header.epoch = kFirstEpoch;
  header.epoch_salt = crypto::RandomBytes(kKeyringSaltBytes);
  crypto::Secret epoch_key = crypto::RandomSecret(kKeyBytes);
  CLOISTER_ASSIGN_OR_RETURN(const crypto::Secret root_key,
                            crypto::KeyFromPassphrase(passphrase, header.root_salt, cost));
  header.root_check = RootCheck(root_key, header);
  header.wrapped_epoch_key = WrapEpochKey(root_key, header, epoch_key);
  auto impl = std::make_unique<Impl>(path, std::move(lock), clock, std::move(header), std::move(epoch_key),
                                     KeyringTable(), kKeyringKeysMax);
  CLOISTER_RETURN_IF_ERROR(impl->WriteFirst());
  return std::unique_ptr<Keyring>(new Keyring(std::move(impl)));
}

StatusOr<std::unique_ptr<Keyring>> Keyring::Open(const std::filesystem::path& path,
                                                 std::string_view passphrase, const Clock& clock,
                                                 size_t keys_max) {
  CLOISTER_ASSIGN_OR_RETURN(const bool exists, Exists(path));
  if (!exists) return NotFound("there is no keyring");
  CLOISTER_ASSIGN_OR_RETURN(FileDescriptor lock, LockBeside(path));
  CLOISTER_ASSIGN_OR_RETURN(const std::string file, ReadFile(path, kKeyringFileBytesMax));
  CLOISTER_ASSIGN_OR_RETURN(KeyringHeader header, ParseKeyringHeader(file));
  if (passphrase.size() > crypto::kPassphraseBytesMax) return Unauthenticated("wrong passphrase");
  const auto root_key = crypto::KeyFromPassphrase(passphrase, header.root_salt, header.cost);
  if (root_key.status().code() == StatusCode::kInvalidArgument) {
    return DataLoss("the keyring's Argon2id cost is out of bounds; restore it from the escrowed copy");
  }
  if (!root_key.ok()) return root_key.status();
  if (!crypto::ConstantTimeEqual(RootCheck(*root_key, header), header.root_check)) {
    return Unauthenticated("wrong passphrase");
  }
  const auto damaged = [](const Status& status) { return Annotate(status, "the keyring was altered"); };
  auto epoch_key = UnwrapEpochKey(*root_key, header);
  if (!epoch_key.ok()) return damaged(epoch_key.status());
  auto table = OpenKeyringTable(*epoch_key, file);
  if (!table.ok()) return damaged(table.status());
  return std::unique_ptr<Keyring>(new Keyring(std::make_unique<Impl>(
      path, std::move(lock), clock, std::move(header), *std::move(epoch_key), *std::move(table), keys_max)));
}

StatusOr<std::vector<DataKey>> Keyring::CreateKeys(std::string_view owner, KeyKind kind, uint32_t count) {
  return impl_->CreateKeys(owner, kind, count);
}
StatusOr<DataKey> Keyring::GetKey(std::string_view owner, const KeyId& id) const {
  return impl_->GetKey(owner, id);
}
StatusOr<DataKey> Keyring::GetNamedKey(std::string_view owner, KeyKind kind, std::string_view name) {
  return impl_->GetNamedKey(owner, kind, name);
}

StatusOr<std::string> Keyring::PublicKeyOf(std::string_view owner, std::string_view name) const {
  CLOISTER_ASSIGN_OR_RETURN(const DataKey key, impl_->FindNamed(owner, KeyKind::kSigning, name));
  CLOISTER_ASSIGN_OR_RETURN(const auto signer, crypto::Ed25519Signer::FromSeed(key.key->view()));
  return signer.public_key();
}

uint64_t Keyring::generation() const { return impl_->generation(); }
size_t Keyring::size() const { return impl_->size(); }
const DatabaseId& Keyring::appliance_id() const { return impl_->appliance_id(); }

}  // namespace cloister::storage
