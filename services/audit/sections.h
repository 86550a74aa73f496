// SPDX-License-Identifier: Apache-2.0
// Sections: the personal and quoted content of audit records, each sealed under a key of its own, which is
// sealed under the key of the person, subject or document it concerns. Destroying that one's key closes all
// of theirs for ever and leaves every proof valid. Thread-safe. SPEC: docs/formats/audit.md "Sections"
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "audit/envelope.h"
#include "common/id.h"
#include "common/status.h"
#include "services/audit/people.h"
#include "storage/key_source.h"
#include "storage/kv_store.h"

namespace cloister::services {

constexpr std::string_view kSectionsFamily = "sections";
constexpr std::string_view kSectionKeysFamily = "section_keys";
constexpr size_t kSectionBytesMax = 1024 * 1024;
// Stands in section_keys where the key record of a forgotten section was, so that it is told from a lost one.
constexpr std::string_view kForgottenSection("CLSF\x01", 5);
// Sections that one batch clears away.
constexpr size_t kSectionsPerClearing = 10'000;

class Sections {
 public:
  // `store`, `keys` and `people` must outlive this.
  Sections(storage::KvStore& store, const DatabaseId& database, storage::KeySource& keys,
           const People& people)
      : store_(store), database_(database), keys_(keys), people_(people) {}

  // Seals; stores nothing. Errors: kInvalidArgument (over kSectionBytesMax or not JSON in UTF-8), kNotFound
  // (the person's key is destroyed), kUnavailable.
  StatusOr<audit::SealedSection> Seal(const Person& person, std::string_view content_json) const;

  // As Seal, under a key that is thrown away: the record shows that something was there.
  StatusOr<audit::SealedSection> SealForNobody(std::string_view content_json) const;

  // Makes sections durable in one batch. The same ones may come again. Errors: kResourceExhausted,
  // kUnavailable.
  Status Put(const std::vector<const audit::SealedSection*>& sections) const;

  struct Opened {
    PersonName about;
    std::string content_json;
  };
  // Errors: kNotFound (its key was destroyed), kDataLoss (missing, damaged, or not what the log committed
  // to), kUnavailable.
  StatusOr<Opened> Open(const audit::SectionReference& section) const;

  // Clears away the sections whose key records are sealed under one of `person_keys`, which are destroyed,
  // and returns how many there were. Reads all key records; durable in batches, so that an interrupted one
  // goes on where it stopped. Errors: kResourceExhausted, kUnavailable.
  StatusOr<uint64_t> ClearForgotten(const std::set<KeyId>& person_keys) const;

 private:
  storage::KvStore& store_;
  const DatabaseId database_;
  storage::KeySource& keys_;
  const People& people_;
};

}  // namespace cloister::services
