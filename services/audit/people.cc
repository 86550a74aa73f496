// SPDX-License-Identifier: Apache-2.0
#include "services/audit/people.h"

#include <algorithm>
#include <utility>

#include "common/bytes.h"
#include "common/log.h"
#include "crypto/random.h"
#include "storage/resealing.h"
#include "storage/sealed_record.h"

namespace cloister::services {
namespace {

constexpr uint8_t kPersonRowFormat = 1;
constexpr auto kLastKind = static_cast<uint8_t>(PersonName::Kind::kDocument);

std::string EncodePerson(const PersonName& name) {
  ByteWriter out;
  out.U8(kPersonRowFormat);
  out.U8(static_cast<uint8_t>(name.kind));
  out.String(name.name);
  return out.Take();
}

StatusOr<PersonName> DecodePerson(std::string_view bytes) {
  ByteReader reader(bytes);
  const uint8_t format = reader.U8();
  if (format != kPersonRowFormat) {
    return FailedPrecondition("a pseudonym row has format " + std::to_string(format) +
                              "; this version knows 1");
  }
  const uint8_t kind = reader.U8();
  PersonName name;
  name.kind = static_cast<PersonName::Kind>(kind);
  name.name = std::string(reader.String());
  CLOISTER_RETURN_IF_ERROR(reader.Finish("pseudonym row"));
  if (kind == 0 || kind > kLastKind) return DataLoss("a pseudonym row is of no known kind");
  return name;
}

Status CheckName(const PersonName& name) {
  if (name.name.empty() || name.name.size() > kPersonNameBytesMax || !IsUtf8(name.name)) {
    return InvalidArgument("a person's or subject's name is 1 to 256 bytes of UTF-8");
  }
  return absl::OkStatus();
}

}  // namespace

std::string_view KindName(PersonName::Kind kind) {
  switch (kind) {
    case PersonName::Kind::kUser:
      return "user";
    case PersonName::Kind::kSubject:
      return "subject";
    case PersonName::Kind::kDocument:
      return "document";
  }
  return "unknown";
}

StatusOr<PersonName::Kind> ParsePersonKind(std::string_view text) {
  if (text == "user") return PersonName::Kind::kUser;
  if (text == "subject") return PersonName::Kind::kSubject;
  if (text == "document") return PersonName::Kind::kDocument;
  return InvalidArgument("the kind of who is meant is \"user\", \"subject\" or \"document\"");
}

Status People::Load() {
  CLOISTER_RETURN_IF_ERROR(LoadMarks());
  int64_t destroyed = 0;
  Status failure = absl::OkStatus();
  const Status scanned =
      store_.GetSnapshot()->Scan(kPeopleFamily, "", [&](std::string_view key, std::string_view record) {
        const Status row = LoadRow(key, record);
        if (row.code() == StatusCode::kNotFound) ++destroyed;
        if (row.code() == StatusCode::kUnavailable) failure = row;
        if (!row.ok() && row.code() != StatusCode::kNotFound) {
          LogStatus(LogLevel::kError, "audit.pseudonym_unreadable", row);
        }
        return failure.ok();
      });
  CLOISTER_RETURN_IF_ERROR(scanned);
  CLOISTER_RETURN_IF_ERROR(failure);
  if (destroyed > 0) Log(LogLevel::kInfo, "audit.pseudonyms_destroyed", {{"count", destroyed}});
  return absl::OkStatus();
}

Status People::LoadMarks() {
  return store_.GetSnapshot()->Scan(kForgettingFamily, "", [&](std::string_view key, std::string_view value) {
    const auto pseudonym = Pseudonym::FromBytes(key);
    const auto key_id = KeyId::FromBytes(value);
    if (pseudonym.ok() && key_id.ok()) {
      forgetting_[*pseudonym] = Person{{}, *pseudonym, *key_id};
    } else {
      LogStatus(LogLevel::kError, "audit.pseudonym_unreadable",
                DataLoss("a mark of forgetting is malformed"));
    }
    return true;
  });
}

Status People::LoadRow(std::string_view row_key, std::string_view record) {
  Person person;
  CLOISTER_ASSIGN_OR_RETURN(person.pseudonym, Pseudonym::FromBytes(row_key));
  CLOISTER_ASSIGN_OR_RETURN(person.key_id, storage::RecordKeyId(record));
  CLOISTER_ASSIGN_OR_RETURN(const storage::DataKey key, keys_.GetKey(person.key_id));
  CLOISTER_ASSIGN_OR_RETURN(
      const std::string plain,
      storage::OpenRecord(key.key->view(), {database_, kPeopleFamily, row_key}, record));
  CLOISTER_ASSIGN_OR_RETURN(person.name, DecodePerson(plain));
  Remember(std::move(person));
  return absl::OkStatus();
}

void People::Remember(Person person) {
  std::unique_lock lock(mutex_);
  by_pseudonym_[person.pseudonym] = person;
  if (const auto marked = forgetting_.find(person.pseudonym); marked != forgetting_.end()) {
    marked->second = std::move(person);
  } else {
    by_name_[person.name] = std::move(person);
  }
}

StatusOr<std::vector<Person>> People::GetOrAdd(const std::vector<PersonName>& names) {
  for (const PersonName& name : names) CLOISTER_RETURN_IF_ERROR(CheckName(name));
  CLOISTER_RETURN_IF_ERROR(AddMissing(names));
  std::shared_lock lock(mutex_);
  std::vector<Person> people;
  for (const PersonName& name : names) {
    const auto found = by_name_.find(name);
    // Forgotten since a moment ago, by somebody else.
    if (found == by_name_.end()) return NotFound("somebody named in the record is being forgotten");
    people.push_back(found->second);
  }
  return people;
}

Status People::AddMissing(const std::vector<PersonName>& names) {
  const auto missing_names = [&] {
    std::set<PersonName> missing;
    std::shared_lock lock(mutex_);
    for (const PersonName& name : names) {
      if (by_name_.count(name) == 0) missing.insert(name);
    }
    return missing;
  };
  if (missing_names().empty()) return absl::OkStatus();
  std::lock_guard adding(adding_);
  const std::set<PersonName> missing = missing_names();
  if (missing.empty()) return absl::OkStatus();
  CLOISTER_ASSIGN_OR_RETURN(const auto keys, TakeKeys(missing.size()));
  storage::WriteBatch batch;
  std::vector<Person> people;
  for (const PersonName& name : missing) {
    const storage::DataKey& key = keys[people.size()];
    Person person{name, crypto::RandomId<Pseudonym>(), key.id};
    const std::string row_key(person.pseudonym.bytes());
    CLOISTER_ASSIGN_OR_RETURN(
        std::string record, storage::SealRecord(key.id, key.key->view(), {database_, kPeopleFamily, row_key},
                                                EncodePerson(name)));
    batch.Put(kPeopleFamily, row_key, std::move(record));
    people.push_back(std::move(person));
  }
  CLOISTER_RETURN_IF_ERROR(store_.Write(batch));
  for (Person& person : people) Remember(std::move(person));
  return absl::OkStatus();
}

StatusOr<std::vector<storage::DataKey>> People::TakeKeys(size_t count) {
  if (ahead_.size() < count) {
    const size_t needed = count - ahead_.size();
    const size_t wanted = std::max(needed, std::min<size_t>(needed + keys_ahead_, storage::kKeysPerCallMax));
    CLOISTER_ASSIGN_OR_RETURN(auto made,
                              keys_.CreateKeys(storage::KeyKind::kSubject, static_cast<uint32_t>(wanted)));
    std::move(made.begin(), made.end(), std::back_inserter(ahead_));
  }
  const auto first = ahead_.end() - static_cast<std::ptrdiff_t>(count);
  std::vector<storage::DataKey> taken(std::make_move_iterator(first), std::make_move_iterator(ahead_.end()));
  ahead_.erase(first, ahead_.end());
  return taken;
}

StatusOr<std::vector<Person>> People::BeginForgetting(const std::set<PersonName>& names) {
  std::lock_guard adding(adding_);
  std::vector<Person> known;
  {
    std::shared_lock lock(mutex_);
    for (const PersonName& name : names) {
      const auto found = by_name_.find(name);
      if (found != by_name_.end()) known.push_back(found->second);
    }
  }
  if (!known.empty()) {
    storage::WriteBatch batch;
    for (const Person& person : known) {
      batch.Put(kForgettingFamily, person.pseudonym.bytes(), std::string(person.key_id.bytes()));
    }
    CLOISTER_RETURN_IF_ERROR(store_.Write(batch));
  }
  std::unique_lock lock(mutex_);
  for (const Person& person : known) {
    by_name_.erase(person.name);
    forgetting_[person.pseudonym] = person;
  }
  std::vector<Person> unfinished;
  for (const auto& [pseudonym, person] : forgetting_) unfinished.push_back(person);
  return unfinished;
}

Status People::EndForgetting(const std::vector<Person>& people) {
  if (people.empty()) return absl::OkStatus();
  storage::WriteBatch batch;
  for (const Person& person : people) {
    batch.Delete(kPeopleFamily, person.pseudonym.bytes());
    batch.Delete(kForgettingFamily, person.pseudonym.bytes());
  }
  CLOISTER_RETURN_IF_ERROR(store_.Write(batch));
  std::unique_lock lock(mutex_);
  for (const Person& person : people) {
    by_pseudonym_.erase(person.pseudonym);
    forgetting_.erase(person.pseudonym);
  }
  return absl::OkStatus();
}

std::vector<KeyId> People::KeysInUse() {
  {
    std::lock_guard adding(adding_);
    ahead_.clear();
  }
  std::shared_lock lock(mutex_);
  std::vector<KeyId> keys;
  for (const auto& [name, person] : by_name_) keys.push_back(person.key_id);
  return keys;
}

StatusOr<uint64_t> People::Renew(const std::function<Status()>& go_on) {
  const auto change = [this](const std::function<StatusOr<storage::WriteBatch>()>& make) -> Status {
    std::lock_guard adding(adding_);
    CLOISTER_ASSIGN_OR_RETURN(const storage::WriteBatch batch, make());
    CLOISTER_RETURN_IF_ERROR(store_.Write(batch));
    for (const auto& operation : batch.operations()) {
      CLOISTER_ASSIGN_OR_RETURN(const Pseudonym pseudonym, Pseudonym::FromBytes(operation.key));
      CLOISTER_ASSIGN_OR_RETURN(const KeyId key, storage::RecordKeyId(*operation.value));
      ChangeKey(pseudonym, key);
    }
    return absl::OkStatus();
  };
  CLOISTER_ASSIGN_OR_RETURN(
      const storage::Resealed done,
      storage::ResealRows({store_, database_, keys_, {std::string(kPeopleFamily)}, change, go_on}));
  return done.rows;
}

void People::ChangeKey(const Pseudonym& pseudonym, const KeyId& key) {
  std::unique_lock lock(mutex_);
  const auto found = by_pseudonym_.find(pseudonym);
  if (found == by_pseudonym_.end()) return;
  found->second.key_id = key;
  if (const auto marked = forgetting_.find(pseudonym); marked != forgetting_.end()) {
    marked->second.key_id = key;
  } else if (const auto known = by_name_.find(found->second.name); known != by_name_.end()) {
    known->second.key_id = key;
  }
}

StatusOr<Person> People::Find(const Pseudonym& pseudonym) const {
  std::shared_lock lock(mutex_);
  const auto found = by_pseudonym_.find(pseudonym);
  if (found == by_pseudonym_.end()) return NotFound("nobody is known by this pseudonym");
  return found->second;
}

size_t People::size() const {
  std::shared_lock lock(mutex_);
  return by_name_.size();
}

}  // namespace cloister::services
