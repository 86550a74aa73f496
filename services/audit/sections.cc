// SPDX-License-Identifier: Apache-2.0
#include "services/audit/sections.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "common/bytes.h"
#include "crypto/random.h"
#include "storage/sealed_record.h"

namespace cloister::services {
namespace {

constexpr uint8_t kKeyRecordFormat = 1;
constexpr size_t kSectionKeyBytes = 32;

struct KeyRecord {
  std::string salt;
  crypto::Secret key;
  Pseudonym about;
};

crypto::Secret EncodeKeyRecord(const KeyRecord& record) {
  ByteWriter out;
  out.U8(kKeyRecordFormat);
  out.Raw(record.salt);
  out.Raw(record.key.view());
  out.Raw(record.about.bytes());
  std::string bytes = out.Take();
  crypto::Secret secret(bytes);
  crypto::Wipe(bytes.data(), bytes.size());
  return secret;
}

StatusOr<KeyRecord> DecodeKeyRecord(std::string_view bytes) {
  ByteReader reader(bytes);
  const uint8_t format = reader.U8();
  if (format != kKeyRecordFormat) {
    return FailedPrecondition("a section's key record has format " + std::to_string(format) +
                              "; this version knows 1");
  }
  KeyRecord record;
  record.salt = std::string(reader.Raw(audit::kSectionSaltBytes));
  record.key = crypto::Secret(reader.Raw(kSectionKeyBytes));
  const auto about = Pseudonym::FromBytes(reader.Raw(kIdBytes));
  CLOISTER_RETURN_IF_ERROR(reader.Finish("section key record"));
  record.about = *about;
  return record;
}

// A missing row is damage: the log says that the section exists.
StatusOr<std::string> GetRow(const storage::Snapshot& snapshot, std::string_view family,
                             std::string_view key) {
  auto row = snapshot.Get(family, key);
  if (row.status().code() == StatusCode::kNotFound) return DataLoss("the section is missing from the store");
  return row;
}

}  // namespace

StatusOr<audit::SealedSection> Sections::Seal(const Person& person, std::string_view content_json) const {
  if (content_json.size() > kSectionBytesMax) return InvalidArgument("a section has at most 1 MiB of JSON");
  if (!nlohmann::json::accept(content_json))
    return InvalidArgument("a section's content is not JSON in UTF-8");
  CLOISTER_ASSIGN_OR_RETURN(const storage::DataKey person_key, keys_.GetKey(person.key_id));
  audit::SealedSection section;
  section.id = crypto::RandomId<SectionId>();
  KeyRecord record{crypto::RandomBytes(audit::kSectionSaltBytes), crypto::RandomSecret(kSectionKeyBytes),
                   person.pseudonym};
  // The section's key is in no keyring: the record names it by the section's own id.
  CLOISTER_ASSIGN_OR_RETURN(const KeyId own_key, KeyId::FromBytes(section.id.bytes()));
  CLOISTER_ASSIGN_OR_RETURN(
      section.sealed, storage::SealRecord(own_key, record.key.view(),
                                          {database_, kSectionsFamily, section.id.bytes()}, content_json));
  const crypto::Secret plain = EncodeKeyRecord(record);
  CLOISTER_ASSIGN_OR_RETURN(
      section.key_record,
      storage::SealRecord(person_key.id, person_key.key->view(),
                          {database_, kSectionKeysFamily, section.id.bytes()}, plain.view()));
  section.commitment = audit::SectionCommitment(record.salt, section.sealed);
  return section;
}

StatusOr<audit::SealedSection> Sections::SealForNobody(std::string_view content_json) const {
  audit::SealedSection section;
  section.id = crypto::RandomId<SectionId>();
  CLOISTER_ASSIGN_OR_RETURN(const KeyId own_key, KeyId::FromBytes(section.id.bytes()));
  CLOISTER_ASSIGN_OR_RETURN(
      section.sealed, storage::SealRecord(own_key, crypto::RandomSecret(kSectionKeyBytes).view(),
                                          {database_, kSectionsFamily, section.id.bytes()}, content_json));
  section.key_record = kForgottenSection;
  section.commitment = audit::SectionCommitment(crypto::RandomBytes(audit::kSectionSaltBytes), section.sealed);
  return section;
}

Status Sections::Put(const std::vector<const audit::SealedSection*>& sections) const {
  storage::WriteBatch batch;
  for (const audit::SealedSection* section : sections) {
    batch.Put(kSectionsFamily, section->id.bytes(), section->sealed);
    batch.Put(kSectionKeysFamily, section->id.bytes(), section->key_record);
  }
  return store_.Write(batch);
}

StatusOr<Sections::Opened> Sections::Open(const audit::SectionReference& section) const {
  const auto snapshot = store_.GetSnapshot();
  const std::string_view id = section.id.bytes();
  CLOISTER_ASSIGN_OR_RETURN(const std::string key_row, GetRow(*snapshot, kSectionKeysFamily, id));
  if (key_row == kForgottenSection) return NotFound("the key of this section was destroyed");
  CLOISTER_ASSIGN_OR_RETURN(const KeyId person_key_id, storage::RecordKeyId(key_row));
  CLOISTER_ASSIGN_OR_RETURN(const storage::DataKey person_key, keys_.GetKey(person_key_id));
  CLOISTER_ASSIGN_OR_RETURN(
      std::string plain,
      storage::OpenRecord(person_key.key->view(), {database_, kSectionKeysFamily, id}, key_row));
  auto record = DecodeKeyRecord(plain);
  crypto::Wipe(plain.data(), plain.size());
  CLOISTER_RETURN_IF_ERROR(record.status());
  CLOISTER_ASSIGN_OR_RETURN(const std::string sealed, GetRow(*snapshot, kSectionsFamily, id));
  if (audit::SectionCommitment(record->salt, sealed) != section.commitment) {
    return DataLoss("the section is not the one that the log committed to");
  }
  Opened opened;
  CLOISTER_ASSIGN_OR_RETURN(
      opened.content_json, storage::OpenRecord(record->key.view(), {database_, kSectionsFamily, id}, sealed));
  CLOISTER_ASSIGN_OR_RETURN(const Person person, people_.Find(record->about));
  opened.about = person.name;
  return opened;
}

StatusOr<uint64_t> Sections::ClearForgotten(const std::set<KeyId>& person_keys) const {
  if (person_keys.empty()) return 0;
  uint64_t cleared = 0;
  storage::WriteBatch batch;
  size_t batched = 0;
  Status written;
  const auto write = [&] {
    written = store_.Write(std::exchange(batch, storage::WriteBatch()));
    cleared += std::exchange(batched, 0);
    return written.ok();
  };
  const Status scanned = store_.GetSnapshot()->Scan(
      kSectionKeysFamily, "", [&](std::string_view section, std::string_view record) {
        const auto key = storage::RecordKeyId(record);
        if (!key.ok() || !person_keys.contains(*key)) return true;
        batch.Delete(kSectionsFamily, section);
        batch.Put(kSectionKeysFamily, section, std::string(kForgottenSection));
        return ++batched < kSectionsPerClearing || write();
      });
  CLOISTER_RETURN_IF_ERROR(written);
  CLOISTER_RETURN_IF_ERROR(scanned);
  if (batched > 0 && !write()) return written;
  return cleared;
}

}  // namespace cloister::services
