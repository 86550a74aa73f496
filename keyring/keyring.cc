// SPDX-License-Identifier: Apache-2.0
#include "keyring/keyring.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <tuple>
#include <utility>

#include "common/file.h"
#include "common/log.h"
#include "crypto/random.h"
#include "crypto/signer.h"
#include "keyring/key_chains.h"
#include "keyring/keyring_file.h"

namespace cloister::keyring {
namespace {

using storage::DataKey;
using storage::KeyKind;

constexpr size_t kKeyBytes = 32;

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

Status WrongAnchor() {
  return FailedPrecondition("the keyring's epoch key is in another kind of place than the one that was opened");
}

}  // namespace

class Keyring::Impl {
 public:
  Impl(KeyringOptions options, FileDescriptor lock, const Clock& clock, std::unique_ptr<EpochAnchor> anchor,
       KeyringHeader header, crypto::Secret epoch_key, KeyringTable table)
      : options_(std::move(options)),
        lock_(std::move(lock)),
        clock_(clock),
        anchor_(std::move(anchor)),
        anchor_description_(anchor_->Describe()),
        header_(std::move(header)),
        epoch_key_(std::move(epoch_key)),
        entries_key_(EntriesKey(epoch_key_)),
        table_(std::move(table)) {
    Reindex();
  }

  Status WriteFirst() {
    std::lock_guard writer(writer_);
    return Commit({}, header_);
  }

  StatusOr<std::vector<DataKey>> CreateKeys(std::string_view owner, KeyKind kind, uint32_t count) {
    CLOISTER_RETURN_IF_ERROR(CheckOwnerAndKind(owner, kind));
    if (count == 0 || count > storage::kKeysPerCallMax) return InvalidArgument("1 to 1024 keys at a time");
    std::lock_guard writer(writer_);
    return Add(owner, kind, "", count);
  }

  StatusOr<DataKey> GetKey(std::string_view owner, const KeyId& id) const {
    std::shared_lock reader(state_);
    const auto it = table_.entries.find(id);
    if (it == table_.entries.end()) return NotFound("no such key");
    if (it->second.owner != owner) return PermissionDenied("the key belongs to another service");
    return Unwrap(it->first, it->second);
  }

  uint64_t CountUnreadable() const {
    std::shared_lock reader(state_);
    uint64_t unreadable = 0;
    for (const auto& [id, entry] : table_.entries) unreadable += Unwrap(id, entry).ok() ? 0 : 1;
    return unreadable;
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
    return Unwrap(it->second, table_.entries.at(it->second));
  }

  StatusOr<EpochChange> DestroyKeys(std::string_view owner, const std::vector<KeyId>& ids,
                                    storage::DestroyFor why) {
    std::lock_guard writer(writer_);
    std::vector<KeyId> present;
    for (const KeyId& id : ids) {
      const auto it = table_.entries.find(id);
      if (it == table_.entries.end()) continue;
      if (it->second.owner != owner) return PermissionDenied("a key to be destroyed belongs to another service");
      present.push_back(id);
    }
    return Destroy(WithReplacements(table_, present), why == storage::DestroyFor::kErasure ? header_.epoch + 1 : 0);
  }

  StatusOr<EpochChange> NoteRenewed(std::string_view owner) {
    CLOISTER_RETURN_IF_ERROR(CheckOwnerAndKind(owner, KeyKind::kStore));
    std::lock_guard writer(writer_);
    KeyringTable next = table_;
    next.renewed.insert_or_assign(std::string(owner), header_.epoch + 1);
    return ChangeEpoch(std::move(next), nullptr);
  }

  StatusOr<EpochChange> DestroyFormerKeys(std::string_view owner) {
    std::lock_guard writer(writer_);
    const auto renewed = table_.renewed.find(owner);
    return Destroy(FormerKeys(table_, owner), renewed == table_.renewed.end() ? header_.epoch + 1 : renewed->second);
  }

  StatusOr<std::vector<KeyId>> ReplaceKeys(std::string_view owner, const std::vector<KeyId>& ids) {
    if (ids.size() > storage::kKeysPerReplacementMax) return InvalidArgument("too many keys to replace at once");
    std::lock_guard writer(writer_);
    std::map<KeyId, KeyringEntry> added;
    std::map<KeyId, KeyId> successors;  // Of those that have none yet.
    for (const KeyId& id : ids) {
      const auto it = table_.entries.find(id);
      if (it == table_.entries.end()) continue;
      if (it->second.owner != owner) return PermissionDenied("a key to be replaced belongs to another service");
      if (it->second.kind == KeyKind::kSigning) return InvalidArgument("a signing key is not replaced in this way");
      if (it->second.successor.empty()) successors.emplace(id, crypto::RandomId<KeyId>());
    }
    if (table_.entries.size() + successors.size() > options_.keys_max) return Full();
    for (const auto& [id, successor] : successors) {
      KeyringEntry entry = table_.entries.at(id);
      entry.created_ns = clock_.Now().time_since_epoch().count();
      entry.wrapped_key = WrapKey(entries_key_, header_, successor, entry, crypto::RandomSecret(kKeyBytes).view());
      added.emplace(successor, std::move(entry));
    }
    wrapped_ += added.size();
    if (!added.empty()) {
      SetSuccessors(successors, true);
      const Status status = Commit(std::move(added), header_);
      if (!status.ok()) SetSuccessors(successors, false);
      CLOISTER_RETURN_IF_ERROR(status);
    }
    std::vector<KeyId> current;
    for (const KeyId& id : ids) current.push_back(CurrentKey(table_, id));
    return current;
  }

  StatusOr<std::vector<KeyId>> CurrentKeys(std::string_view owner, const std::vector<KeyId>& ids) const {
    if (ids.size() > storage::kKeysPerReplacementMax) return InvalidArgument("too many keys asked for at once");
    std::shared_lock reader(state_);
    std::vector<KeyId> current;
    for (const KeyId& id : ids) {
      const auto it = table_.entries.find(id);
      if (it != table_.entries.end() && it->second.owner != owner)
        return PermissionDenied("the key belongs to another service");
      current.push_back(CurrentKey(table_, id));
    }
    return current;
  }

  StatusOr<EpochChange> ChangeEpochTo(std::unique_ptr<EpochAnchor> anchor) {
    std::lock_guard writer(writer_);
    return ChangeEpoch(table_, std::move(anchor));
  }

  Status SetRecovery(const RecoveryKey& recovery) {
    std::lock_guard writer(writer_);
    std::optional<RecoveryKey> former = recovery;
    {
      std::unique_lock state(state_);
      table_.recovery.swap(former);
    }
    const Status status = Commit({}, header_);
    if (status.ok()) return status;
    std::unique_lock state(state_);
    table_.recovery.swap(former);
    return status;
  }

  Status ChangeMarks(const std::vector<std::string>& add, const std::vector<std::string>& remove) {
    for (const auto* marks : {&add, &remove}) {
      for (const std::string& mark : *marks) {
        if (mark.size() != storage::kMarkBytes) return InvalidArgument("a mark has 32 bytes");
      }
    }
    std::lock_guard writer(writer_);
    std::set<std::string> next = table_.marks;
    next.insert(add.begin(), add.end());
    for (const std::string& mark : remove) next.erase(mark);
    if (next.size() > storage::kMarksMax) return ResourceExhausted("the keyring holds as many marks as it may: 100000");
    if (next == table_.marks) return absl::OkStatus();
    SwapMarks(next);
    const Status status = Commit({}, header_);
    if (!status.ok()) SwapMarks(next);
    return status;
  }

  std::set<std::string> Marks() const {
    std::shared_lock reader(state_);
    return table_.marks;
  }

  Status CheckOpens(EpochAnchor& anchor) const {
    std::lock_guard writer(writer_);
    CLOISTER_RETURN_IF_ERROR(CheckSound());
    if (anchor.kind() != header_.anchor) return WrongAnchor();
    CLOISTER_ASSIGN_OR_RETURN(const crypto::Secret key,
                              anchor.Open(header_.location, EpochContext(header_.appliance, header_.epoch)));
    return crypto::ConstantTimeEqual(key.view(), epoch_key_.view()) ? absl::OkStatus()
                                                                   : DataLoss("the anchor opens another epoch key");
  }

  StatusOr<Snapshot> TakeSnapshot() const {
    std::lock_guard writer(writer_);
    Snapshot out;
    // The same salt over the same table gives the same bytes.
    out.file = SealKeyring(epoch_key_, header_, table_, {});
    out.header = header_;
    out.epoch_key = epoch_key_.Clone();
    out.recovery = table_.recovery;
    return out;
  }

  // At opening: a device that is not there now is asked again at the next change.
  void FinishInterrupted() {
    std::lock_guard writer(writer_);
    const Status status = DestroyDoomed(*anchor_);
    if (!status.ok()) LogStatus(LogLevel::kWarning, "keys.former_epoch_not_destroyed", status);
  }

  KeyringStatus GetStatus() const {
    std::shared_lock reader(state_);
    KeyringStatus status;
    status.anchor = header_.anchor;
    status.anchor_description = anchor_description_;
    status.destroys_for_good = anchor_->DestroysForGood();
    status.generation = header_.generation;
    status.epoch = header_.epoch;
    status.doomed = header_.doomed.size();
    for (const auto& [id, entry] : table_.entries) {
      ++status.keys[entry.kind];
      if (entry.successor.empty()) continue;
      ++status.former;
      const auto successor = table_.entries.find(entry.successor);
      if (successor != table_.entries.end())
        status.former_since_ns = std::max(status.former_since_ns, successor->second.created_ns);
    }
    status.recovery = table_.recovery;
    status.erasure_epoch = table_.erasure_epoch;
    status.sound = !unsound_;
    return status;
  }

  uint64_t generation() const {
    std::shared_lock reader(state_);
    return header_.generation;
  }
  size_t size() const {
    std::shared_lock reader(state_);
    return table_.entries.size();
  }
  const DatabaseId& appliance_id() const { return header_.appliance; }
  EpochKeyUse TakeUse() { return {wrapped_.exchange(0), unwrapped_.exchange(0), sealed_.exchange(0)}; }

 private:
  void Reindex() {
    named_.clear();
    for (const auto& [id, entry] : table_.entries) Index(id, entry);
  }
  void Index(const KeyId& id, const KeyringEntry& entry) {
    // A former key keeps the name it is wrapped with, and nobody finds it by that.
    if (entry.name.empty() || !entry.successor.empty()) return;
    named_.insert_or_assign(std::tuple(entry.owner, entry.kind, entry.name), id);
  }
  void SetSuccessors(const std::map<KeyId, KeyId>& successors, bool set) {
    std::unique_lock state(state_);
    for (const auto& [id, successor] : successors) table_.entries.at(id).successor = set ? successor : KeyId();
  }
  // Backups of before `too_old` do not open afterwards, as far as that is known.
  StatusOr<EpochChange> Destroy(const std::set<KeyId>& ids, uint32_t too_old) {
    if (ids.empty()) {
      CLOISTER_RETURN_IF_ERROR(DestroyDoomed(*anchor_));
      return EpochChange{{}, header_.epoch, header_.generation};
    }
    KeyringTable next = table_;
    for (const KeyId& id : ids) next.entries.erase(id);
    next.erasure_epoch = std::max(next.erasure_epoch, too_old);
    CLOISTER_ASSIGN_OR_RETURN(EpochChange change, ChangeEpoch(std::move(next), nullptr));
    change.destroyed.assign(ids.begin(), ids.end());
    return change;
  }
  static Status Full() { return ResourceExhausted("the keyring is full; erase documents or start another appliance"); }
  void SwapMarks(std::set<std::string>& marks) {
    std::unique_lock state(state_);
    table_.marks.swap(marks);
  }
  void Reached(EpochStep step) const {
    if (options_.on_step) options_.on_step(step);
  }

  StatusOr<DataKey> Unwrap(const KeyId& id, const KeyringEntry& entry) const {
    auto key = UnwrapKey(entries_key_, header_, id, entry);
    if (!key.ok()) return Annotate(key.status(), "keyring entry");
    ++unwrapped_;
    return DataKey{id, std::make_shared<const crypto::Secret>(*std::move(key))};
  }

  // Needs writer_, as do all that follow, so nobody else changes header_ or table_.
  StatusOr<std::vector<DataKey>> Add(std::string_view owner, KeyKind kind, std::string_view name,
                                     uint32_t count) {
    if (table_.entries.size() + count > options_.keys_max) return Full();
    KeyringEntry entry;
    entry.kind = kind;
    entry.created_ns = clock_.Now().time_since_epoch().count();
    entry.owner = owner;
    entry.name = name;
    std::map<KeyId, KeyringEntry> added;
    std::vector<DataKey> keys;
    while (keys.size() < count) {
      DataKey key{crypto::RandomId<KeyId>(),
                  std::make_shared<const crypto::Secret>(crypto::RandomSecret(kKeyBytes))};
      entry.wrapped_key = WrapKey(entries_key_, header_, key.id, entry, key.key->view());
      added.emplace(key.id, entry);
      keys.push_back(std::move(key));
    }
    wrapped_ += count;
    CLOISTER_RETURN_IF_ERROR(Commit(std::move(added), header_));
    return keys;
  }

  // Writes the file with `next` as its header and what is added. Memory changes only after the file did; readers go
  // on during the write.
  Status Commit(std::map<KeyId, KeyringEntry> added, KeyringHeader next) {
    CLOISTER_RETURN_IF_ERROR(CheckSound());
    next.generation += 1;
    next.table_salt = crypto::RandomBytes(kKeyringSaltBytes);
    CLOISTER_RETURN_IF_ERROR(WriteKeyringFile(options_.path, SealKeyring(epoch_key_, next, table_, added)));
    ++sealed_;
    std::unique_lock state(state_);
    header_ = std::move(next);
    for (const auto& [id, entry] : added) Index(id, entry);
    table_.entries.merge(added);
    return absl::OkStatus();
  }

  Status CheckSound() const {
    if (!unsound_) return absl::OkStatus();
    return Unavailable("the keyring takes no change since a write of it failed half-way, until it is opened anew; try again");
  }

  // Has `where` destroy what is doomed, and forgets those names once it did.
  Status DestroyDoomed(EpochAnchor& where) {
    CLOISTER_RETURN_IF_ERROR(CheckSound());
    if (header_.doomed.empty()) return absl::OkStatus();
    for (const std::string& name : header_.doomed) {
      const Status status = where.Destroy(name);
      if (status.ok()) continue;
      return Unavailable("the device has yet to destroy a former epoch key (" + MessageOf(status) + "); try again");
    }
    Reached(EpochStep::kDestroyed);
    KeyringHeader next = header_;
    next.doomed.clear();
    CLOISTER_RETURN_IF_ERROR(Commit({}, std::move(next)));
    Reached(EpochStep::kForgotten);
    return absl::OkStatus();
  }

  // The epoch key that comes next. Its name is written down first: a crash in between leaves nothing unknown in the
  // device. A device that the keyring only moves to may keep an unused key; it protects nothing.
  StatusOr<NewEpoch> MakeEpoch(EpochAnchor& target, bool moves) {
    CLOISTER_ASSIGN_OR_RETURN(const std::string name, target.NewName());
    if (!name.empty() && !moves) {
      KeyringHeader next = header_;
      next.doomed.push_back(name);
      CLOISTER_RETURN_IF_ERROR(Commit({}, std::move(next)));
    }
    Reached(EpochStep::kNamed);
    return target.Create(name, EpochContext(header_.appliance, header_.epoch + 1));
  }

  // Every entry of `table`, wrapped under the next epoch.
  Status Rewrap(KeyringTable& table, const KeyringHeader& next, const crypto::Secret& next_entries_key) {
    for (auto& [id, entry] : table.entries) {
      CLOISTER_ASSIGN_OR_RETURN(const crypto::Secret key, UnwrapKey(entries_key_, header_, id, entry));
      entry.wrapped_key = WrapKey(next_entries_key, next, id, entry, key.view());
    }
    unwrapped_ += table.entries.size();
    wrapped_ += table.entries.size();
    return absl::OkStatus();
  }

  // Makes `table`, wrapped under this epoch, the one of the next epoch; in `moved_to` when that is given.
  StatusOr<EpochChange> ChangeEpoch(KeyringTable table, std::unique_ptr<EpochAnchor> moved_to) {
    CLOISTER_RETURN_IF_ERROR(DestroyDoomed(*anchor_));
    EpochAnchor& target = moved_to ? *moved_to : *anchor_;
    CLOISTER_ASSIGN_OR_RETURN(NewEpoch epoch, MakeEpoch(target, moved_to != nullptr));
    Reached(EpochStep::kCreated);
    KeyringHeader next = header_;
    next.anchor = target.kind();
    next.generation += 1;
    next.epoch += 1;
    next.doomed.clear();
    if (!header_.location.name.empty()) next.doomed.push_back(header_.location.name);
    next.location = std::move(epoch.location);
    next.table_salt = crypto::RandomBytes(kKeyringSaltBytes);
    crypto::Secret entries_key = EntriesKey(epoch.key);
    const std::string description = target.Describe();
    CLOISTER_RETURN_IF_ERROR(Rewrap(table, next, entries_key));
    CLOISTER_RETURN_IF_ERROR(Replace(SealKeyring(epoch.key, next, table, {})));
    ++sealed_;
    {
      std::unique_lock state(state_);
      header_ = std::move(next);
      epoch_key_ = std::move(epoch.key);
      entries_key_ = std::move(entries_key);
      table_ = std::move(table);
      Reindex();
      anchor_description_ = description;
      if (moved_to) anchor_.swap(moved_to);
    }
    Reached(EpochStep::kWritten);
    CLOISTER_RETURN_IF_ERROR(DestroyDoomed(moved_to ? *moved_to : *anchor_));
    return EpochChange{{}, header_.epoch, header_.generation};
  }

  // A failure after the rename leaves two files possible after a crash. Whichever it is names the other epoch as
  // doomed, so nothing may be destroyed until the file has been read again.
  Status Replace(const std::string& file) {
    const Status status = WriteKeyringFile(options_.path, file);
    if (status.ok()) return status;
    const auto found = ReadFile(options_.path, kKeyringFileBytesMax);
    const auto header = found.ok() ? ParseKeyringHeader(*found) : StatusOr<KeyringHeader>(found.status());
    unsound_ = !header.ok() || header->generation != header_.generation;
    if (unsound_ && options_.on_unsound) options_.on_unsound();
    return status;
  }

  const KeyringOptions options_;
  const FileDescriptor lock_;
  const Clock& clock_;
  mutable std::mutex writer_;        // One change at a time; taken before state_.
  mutable std::shared_mutex state_;  // Guards what follows against the moment of change.
  std::unique_ptr<EpochAnchor> anchor_;  // Used under writer_ alone: a device is asked by one thread at a time.
  std::string anchor_description_;
  KeyringHeader header_;
  crypto::Secret epoch_key_;
  crypto::Secret entries_key_;
  KeyringTable table_;
  std::map<std::tuple<std::string, KeyKind, std::string>, KeyId, std::less<>> named_;
  std::atomic<bool> unsound_ = false;
  mutable std::atomic<uint64_t> wrapped_{0}, unwrapped_{0}, sealed_{0};
};

Keyring::Keyring(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Keyring::~Keyring() = default;

// A first epoch for `table`, which is wrapped under `from` as `former` says.
StatusOr<std::unique_ptr<Keyring>> Keyring::Begin(KeyringOptions options, std::unique_ptr<EpochAnchor> anchor,
                                                  const Clock& clock, const KeyringHeader& former,
                                                  const crypto::Secret* from, KeyringTable table) {
  CLOISTER_ASSIGN_OR_RETURN(FileDescriptor lock, LockKeyringFile(options.path));
  CLOISTER_ASSIGN_OR_RETURN(const bool exists, KeyringFileExists(options.path));
  if (exists) return AlreadyExists("there is a keyring already; it was left as it is");
  RemoveLeftOverKeyrings(options.path);
  KeyringHeader header = former;
  header.anchor = anchor->kind();
  header.epoch += 1;
  header.doomed.clear();
  CLOISTER_ASSIGN_OR_RETURN(const std::string name, anchor->NewName());
  CLOISTER_ASSIGN_OR_RETURN(NewEpoch epoch, anchor->Create(name, EpochContext(header.appliance, header.epoch)));
  header.location = std::move(epoch.location);
  const crypto::Secret entries_key = EntriesKey(epoch.key);
  for (auto& [id, entry] : table.entries) {
    CLOISTER_ASSIGN_OR_RETURN(const crypto::Secret key, UnwrapKey(*from, former, id, entry));
    entry.wrapped_key = WrapKey(entries_key, header, id, entry, key.view());
  }
  auto impl = std::make_unique<Impl>(std::move(options), std::move(lock), clock, std::move(anchor), std::move(header),
                                     std::move(epoch.key), std::move(table));
  CLOISTER_RETURN_IF_ERROR(impl->WriteFirst());
  return std::unique_ptr<Keyring>(new Keyring(std::move(impl)));
}

StatusOr<std::unique_ptr<Keyring>> Keyring::Create(KeyringOptions options, std::unique_ptr<EpochAnchor> anchor,
                                                   const Clock& clock) {
  KeyringHeader header;
  header.appliance = crypto::RandomId<DatabaseId>();
  return Begin(std::move(options), std::move(anchor), clock, header, nullptr, {});
}

StatusOr<std::unique_ptr<Keyring>> Keyring::Restore(KeyringOptions options, std::string_view file,
                                                    const crypto::Secret& epoch_key,
                                                    std::unique_ptr<EpochAnchor> anchor, const Clock& clock) {
  CLOISTER_ASSIGN_OR_RETURN(const KeyringHeader header, ParseKeyringHeader(file));
  CLOISTER_ASSIGN_OR_RETURN(KeyringTable table, OpenKeyringTable(epoch_key, file));
  const crypto::Secret entries_key = EntriesKey(epoch_key);
  return Begin(std::move(options), std::move(anchor), clock, header, &entries_key, std::move(table));
}

StatusOr<std::unique_ptr<Keyring>> Keyring::Open(KeyringOptions options, std::unique_ptr<EpochAnchor> anchor,
                                                 const Clock& clock) {
  CLOISTER_ASSIGN_OR_RETURN(const bool exists, KeyringFileExists(options.path));
  if (!exists) return NotFound("there is no keyring");
  CLOISTER_ASSIGN_OR_RETURN(FileDescriptor lock, LockKeyringFile(options.path));
  CLOISTER_ASSIGN_OR_RETURN(const std::string file, ReadFile(options.path, kKeyringFileBytesMax));
  CLOISTER_ASSIGN_OR_RETURN(KeyringHeader header, ParseKeyringHeader(file));
  if (header.anchor != anchor->kind()) return WrongAnchor();
  const auto damaged = [](const Status& status) {
    return status.code() == StatusCode::kDataLoss ? Annotate(status, "the keyring was altered") : status;
  };
  auto epoch_key = anchor->Open(header.location, EpochContext(header.appliance, header.epoch));
  if (!epoch_key.ok()) return damaged(epoch_key.status());
  auto table = OpenKeyringTable(*epoch_key, file);
  if (!table.ok()) return damaged(table.status());
  RemoveLeftOverKeyrings(options.path);
  auto impl = std::make_unique<Impl>(std::move(options), std::move(lock), clock, std::move(anchor), std::move(header),
                                     *std::move(epoch_key), *std::move(table));
  impl->FinishInterrupted();
  return std::unique_ptr<Keyring>(new Keyring(std::move(impl)));
}

StatusOr<KeyringHeader> Keyring::HeaderOf(const std::filesystem::path& path) {
  CLOISTER_ASSIGN_OR_RETURN(const bool exists, KeyringFileExists(path));
  if (!exists) return NotFound("there is no keyring");
  CLOISTER_ASSIGN_OR_RETURN(const std::string file, ReadFile(path, kKeyringFileBytesMax));
  return ParseKeyringHeader(file);
}

StatusOr<AnchorKind> Keyring::AnchorOf(const std::filesystem::path& path) {
  CLOISTER_ASSIGN_OR_RETURN(const KeyringHeader header, HeaderOf(path));
  return header.anchor;
}

StatusOr<std::vector<DataKey>> Keyring::CreateKeys(std::string_view owner, KeyKind kind, uint32_t count) {
  return impl_->CreateKeys(owner, kind, count);
}
StatusOr<DataKey> Keyring::GetKey(std::string_view owner, const KeyId& id) const {
  return impl_->GetKey(owner, id);
}
uint64_t Keyring::CountUnreadable() const { return impl_->CountUnreadable(); }
StatusOr<DataKey> Keyring::GetNamedKey(std::string_view owner, KeyKind kind, std::string_view name) {
  return impl_->GetNamedKey(owner, kind, name);
}

StatusOr<std::string> Keyring::PublicKeyOf(std::string_view owner, std::string_view name) const {
  CLOISTER_ASSIGN_OR_RETURN(const DataKey key, impl_->FindNamed(owner, KeyKind::kSigning, name));
  CLOISTER_ASSIGN_OR_RETURN(const auto signer, crypto::Ed25519Signer::FromSeed(key.key->view()));
  return signer.public_key();
}

StatusOr<EpochChange> Keyring::DestroyKeys(std::string_view owner, const std::vector<KeyId>& ids,
                                           storage::DestroyFor why) {
  return impl_->DestroyKeys(owner, ids, why);
}
Status Keyring::ChangeMarks(const std::vector<std::string>& add, const std::vector<std::string>& remove) {
  return impl_->ChangeMarks(add, remove);
}
std::set<std::string> Keyring::Marks() const { return impl_->Marks(); }
StatusOr<EpochChange> Keyring::RotateEpoch() { return impl_->ChangeEpochTo(nullptr); }
StatusOr<EpochChange> Keyring::ChangeAnchor(std::unique_ptr<EpochAnchor> anchor) {
  CLOISTER_CHECK(anchor != nullptr);
  return impl_->ChangeEpochTo(std::move(anchor));
}
StatusOr<std::vector<KeyId>> Keyring::ReplaceKeys(std::string_view owner, const std::vector<KeyId>& ids) {
  return impl_->ReplaceKeys(owner, ids);
}
StatusOr<std::vector<KeyId>> Keyring::CurrentKeys(std::string_view owner, const std::vector<KeyId>& ids) const {
  return impl_->CurrentKeys(owner, ids);
}
StatusOr<EpochChange> Keyring::NoteRenewed(std::string_view owner) { return impl_->NoteRenewed(owner); }
StatusOr<EpochChange> Keyring::DestroyFormerKeys(std::string_view owner) {
  return impl_->DestroyFormerKeys(owner);
}
Status Keyring::SetRecovery(const RecoveryKey& recovery) { return impl_->SetRecovery(recovery); }
Status Keyring::CheckOpens(EpochAnchor& anchor) const { return impl_->CheckOpens(anchor); }
StatusOr<Keyring::Snapshot> Keyring::TakeSnapshot() const { return impl_->TakeSnapshot(); }
KeyringStatus Keyring::GetStatus() const { return impl_->GetStatus(); }
uint64_t Keyring::generation() const { return impl_->generation(); }
size_t Keyring::size() const { return impl_->size(); }
const DatabaseId& Keyring::appliance_id() const { return impl_->appliance_id(); }
EpochKeyUse Keyring::TakeUse() { return impl_->TakeUse(); }

}  // namespace cloister::keyring
