// SPDX-License-Identifier: Apache-2.0
#include "services/audit/gone_documents.h"

#include <mutex>

namespace cloister::services {
namespace {

constexpr std::string_view kRowKeyName = "gone-documents";
constexpr std::string_view kRow("\x01", 1);  // A format and nothing more: the row's key says it all.

}  // namespace

Status GoneDocuments::Load() {
  Status failure;
  CLOISTER_RETURN_IF_ERROR(sealed_.Scan(*store_.GetSnapshot(), kGoneDocumentsFamily, "",
                                        [&](std::string_view row_key, std::string_view row) {
                                          const auto id = DocumentId::FromBytes(row_key);
                                          if (!id.ok() || row != kRow) {
                                            failure = DataLoss("a row of forgotten documents is malformed");
                                            return false;
                                          }
                                          gone_.insert(*id);
                                          return true;
                                        }));
  return failure;
}

Status GoneDocuments::Add(const std::vector<std::string>& documents) {
  std::vector<DocumentId> ids;
  for (const std::string& document : documents) {
    if (const auto id = DocumentId::FromHex(document); id.ok()) ids.push_back(*id);
  }
  if (ids.empty()) return absl::OkStatus();
  CLOISTER_ASSIGN_OR_RETURN(const storage::DataKey key, keys_.GetNamedKey(storage::KeyKind::kStore, kRowKeyName));
  storage::WriteBatch batch;
  for (const DocumentId& id : ids) {
    CLOISTER_RETURN_IF_ERROR(sealed_.Put(batch, kGoneDocumentsFamily, id.bytes(), key, kRow));
  }
  CLOISTER_RETURN_IF_ERROR(store_.Write(batch));
  std::unique_lock lock(mutex_);
  gone_.insert(ids.begin(), ids.end());
  return absl::OkStatus();
}

StatusOr<KeyId> GoneDocuments::RowKey() const {
  CLOISTER_ASSIGN_OR_RETURN(const storage::DataKey key, keys_.GetNamedKey(storage::KeyKind::kStore, kRowKeyName));
  return key.id;
}

bool GoneDocuments::Contains(const std::string& document) const {
  const auto id = DocumentId::FromHex(document);
  std::shared_lock lock(mutex_);
  return id.ok() && gone_.contains(*id);
}

}  // namespace cloister::services
