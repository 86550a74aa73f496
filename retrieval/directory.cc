// SPDX-License-Identifier: Apache-2.0
#include "retrieval/directory.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "common/log.h"
#include "crypto/random.h"

namespace cloister::retrieval {
namespace {

bool IsNameOf(std::string_view name, std::string_view extra) {
  if (name.empty() || name.size() > policy::kNameBytesMax) return false;
  return std::all_of(name.begin(), name.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || extra.find(c) != std::string_view::npos;
  });
}

Status NormaliseNames(std::vector<std::string>& names, size_t limit, std::string_view what) {
  for (const std::string& name : names) {
    if (!IsUserName(name))
      return InvalidArgument(std::string(what) + " must be 1 to 256 bytes of [a-z0-9._@-]");
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  if (names.size() > limit) {
    return InvalidArgument(std::string(what) + ": more than " + std::to_string(limit) + " names");
  }
  return absl::OkStatus();
}

std::string Joined(const std::vector<std::string>& names) {
  std::string joined;
  for (const std::string& name : names) joined += (joined.empty() ? "" : " ") + name;
  return joined;
}

StatusOr<policy::AccessClass> ClassFor(const Collection& collection, std::string_view classification) {
  policy::AccessClass access_class;
  access_class.collection = collection.name;
  access_class.reader_groups = collection.reader_groups;
  access_class.reader_users = collection.reader_users;
  access_class.classification =
      classification.empty() ? collection.classification : std::string(classification);
  return policy::Normalised(std::move(access_class));
}

}  // namespace

bool IsCollectionName(std::string_view name) { return IsNameOf(name, "._-"); }
bool IsUserName(std::string_view name) { return IsNameOf(name, "._@-"); }

StatusOr<std::unique_ptr<Directory>> Directory::Open(Rows& rows) {
  std::unique_ptr<Directory> directory(new Directory(rows));
  CLOISTER_RETURN_IF_ERROR(directory->Load());
  return directory;
}

template <class Visit>
Status Directory::LoadFamily(const storage::Snapshot& snapshot, std::string_view family, const Visit& visit) {
  CLOISTER_ASSIGN_OR_RETURN(const auto keys, rows_.ReadableKeys(snapshot, family));
  for (const std::string& key : keys) {
    const auto bytes = rows_.Get(snapshot, family, key);
    const Status status = bytes.ok() ? visit(key, *bytes) : bytes.status();
    if (status.ok()) continue;
    if (!IsUnreadable(status)) return status;
    ++unreadable_;
    LogStatus(LogLevel::kError, "retrieval.directory_row_unreadable", status);
  }
  return absl::OkStatus();
}

Status Directory::Load() {
  const auto snapshot = rows_.GetSnapshot();
  CLOISTER_RETURN_IF_ERROR(
      LoadFamily(*snapshot, kUsersFamily, [&](const std::string& key, std::string_view bytes) {
        CLOISTER_ASSIGN_OR_RETURN(User user, ParseUser(bytes));
        std::string name = user.name;
        users_.insert_or_assign(std::move(name), UserEntry{key, std::move(user)});
        return Status();
      }));
  CLOISTER_RETURN_IF_ERROR(
      LoadFamily(*snapshot, kCollectionsFamily, [&](const std::string& key, std::string_view bytes) {
        CLOISTER_ASSIGN_OR_RETURN(Collection collection, ParseCollection(bytes));
        std::string name = collection.name;
        collections_.insert_or_assign(std::move(name), CollectionEntry{key, std::move(collection)});
        return Status();
      }));
  std::map<ClassId, policy::AccessClass> classes;
  CLOISTER_RETURN_IF_ERROR(
      LoadFamily(*snapshot, kClassesFamily, [&](const std::string& key, std::string_view bytes) {
        CLOISTER_ASSIGN_OR_RETURN(ClassRow row, ParseClassRow(bytes));
        CLOISTER_ASSIGN_OR_RETURN(const ClassId id, ClassId::FromBytes(key));
        classes.emplace(id, std::move(row.access_class));
        return Status();
      }));
  auto state = std::make_shared<PolicyState>();
  state->classes = std::move(classes);
  state->policy_sequence = state->directory_sequence = rows_.CommitSequence();
  policy_ = std::move(state);
  return absl::OkStatus();
}

Status Directory::PutUser(User user, std::string_view actor) {
  if (!IsUserName(user.name)) return InvalidArgument("a user name must be 1 to 256 bytes of [a-z0-9._@-]");
  CLOISTER_RETURN_IF_ERROR(NormaliseNames(user.groups, policy::kPrincipalGroupsMax, "a group"));
  CLOISTER_RETURN_IF_ERROR(NormaliseNames(user.roles, policy::kPrincipalGroupsMax, "a role"));
  std::lock_guard writing(rows_.write_mutex());
  std::string row_key;
  {
    std::shared_lock lock(mutex_);
    const auto found = users_.find(user.name);
    if (found != users_.end() && found->second.user == user) return absl::OkStatus();
    if (found == users_.end() && users_.size() >= kUsersMax)
      return ResourceExhausted("the directory is full");
    row_key = found == users_.end() ? crypto::RandomBytes(kIdBytes) : found->second.row_key;
  }
  storage::WriteBatch batch;
  CLOISTER_RETURN_IF_ERROR(rows_.PutOwn(batch, kUsersFamily, row_key, Serialise(user)));
  Event event;
  event.name = "directory.changed";
  event.actor = std::string(actor);
  event.fields = {{"change", "user.put"},
                  {"groups", std::to_string(user.groups.size())},
                  {"sequence", std::to_string(rows_.NextSequence())}};
  event.user = user.name;
  event.user_details = "groups: " + Joined(user.groups) + "; roles: " + Joined(user.roles);
  CLOISTER_RETURN_IF_ERROR(rows_.Commit(std::move(batch), {event}));
  std::unique_lock lock(mutex_);
  std::string name = user.name;
  users_.insert_or_assign(std::move(name), UserEntry{row_key, std::move(user)});
  auto state = std::make_shared<PolicyState>(*policy_);
  state->directory_sequence = rows_.CommitSequence();
  policy_ = std::move(state);
  return absl::OkStatus();
}

StatusOr<bool> Directory::DeleteUser(std::string_view name, std::string_view actor) {
  std::lock_guard writing(rows_.write_mutex());
  storage::WriteBatch batch;
  {
    std::shared_lock lock(mutex_);
    const auto found = users_.find(name);
    if (found == users_.end()) return false;
    batch.Delete(kUsersFamily, found->second.row_key);
  }
  Event event;
  event.name = "directory.changed";
  event.actor = std::string(actor);
  event.fields = {{"change", "user.deleted"}, {"sequence", std::to_string(rows_.NextSequence())}};
  event.user = std::string(name);
  event.user_details = "removed from the directory";
  CLOISTER_RETURN_IF_ERROR(rows_.Commit(std::move(batch), {event}));
  std::unique_lock lock(mutex_);
  users_.erase(users_.find(name));
  auto state = std::make_shared<PolicyState>(*policy_);
  state->directory_sequence = rows_.CommitSequence();
  policy_ = std::move(state);
  return true;
}

StatusOr<bool> Directory::PutCollection(Collection collection, std::string_view actor) {
  if (!IsCollectionName(collection.name)) {
    return InvalidArgument("a collection name must be 1 to 256 bytes of [a-z0-9._-]");
  }
  if (collection.classification.empty()) collection.classification = "internal";
  CLOISTER_RETURN_IF_ERROR(NormaliseNames(collection.reader_groups, kReadersMax, "a reader group"));
  CLOISTER_RETURN_IF_ERROR(NormaliseNames(collection.reader_users, kReadersMax, "a reader"));
  CLOISTER_RETURN_IF_ERROR(ClassFor(collection, "").status());
  if (!IsValid(collection.retention)) return InvalidArgument("a retention class keeps for 1 to 36500 days");
  std::lock_guard writing(rows_.write_mutex());
  std::string row_key;
  auto state = std::make_shared<PolicyState>(*CurrentPolicy());
  {
    std::shared_lock lock(mutex_);
    const auto found = collections_.find(collection.name);
    if (found != collections_.end() && found->second.collection == collection) return false;
    if (found == collections_.end() && collections_.size() >= kCollectionsMax) {
      return ResourceExhausted("there are too many collections");
    }
    if (found != collections_.end()) row_key = found->second.row_key;
  }
  const bool created = row_key.empty();
  if (created) row_key = crypto::RandomBytes(kIdBytes);
  storage::WriteBatch batch;
  const uint64_t sequence = rows_.NextSequence();
  CLOISTER_RETURN_IF_ERROR(rows_.PutOwn(batch, kCollectionsFamily, row_key, Serialise(collection)));
  size_t changed = 0;
  for (auto& [id, access_class] : state->classes) {
    if (access_class.collection != collection.name) continue;
    access_class.reader_groups = collection.reader_groups;
    access_class.reader_users = collection.reader_users;
    CLOISTER_RETURN_IF_ERROR(
        rows_.PutOwn(batch, kClassesFamily, id.bytes(), Serialise(ClassRow{sequence, access_class})));
    ++changed;
  }
  Event event;
  event.name = "policy.changed";
  event.actor = std::string(actor);
  event.fields = {{"change", created ? "collection.created" : "collection.readers"},
                  {"collection_id", HexEncode(row_key)},
                  {"classes", std::to_string(changed)},
                  {"retention", NameOf(collection.retention)},
                  {"sequence", std::to_string(sequence)}};
  CLOISTER_RETURN_IF_ERROR(rows_.Commit(std::move(batch), {event}));
  std::unique_lock lock(mutex_);
  std::string name = collection.name;
  collections_.insert_or_assign(std::move(name), CollectionEntry{row_key, std::move(collection)});
  state->policy_sequence = rows_.CommitSequence();
  policy_ = std::move(state);
  return created;
}

Status Directory::DeleteCollection(std::string_view name, std::string_view actor) {
  std::lock_guard writing(rows_.write_mutex());
  auto state = std::make_shared<PolicyState>(*CurrentPolicy());
  storage::WriteBatch batch;
  std::string row_key;
  {
    std::shared_lock lock(mutex_);
    const auto found = collections_.find(name);
    if (found == collections_.end()) return NotFound("no such collection");
    row_key = found->second.row_key;
  }
  batch.Delete(kCollectionsFamily, row_key);
  const size_t classes = std::erase_if(state->classes, [&](const auto& entry) {
    if (entry.second.collection != name) return false;
    batch.Delete(kClassesFamily, entry.first.bytes());
    return true;
  });
  Event event;
  event.name = "policy.changed";
  event.actor = std::string(actor);
  event.fields = {{"change", "collection.deleted"},
                  {"collection_id", HexEncode(row_key)},
                  {"classes", std::to_string(classes)},
                  {"sequence", std::to_string(rows_.NextSequence())}};
  CLOISTER_RETURN_IF_ERROR(rows_.Commit(std::move(batch), {event}));
  std::unique_lock lock(mutex_);
  collections_.erase(collections_.find(name));
  state->policy_sequence = rows_.CommitSequence();
  policy_ = std::move(state);
  return absl::OkStatus();
}

std::vector<User> Directory::ListUsers() const {
  std::shared_lock lock(mutex_);
  std::vector<User> users;
  for (const auto& [name, entry] : users_) users.push_back(entry.user);
  return users;
}

std::vector<Collection> Directory::ListCollections() const {
  std::shared_lock lock(mutex_);
  std::vector<Collection> collections;
  for (const auto& [name, entry] : collections_) collections.push_back(entry.collection);
  return collections;
}

std::optional<Collection> Directory::FindCollection(std::string_view name) const {
  std::shared_lock lock(mutex_);
  const auto found = collections_.find(name);
  if (found == collections_.end()) return std::nullopt;
  return found->second.collection;
}

size_t Directory::ClassCount() const { return CurrentPolicy()->classes.size(); }

StatusOr<Directory::ClassOf> Directory::FindOrAddClass(std::string_view collection_name,
                                                       std::string_view classification,
                                                       storage::WriteBatch& batch) {
  const auto collection = FindCollection(collection_name);
  if (!collection) return NotFound("no such collection; make it first");
  CLOISTER_ASSIGN_OR_RETURN(policy::AccessClass wanted, ClassFor(*collection, classification));
  const auto state = CurrentPolicy();
  for (const auto& [id, access_class] : state->classes) {
    if (access_class == wanted) return ClassOf{id, std::nullopt};
  }
  if (state->classes.size() >= kClassesMax) return ResourceExhausted("there are too many access classes");
  ClassOf class_of{crypto::RandomId<ClassId>(), ClassRow{rows_.NextSequence(), std::move(wanted)}};
  CLOISTER_RETURN_IF_ERROR(
      rows_.PutOwn(batch, kClassesFamily, class_of.id.bytes(), Serialise(*class_of.added)));
  return class_of;
}

void Directory::ClassCommitted(const ClassOf& class_of) {
  if (!class_of.added) return;
  std::unique_lock lock(mutex_);
  auto state = std::make_shared<PolicyState>(*policy_);
  state->classes.emplace(class_of.id, class_of.added->access_class);
  state->policy_sequence = class_of.added->sequence;
  policy_ = std::move(state);
}

StatusOr<policy::Principal> Directory::Resolve(policy::Principal principal) const {
  principal.groups.clear();
  std::shared_lock lock(mutex_);
  const auto found = users_.find(principal.user);
  if (found == users_.end()) return NotFound("no such user in the directory");
  principal.groups = found->second.user.groups;
  return principal;
}

std::shared_ptr<const PolicyState> Directory::CurrentPolicy() const {
  std::shared_lock lock(mutex_);
  return policy_;
}

StatusOr<User> Directory::UserAt(const storage::Snapshot& snapshot, std::string_view name) const {
  std::string row_key;
  {
    std::shared_lock lock(mutex_);
    const auto found = users_.find(name);
    if (found == users_.end()) return NotFound("no such user in the directory");
    row_key = found->second.row_key;
  }
  CLOISTER_ASSIGN_OR_RETURN(const std::string bytes, rows_.Get(snapshot, kUsersFamily, row_key));
  CLOISTER_ASSIGN_OR_RETURN(User user, ParseUser(bytes));
  if (user.name != name) return DataLoss("a user row names another user");
  return user;
}

StatusOr<policy::Principal> Directory::ResolveAt(const storage::Snapshot& snapshot,
                                                 policy::Principal principal) const {
  principal.groups.clear();
  CLOISTER_ASSIGN_OR_RETURN(User user, UserAt(snapshot, principal.user));
  principal.groups = std::move(user.groups);
  return principal;
}

StatusOr<std::vector<std::string>> Directory::RolesAt(const storage::Snapshot& snapshot,
                                                      std::string_view user) const {
  CLOISTER_ASSIGN_OR_RETURN(User found, UserAt(snapshot, user));
  return std::move(found.roles);
}

StatusOr<policy::AccessClass> Directory::ClassAt(const storage::Snapshot& snapshot, const ClassId& id) const {
  CLOISTER_ASSIGN_OR_RETURN(const std::string bytes, rows_.Get(snapshot, kClassesFamily, id.bytes()));
  CLOISTER_ASSIGN_OR_RETURN(ClassRow row, ParseClassRow(bytes));
  return std::move(row.access_class);
}

}  // namespace cloister::retrieval
