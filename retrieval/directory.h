// SPDX-License-Identifier: Apache-2.0
// Users with their groups, collections with their readers, and the access classes that follow from them:
// sealed rows, held in memory for decisions. Does not authenticate anybody and does not decide; see
// policy/decision.h.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "common/id.h"
#include "common/status.h"
#include "policy/access_class.h"
#include "policy/principal.h"
#include "retrieval/records.h"
#include "retrieval/rows.h"

namespace cloister::retrieval {

constexpr size_t kUsersMax = 100'000;
constexpr size_t kCollectionsMax = 10'000;
constexpr size_t kClassesMax = 10'000;
constexpr size_t kReadersMax = 4'096;  // Names in one list of a collection.

// The parts of a decision that the directory holds, at one moment.
struct PolicyState {
  std::map<ClassId, policy::AccessClass> classes;
  uint64_t policy_sequence = 0;     // Commit sequence of the last change of a collection or class.
  uint64_t directory_sequence = 0;  // Of the last change of a user.
};

// Thread-safe. `rows` must outlive it. Changes are durable when they return and decide from then on.
class Directory {
 public:
  // A row that does not open is logged, counted and treated as absent: who it named sees nothing.
  // Errors: kUnavailable.
  static StatusOr<std::unique_ptr<Directory>> Open(Rows& rows);

  // All changes: `actor` is the identity of the service that asks. Errors: kInvalidArgument (name, too many
  // names), kResourceExhausted (kUsersMax, kCollectionsMax, disk full), kUnavailable.
  Status PutUser(User user, std::string_view actor);
  StatusOr<bool> DeleteUser(std::string_view name, std::string_view actor);  // Whether it was there.
  // Rewrites the classes of the collection in the same batch, so that revocation touches no document.
  // Returns whether it is new.
  StatusOr<bool> PutCollection(Collection collection, std::string_view actor);

  // Takes an empty collection and its classes away; documents that are still in it keep it. Errors: kNotFound.
  Status DeleteCollection(std::string_view name, std::string_view actor);

  std::vector<User> ListUsers() const;
  std::vector<Collection> ListCollections() const;
  std::optional<Collection> FindCollection(std::string_view name) const;
  size_t ClassCount() const;
  size_t UnreadableRows() const { return unreadable_; }

  // The class of documents in `collection` with `classification` (empty: the collection's), made in `batch`
  // when it is new. Hold rows.write_mutex(), and call ClassCommitted() once the batch is durable. Errors:
  // kNotFound (no such collection), kResourceExhausted (kClassesMax), kInvalidArgument.
  struct ClassOf {
    ClassId id;
    std::optional<ClassRow> added;
  };
  StatusOr<ClassOf> FindOrAddClass(std::string_view collection, std::string_view classification,
                                   storage::WriteBatch& batch);
  void ClassCommitted(const ClassOf& class_of);

  // For searching: from memory. A user who is not in the directory gets no groups and kNotFound.
  StatusOr<policy::Principal> Resolve(policy::Principal principal) const;
  std::shared_ptr<const PolicyState> CurrentPolicy() const;
  // For releasing: from the sealed rows of one snapshot. Errors: kNotFound, kDataLoss, kUnavailable.
  StatusOr<policy::Principal> ResolveAt(const storage::Snapshot& snapshot, policy::Principal principal) const;
  StatusOr<std::vector<std::string>> RolesAt(const storage::Snapshot& snapshot, std::string_view user) const;
  StatusOr<policy::AccessClass> ClassAt(const storage::Snapshot& snapshot, const ClassId& id) const;

 private:
  explicit Directory(Rows& rows) : rows_(rows) {}
  Status Load();
  StatusOr<User> UserAt(const storage::Snapshot& snapshot, std::string_view name) const;
  template <class Visit>
  Status LoadFamily(const storage::Snapshot& snapshot, std::string_view family, const Visit& visit);

  Rows& rows_;
  mutable std::shared_mutex mutex_;
  struct UserEntry {
    std::string row_key;
    User user;
  };
  struct CollectionEntry {
    std::string row_key;
    Collection collection;
  };
  std::map<std::string, UserEntry, std::less<>> users_;
  std::map<std::string, CollectionEntry, std::less<>> collections_;
  std::shared_ptr<const PolicyState> policy_ = std::make_shared<PolicyState>();
  size_t unreadable_ = 0;
};

// 1 to kNameBytesMax bytes of [a-z0-9._-]; user names may also hold "@".
bool IsCollectionName(std::string_view name);
bool IsUserName(std::string_view name);

}  // namespace cloister::retrieval
