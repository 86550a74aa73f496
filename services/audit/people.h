// SPDX-License-Identifier: Apache-2.0
// Pseudonyms: a random stand-in for each person, data subject and document the log keeps sections about. The
// way back is a row sealed under that one's own key, so it dies with the key. No keyed hash of a name is kept
// anywhere: whoever held such a key could try every patient number. Does not destroy keys itself; see
// AuditService::ForgetPeople. Thread-safe. SPEC: docs/formats/audit.md "Pseudonyms" and "Forgetting"
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/id.h"
#include "common/status.h"
#include "storage/key_source.h"
#include "storage/kv_store.h"

namespace cloister::services {

constexpr std::string_view kPeopleFamily = "people";
constexpr std::string_view kForgettingFamily = "forgetting";  // Of whom the key is about to be destroyed.
constexpr size_t kPersonNameBytesMax = 256;
// Each call that makes keys rewrites the keyring on disk, which an ask would wait for. So the service takes
// this many more than it needs and keeps them for those who come next; what a stop leaves unused is left.
constexpr uint32_t kKeysAhead = 64;

// Somebody the log speaks of, or a document it quotes.
struct PersonName {
  enum class Kind : uint8_t { kUser = 1, kSubject = 2, kDocument = 3 };  // Stored; values are stable.
  Kind kind = Kind::kUser;
  std::string name;  // Of a document: its id in hexadecimal.
  auto operator<=>(const PersonName&) const = default;
};
std::string_view KindName(PersonName::Kind kind);                   // "user", "subject" or "document"
StatusOr<PersonName::Kind> ParsePersonKind(std::string_view text);  // Errors: kInvalidArgument.

struct Person {
  PersonName name;
  Pseudonym pseudonym;
  KeyId key_id;  // Seals what the log keeps about this one.
};

class People {
 public:
  // `store` and `keys` must outlive this. `keys_ahead`: see kKeysAhead.
  People(storage::KvStore& store, const DatabaseId& database, storage::KeySource& keys,
         uint32_t keys_ahead = 0)
      : store_(store), database_(database), keys_(keys), keys_ahead_(keys_ahead) {}
  // Reads all rows; call once, first. Those whose key is destroyed are skipped; those that are damaged are
  // logged and skipped, so that one bad row does not stop the log. Errors: kUnavailable.
  // A row whose key is gone is deleted only when its mark says that this was asked for: an older keyring put
  // in place by mistake must cost nothing.
  Status Load();
  // In the order of `names`, which may repeat. New ones get a key and a pseudonym, durable before this
  // returns. Errors: kInvalidArgument (name empty, too long or not UTF-8), kResourceExhausted, kUnavailable.
  StatusOr<std::vector<Person>> GetOrAdd(const std::vector<PersonName>& names);
  // Errors: kNotFound (never there, or the key is destroyed).
  StatusOr<Person> Find(const Pseudonym& pseudonym) const;
  size_t size() const;

  // Of `names`, marks those that are known, durably, so that a crash between the steps forgets nobody by
  // half. From then on they are unknown to GetOrAdd: who comes again is somebody new. Returns everybody whose
  // forgetting was begun and not ended, also by an earlier call; one whose key is gone already has no name.
  // Errors: kResourceExhausted, kUnavailable.
  StatusOr<std::vector<Person>> BeginForgetting(const std::set<PersonName>& names);
  // Replacing keys (see services/server/key_rotation.h). The keys of everybody who is known and not being forgotten; those
  // made ahead are left unused from here on.
  std::vector<KeyId> KeysInUse();
  // Seals the rows anew whose key was replaced, and returns how many; what is sealed about somebody after that is under the
  // key that holds now. Errors: as storage::ResealRows.
  StatusOr<uint64_t> Renew(const std::function<Status()>& go_on);
  // Deletes rows and marks of those whose keys are destroyed. Errors: kResourceExhausted, kUnavailable.
  Status EndForgetting(const std::vector<Person>& people);

 private:
  Status LoadRow(std::string_view row_key, std::string_view record);
  Status LoadMarks();
  Status AddMissing(const std::vector<PersonName>& names);
  // `adding_` is held.
  StatusOr<std::vector<storage::DataKey>> TakeKeys(size_t count);
  void Remember(Person person);
  void ChangeKey(const Pseudonym& pseudonym, const KeyId& key);

  storage::KvStore& store_;
  const DatabaseId database_;
  storage::KeySource& keys_;
  const uint32_t keys_ahead_;
  std::mutex adding_;  // Held while somebody new is made durable, so that nobody gets two pseudonyms.
  std::vector<storage::DataKey> ahead_;  // Nobody's yet. Guarded by adding_.
  mutable std::shared_mutex mutex_;
  std::map<PersonName, Person> by_name_;
  std::map<Pseudonym, Person> by_pseudonym_;
  std::map<Pseudonym, Person> forgetting_;  // Begun and not ended.
};

}  // namespace cloister::services
