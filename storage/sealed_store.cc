// SPDX-License-Identifier: Apache-2.0
#include "storage/sealed_store.h"

#include <optional>

#include "storage/sealed_record.h"

namespace cloister::storage {

Status SealedStore::Put(WriteBatch& batch, std::string_view column_family, std::string_view row_key,
                        const DataKey& key, std::string_view plaintext) const {
  CLOISTER_ASSIGN_OR_RETURN(std::string record, SealRecord(key.id, key.key->view(),
                                                           {database_, column_family, row_key}, plaintext));
  batch.Put(column_family, row_key, std::move(record));
  return absl::OkStatus();
}

StatusOr<DataKey> SealedStore::KeyOf(std::string_view record) const {
  CLOISTER_ASSIGN_OR_RETURN(const KeyId id, RecordKeyId(record));
  auto key = keys_.GetKey(id);
  // Passed on as it is, this would look as if the row did not exist.
  if (key.status().code() == StatusCode::kNotFound) {
    return DataLoss(
        "the key of a sealed row is gone: it was destroyed, or the keyring is older than the data");
  }
  return key;
}

StatusOr<std::string> SealedStore::Get(const Snapshot& snapshot, std::string_view column_family,
                                       std::string_view row_key) const {
  CLOISTER_ASSIGN_OR_RETURN(const std::string record, snapshot.Get(column_family, row_key));
  CLOISTER_ASSIGN_OR_RETURN(const DataKey key, KeyOf(record));
  return OpenRecord(key.key->view(), {database_, column_family, row_key}, record);
}

Status SealedStore::Scan(const Snapshot& snapshot, std::string_view column_family, std::string_view prefix,
                         const std::function<bool(std::string_view, std::string_view)>& visit) const {
  Status failure;
  // Neighbouring rows mostly belong to one document, so one key serves many.
  std::optional<DataKey> key;
  const auto open = [&](std::string_view row_key, std::string_view record) -> StatusOr<std::string> {
    CLOISTER_ASSIGN_OR_RETURN(const KeyId id, RecordKeyId(record));
    if (!key || key->id != id) {
      CLOISTER_ASSIGN_OR_RETURN(key, KeyOf(record));
    }
    return OpenRecord(key->key->view(), {database_, column_family, row_key}, record);
  };
  CLOISTER_RETURN_IF_ERROR(
      snapshot.Scan(column_family, prefix, [&](std::string_view row_key, std::string_view record) {
        const auto plaintext = open(row_key, record);
        failure = plaintext.status();
        return plaintext.ok() && visit(row_key, *plaintext);
      }));
  return failure;
}

}  // namespace cloister::storage
