// SPDX-License-Identifier: Apache-2.0
// Pseudonyms: a random stand-in for each person and data subject the log speaks of. The way back is a row
// sealed under that one's own key, so it dies with the key. No keyed hash of a name is kept anywhere: whoever
// held such a key could try every patient number. Thread-safe. SPEC: docs/formats/audit.md "Pseudonyms"
#pragma once

#include <map>
#include <mutex>
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
constexpr size_t kPersonNameBytesMax = 256;

// Somebody the log speaks of.
struct PersonName {
  enum class Kind : uint8_t { kUser = 1, kSubject = 2 };
  Kind kind = Kind::kUser;
  std::string name;
  auto operator<=>(const PersonName&) const = default;
};
std::string_view KindName(PersonName::Kind kind);                   // "user" or "subject"
StatusOr<PersonName::Kind> ParsePersonKind(std::string_view text);  // Errors: kInvalidArgument.

struct Person {
  PersonName name;
  Pseudonym pseudonym;
  KeyId key_id;  // Seals what the log keeps about this one.
};

class People {
 public:
  // `store` and `keys` must outlive this.
  People(storage::KvStore& store, const DatabaseId& database, storage::KeySource& keys)
      : store_(store), database_(database), keys_(keys) {}
  // Reads all rows; call once, first. Those whose key is destroyed are skipped; those that are damaged are
  // logged and skipped, so that one bad row does not stop the log. Errors: kUnavailable.
  Status Load();
  // In the order of `names`, which may repeat. New ones get a key and a pseudonym, durable before this
  // returns. Errors: kInvalidArgument (name empty, too long or not UTF-8), kResourceExhausted, kUnavailable.
  StatusOr<std::vector<Person>> GetOrAdd(const std::vector<PersonName>& names);
  // Errors: kNotFound (never there, or the key is destroyed).
  StatusOr<Person> Find(const Pseudonym& pseudonym) const;
  size_t size() const;

 private:
  Status LoadRow(std::string_view row_key, std::string_view record);
  Status AddMissing(const std::vector<PersonName>& names);
  void Remember(Person person);

  storage::KvStore& store_;
  const DatabaseId database_;
  storage::KeySource& keys_;
  std::mutex adding_;  // Held while somebody new is made durable, so that nobody gets two pseudonyms.
  mutable std::shared_mutex mutex_;
  std::map<PersonName, Person> by_name_;
  std::map<Pseudonym, PersonName> by_pseudonym_;
};

}  // namespace cloister::services
